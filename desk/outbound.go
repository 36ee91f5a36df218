package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// SettleTime is how long after an unclear end Slack may still show a message that it has stored: only a look-up after it that finds nothing is believed.
const SettleTime = 30 * time.Second

// giveUpLooking is after how many failed look-ups an unconfirmed reply no longer holds up its channel; retryDelivery looks for it again.
const giveUpLooking = 8

// Step is what the sender has to do with an outbound item.
type Step string

// The steps.
const (
	StepPost   Step = "POST"   // post the message; then ReplySent, ReplyRefused, ReplyDeferred or ReplyUnclear
	StepLook   Step = "LOOK"   // look for the message in Slack; then ReplyLooked or LookFailed
	StepEdit   Step = "EDIT"   // edit it in Slack; then ChangeTaken, ChangeRefused or ChangeDeferred
	StepDelete Step = "DELETE" // delete it in Slack; then as for StepEdit
	StepDouble Step = "DOUBLE" // delete the post at Outgoing.SlackTS; then DoubleDeleted
	StepWait   Step = "WAIT"   // come back at Outgoing.NextAt
	StepDone   Step = "DONE"   // nothing is left to do; the item is gone
)

// Outgoing is an outbound item in the sender's hands.
type Outgoing struct {
	Claim        store.Claim
	Item         store.Item
	Step         Step
	Message      *ochre.Message
	Agent        *ochre.Agent // whose name and avatar the post shows
	Link         *ochre.ChannelLink
	Installation *ochre.SlackInstallation
	ThreadTS     string
	SlackTS      string    // of the post to edit or delete
	Body         string    // Markdown to post or to change to
	NextAt       time.Time // of StepWait
	job          outboundJob
}

// TakeOutbound decides what is next for an outbound item, and writes it before anything is sent: a message that is being posted is SENDING in the database.
// One that is found SENDING was left so by a crash; whether Slack has it is unclear, so it is looked for.
func (d *Desk) TakeOutbound(ctx context.Context, claim store.Claim, it store.Item) (*Outgoing, error) {
	o := &Outgoing{Claim: claim, Item: it}
	if err := json.Unmarshal(it.Payload, &o.job); err != nil {
		return nil, fmt.Errorf("decode an outbound item: %w", err)
	}
	err := d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if err := d.address(ctx, tx, o, m); err != nil {
			return err
		}
		if out, err := o.held(ctx, tx, c, m, part); out || err != nil {
			return err
		}
		switch it.Kind {
		case ItemPost:
			return o.takePost(ctx, tx, c, m, part)
		case ItemEdit, ItemDelete:
			return o.takeChange(ctx, tx, c, m, part)
		}
		o.Step, o.SlackTS = StepDouble, o.job.SlackTS
		return nil
	})
	return o, err
}

// address reads where an outgoing message belongs and under whose name.
func (d *Desk) address(ctx context.Context, tx *store.Tx, o *Outgoing, m *ochre.Message) (err error) {
	o.Message, o.Body = m, m.Body
	if o.Link, err = tx.ChannelLink(ctx, tx.Tenant, m.LinkID); err != nil {
		return err
	}
	if o.Installation, err = tx.SlackInstallation(ctx, tx.Tenant, o.Link.InstallationID); err != nil {
		return err
	}
	t, err := tx.Thread(ctx, tx.Tenant, m.ThreadID) // not locked: its lock comes before the conversation's, which is held
	if err != nil {
		return err
	}
	o.ThreadTS = t.ThreadTS
	if m.AgentID == nil {
		return errors.New("an outbound message without an agent")
	}
	agents, err := tx.AgentsByID(ctx, tx.Tenant, []ochre.ID{*m.AgentID})
	o.Agent = agents[*m.AgentID]
	if err == nil && o.Agent == nil {
		err = ochre.ErrNotFound
	}
	return err
}

// held keeps an item back while the workspace is disconnected, and ends it where its channel was unlinked.
func (o *Outgoing) held(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) (bool, error) {
	switch {
	case o.Link.State == ochre.LinkUnlinked && o.Item.Kind == ItemPost && part.DeliveryState == ochre.DeliveryQueued:
		return true, o.fail(ctx, tx, c, m, part, "CHANNEL_UNLINKED", "The channel was unlinked before this reply was sent.")
	case o.Installation.Connected:
		return false, nil
	}
	o.Step, o.NextAt = StepWait, tx.Now().Add(30*time.Second)
	if o.Item.Kind != ItemPost || part.ErrorCode != nil && *part.ErrorCode == "INSTALLATION_DISCONNECTED" {
		return true, nil
	}
	part.ErrorCode, part.ErrorMessage = ptr("INSTALLATION_DISCONNECTED"), ptr("Ochre is not connected to this Slack workspace any more. The reply is sent when an admin connects it again.")
	return true, o.writePart(ctx, tx, c, m, part)
}

func (o *Outgoing) takePost(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
	switch part.DeliveryState {
	case ochre.DeliverySent, ochre.DeliveryFailed:
		o.Step = StepDone
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	case ochre.DeliverySending:
		part.DeliveryState, part.AttemptEnded, part.LookedUp = ochre.DeliveryUnconfirmed, ptr(tx.Now()), 0
		o.Step = StepLook
		return o.writePart(ctx, tx, c, m, part)
	case ochre.DeliveryUnconfirmed:
		if wait := settleAt(part); part.LookedUp > 0 && tx.Now().Before(wait) {
			o.Step, o.NextAt = StepWait, wait
			return nil
		}
		o.Step = StepLook
		return nil
	}
	if o.job.Look && part.LookedUp == 0 {
		o.Step = StepLook
		return nil
	}
	if m.PendingKind != nil && *m.PendingState != ochre.DeliveryFailed { // changed while an attempt was under way that then sent nothing
		o.Step = StepDone
		if err := o.settlePending(ctx, tx, c, m, part); err != nil || m.DeletedAt != nil {
			return errors.Join(err, tx.TakeItem(ctx, o.Claim, o.Item.ID))
		}
		o.Body = m.Body
	}
	part.DeliveryState, part.AttemptID, part.NextAttemptAt = ochre.DeliverySending, ptr(ochre.NewIDAt(tx.Now())), nil
	part.Attempts++
	part.ErrorCode, part.ErrorMessage = nil, nil
	o.Step = StepPost
	return o.writePart(ctx, tx, c, m, part)
}

// settleAt is from when a look-up that finds nothing is believed.
func settleAt(part *store.Part) time.Time {
	if part.AttemptEnded == nil {
		return time.Time{}
	}
	return part.AttemptEnded.Add(SettleTime)
}

// ReplySent writes that Slack has the message at ts.
func (d *Desk) ReplySent(ctx context.Context, o *Outgoing, ts string) (Outcome, error) {
	return d.confirm(ctx, o, []string{ts})
}

// ReplyRefused writes that Slack refused the message for good.
func (d *Desk) ReplyRefused(ctx context.Context, o *Outgoing, code, message string) error {
	return d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		return o.fail(ctx, tx, c, m, part, code, message)
	})
}

// ReplyDeferred writes that the message was surely not posted and is tried again at next.
func (d *Desk) ReplyDeferred(ctx context.Context, o *Outgoing, code, message string, next time.Time) error {
	return d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if part.DeliveryState != ochre.DeliverySending {
			return nil // an echo told meanwhile that it is there
		}
		part.DeliveryState, part.NextAttemptAt, part.ErrorCode, part.ErrorMessage = ochre.DeliveryQueued, &next, optional(code), optional(message)
		return o.writePart(ctx, tx, c, m, part)
	})
}

// ReplyUnclear writes that nobody knows whether Slack has the message. It is looked for at once and again after SettleTime.
func (d *Desk) ReplyUnclear(ctx context.Context, o *Outgoing, code, message string) error {
	return d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if part.DeliveryState != ochre.DeliverySending {
			return nil
		}
		part.DeliveryState, part.AttemptEnded, part.LookedUp = ochre.DeliveryUnconfirmed, ptr(tx.Now()), 0
		part.ErrorCode, part.ErrorMessage = optional(code), optional(message)
		return o.writePart(ctx, tx, c, m, part)
	})
}

// ReplyLooked writes what a look-up found. Not found twice, the second time after SettleTime, the message is QUEUED again; the item stays and next tells when to go on.
func (d *Desk) ReplyLooked(ctx context.Context, o *Outgoing, found []string) (out Outcome, next time.Time, err error) {
	if len(found) > 0 {
		out, err = d.confirm(ctx, o, found)
		return out, time.Time{}, err
	}
	err = d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		next = tx.Now()
		switch part.DeliveryState {
		case ochre.DeliveryUnconfirmed:
		case ochre.DeliveryQueued: // a retry by hand that looks first
			part.LookedUp++
			return tx.UpdatePart(ctx, part)
		default:
			return nil
		}
		part.LookedUp++
		if wait := settleAt(part); part.LookedUp < 2 || tx.Now().Before(wait) {
			next, part.NextAttemptAt = wait, &wait
			return o.writePart(ctx, tx, c, m, part)
		}
		part.DeliveryState, part.NextAttemptAt = ochre.DeliveryQueued, nil
		return o.writePart(ctx, tx, c, m, part)
	})
	return "", next, err
}

// LookFailed writes that the look-up itself failed; it is done again at next. After many failures the item is let go, so that the channel's other
// replies go on: the message stays UNCONFIRMED, is recognized if it is seen, and retryDelivery looks again.
func (d *Desk) LookFailed(ctx context.Context, o *Outgoing, code, message string, next time.Time) (gaveUp bool, err error) {
	err = d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if part.DeliveryState == ochre.DeliverySent {
			return nil // an echo told meanwhile that it is there
		}
		part.ErrorCode, part.ErrorMessage, part.NextAttemptAt = optional(code), optional(message), &next
		if gaveUp = o.Item.Attempts+1 >= giveUpLooking; !gaveUp {
			return o.writePart(ctx, tx, c, m, part)
		}
		if part.DeliveryState == ochre.DeliveryQueued { // a retry by hand that looks first: it has failed again
			return o.fail(ctx, tx, c, m, part, code, message)
		}
		part.NextAttemptAt = nil
		if err := tx.TakeItem(ctx, o.Claim, o.Item.ID); err != nil {
			return err
		}
		return o.writePart(ctx, tx, c, m, part)
	})
	return gaveUp, err
}

// DoubleDeleted writes that a second post of one reply is gone from Slack.
func (d *Desk) DoubleDeleted(ctx context.Context, o *Outgoing) error {
	return d.Store.Tx(ctx, o.Claim.TenantID, d.Now(), func(tx *store.Tx) error { return tx.TakeItem(ctx, o.Claim, o.Item.ID) })
}

// onOutgoing runs f on the item's message with everything locked, provided that the lane is still ours. seen are places in Slack whose events f must not
// meet half applied, the earliest first.
func (d *Desk) onOutgoing(ctx context.Context, o *Outgoing, f func(*store.Tx, *ochre.Conversation, *ochre.Message, *store.Part) error, seen ...string) error {
	return d.Store.Tx(ctx, o.Claim.TenantID, d.Now(), func(tx *store.Tx) error {
		for _, ts := range seen {
			if err := tx.LockSlackTS(ctx, o.Link.ID, ts); err != nil {
				return err
			}
		}
		c, m, part, err := lockReply(ctx, tx, *o.Item.MessageID)
		if err != nil {
			return err
		}
		if part == nil {
			return errors.New("an outbound item whose message came from Slack")
		}
		if err := tx.HoldsItem(ctx, o.Claim, o.Item.ID); err != nil {
			return err
		}
		return f(tx, c, m, part)
	})
}

func (o *Outgoing) fail(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part, code, message string) error {
	o.Step = StepDone
	if part.DeliveryState != ochre.DeliverySent { // else an echo told meanwhile that it is there
		part.DeliveryState, part.ErrorCode, part.ErrorMessage, part.NextAttemptAt = ochre.DeliveryFailed, &code, optional(message), nil
		part.LookedUp = 0
		if err := o.writePart(ctx, tx, c, m, part); err != nil {
			return err
		}
		if err := conversationMoved(ctx, tx, c); err != nil { // it no longer counts for whose turn it is
			return err
		}
		if err := againChange(tx, m); err != nil {
			return err
		}
	}
	return tx.TakeItem(ctx, o.Claim, o.Item.ID)
}

// writePart writes how a delivery stands, and tells.
func (o *Outgoing) writePart(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
	if err := tx.UpdatePart(ctx, part); err != nil {
		return err
	}
	tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
	return tx.UpdateMessage(ctx, m)
}
