package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// AssignConversation gives a conversation to an active agent, or with nil to nobody. One that is as asked stays as it is. Errors: NOT_FOUND,
// AGENT_INACTIVE.
func (d *Desk) AssignConversation(ctx context.Context, p ochre.Principal, conversation string, assignee *string) (c *ochre.Conversation, err error) {
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		to, err := assigneeOf(ctx, tx, assignee) // before the conversation: whoever deactivates an agent locks in this order too
		if err != nil {
			return err
		}
		c, err = changeConversation(ctx, tx, p, conversation, func(c *ochre.Conversation) (*ochre.Activity, error) {
			from := c.AssigneeID
			if same(from, to) {
				return nil, nil // nothing happened
			}
			c.AssigneeID = to
			kind := ochre.ActivityAssigned
			if to == nil {
				kind = ochre.ActivityUnassigned
			}
			return &ochre.Activity{Kind: kind, From: agentText(from), To: agentText(to)}, nil
		})
		return err
	})
	return c, err
}

func assigneeOf(ctx context.Context, tx *store.Tx, assignee *string) (*ochre.ID, error) {
	if assignee == nil {
		return nil, nil // nobody
	}
	id, err := ochre.ParseID(ochre.KindAgent, *assignee)
	if err != nil {
		return nil, ochre.NotFound("assigneeId")
	}
	a, err := tx.ShareAgent(ctx, id)
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, ochre.NotFound("assigneeId")
	}
	if err != nil {
		return nil, fmt.Errorf("read the assignee: %w", err)
	}
	if !a.Active {
		return nil, ochre.Refuse(ochre.CodeAgentInactive, "assigneeId", "%s was deactivated: choose an active agent.", a.Name)
	}
	return &id, nil
}

// CloseConversation closes a conversation: nobody's answer is awaited until a later message of the customer. Errors: NOT_FOUND.
func (d *Desk) CloseConversation(ctx context.Context, p ochre.Principal, conversation string) (c *ochre.Conversation, err error) {
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		c, err = changeConversation(ctx, tx, p, conversation, func(c *ochre.Conversation) (*ochre.Activity, error) {
			if c.Status == ochre.StatusClosed {
				return nil, nil // nothing happened
			}
			return setStatus(ctx, tx, c, ochre.ActivityClosed, ochre.StatusClosed)
		})
		return err
	})
	return c, err
}

// ReopenConversation opens a closed or snoozed conversation. Errors: NOT_FOUND.
func (d *Desk) ReopenConversation(ctx context.Context, p ochre.Principal, conversation string) (c *ochre.Conversation, err error) {
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		c, err = changeConversation(ctx, tx, p, conversation, func(c *ochre.Conversation) (*ochre.Activity, error) {
			if c.Status == ochre.StatusOpen {
				return nil, nil // nothing happened
			}
			return setStatus(ctx, tx, c, ochre.ActivityReopened, ochre.StatusOpen)
		})
		return err
	})
	return c, err
}

// SnoozeConversation puts a conversation away until a time or the customer's next message. Errors: NOT_FOUND, TIME_IN_PAST.
func (d *Desk) SnoozeConversation(ctx context.Context, p ochre.Principal, conversation string, until time.Time) (c *ochre.Conversation, err error) {
	until = until.UTC().Truncate(time.Microsecond)
	if until.Year() > 9999 {
		return nil, ochre.Refuse(ochre.CodeInvalid, "until", "The time is too far in the future.")
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		if !until.After(tx.Now()) {
			return ochre.Refuse(ochre.CodeTimeInPast, "until", "The time to wake is not in the future.")
		}
		c, err = changeConversation(ctx, tx, p, conversation, func(c *ochre.Conversation) (*ochre.Activity, error) {
			if c.Status == ochre.StatusSnoozed && c.SnoozedUntil.Equal(until) {
				return nil, nil // nothing happened
			}
			c.SnoozedUntil = &until
			a, err := setStatus(ctx, tx, c, ochre.ActivitySnoozed, ochre.StatusSnoozed)
			if err == nil {
				a.To = ptr(until.Format(timeText))
			}
			return a, err
		})
		return err
	})
	return c, err
}

// SetConversationPriority sets how urgent a conversation is. Errors: NOT_FOUND.
func (d *Desk) SetConversationPriority(ctx context.Context, p ochre.Principal, conversation string, priority ochre.Priority) (c *ochre.Conversation, err error) {
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		c, err = changeConversation(ctx, tx, p, conversation, func(c *ochre.Conversation) (*ochre.Activity, error) {
			from := c.Priority
			if from == priority {
				return nil, nil // nothing happened
			}
			c.Priority = priority
			return &ochre.Activity{Kind: ochre.ActivityPriorityChanged, From: ptr(string(from)), To: ptr(string(priority))}, nil
		})
		return err
	})
	return c, err
}

// wakeBatch is how many conversations one WakeDue wakes at most.
const wakeBatch = 500

// WakeDue opens snoozed conversations of all tenants whose time has come, and gives how many. Nodes may do so at once: each conversation
// wakes once. One that can't be woken does not keep the others asleep.
func (d *Desk) WakeDue(ctx context.Context) (int, error) {
	due, err := d.Store.DueToWake(ctx, d.Now(), wakeBatch)
	if err != nil {
		return 0, fmt.Errorf("look for conversations to wake: %w", err)
	}
	woken := 0
	var failed error
	for _, one := range due {
		err := d.Store.Tx(ctx, one.TenantID, d.Now(), func(tx *store.Tx) error {
			c, err := tx.LockDue(ctx, one.ID)
			if err != nil {
				return err
			}
			a, err := setStatus(ctx, tx, c, ochre.ActivityWoken, ochre.StatusOpen)
			if err != nil {
				return err
			}
			return act(ctx, tx, nil, c, a)
		})
		switch {
		case err == nil:
			woken++
		case !errors.Is(err, ochre.ErrNotFound): // which means that another node was quicker
			failed = errors.Join(failed, fmt.Errorf("wake conversation %s: %w", one.ID, err))
		}
	}
	return woken, failed
}

// timeText is how activities write a time, as the API prints it.
const timeText = "2006-01-02T15:04:05.000000Z"

// changeConversation locks a conversation, given its global id, and lets f change it. f returns the activity that tells of the change, or nil
// if the conversation is as asked already: then nothing is written.
func changeConversation(ctx context.Context, tx *store.Tx, p ochre.Principal, conversation string,
	f func(*ochre.Conversation) (*ochre.Activity, error)) (*ochre.Conversation, error) {
	c, err := lockConversation(ctx, tx, conversation)
	if err != nil {
		return nil, err
	}
	a, err := f(c)
	if err != nil || a == nil {
		return c, err
	}
	return c, act(ctx, tx, &p.AgentID, c, a)
}

// lockConversation locks a conversation, given as input.conversationId.
func lockConversation(ctx context.Context, tx *store.Tx, conversation string) (*ochre.Conversation, error) {
	id, err := ochre.ParseID(ochre.KindConversation, conversation)
	if err != nil {
		return nil, ochre.NotFound("conversationId")
	}
	c, err := tx.LockConversation(ctx, id)
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, ochre.NotFound("conversationId")
	}
	return c, err
}

// setStatus sets the status by hand or by a timer, and whose turn it is then. The time of the setting is never before the newest entry, so
// that a message that was there already can't undo it where Slack's clock is ahead of ours.
func setStatus(ctx context.Context, tx *store.Tx, c *ochre.Conversation, kind ochre.ActivityKind, to ochre.ConversationStatus) (*ochre.Activity, error) {
	from := c.Status
	c.SetStatus(to, later(tx.Now(), c.LastActivityAt))
	if err := deriveConversation(ctx, tx, c); err != nil {
		return nil, fmt.Errorf("derive a conversation: %w", err)
	}
	return &ochre.Activity{Kind: kind, From: ptr(string(from)), To: ptr(string(to))}, nil
}

// act writes an activity and the locked conversation that it tells of. actor is an agent; nil: Ochre itself.
func act(ctx context.Context, tx *store.Tx, actor *ochre.ID, c *ochre.Conversation, a *ochre.Activity) error {
	a.ID, a.ConversationID, a.Version, a.Position, a.CreatedAt = ochre.NewIDAt(tx.Now()), c.ID, 1, tx.Now().UnixMicro(), tx.Now()
	a.ActorKind, a.ActorID = ochre.AuthorAgent, actor
	if actor == nil {
		a.ActorKind = ochre.AuthorAutomation
	}
	if err := tx.InsertActivity(ctx, a); err != nil {
		return err
	}
	e := entryEvent(ochre.EventEntryAdded, c.ID, ochre.KindActivity, a.ID)
	e.ActorID = actor
	tx.Log(e)
	c.LastActivityAt = later(c.LastActivityAt, tx.Now())
	return saveConversation(ctx, tx, actor, c)
}

// saveConversation writes a locked conversation as a new version and tells.
func saveConversation(ctx context.Context, tx *store.Tx, actor *ochre.ID, c *ochre.Conversation) error {
	tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID, ActorID: actor})
	return tx.UpdateConversation(ctx, c)
}

func agentText(id *ochre.ID) *string {
	if id == nil {
		return nil
	}
	return ptr(id.Global(ochre.KindAgent))
}
