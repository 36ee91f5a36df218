package slackbridge

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/ochrehq/ochre"
)

// channelJSON is what matters of Slack's channel object.
type channelJSON struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	IsPrivate   bool   `json:"is_private"`
	IsExtShared bool   `json:"is_ext_shared"`
	IsMember    bool   `json:"is_member"`
	IsArchived  bool   `json:"is_archived"`
	IsIM        bool   `json:"is_im"`
	IsMPIM      bool   `json:"is_mpim"`
}

func (c *channelJSON) channel(inst *ochre.SlackInstallation) *ochre.SlackChannel {
	return &ochre.SlackChannel{
		TenantID: inst.TenantID, InstallationID: inst.ID, SlackChannelID: c.ID, Name: c.Name,
		IsPrivate: c.IsPrivate, IsSlackConnect: c.IsExtShared, IsBotMember: c.IsMember, IsArchived: c.IsArchived,
	}
}

// info asks for one channel. Direct messages are none. (conversations.info)
func (c *Client) info(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) (*ochre.SlackChannel, error) {
	var got struct {
		Channel channelJSON `json:"channel"`
	}
	err := c.with(ctx, inst, func(ctx context.Context, token string) error {
		err := c.call(ctx, token, "conversations.info", url.Values{"channel": {slackChannelID}}, &got)
		if err == nil && (got.Channel.IsIM || got.Channel.IsMPIM) {
			return slack.SlackErrorResponse{Err: "channel_not_found"}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return got.Channel.channel(inst), nil
}

// Channel implements desk.Slack.
func (c *Client) Channel(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) (*ochre.SlackChannel, error) {
	ch, err := c.info(ctx, inst, slackChannelID)
	if err != nil {
		return nil, refusal(err)
	}
	return ch, nil
}

// JoinChannel implements desk.Slack. (conversations.join)
func (c *Client) JoinChannel(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) error {
	err := c.with(ctx, inst, func(ctx context.Context, token string) error {
		ch, _, _, err := c.slackGo(token).JoinConversationContext(ctx, slackChannelID)
		if err == nil && ch == nil {
			return errors.New("Slack's answer has no channel")
		}
		return err
	})
	if err == nil {
		return nil
	}
	return refusal(err)
}

// refusal turns an outcome into what an admin who waits is told.
func refusal(err error) error {
	o := OutcomeOf(err)
	e := &ochre.Error{Code: ochre.CodeSlackError, Message: o.Message(), Err: err}
	switch {
	case o.Code == "channel_not_found":
		e.Code = ochre.CodeNotFound
	case o.Code == "method_not_supported_for_channel_type":
		e.Code = ochre.CodeChannelNeedsInvite
	case o.Kind == Disconnected:
		e.Code = ochre.CodeInstallationDisconnected
	case o.Kind == RateLimited:
		e.Message = "Slack asks to wait: try again in a minute (ratelimited)."
	case o.Kind == NotSent:
		e.Message = "Slack could not be reached: try again in a minute (" + o.Code + ")."
	case o.Kind == Unclear:
		e.Message = "Slack did not answer as it should: try again in a minute (" + o.Code + ")."
	case !strings.Contains(e.Message, o.Code):
		e.Message += " (" + o.Code + ")"
	}
	return e
}

// pageSize is how many channels are asked for at once. Slack allows 1,000 and advises fewer.
const pageSize = 500

// listChannels gives each page of a list of channels to f, in Slack's order. Archived ones are left out. (conversations.list, users.conversations)
func (c *Client) listChannels(ctx context.Context, inst *ochre.SlackInstallation, method, types string, f func([]channelJSON)) error {
	args := url.Values{"types": {types}, "exclude_archived": {"true"}, "limit": {strconv.Itoa(pageSize)}}
	for range maxPages {
		var p struct {
			Channels []channelJSON `json:"channels"`
			page
		}
		err := patiently(ctx, func() error {
			return c.with(ctx, inst, func(ctx context.Context, token string) error { return c.call(ctx, token, method, args, &p) })
		})
		if err != nil {
			return err
		}
		f(p.Channels)
		if p.Metadata.NextCursor == "" {
			return nil
		}
		args.Set("cursor", p.Metadata.NextCursor)
	}
	return &Outcome{Kind: NotSent, Code: "too_many_channels", Err: errors.New("the workspace's list of channels does not end")}
}

// channelTypes are the kinds of channel that an installation may list by its scopes.
func channelTypes(inst *ochre.SlackInstallation) string {
	var types []string
	if slices.Contains(inst.Scopes, "channels:read") {
		types = append(types, "public_channel")
	}
	if slices.Contains(inst.Scopes, "groups:read") {
		types = append(types, "private_channel")
	}
	return strings.Join(types, ",")
}
