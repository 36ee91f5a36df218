package desk

import (
	"context"
	"errors"
	"fmt"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// AddNoteInput is what AddNote takes. ConversationID is a global id.
type AddNoteInput struct {
	ConversationID string
	Body           string
	IdempotencyKey *string `json:"-"`
}

// AddNote writes a note for agents. It gives the conversation too, as it is then. Errors: NOT_FOUND, BODY_EMPTY, BODY_TOO_LONG, INVALID,
// IDEMPOTENCY_CONFLICT.
func (d *Desk) AddNote(ctx context.Context, p ochre.Principal, in AddNoteInput) (n *ochre.Note, c *ochre.Conversation, err error) {
	if err := checkBody(in.Body); err != nil {
		return nil, nil, err
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		id, replayed, err := d.once(ctx, tx, p, "addNote", in.IdempotencyKey, in, func() (ochre.ID, error) {
			if c, err = lockConversation(ctx, tx, in.ConversationID); err != nil {
				return ochre.ID{}, err
			}
			n, err = addNote(ctx, tx, p, c, store.Text(in.Body))
			if err != nil {
				return ochre.ID{}, err
			}
			return n.ID, nil
		})
		if err != nil || !replayed {
			return err
		}
		if n, err = tx.LockNote(ctx, id); errors.Is(err, ochre.ErrNotFound) {
			return ochre.Refuse(ochre.CodeNotFound, "idempotencyKey", "The note that was made with this key was deleted.")
		}
		if err == nil {
			c, err = tx.Conversation(ctx, tx.Tenant, n.ConversationID)
		}
		return err
	})
	return n, c, err
}

func addNote(ctx context.Context, tx *store.Tx, p ochre.Principal, c *ochre.Conversation, body string) (*ochre.Note, error) {
	n := &ochre.Note{
		ID: ochre.NewIDAt(tx.Now()), ConversationID: c.ID, Version: 1, Position: tx.Now().UnixMicro(),
		AuthorID: p.AgentID, Body: body, CreatedAt: tx.Now(),
	}
	if err := tx.InsertNote(ctx, n); err != nil {
		return nil, err
	}
	e := entryEvent(ochre.EventEntryAdded, c.ID, ochre.KindNote, n.ID)
	e.ActorID = &p.AgentID
	tx.Log(e)
	c.LastActivityAt = later(c.LastActivityAt, n.CreatedAt)
	return n, saveConversation(ctx, tx, &p.AgentID, c)
}

// EditNote changes the text of a note. Errors: NOT_FOUND, NOT_EDITABLE for another agent's note unless the caller is an ADMIN, BODY_EMPTY, BODY_TOO_LONG.
func (d *Desk) EditNote(ctx context.Context, p ochre.Principal, note, body string) (n *ochre.Note, err error) {
	if err := checkBody(body); err != nil {
		return nil, err
	}
	body = store.Text(body)
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		if n, _, err = lockNote(ctx, tx, p, note); err != nil || n.Body == body {
			return err
		}
		n.Body, n.EditedAt = body, ptr(tx.Now())
		if err := tx.UpdateNote(ctx, n); err != nil {
			return fmt.Errorf("update a note: %w", err)
		}
		e := entryEvent(ochre.EventEntryChanged, n.ConversationID, ochre.KindNote, n.ID)
		e.ActorID = &p.AgentID
		tx.Log(e)
		return nil
	})
	return n, err
}

// DeleteNote deletes a note, for good. Errors: NOT_FOUND, NOT_EDITABLE for another agent's note unless the caller is an ADMIN.
func (d *Desk) DeleteNote(ctx context.Context, p ochre.Principal, note string) error {
	return d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		n, c, err := lockNote(ctx, tx, p, note)
		if err != nil {
			return err
		}
		if err := tx.DeleteNote(ctx, n.ID); err != nil {
			return fmt.Errorf("delete a note: %w", err)
		}
		e := entryEvent(ochre.EventObjectRemoved, c.ID, ochre.KindNote, n.ID)
		e.ActorID = &p.AgentID
		tx.Log(e)
		at, err := tx.LastEntryAt(ctx, tx.Tenant, c.ID)
		if errors.Is(err, ochre.ErrNotFound) {
			at, err = c.CreatedAt, nil
		}
		if err != nil || at.Equal(c.LastActivityAt) {
			return err
		}
		c.LastActivityAt = at
		return saveConversation(ctx, tx, &p.AgentID, c)
	})
}

// lockNote locks a note that the caller may change, given as input.noteId, and its conversation.
func lockNote(ctx context.Context, tx *store.Tx, p ochre.Principal, note string) (*ochre.Note, *ochre.Conversation, error) {
	id, err := ochre.ParseID(ochre.KindNote, note)
	if err != nil {
		return nil, nil, ochre.NotFound("noteId")
	}
	found, err := tx.NotesByID(ctx, tx.Tenant, []ochre.ID{id})
	if err != nil {
		return nil, nil, fmt.Errorf("read a note: %w", err)
	}
	if found[id] == nil {
		return nil, nil, ochre.NotFound("noteId")
	}
	c, err := tx.LockConversation(ctx, found[id].ConversationID)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the conversation of a note: %w", err)
	}
	n, err := tx.LockNote(ctx, id)
	if errors.Is(err, ochre.ErrNotFound) { // deleted a moment ago
		return nil, nil, ochre.NotFound("noteId")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lock a note: %w", err)
	}
	if n.AuthorID != p.AgentID && p.Role != ochre.RoleAdmin {
		return nil, nil, ochre.Refuse(ochre.CodeNotEditable, "noteId", "Only its author or an admin may change a note.")
	}
	return n, c, nil
}
