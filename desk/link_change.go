package desk

import (
	"context"
	"errors"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// moveBatch is how many conversations move to another organization in one transaction.
const moveBatch = 500

// UpdateChannelLink gives a link another organization, or none. With moveExisting its conversations go with it, in batches: should that be cut
// off, doing it again finishes it. Errors: NOT_FOUND, CHANNEL_UNLINKED, ORGANIZATION_REQUIRED.
func (d *Desk) UpdateChannelLink(ctx context.Context, p ochre.Principal, linkID string, organizationID *string, moveExisting bool) (*ochre.ChannelLink, error) {
	organization, err := d.organization(ctx, p.TenantID, organizationID)
	if err != nil {
		return nil, err
	}
	more := false
	l, err := d.changeLink(ctx, p, linkID, func(tx *store.Tx, l *ochre.ChannelLink) (bool, error) {
		connect, err := isConnect(ctx, tx, l)
		if err != nil {
			return false, err
		}
		if connect && organization == nil {
			return false, organizationRequired()
		}
		changed := !sameID(l.OrganizationID, organization) || l.IsSlackConnect != connect
		l.OrganizationID, l.IsSlackConnect = organization, connect
		if moveExisting {
			if more, err = moveConversations(ctx, tx, l, &p.AgentID); err != nil {
				return false, err
			}
		}
		return changed, nil
	})
	for err == nil && more {
		err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
			now, err := tx.LockLink(ctx, l.ID)
			if err != nil {
				return err
			}
			if !sameID(now.OrganizationID, organization) {
				more = false // moved elsewhere meanwhile: that one takes all
				return nil
			}
			more, err = moveConversations(ctx, tx, now, &p.AgentID)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// isConnect tells whether a link's channel is shared with another company now: one that was shared after it was linked goes on as an ordinary
// channel until it gets an organization.
func isConnect(ctx context.Context, tx *store.Tx, l *ochre.ChannelLink) (bool, error) {
	ch, err := tx.SlackChannelBySlackID(ctx, tx.Tenant, l.InstallationID, l.SlackChannelID)
	if errors.Is(err, ochre.ErrNotFound) {
		return l.IsSlackConnect, nil
	}
	if err != nil {
		return false, err
	}
	return ch.IsSlackConnect, nil
}

// moveConversations moves one batch and tells whether there may be more.
func moveConversations(ctx context.Context, tx *store.Tx, l *ochre.ChannelLink, actor *ochre.ID) (bool, error) {
	ids, err := tx.MoveConversations(ctx, l.ID, l.OrganizationID, moveBatch)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &id, ActorID: actor})
	}
	return len(ids) == moveBatch, nil
}

func sameID(a, b *ochre.ID) bool { return a == b || a != nil && b != nil && *a == *b }

// PauseChannelLink lets a link's messages be dropped, and counted, until it is resumed. A paused one stays as it is. Errors: NOT_FOUND,
// CHANNEL_UNLINKED, INSTALLATION_DISCONNECTED.
func (d *Desk) PauseChannelLink(ctx context.Context, p ochre.Principal, linkID string) (*ochre.ChannelLink, error) {
	return d.changeLink(ctx, p, linkID, func(_ *store.Tx, l *ochre.ChannelLink) (bool, error) { return turn(l, ochre.LinkPaused) })
}

// ResumeChannelLink takes a paused link's messages again; what was dropped is not fetched. A watching one stays as it is. Errors: NOT_FOUND,
// CHANNEL_UNLINKED, INSTALLATION_DISCONNECTED.
func (d *Desk) ResumeChannelLink(ctx context.Context, p ochre.Principal, linkID string) (*ochre.ChannelLink, error) {
	return d.changeLink(ctx, p, linkID, func(_ *store.Tx, l *ochre.ChannelLink) (bool, error) { return turn(l, ochre.LinkWatching) })
}

func turn(l *ochre.ChannelLink, to ochre.ChannelLinkState) (bool, error) {
	if l.State == ochre.LinkDisconnected {
		return false, disconnected("channelLinkId")
	}
	changed := l.State != to
	l.State = to
	return changed, nil
}

// UnlinkChannel ends a link for good; its history stays, and the channel can be linked anew. Errors: NOT_FOUND.
func (d *Desk) UnlinkChannel(ctx context.Context, p ochre.Principal, linkID string) (*ochre.ChannelLink, error) {
	l, err := d.changeLink(ctx, p, linkID, func(_ *store.Tx, l *ochre.ChannelLink) (bool, error) {
		l.State, l.PausedBefore = ochre.LinkUnlinked, false
		return true, nil
	})
	var e *ochre.Error
	if errors.As(err, &e) && e.Code == ochre.CodeChannelUnlinked {
		id, _ := ochre.ParseID(ochre.KindChannelLink, linkID) // changeLink read it
		return d.Store.ChannelLink(ctx, p.TenantID, id)
	}
	return l, err
}

// changeLink locks a link that is not UNLINKED, lets f change it, and writes and tells of it if f says that it changed.
func (d *Desk) changeLink(ctx context.Context, p ochre.Principal, linkID string, f func(tx *store.Tx, l *ochre.ChannelLink) (bool, error)) (*ochre.ChannelLink, error) {
	id, err := ochre.ParseID(ochre.KindChannelLink, linkID)
	if err != nil {
		return nil, ochre.NotFound("channelLinkId")
	}
	var l *ochre.ChannelLink
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		l, err = tx.LockLink(ctx, id)
		if errors.Is(err, ochre.ErrNotFound) {
			return ochre.NotFound("channelLinkId")
		}
		if err != nil {
			return err
		}
		if l.State == ochre.LinkUnlinked {
			return ochre.Refuse(ochre.CodeChannelUnlinked, "channelLinkId", "This channel was unlinked, which is final: link it anew.")
		}
		changed, err := f(tx, l)
		if err != nil || !changed {
			return err
		}
		return updateLink(ctx, tx, l, &p.AgentID)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}
