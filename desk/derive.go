package desk

import (
	"context"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

const (
	deletedText = "(deleted message)"
	fileText    = "(file)"
)

// deriveConversation sets what a locked conversation takes from its messages: title, preview, status, whose turn it is and since when, the end
// user. All of it is a function of the messages as a set, so that order and repetition of events do not matter. It tells nobody and writes nothing.
func deriveConversation(ctx context.Context, tx *store.Tx, c *ochre.Conversation) error {
	t, err := tx.ThreadOf(ctx, tx.Tenant, c.ID)
	if err != nil {
		return err
	}
	o, err := tx.Outline(ctx, t)
	if err != nil {
		return err
	}
	derive(c, o)
	return nil
}

func derive(c *ochre.Conversation, o *store.Outline) {
	c.Title, c.Preview = deletedText, deletedText
	switch {
	case o.Root != nil:
		c.Title = messageLine(o.Root, titleLength, true)
	case o.First != nil && !o.RootDeleted:
		c.Title = messageLine(o.First, titleLength, true)
	}
	if o.Newest != nil {
		c.Preview = messageLine(o.Newest, previewLength, false)
	}
	if o.NewestCustomer > c.StatusAt.UnixMicro() {
		c.Status, c.SnoozedUntil = ochre.StatusOpen, nil
	} else {
		c.Status = c.BaseStatus
		if c.Status == ochre.StatusSnoozed && c.BaseSnoozedUntil != nil { // what had woken it is gone
			c.SnoozedUntil = c.BaseSnoozedUntil
		}
	}
	c.WaitingOn, c.WaitingSince = nil, nil
	if c.Status != ochre.StatusClosed && o.NewestSide != nil && o.SideSince != nil {
		turn := ochre.SideUs
		if *o.NewestSide == ochre.SideUs {
			turn = ochre.SideCustomer
		}
		since := *o.SideSince
		c.WaitingOn, c.WaitingSince = &turn, &since
	}
	c.EndUserID = o.EndUserID
	c.LastActivityAt = later(c.LastActivityAt, o.LastAt)
}

func messageLine(m *ochre.Message, length int, firstLine bool) string {
	if m.DeletedAt != nil {
		return deletedText
	}
	if line := plainLine(m.Body, length, firstLine); line != "" {
		return line
	}
	return fileText
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func ptr[T any](v T) *T { return &v }
