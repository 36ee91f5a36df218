package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

// maxBody is the greatest length of a reply or note, in code points.
const maxBody = 40_000

// ReplyInput is what an agent answers. See postReply in the schema.
type ReplyInput struct {
	ConversationID   string
	Body             string
	IdempotencyKey   *string `json:"-"`
	IfUnchangedSince *ochre.EventCursor
}

// The kinds of items in the outbound queue.
const (
	ItemPost         = "POST"
	ItemEdit         = "EDIT"
	ItemDelete       = "DELETE"
	ItemDeleteDouble = "DELETE_DOUBLE"
)

// outboundJob is the payload of an outbound item, as JSON.
type outboundJob struct {
	AgentID *ochre.ID `json:"agentId,omitempty"` // who edits or deletes
	Look    bool      `json:"look,omitempty"`    // look in Slack before sending
	SlackTS string    `json:"ts,omitempty"`      // of the double to delete
}

// Reply stores an agent's answer and hands it to the sender in the same transaction. Errors: NOT_FOUND, BODY_EMPTY, BODY_TOO_LONG,
// CONVERSATION_MOVED_ON, IDEMPOTENCY_CONFLICT, INSTALLATION_DISCONNECTED, CHANNEL_UNLINKED, INVALID_CURSOR.
func (d *Desk) Reply(ctx context.Context, p ochre.Principal, in ReplyInput) (*ochre.Message, *ochre.Conversation, error) {
	id, err := ochre.ParseID(ochre.KindConversation, in.ConversationID)
	if err != nil {
		return nil, nil, ochre.NotFound("conversationId")
	}
	in.Body = cleanText(in.Body)
	if err := checkBody(in.Body); err != nil {
		return nil, nil, err
	}
	var message ochre.ID
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		var err error
		message, _, err = d.once(ctx, tx, p, "postReply", in.IdempotencyKey, in, func() (ochre.ID, error) { return d.reply(ctx, tx, p, id, in) })
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	m, err := d.Store.Message(ctx, p.TenantID, message)
	if err != nil {
		return nil, nil, err
	}
	c, err := d.Store.Conversation(ctx, p.TenantID, id)
	return m, c, err
}

func (d *Desk) reply(ctx context.Context, tx *store.Tx, p ochre.Principal, id ochre.ID, in ReplyInput) (ochre.ID, error) {
	c, err := tx.LockConversation(ctx, id)
	if errors.Is(err, ochre.ErrNotFound) {
		return ochre.ID{}, ochre.NotFound("conversationId")
	} else if err != nil {
		return ochre.ID{}, err
	}
	if err := d.checkUnchanged(ctx, tx, p, c.ID, in.IfUnchangedSince); err != nil {
		return ochre.ID{}, err
	}
	if err := checkLink(ctx, tx, c.LinkID, "conversationId"); err != nil {
		return ochre.ID{}, err
	}
	t, err := tx.ThreadOf(ctx, tx.Tenant, c.ID)
	if err != nil {
		return ochre.ID{}, err
	}
	m := &ochre.Message{
		ID: ochre.NewIDAt(tx.Now()), ThreadID: t.ID, LinkID: c.LinkID, ConversationID: &c.ID, Version: 1, Position: ochre.QueuedPosition(tx.Now()),
		Direction: ochre.DirectionOutbound, AuthorKind: ochre.AuthorAgent, AgentID: &p.AgentID, Body: in.Body, CreatedAt: tx.Now(), QueuedAt: ptr(tx.Now()),
		DeliveryState: ptr(ochre.DeliveryQueued),
	}
	if err := tx.InsertMessage(ctx, m); err != nil {
		return ochre.ID{}, err
	}
	if err := enqueueOutbound(tx, ItemPost, m, outboundJob{}); err != nil {
		return ochre.ID{}, err
	}
	tx.Log(contentEvent(ochre.EventEntryAdded, c.ID, m.ID, &p.AgentID))
	return m.ID, conversationMoved(ctx, tx, c)
}

// checkUnchanged refuses where a message of the conversation was added, edited or deleted by another after a cursor.
func (d *Desk) checkUnchanged(ctx context.Context, tx *store.Tx, p ochre.Principal, conversation ochre.ID, since *ochre.EventCursor) error {
	if since == nil {
		return nil
	}
	seq, current, err := d.Cursors.Decode(p.TenantID, *since)
	if err != nil {
		return err
	}
	at, err := tx.LogPosition(ctx, tx.Tenant)
	if err != nil {
		return err
	}
	if current && seq > at.Seq {
		return live.InvalidCursor()
	}
	moved := !current || seq < at.Oldest-1 // what happened since can't be told any more
	if !moved {
		if moved, err = tx.MovedOn(ctx, tx.Tenant, conversation, seq, p.AgentID); err != nil {
			return err
		}
	}
	if moved {
		return ochre.Refuse(ochre.CodeConversationMovedOn, "ifUnchangedSince", "The conversation has moved on since then: read what is new, then send again.")
	}
	return nil
}

// checkLink refuses what can't reach Slack any more. A paused link still can.
func checkLink(ctx context.Context, tx *store.Tx, link ochre.ID, field string) error {
	l, err := tx.ChannelLink(ctx, tx.Tenant, link)
	if err != nil {
		return err
	}
	switch l.State {
	case ochre.LinkDisconnected:
		return ochre.Refuse(ochre.CodeInstallationDisconnected, field, "Ochre is not connected to this Slack workspace any more: an admin must connect it again.")
	case ochre.LinkUnlinked:
		return ochre.Refuse(ochre.CodeChannelUnlinked, field, "The channel of this conversation was unlinked: it can only be read. Once the channel is linked anew, the next message of its thread opens a new conversation.")
	}
	return nil
}

// EditReply changes a reply of ours: at once while it is surely not in Slack, else when Slack has taken it. Errors: NOT_FOUND, NOT_EDITABLE, BODY_EMPTY, BODY_TOO_LONG.
func (d *Desk) EditReply(ctx context.Context, p ochre.Principal, messageID, body string) (*ochre.Message, error) {
	body = cleanText(body)
	if err := checkBody(body); err != nil {
		return nil, err
	}
	return d.onReply(ctx, p, messageID, notEditable, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if m.PendingKind != nil && *m.PendingKind == ochre.PendingDelete && *m.PendingState != ochre.DeliveryFailed {
			return notEditable("This reply is being deleted.")
		}
		if notInSlack(part.DeliveryState) {
			if m.Body == body && m.PendingKind == nil {
				return nil
			}
			m.Body, m.EditedAt = body, nil
			m.PendingKind, m.PendingState, m.PendingError, m.PendingBody = nil, nil, nil, nil // an older change that waits for its turn
			tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, &p.AgentID))
			return conversationChanged(ctx, tx, c, m)
		}
		m.PendingBody = &body
		return pend(ctx, tx, c, m, ochre.PendingEdit, ItemEdit, p.AgentID)
	})
}

// DeleteReply takes a reply of ours back: at once while it is surely not in Slack (its delivery is then FAILED with CANCELLED), else when Slack has deleted it.
// Errors: NOT_FOUND, NOT_EDITABLE.
func (d *Desk) DeleteReply(ctx context.Context, p ochre.Principal, messageID string) (*ochre.Message, error) {
	return d.onReply(ctx, p, messageID, notEditable, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		if !notInSlack(part.DeliveryState) {
			m.PendingBody = nil
			return pend(ctx, tx, c, m, ochre.PendingDelete, ItemDelete, p.AgentID)
		}
		if err := cancelPart(ctx, tx, part); err != nil {
			return err
		}
		m.Body, m.DeletedAt = "", ptr(tx.Now())
		m.PendingKind, m.PendingState, m.PendingError, m.PendingBody = nil, nil, nil, nil
		tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, &p.AgentID))
		return conversationChanged(ctx, tx, c, m)
	})
}

// RetryDelivery sends a FAILED or UNCONFIRMED reply again, after it was looked for in Slack; so too one whose way ended in a dead letter. Errors: NOT_FOUND, NOT_RETRYABLE, INSTALLATION_DISCONNECTED, CHANNEL_UNLINKED.
func (d *Desk) RetryDelivery(ctx context.Context, p ochre.Principal, messageID string) (*ochre.Message, error) {
	return d.onReply(ctx, p, messageID, notRetryable, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		waiting, err := tx.HasPost(ctx, tx.Tenant, m.ID)
		if err != nil {
			return err
		}
		switch part.DeliveryState {
		case ochre.DeliveryFailed, ochre.DeliveryUnconfirmed:
		default:
			if waiting || part.DeliveryState == ochre.DeliverySent {
				return notRetryable(fmt.Sprintf("Only a reply that failed or is unconfirmed can be sent again; this one is %s.", part.DeliveryState))
			}
		}
		if err := checkLink(ctx, tx, m.LinkID, "messageId"); err != nil {
			return err
		}
		if waiting {
			return nil // it is being looked for already
		}
		if part.DeliveryState == ochre.DeliveryFailed {
			part.DeliveryState = ochre.DeliveryQueued
		}
		part.ErrorCode, part.ErrorMessage, part.NextAttemptAt = nil, nil, nil
		if err := tx.UpdatePart(ctx, part); err != nil {
			return err
		}
		tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
		if err := enqueueOutbound(tx, ItemPost, m, outboundJob{Look: part.Attempts > 0}); err != nil {
			return err
		}
		return conversationChanged(ctx, tx, c, m)
	})
}

// onReply runs f on a reply of ours that is not deleted, with its conversation and part, all locked. Others are refused.
func (d *Desk) onReply(ctx context.Context, p ochre.Principal, messageID string, refuse func(why string) error,
	f func(*store.Tx, *ochre.Conversation, *ochre.Message, *store.Part) error) (*ochre.Message, error) {
	id, err := ochre.ParseID(ochre.KindMessage, messageID)
	if err != nil {
		return nil, ochre.NotFound("messageId")
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		c, m, part, err := lockReply(ctx, tx, id)
		switch {
		case errors.Is(err, ochre.ErrNotFound):
			return ochre.NotFound("messageId")
		case err != nil:
			return err
		case part == nil:
			return refuse("This message was not written in Ochre.")
		case m.DeletedAt != nil:
			return refuse("This reply was deleted.")
		}
		return f(tx, c, m, part)
	})
	if err != nil {
		return nil, err
	}
	return d.Store.Message(ctx, p.TenantID, id)
}

// lockReply locks a message after its conversation, and its part if it is one of ours; part is nil for what came from Slack.
func lockReply(ctx context.Context, tx *store.Tx, id ochre.ID) (c *ochre.Conversation, m *ochre.Message, part *store.Part, err error) {
	if m, err = tx.Message(ctx, tx.Tenant, id); err != nil {
		return nil, nil, nil, err
	}
	if m.ConversationID == nil {
		return nil, nil, nil, ochre.ErrNotFound
	}
	if c, err = tx.LockConversation(ctx, *m.ConversationID); err != nil {
		return nil, nil, nil, err
	}
	if m, err = tx.LockMessage(ctx, id); err != nil {
		return nil, nil, nil, err
	}
	part, err = tx.LockPart(ctx, id)
	if errors.Is(err, ochre.ErrNotFound) {
		part, err = nil, nil
	}
	return c, m, part, err
}

// pend keeps a change of a message that is or may be in Slack until the sender has taken it there. One change waits at a time: a later one replaces it.
func pend(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, kind ochre.PendingChangeKind, item string, agent ochre.ID) error {
	m.PendingKind, m.PendingState, m.PendingError = &kind, ptr(ochre.DeliveryQueued), nil
	if err := tx.UpdateMessage(ctx, m); err != nil {
		return err
	}
	tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
	return enqueueOutbound(tx, item, m, outboundJob{AgentID: &agent})
}

// conversationChanged writes a changed message and brings its conversation up to date.
func conversationChanged(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message) error {
	if err := tx.UpdateMessage(ctx, m); err != nil {
		return err
	}
	return conversationMoved(ctx, tx, c)
}

// conversationMoved brings a conversation up to date with its messages, and tells.
func conversationMoved(ctx context.Context, tx *store.Tx, c *ochre.Conversation) error {
	if err := deriveConversation(ctx, tx, c); err != nil {
		return err
	}
	tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID})
	return tx.UpdateConversation(ctx, c)
}

// notInSlack tells whether a message of this state is surely not in Slack.
func notInSlack(s ochre.DeliveryState) bool {
	return s == ochre.DeliveryQueued || s == ochre.DeliveryFailed
}

func enqueueOutbound(tx *store.Tx, kind string, m *ochre.Message, j outboundJob) error {
	payload, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encode an outbound item: %w", err)
	}
	tx.Enqueue(store.NewItem{Queue: store.QueueOutbound, Key: "channel:" + m.LinkID.String(), Kind: kind, MessageID: &m.ID, Payload: payload})
	return nil
}

// cleanText makes text that PostgreSQL can hold: NUL and what is not UTF-8 become U+FFFD.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// checkBody refuses the text of a reply or note that is too long, or in which nobody would see anything.
func checkBody(body string) error {
	if !strings.ContainsFunc(body, isVisible) {
		return ochre.Refuse(ochre.CodeBodyEmpty, "body", "The text is empty.")
	}
	if n := utf8.RuneCountInString(body); n > maxBody {
		return ochre.Refuse(ochre.CodeBodyTooLong, "body", "The text has %d characters; at most %d can be sent.", n, maxBody)
	}
	return nil
}

// isVisible is false for spaces, control characters and those of Unicode's category Cf, such as the zero-width ones.
func isVisible(r rune) bool { return !unicode.IsSpace(r) && !unicode.In(r, unicode.Cc, unicode.Cf) }

func notEditable(why string) error {
	return ochre.Refuse(ochre.CodeNotEditable, "messageId", "%s", why)
}

func notRetryable(why string) error {
	return ochre.Refuse(ochre.CodeNotRetryable, "messageId", "%s", why)
}
