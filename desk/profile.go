package desk

import (
	"context"
	"errors"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// Profile is what Slack's users.info told of a person. Empty fields were not told.
type Profile struct {
	SlackTeamID string
	Name        string
	AvatarURL   string
	Email       string
	IsBot       bool
}

// SaveProfile keeps what Slack told of an identity: its name and picture are shown, its email may find the end user or (of our own workspace only) the
// agent it belongs to, and its authors are decided anew where that changes something. It gives the identity's id, which is another one where the
// person turned out to be known already.
func (d *Desk) SaveProfile(ctx context.Context, tenant, identity ochre.ID, ownTeam string, p Profile) (ochre.ID, error) {
	err := d.Store.Tx(ctx, tenant, d.Now(), func(tx *store.Tx) error {
		who, err := tx.LockIdentityByID(ctx, identity)
		if err != nil {
			return err
		}
		before := *who
		if who, err = settleTeam(ctx, tx, who, p.SlackTeamID, ownTeam); err != nil {
			return err
		}
		identity = who.ID
		who.IsBot, who.ProfileAt = p.IsBot, ptr(tx.Now())
		if p.Name != "" {
			who.Name = p.Name
		}
		if p.AvatarURL != "" {
			who.AvatarURL = &p.AvatarURL
		}
		who.Email = optional(p.Email)
		if err := tx.UpdateIdentity(ctx, who); err != nil {
			return err
		}
		if err := matchAgent(ctx, tx, who); err != nil {
			return err
		}
		if err := matchEndUser(ctx, tx, who); err != nil {
			return err
		}
		if err := showProfile(ctx, tx, who); err != nil {
			return err
		}
		if before.ID == who.ID && before.SlackTeamID == who.SlackTeamID && before.IsBot == who.IsBot && sameID(before.AgentID, who.AgentID) && sameID(before.EndUserID, who.EndUserID) {
			return nil
		}
		return enqueueJob(tx, JobPlace, "place:"+who.ID.String(), Job{IdentityID: &who.ID})
	})
	return identity, err
}

// settleTeam gives an identity its workspace, where that was not known before. Is the person known there, that identity takes over.
func settleTeam(ctx context.Context, tx *store.Tx, who *ochre.SlackIdentity, team, ownTeam string) (*ochre.SlackIdentity, error) {
	if who.SlackTeamID != "" || team == "" {
		return who, nil
	}
	known, err := tx.LockIdentity(ctx, team, who.SlackUserID)
	switch {
	case err == nil:
		return known, tx.MoveIdentity(ctx, who.ID, known.ID)
	case !errors.Is(err, ochre.ErrNotFound):
		return nil, err
	}
	who.SlackTeamID, who.IsExternal = team, team != ownTeam
	customersOnly(who)
	return who, nil
}

// matchEndUser re-points an identity to the end user of the same organization with its email, if there is one. The end user it leaves
// goes on resolving by its id, and hands its conversations over if nobody else is behind it.
func matchEndUser(ctx context.Context, tx *store.Tx, who *ochre.SlackIdentity) error {
	if who.Email == nil || who.EndUserID == nil {
		return nil
	}
	if err := tx.LockEmail(ctx, *who.Email); err != nil {
		return err
	}
	u, err := tx.EndUserByEmail(ctx, tx.Tenant, who.OrganizationID, *who.Email)
	if errors.Is(err, ochre.ErrNotFound) {
		own, err := tx.LockEndUser(ctx, *who.EndUserID)
		if err != nil || own.Email != nil {
			return err // an email that was set by hand stays
		}
		if !sameID(own.OrganizationID, who.OrganizationID) { // moved by hand to where somebody else may have the email
			if _, err := tx.EndUserByEmail(ctx, tx.Tenant, own.OrganizationID, *who.Email); !errors.Is(err, ochre.ErrNotFound) {
				return err
			}
		}
		own.Email = who.Email
		return tx.UpdateSlackEndUser(ctx, own)
	}
	if err != nil || u.ID == *who.EndUserID {
		return err
	}
	left := *who.EndUserID
	who.EndUserID = &u.ID
	if err := tx.UpdateIdentity(ctx, who); err != nil {
		return err
	}
	others, err := tx.IdentitiesOfEndUser(ctx, tx.Tenant, left)
	if err != nil || others > 0 {
		return err
	}
	emptied, err := tx.LockEndUser(ctx, left)
	if err != nil {
		return err
	}
	emptied.MergedInto = &u.ID
	return tx.UpdateSlackEndUser(ctx, emptied)
}

// showProfile gives name and picture of a Slack person to the end user and the teammate made for it, where these still have a placeholder or
// what Slack told before; what was set by hand (an end user with an external id) stays.
func showProfile(ctx context.Context, tx *store.Tx, who *ochre.SlackIdentity) error {
	if who.EndUserID != nil {
		u, err := tx.LockEndUser(ctx, *who.EndUserID)
		if err != nil {
			return err
		}
		if u.ExternalID == nil && who.Name != "" {
			u.Name = who.Name
		}
		if who.AvatarURL != nil {
			u.AvatarURL = who.AvatarURL
		}
		if err := tx.UpdateSlackEndUser(ctx, u); err != nil {
			return err
		}
	}
	if who.TeammateID == nil {
		return nil
	}
	mate, err := tx.LockTeammate(ctx, *who.TeammateID)
	if err != nil {
		return err
	}
	mate.Name, mate.AvatarURL = personName(who), who.AvatarURL
	return tx.UpdateTeammate(ctx, mate)
}

// PlaceIdentity decides anew what a person is in each thread they wrote in, each in a transaction of its own, and tells of what changed.
func (d *Desk) PlaceIdentity(ctx context.Context, tenant, identity ochre.ID) error {
	threads, err := d.Store.ThreadsOfIdentity(ctx, tenant, identity)
	if err != nil {
		return err
	}
	for _, id := range threads {
		err := d.Store.Tx(ctx, tenant, d.Now(), func(tx *store.Tx) error { return replaceThread(ctx, tx, id) })
		if err != nil {
			return err
		}
	}
	return nil
}

func replaceThread(ctx context.Context, tx *store.Tx, id ochre.ID) error {
	t, err := tx.LockThreadByID(ctx, id)
	if err != nil {
		return err
	}
	link, err := tx.ChannelLink(ctx, tx.Tenant, t.LinkID)
	if err != nil {
		return err
	}
	if _, err := tx.LockPeople(ctx, t.ID, "", ""); err != nil {
		return err
	}
	c, err := lockConversationOf(ctx, tx, t)
	if err != nil {
		return err
	}
	if err := placeThread(ctx, tx, link, t); err != nil || c == nil {
		return err
	}
	before := *c
	if err := deriveConversation(ctx, tx, c); err != nil {
		return err
	}
	if sameConversation(&before, c) {
		return nil
	}
	if before.Status != c.Status {
		if err := turned(ctx, tx, c, nil, before.Status); err != nil {
			return err
		}
	}
	tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID})
	return tx.UpdateConversation(ctx, c)
}

// sameConversation tells whether nothing that is derived differs.
func sameConversation(a, b *ochre.Conversation) bool {
	return a.Title == b.Title && a.Preview == b.Preview && a.Status == b.Status && sameID(a.EndUserID, b.EndUserID) &&
		same(a.WaitingOn, b.WaitingOn) && sameTime(a.WaitingSince, b.WaitingSince) && a.LastActivityAt.Equal(b.LastActivityAt)
}

// Rerender gives a message of Slack's its text anew, after names in it became known. It does nothing if the message was edited or deleted meanwhile.
func (d *Desk) Rerender(ctx context.Context, was *ochre.Message, body string) error {
	return d.Store.Tx(ctx, was.TenantID, d.Now(), func(tx *store.Tx) error {
		t, err := tx.LockThreadByID(ctx, was.ThreadID) // whose conversation may have opened meanwhile
		if err != nil {
			return err
		}
		c, err := lockConversationOf(ctx, tx, t)
		if err != nil {
			return err
		}
		m, err := tx.LockMessage(ctx, was.ID)
		if err != nil || m.DeletedAt != nil || m.EditTS != was.EditTS || m.Body == body {
			return err
		}
		m.Body = body
		if err := tx.UpdateMessage(ctx, m); err != nil || c == nil {
			return err
		}
		tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
		if err := deriveConversation(ctx, tx, c); err != nil {
			return err
		}
		tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID})
		return tx.UpdateConversation(ctx, c)
	})
}

// SaveFile keeps what Slack told of a file.
func (d *Desk) SaveFile(ctx context.Context, message ochre.ID, a *ochre.Attachment) error {
	return d.Store.Tx(ctx, a.TenantID, d.Now(), func(tx *store.Tx) error {
		m, err := tx.LockMessage(ctx, message)
		if err != nil || m.DeletedAt != nil {
			return err
		}
		if err := tx.UpdateAttachment(ctx, a); err != nil {
			return err
		}
		if m.ConversationID != nil {
			tx.Log(entryEvent(ochre.EventEntryChanged, *m.ConversationID, ochre.KindMessage, m.ID))
		}
		return tx.UpdateMessage(ctx, m)
	})
}

// FinishJob takes a job that was done from its lane.
func (d *Desk) FinishJob(ctx context.Context, c store.Claim, it store.Item) error {
	return d.Store.Tx(ctx, c.TenantID, d.Now(), func(tx *store.Tx) error { return tx.TakeItem(ctx, c, it.ID) })
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// Meet keeps the name of a Slack person who was mentioned and may never have written. It makes nobody an end user.
func (d *Desk) Meet(ctx context.Context, link *ochre.ChannelLink, inst *ochre.SlackInstallation, slackUserID string, p Profile) error {
	return d.Store.Tx(ctx, link.TenantID, d.Now(), func(tx *store.Tx) error {
		who := &ochre.SlackIdentity{
			ID: ochre.NewIDAt(tx.Now()), SlackTeamID: p.SlackTeamID, SlackUserID: slackUserID, IsExternal: p.SlackTeamID != inst.SlackTeamID, IsBot: p.IsBot,
			Name: p.Name, AvatarURL: optional(p.AvatarURL), Email: optional(p.Email), OrganizationID: link.OrganizationID, ProfileAt: ptr(tx.Now()), CreatedAt: tx.Now(),
		}
		customersOnly(who)
		_, err := tx.InsertIdentity(ctx, who)
		return err
	})
}
