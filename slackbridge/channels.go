package slackbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/store"
)

// RefreshEvery is how often the list of an installation's channels is read anew. Events tell of changes at once; this finds what they missed.
const RefreshEvery = 10 * time.Minute

// Times of the refreshing.
const (
	refreshLook  = 15 * time.Second // how often to look whether one is due
	refreshRetry = time.Minute      // after a failed one
	maxPatience  = 10               // rate limits that one page waits out
)

// Channels keeps the table of channels that installations see, so that searching it costs Slack nothing.
type Channels struct {
	client *Client
	store  *store.Store
	desk   *desk.Desk
	now    func() time.Time
	log    *slog.Logger
	due    chan struct{}
}

// NewChannels makes Channels. Run does its work.
func NewChannels(c *Client, s *store.Store, d *desk.Desk, log *slog.Logger) *Channels {
	return &Channels{client: c, store: s, desk: d, now: d.Now, log: log, due: make(chan struct{}, 1)}
}

// Due tells that an installation waits to be refreshed, such as a new one. It does not block.
func (c *Channels) Due() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// Run refreshes the channels of each connected installation once in RefreshEvery, on one node at a time, until ctx ends.
func (c *Channels) Run(ctx context.Context) {
	look := time.NewTicker(refreshLook)
	defer look.Stop()
	for {
		for c.refreshNext(ctx) {
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-c.due:
		}
	}
}

// refreshNext refreshes one installation that is due, and tells whether there may be more.
func (c *Channels) refreshNext(ctx context.Context) bool {
	now := c.now()
	inst, err := c.store.ClaimChannelRefresh(ctx, now, now.Add(-RefreshEvery))
	if err != nil {
		if !errors.Is(err, ochre.ErrNotFound) && ctx.Err() == nil {
			c.log.WarnContext(ctx, "look for channels to refresh", "error", err)
		}
		return false
	}
	err = c.Refresh(ctx, inst)
	if err == nil || ctx.Err() != nil || OutcomeOf(err).Kind == Disconnected {
		return ctx.Err() == nil
	}
	c.log.WarnContext(ctx, "refresh the channels of a workspace", "slack_team", inst.SlackTeamID, "error", err)
	if err := c.store.SetChannelsRefreshed(ctx, inst.TenantID, inst.ID, now.Add(refreshRetry-RefreshEvery)); err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "put off a refresh of channels", "error", err)
	}
	return ctx.Err() == nil
}

// Refresh reads all channels that an installation sees: the public ones of its workspace, and those that the bot is in. What Slack does not
// list any more goes, unless it is linked: then Slack is asked what became of it.
func (c *Channels) Refresh(ctx context.Context, inst *ochre.SlackInstallation) error {
	asked := c.now().UTC()
	seen, err := c.list(ctx, inst)
	if err != nil {
		return fmt.Errorf("list channels: %w", err)
	}
	all := make([]ochre.SlackChannel, 0, len(seen))
	for _, j := range seen {
		ch := j.channel(inst)
		ch.UpdatedAt = asked
		all = append(all, *ch)
	}
	if err := c.desk.PutSlackChannels(ctx, inst, all); err != nil {
		return fmt.Errorf("store channels: %w", err)
	}
	stored, err := c.store.ChannelStamps(ctx, inst.TenantID, inst.ID)
	if err != nil {
		return fmt.Errorf("read the stored channels: %w", err)
	}
	var gone []string
	for _, s := range stored {
		if _, still := seen[s.SlackChannelID]; !still && !s.UpdatedAt.After(asked) {
			gone = append(gone, s.SlackChannelID)
		}
	}
	return c.lookForGone(ctx, inst, gone, asked)
}

// list gives the channels of both lists by their ids.
func (c *Channels) list(ctx context.Context, inst *ochre.SlackInstallation) (map[string]channelJSON, error) {
	seen := map[string]channelJSON{}
	types := channelTypes(inst)
	if types == "" {
		return seen, nil
	}
	err := c.client.listChannels(ctx, inst, "users.conversations", types, func(page []channelJSON) {
		for _, j := range page {
			j.IsMember = true // Slack leaves it out: whose list it is says it
			seen[j.ID] = j
		}
	})
	if err != nil || !slices.Contains(inst.Scopes, "channels:read") {
		return seen, err
	}
	err = c.client.listChannels(ctx, inst, "conversations.list", "public_channel", func(page []channelJSON) {
		for _, j := range page {
			j.IsMember = j.IsMember || seen[j.ID].IsMember
			seen[j.ID] = j
		}
	})
	return seen, err
}

func (c *Channels) lookForGone(ctx context.Context, inst *ochre.SlackInstallation, gone []string, asked time.Time) error {
	linked, err := c.store.LiveLinks(ctx, inst.TenantID, gone)
	if err != nil {
		return fmt.Errorf("read the links of channels: %w", err)
	}
	for id := range linked {
		if err := c.Look(ctx, inst, id); err != nil {
			return err
		}
	}
	gone = slices.DeleteFunc(gone, func(id string) bool { return linked[id] != nil })
	return c.desk.DropSlackChannels(ctx, inst, gone, asked)
}

// Look asks Slack what a channel is now and stores the answer, also that it is not seen any more.
func (c *Channels) Look(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) error {
	asked := c.now().UTC()
	ch, err := c.client.info(ctx, inst, slackChannelID)
	if o := OutcomeOf(err); o.Kind == Permanent && o.Code == "channel_not_found" {
		return c.desk.DropSlackChannels(ctx, inst, []string{slackChannelID}, asked)
	}
	if err != nil {
		return fmt.Errorf("look at channel %s: %w", slackChannelID, err)
	}
	ch.UpdatedAt = asked
	return c.desk.PutSlackChannels(ctx, inst, []ochre.SlackChannel{*ch})
}

// patiently tries f again after each rate limit, some times.
func patiently(ctx context.Context, f func() error) error {
	for range maxPatience {
		err := f()
		o := OutcomeOf(err)
		if o.Kind != RateLimited {
			return err
		}
		wait := time.NewTimer(o.RetryAfter)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
	return f()
}
