package desk

import (
	"context"
	"fmt"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// takeChange begins an edit or deletion that waited behind its message.
func (o *Outgoing) takeChange(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
	want := ochre.PendingEdit
	if o.Item.Kind == ItemDelete {
		want = ochre.PendingDelete
	}
	stale := m.PendingKind == nil || *m.PendingKind != want || *m.PendingState == ochre.DeliveryFailed || m.DeletedAt != nil
	switch {
	case stale:
		o.Step = StepDone
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	case notInSlack(part.DeliveryState):
		o.Step = StepDone
		if err := o.settlePending(ctx, tx, c, m, part); err != nil {
			return err
		}
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	case part.SlackTS == nil:
		// Whoever looked for the message has given up, else its own item would still stand before this one. To wait would hold up the channel, and the retry
		// too, which comes behind: once it is known where the message is, the change gets a new item.
		o.Step = StepDone
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	}
	o.SlackTS = *part.SlackTS
	o.Step = StepDelete
	if want == ochre.PendingEdit {
		o.Step, o.Body = StepEdit, *m.PendingBody
	}
	if *m.PendingState == ochre.DeliverySending {
		return nil
	}
	m.PendingState = ptr(ochre.DeliverySending)
	tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
	return tx.UpdateMessage(ctx, m)
}

// ChangeTaken writes that Slack has the edit or the deletion.
func (d *Desk) ChangeTaken(ctx context.Context, o *Outgoing) error {
	return d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if err := tx.TakeItem(ctx, o.Claim, o.Item.ID); err != nil || m.DeletedAt != nil {
			return err
		}
		if o.carries(m) {
			return o.settlePending(ctx, tx, c, m, part)
		}
		if o.Step == StepDelete {
			return nil
		}
		// A newer change waits behind: what Slack has now is shown, the newer one stays pending.
		m.Body, m.EditedAt = o.Body, ptr(tx.Now())
		tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, o.job.AgentID))
		return conversationChanged(ctx, tx, c, m)
	}, o.SlackTS)
}

// carries tells whether the change that was taken to Slack is the one that is pending, and not an older one.
func (o *Outgoing) carries(m *ochre.Message) bool {
	switch {
	case m.PendingKind == nil || (*m.PendingKind == ochre.PendingDelete) != (o.Step == StepDelete):
		return false
	case o.Step == StepEdit:
		return m.PendingBody != nil && *m.PendingBody == o.Body
	}
	return true
}

// settlePending makes a pending change the message's own: Slack has it, or the message is surely not there.
func (o *Outgoing) settlePending(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
	if *m.PendingKind == ochre.PendingEdit {
		m.Body, m.EditedAt = *m.PendingBody, ptr(tx.Now())
		if notInSlack(part.DeliveryState) {
			m.EditedAt = nil
		}
	} else {
		m.Body, m.DeletedAt = "", ptr(tx.Now())
		if notInSlack(part.DeliveryState) {
			if err := cancelPart(ctx, tx, part); err != nil {
				return err
			}
		} else if part.SlackTS != nil {
			grave := fmt.Sprintf("%d.%06d", tx.Now().Unix(), tx.Now().Nanosecond()/1000)
			if _, err := tx.Bury(ctx, m.LinkID, *part.SlackTS, grave); err != nil {
				return err
			}
		}
	}
	m.PendingKind, m.PendingState, m.PendingError, m.PendingBody = nil, nil, nil, nil
	tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, o.job.AgentID))
	return conversationChanged(ctx, tx, c, m)
}

// cancelPart ends the delivery of a message that was deleted before Slack had it.
func cancelPart(ctx context.Context, tx *store.Tx, part *store.Part) error {
	part.DeliveryState, part.ErrorCode, part.ErrorMessage, part.NextAttemptAt = ochre.DeliveryFailed, ptr("CANCELLED"), ptr("Deleted before it was sent."), nil
	return tx.UpdatePart(ctx, part)
}

// ChangeRefused writes that Slack refused the edit or deletion for good. The delivery stays SENT.
func (d *Desk) ChangeRefused(ctx context.Context, o *Outgoing, code string) error {
	return d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, _ *store.Part) error {
		if o.carries(m) { // else a newer change waits behind, and may fare better
			m.PendingState, m.PendingError = ptr(ochre.DeliveryFailed), &code
			tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
			if err := tx.UpdateMessage(ctx, m); err != nil {
				return err
			}
		}
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	})
}

// againChange gives a change that waits an item of its own, now that it is known where its message stands. Is there one already, the later does nothing.
func againChange(tx *store.Tx, m *ochre.Message) error {
	if m.PendingKind == nil || *m.PendingState == ochre.DeliveryFailed {
		return nil
	}
	kind := ItemEdit
	if *m.PendingKind == ochre.PendingDelete {
		kind = ItemDelete
	}
	return enqueueOutbound(tx, kind, m, outboundJob{AgentID: m.AgentID})
}
