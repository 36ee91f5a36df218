package slackbridge

import (
	"context"
	"fmt"

	"github.com/ochrehq/ochre"
)

// Enter goes back into the linked channels that the bot is not in, after the app was installed again: Slack takes a removed app out of all channels,
// and tells it nothing of those it is not in. A private channel lets nobody in by itself: there somebody must invite the bot, and until then the
// channel is shown as one that it is not in. Done again, it goes on where it stopped.
func (c *Channels) Enter(ctx context.Context, inst *ochre.SlackInstallation) error {
	if err := c.Refresh(ctx, inst); err != nil {
		return err
	}
	outside, err := c.store.ChannelsToEnter(ctx, inst.TenantID, inst.ID)
	if err != nil {
		return fmt.Errorf("read the channels to enter: %w", err)
	}
	for _, ch := range outside {
		asked := c.now().UTC()
		err := c.client.JoinChannel(ctx, inst, ch.SlackChannelID)
		if o := OutcomeOf(err); o.Kind == Permanent {
			c.log.WarnContext(ctx, "a linked channel does not let Ochre in", "slack_team", inst.SlackTeamID, "slack_channel", ch.SlackChannelID, "code", o.Code)
			continue
		}
		if err != nil {
			return fmt.Errorf("enter channel %s: %w", ch.SlackChannelID, err)
		}
		ch.IsBotMember, ch.UpdatedAt = true, asked
		if err := c.desk.PutSlackChannels(ctx, inst, []ochre.SlackChannel{ch}); err != nil {
			return fmt.Errorf("store a channel: %w", err)
		}
	}
	return nil
}
