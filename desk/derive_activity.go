package desk

import (
	"context"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// turned adds the activity of a status that followed from messages: the customer's opened it (m, nil where several did), or what had opened it is gone.
func turned(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, before ochre.ConversationStatus) error {
	to := ptr(string(c.Status))
	switch c.Status {
	case ochre.StatusClosed:
		return caused(ctx, tx, c, ochre.ActivityClosed, nil, ptr(string(before)), to)
	case ochre.StatusSnoozed:
		return caused(ctx, tx, c, ochre.ActivitySnoozed, nil, ptr(string(before)), ptr(c.SnoozedUntil.Format(timeText)))
	}
	return caused(ctx, tx, c, ochre.ActivityReopened, m, ptr(string(before)), to)
}

// caused adds an activity that a message caused; with no message, Ochre itself did it.
func caused(ctx context.Context, tx *store.Tx, c *ochre.Conversation, kind ochre.ActivityKind, m *ochre.Message, from, to *string) error {
	a := &ochre.Activity{
		ID: ochre.NewIDAt(tx.Now()), ConversationID: c.ID, Version: 1, Position: tx.Now().UnixMicro(), Kind: kind, ActorKind: ochre.AuthorAutomation,
		From: from, To: to, CreatedAt: tx.Now(),
	}
	if m != nil && m.IdentityID != nil {
		people, err := tx.IdentitiesByID(ctx, tx.Tenant, []ochre.ID{*m.IdentityID}) // locked already: it is who wrote the message in hand
		if err != nil {
			return err
		}
		who := people[*m.IdentityID]
		a.ActorKind = m.AuthorKind
		switch m.AuthorKind {
		case ochre.AuthorEndUser:
			a.ActorID = who.EndUserID
		case ochre.AuthorAgent:
			a.ActorID = who.AgentID
		case ochre.AuthorTeammate:
			a.ActorID = who.TeammateID
		}
	}
	if err := tx.InsertActivity(ctx, a); err != nil {
		return err
	}
	tx.Log(entryEvent(ochre.EventEntryAdded, c.ID, ochre.KindActivity, a.ID))
	return nil
}
