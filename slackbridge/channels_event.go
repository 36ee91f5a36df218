package slackbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

// workspaceEvents are the events that tell of channels, or of our app in a workspace, and not of messages. The value tells whether the event is about
// a channel.
var workspaceEvents = map[string]bool{
	"member_joined_channel": true, "member_left_channel": true, "channel_left": true, "group_left": true,
	"channel_created": true, "channel_rename": true, "group_rename": true, "channel_archive": true, "group_archive": true,
	"channel_unarchive": true, "group_unarchive": true, "channel_deleted": true, "group_deleted": true,
	"channel_shared": true, "channel_unshared": true, "channel_id_changed": true,
	"app_uninstalled": false, "tokens_revoked": false,
}

// IsWorkspaceEvent tells whether an inner event's type is one for Channels.Handle.
func IsWorkspaceEvent(innerType string) bool {
	_, is := workspaceEvents[innerType]
	return is
}

// WorkspaceEvent is an event of a channel's or the app's own life. SlackTeamIDs are the workspaces that the envelope names, the authorization's
// first; any of them may be none of ours.
type WorkspaceEvent struct {
	SlackTeamIDs []string
	AppID        string
	At           time.Time // the envelope's event_time
	Inner        json.RawMessage
}

// workspaceJSON is what matters of such an event.
type workspaceJSON struct {
	Type       string          `json:"type"`
	Channel    json.RawMessage `json:"channel"` // an id, or in renames an object
	User       string          `json:"user"`
	OldChannel string          `json:"old_channel_id"`
	NewChannel string          `json:"new_channel_id"`
	Tokens     struct {
		Bot []string `json:"bot"`
	} `json:"tokens"`
}

func (e *workspaceJSON) channelID() string {
	if e.NewChannel != "" {
		return e.NewChannel
	}
	var id string
	if json.Unmarshal(e.Channel, &id) == nil {
		return id
	}
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(e.Channel, &object) // an event of another form names no channel
	return object.ID
}

// Handle brings the tables up to date with an event of a channel's or the app's own life. What the event says of a channel is not believed but
// asked of Slack, so order and repetition do not matter. It may be called again after any error; one of Slack is an *Outcome.
func (c *Channels) Handle(ctx context.Context, w WorkspaceEvent) error {
	var e workspaceJSON
	if err := json.Unmarshal(w.Inner, &e); err != nil {
		return fmt.Errorf("read a workspace event: %w", err)
	}
	switch ofChannel, known := workspaceEvents[e.Type]; {
	case !known:
		return nil
	case !ofChannel:
		return c.uninstalled(ctx, w, &e)
	}
	id := e.channelID()
	if id == "" {
		return nil
	}
	insts, err := c.seeing(ctx, w.SlackTeamIDs, id, e.OldChannel)
	if err != nil {
		return err
	}
	for i := range insts {
		if err := c.handleChannel(ctx, &insts[i], &e, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channels) handleChannel(ctx context.Context, inst *ochre.SlackInstallation, e *workspaceJSON, id string) error {
	switch e.Type {
	case "member_joined_channel", "member_left_channel":
		if e.User != inst.BotUserID {
			return nil // people come and go
		}
	case "channel_id_changed":
		if err := c.desk.RenameSlackChannelID(ctx, inst.TenantID, e.OldChannel, id); err != nil {
			return fmt.Errorf("follow channel %s to %s: %w", e.OldChannel, id, err)
		}
	}
	return c.Look(ctx, inst, id)
}

// seeing gives the connected installations that an event about a channel may concern: those that the envelope names and those that know the
// channel by either id. Slack delivers an event once per app and names one workspace, though several may see the channel.
func (c *Channels) seeing(ctx context.Context, slackTeamIDs []string, channelIDs ...string) ([]ochre.SlackInstallation, error) {
	var all []ochre.SlackInstallation
	have := map[ochre.ID]bool{}
	add := func(insts ...ochre.SlackInstallation) {
		for _, i := range insts {
			if i.Connected && !have[i.ID] {
				have[i.ID] = true
				all = append(all, i)
			}
		}
	}
	for _, team := range slackTeamIDs {
		inst, err := c.store.InstallationOfTeam(ctx, team)
		if err == nil {
			add(*inst)
		} else if !errors.Is(err, ochre.ErrNotFound) {
			return nil, fmt.Errorf("look for the installation of an event: %w", err)
		}
	}
	for _, id := range channelIDs {
		if id == "" {
			continue
		}
		insts, err := c.store.InstallationsSeeing(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("look for the installations of an event: %w", err)
		}
		add(insts...)
	}
	return all, nil
}

// uninstalled handles app_uninstalled and tokens_revoked, which both come when the app is removed, in any order.
func (c *Channels) uninstalled(ctx context.Context, w WorkspaceEvent, e *workspaceJSON) error {
	u := desk.Uninstalled{AppID: w.AppID, Reason: e.Type, At: w.At}
	if e.Type == "tokens_revoked" {
		if len(e.Tokens.Bot) == 0 {
			return nil // people's tokens, which we have none of
		}
		u.BotUsers = e.Tokens.Bot
	}
	for _, team := range w.SlackTeamIDs {
		u.SlackTeamID = team
		if err := c.desk.Uninstalled(ctx, u); err != nil {
			return err
		}
	}
	return nil
}
