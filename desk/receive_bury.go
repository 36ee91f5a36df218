package desk

import (
	"context"
	"errors"

	"github.com/ochrehq/ochre"
)

// bury applies a deletion. A tombstone wins, also if it comes first; alone it shows nothing.
func (rc *receiving) bury(ctx context.Context) (Outcome, error) {
	grave, err := rc.tx.Bury(ctx, rc.link.ID, rc.ev.TS, rc.ev.EventTS)
	if err != nil {
		return "", err
	}
	threadTS, err := rc.tx.ThreadTSOf(ctx, rc.tx.Tenant, rc.link.ID, rc.ev.TS)
	if errors.Is(err, ochre.ErrNotFound) {
		return OutcomeApplied, rc.buryRoot(ctx)
	} else if err != nil {
		return "", err
	}
	t, err := rc.tx.LockThread(ctx, rc.link.ID, threadTS)
	if err != nil {
		return "", err
	}
	c, err := lockConversationOf(ctx, rc.tx, t)
	if err != nil {
		return "", err
	}
	m, err := rc.tx.LockMessageAt(ctx, rc.link.ID, rc.ev.TS)
	if err != nil {
		return "", err
	}
	before := m.DeletedAt
	empty(m, grave)
	if before != nil && before.Equal(*m.DeletedAt) {
		return OutcomeApplied, nil
	}
	if err := rc.tx.UpdateMessage(ctx, m); err != nil {
		return "", err
	}
	if err := rc.tx.SetAttachments(ctx, m.ID, nil); err != nil {
		return "", err
	}
	switch {
	case c == nil:
		return OutcomeApplied, nil
	case before != nil: // it was deleted sooner than we knew; nothing else follows from that
		rc.tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
		return OutcomeApplied, nil
	}
	rc.tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, nil))
	return OutcomeApplied, rc.rederive(ctx, c, m, false)
}

// buryRoot shows that the root of a conversation was deleted that was never seen itself.
func (rc *receiving) buryRoot(ctx context.Context) error {
	t, err := rc.tx.LockThread(ctx, rc.link.ID, rc.ev.TS)
	if err != nil || t.ConversationID == nil {
		return err
	}
	c, err := rc.tx.LockConversation(ctx, *t.ConversationID)
	if err != nil {
		return err
	}
	return rc.rederive(ctx, c, nil, false)
}

// empty makes a message a deleted one. It keeps its place.
func empty(m *ochre.Message, deletedTS string) {
	at, err := ochre.TimeOf(deletedTS)
	if err != nil {
		at = m.CreatedAt
	}
	m.Body, m.Original, m.DeletedAt = "", nil, &at
	m.PendingKind, m.PendingState, m.PendingError, m.PendingBody = nil, nil, nil, nil
}

// react applies that somebody put or took an emoji. It may come before its message.
func (rc *receiving) react(ctx context.Context) (Outcome, error) {
	news, err := rc.tx.React(ctx, rc.link.ID, rc.ev.TS, rc.ev.Emoji, rc.ev.Author.UserID, rc.ev.EventTS, rc.ev.Kind == ReactionAdded)
	if err != nil || !news {
		return OutcomeUnchanged, err
	}
	m, err := rc.tx.LockMessageAt(ctx, rc.link.ID, rc.ev.TS)
	if errors.Is(err, ochre.ErrNotFound) {
		return OutcomeApplied, nil
	} else if err != nil {
		return "", err
	}
	if m.ConversationID != nil {
		rc.tx.Log(entryEvent(ochre.EventEntryChanged, *m.ConversationID, ochre.KindMessage, m.ID))
	}
	return OutcomeApplied, rc.tx.UpdateMessage(ctx, m)
}
