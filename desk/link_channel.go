package desk

import (
	"context"
	"errors"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// channelBatch is how many channels are written in one transaction.
const channelBatch = 200

// PutSlackChannels stores what Slack said of an installation's channels; UpdatedAt of each is when Slack was asked. Older news never replace newer
// ones. Screens are told of each channel that is new or changed, and links to them take the new name and whether it is shared.
func (d *Desk) PutSlackChannels(ctx context.Context, inst *ochre.SlackInstallation, channels []ochre.SlackChannel) error {
	for len(channels) > 0 {
		n := min(channelBatch, len(channels))
		err := d.Store.Tx(ctx, inst.TenantID, d.Now(), func(tx *store.Tx) error { return putChannels(ctx, tx, inst.ID, channels[:n]) })
		if err != nil {
			return err
		}
		channels = channels[n:]
	}
	return nil
}

func putChannels(ctx context.Context, tx *store.Tx, installation ochre.ID, channels []ochre.SlackChannel) error {
	changed, err := tx.PutSlackChannels(ctx, installation, channels)
	if err != nil {
		return err
	}
	byID := make(map[string]ochre.SlackChannel, len(changed))
	ids := make([]string, 0, len(changed))
	for _, c := range changed {
		logChannel(tx, c.ID)
		byID[c.SlackChannelID] = c
		ids = append(ids, c.SlackChannelID)
	}
	links, err := tx.LockLinksOfChannels(ctx, installation, ids)
	if err != nil {
		return err
	}
	for i := range links {
		l := &links[i]
		c := byID[l.SlackChannelID]
		// Shared by now, but without an organization: it goes on as an ordinary channel until an admin names the company.
		connect := c.IsSlackConnect && l.OrganizationID != nil
		if l.SlackChannelName == c.Name && l.IsSlackConnect == connect {
			continue
		}
		l.SlackChannelName, l.IsSlackConnect = c.Name, connect
		if err := updateLink(ctx, tx, l, nil); err != nil {
			return err
		}
	}
	return nil
}

func logChannel(tx *store.Tx, id ochre.ID) {
	tx.Log(ochre.Event{Type: ochre.EventSlackChannelChanged, ObjectKind: ochre.KindSlackChannel, ObjectID: &id})
}

// DropSlackChannels notes that an installation, asked at asked, does not see these channels any more. Those that are linked stay, as channels
// that the bot is not in; the others go.
func (d *Desk) DropSlackChannels(ctx context.Context, inst *ochre.SlackInstallation, slackChannelIDs []string, asked time.Time) error {
	for len(slackChannelIDs) > 0 {
		batch := slackChannelIDs[:min(channelBatch, len(slackChannelIDs))]
		slackChannelIDs = slackChannelIDs[len(batch):]
		err := d.Store.Tx(ctx, inst.TenantID, d.Now(), func(tx *store.Tx) error {
			gone, err := tx.DeleteSlackChannels(ctx, inst.ID, batch, asked)
			if err != nil {
				return err
			}
			for _, id := range gone {
				tx.Log(ochre.Event{Type: ochre.EventObjectRemoved, ObjectKind: ochre.KindSlackChannel, ObjectID: &id})
			}
			left, err := tx.LeaveSlackChannels(ctx, inst.ID, batch, asked)
			for _, id := range left {
				logChannel(tx, id)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RenameSlackChannelID follows a channel whose Slack id changed (event channel_id_changed), in the tenant's tables and in its link. Where the tenant
// has a link of the new id already, the old one stays as it is.
func (d *Desk) RenameSlackChannelID(ctx context.Context, tenant ochre.ID, oldID, newID string) error {
	return d.Store.Tx(ctx, tenant, d.Now(), func(tx *store.Tx) error {
		changed, err := tx.RenameSlackChannelID(ctx, oldID, newID)
		if err != nil {
			return err
		}
		for _, id := range changed {
			logChannel(tx, id)
		}
		l, err := tx.LockLiveLink(ctx, oldID)
		if errors.Is(err, ochre.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.LiveLink(ctx, tenant, newID)
		if !errors.Is(err, ochre.ErrNotFound) {
			return err
		}
		l.SlackChannelID = newID
		return updateLink(ctx, tx, l, nil)
	})
}
