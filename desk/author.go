package desk

import (
	"context"
	"errors"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// author gives the identity of the person who wrote the event's message, made if it is new, locked. It is nil where no person did.
func (rc *receiving) author(ctx context.Context) (*ochre.SlackIdentity, error) {
	a := rc.ev.Author
	if !rc.ev.PersonPosted || a.UserID == "" {
		return nil, nil //nolint:nilnil // no person is an answer
	}
	team := rc.authorTeam()
	// Somebody who writes much is known: then many transactions at once share the row, and only who changes it waits.
	known, err := rc.tx.SlackIdentity(ctx, rc.tx.Tenant, team, a.UserID)
	if err == nil && rc.nothingToLearn(known) {
		if known, err = rc.tx.ShareIdentity(ctx, known.ID); err == nil && rc.nothingToLearn(known) {
			return known, nil
		}
	}
	if err != nil && !errors.Is(err, ochre.ErrNotFound) {
		return nil, err
	}
	who, err := rc.tx.LockIdentity(ctx, team, a.UserID)
	if errors.Is(err, ochre.ErrNotFound) {
		who, err = rc.newIdentity(ctx, team)
	}
	if err != nil {
		return nil, err
	}
	if err := rc.learn(ctx, who); err != nil {
		return nil, err
	}
	had := who.AgentID
	if err := matchAgent(ctx, rc.tx, who); err != nil || sameID(had, who.AgentID) {
		return who, err
	}
	// The agent is newer than what is known of the person, who has written before.
	return who, rc.job(JobPlace, "place:"+who.ID.String(), Job{IdentityID: &who.ID})
}

// nothingToLearn tells whether the event changes nothing of what is known of its author, whatever side the message stands on.
func (rc *receiving) nothingToLearn(who *ochre.SlackIdentity) bool {
	a := rc.ev.Author
	named := (who.Name != "" || a.Name == "") && (who.AvatarURL != nil || a.AvatarURL == "")
	placed := who.SlackTeamID != "" && (who.IsExternal || who.AgentID != nil || who.Email == nil)
	if !rc.link.IsSlackConnect || who.IsExternal {
		return named && placed && who.EndUserID != nil
	}
	return named && placed && (who.AgentID != nil || who.TeammateID != nil)
}

// authorTeam gives the workspace of the event's author, "" if that is not known.
func (rc *receiving) authorTeam() string {
	if rc.ev.Author.TeamID == "" && !rc.link.IsSlackConnect {
		return rc.inst.SlackTeamID // an ordinary channel has our own people only
	}
	return rc.ev.Author.TeamID
}

// newIdentity stores a person who was never seen, and has the profile looked up.
func (rc *receiving) newIdentity(ctx context.Context, team string) (*ochre.SlackIdentity, error) {
	a := rc.ev.Author
	who := &ochre.SlackIdentity{
		ID: ochre.NewIDAt(rc.tx.Now()), SlackTeamID: team, SlackUserID: a.UserID, IsExternal: team != "" && team != rc.inst.SlackTeamID,
		Name: a.Name, AvatarURL: optional(a.AvatarURL), OrganizationID: rc.link.OrganizationID, CreatedAt: rc.tx.Now(),
	}
	customersOnly(who)
	if team != "" { // who was first met without a team is the same person
		if had, err := rc.tx.LockIdentity(ctx, "", a.UserID); err == nil && had.SlackTeamID == "" {
			had.SlackTeamID, had.IsExternal = team, who.IsExternal
			customersOnly(had)
			if err := rc.job(JobPlace, "place:"+had.ID.String(), Job{IdentityID: &had.ID}); err != nil {
				return nil, err
			}
			return had, rc.tx.UpdateIdentity(ctx, had)
		} else if err != nil && !errors.Is(err, ochre.ErrNotFound) {
			return nil, err
		}
	}
	fresh, err := rc.tx.InsertIdentity(ctx, who)
	if err != nil {
		return nil, err
	}
	if !fresh {
		return rc.tx.LockIdentity(ctx, team, a.UserID)
	}
	return who, rc.job(JobProfile, "profile:"+rc.inst.ID.String(), Job{IdentityID: &who.ID})
}

// customersOnly takes the organization from a person of our own workspace, whom a customer's channel makes nobody's customer. Such a person gets
// one with the end user that an ordinary channel makes of them; see haveRole.
func customersOnly(who *ochre.SlackIdentity) {
	if who.SlackTeamID != "" && !who.IsExternal {
		who.OrganizationID = nil
	}
}

// learn takes from an inline profile what was not known.
func (rc *receiving) learn(ctx context.Context, who *ochre.SlackIdentity) error {
	a := rc.ev.Author
	changed := false
	if who.Name == "" && a.Name != "" {
		who.Name, changed = a.Name, true
	}
	if who.AvatarURL == nil && a.AvatarURL != "" {
		who.AvatarURL, changed = &a.AvatarURL, true
	}
	if !changed {
		return nil
	}
	if err := rc.tx.UpdateIdentity(ctx, who); err != nil {
		return err
	}
	return showProfile(ctx, rc.tx, who)
}

// setAuthor decides what the author is in this message, and on which side it stands.
func (rc *receiving) setAuthor(ctx context.Context, t *ochre.Thread, m *ochre.Message, who *ochre.SlackIdentity) error {
	if who == nil {
		m.AuthorKind, m.Direction = ochre.AuthorApp, ochre.DirectionInbound
		rc.nameApp(m, false)
		if rc.ev.Author.TeamID == rc.inst.SlackTeamID {
			m.Direction = ochre.DirectionOutbound
		}
		return nil
	}
	m.IdentityID = &who.ID
	rc.nameApp(m, false)
	root, err := rootAuthor(ctx, rc.tx, t, m, rc.ev.TS)
	if err != nil {
		return err
	}
	m.AuthorKind, m.Direction = place(rc.link, who, root)
	return haveRole(ctx, rc.tx, rc.link, who, m.AuthorKind)
}

// nameApp keeps the name of the app that posted a message: of a person's too, who may turn out to be a bot. Not every event tells it; of two that do, the
// newer one counts. It tells whether that is news.
func (rc *receiving) nameApp(m *ochre.Message, newer bool) bool {
	a := rc.ev.Author
	name := a.BotName
	if name == "" && !rc.ev.PersonPosted {
		name = a.Name
	}
	news := false
	take := func(field **string, told string) {
		if told != "" && (*field == nil || newer && **field != told) {
			*field, news = &told, true
		}
	}
	take(&m.AppName, name)
	if m.AppName != nil || !rc.ev.PersonPosted {
		take(&m.SlackAppID, a.AppID)
	}
	return news && m.AuthorKind == ochre.AuthorApp
}

// place is the rule of who is who. In a Connect channel foreigners are customers and our own people stand on our side. In an ordinary channel everybody
// is of our workspace: only an agent who did not begin the thread stands on our side. root is who began the thread, nil while unknown.
func place(link *ochre.ChannelLink, who *ochre.SlackIdentity, root *ochre.ID) (ochre.AuthorKind, ochre.MessageDirection) {
	switch {
	case who.IsBot && (who.IsExternal || !link.IsSlackConnect):
		return ochre.AuthorApp, ochre.DirectionInbound
	case who.IsBot:
		return ochre.AuthorApp, ochre.DirectionOutbound
	case !link.IsSlackConnect:
		if who.AgentID != nil && (root == nil || *root != who.ID) {
			return ochre.AuthorAgent, ochre.DirectionOutbound
		}
		return ochre.AuthorEndUser, ochre.DirectionInbound
	case who.SlackTeamID == "":
		return ochre.AuthorUnknown, ochre.DirectionInbound
	case who.IsExternal:
		return ochre.AuthorEndUser, ochre.DirectionInbound
	case who.AgentID != nil:
		return ochre.AuthorAgent, ochre.DirectionOutbound
	}
	return ochre.AuthorTeammate, ochre.DirectionOutbound
}

// rootAuthor gives the identity that wrote the thread's root, nil while unknown.
func rootAuthor(ctx context.Context, tx *store.Tx, t *ochre.Thread, m *ochre.Message, ts string) (*ochre.ID, error) {
	if ts == t.ThreadTS {
		return m.IdentityID, nil
	}
	return tx.IdentityAt(ctx, tx.Tenant, t.LinkID, t.ThreadTS)
}

// matchAgent finds the agent that a person of our own workspace is, by the email that our own workspace tells. A foreign workspace's word makes nobody an agent.
func matchAgent(ctx context.Context, tx *store.Tx, who *ochre.SlackIdentity) error {
	if who.AgentID != nil || who.IsExternal || who.SlackTeamID == "" || who.Email == nil || who.IsBot {
		return nil
	}
	a, err := tx.AgentByEmail(ctx, tx.Tenant, *who.Email)
	if errors.Is(err, ochre.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	who.AgentID = &a.ID
	if err := tx.DressAgent(ctx, a.ID, who.Name, who.AvatarURL); err != nil {
		return err
	}
	return tx.UpdateIdentity(ctx, who)
}

// haveRole makes sure that an identity has the end user or teammate that an author kind stands for on a link.
func haveRole(ctx context.Context, tx *store.Tx, link *ochre.ChannelLink, who *ochre.SlackIdentity, kind ochre.AuthorKind) error {
	switch {
	case kind == ochre.AuthorEndUser && who.EndUserID == nil:
		if who.OrganizationID == nil {
			who.OrganizationID = link.OrganizationID
		}
		u, err := endUserFor(ctx, tx, who)
		if err != nil {
			return err
		}
		who.EndUserID = &u.ID
	case kind == ochre.AuthorTeammate && who.TeammateID == nil:
		mate := &ochre.Teammate{ID: ochre.NewIDAt(tx.Now()), Name: personName(who), AvatarURL: who.AvatarURL, CreatedAt: tx.Now()}
		if err := tx.InsertTeammate(ctx, mate); err != nil {
			return err
		}
		who.TeammateID = &mate.ID
	default:
		return nil
	}
	return tx.UpdateIdentity(ctx, who)
}

// endUserFor finds the end user of the same organization with the person's email, or makes a new one.
func endUserFor(ctx context.Context, tx *store.Tx, who *ochre.SlackIdentity) (*ochre.EndUser, error) {
	if who.Email != nil {
		// Two people who come with one email at once must become one end user.
		if err := tx.LockEmail(ctx, *who.Email); err != nil {
			return nil, err
		}
		u, err := tx.EndUserByEmail(ctx, tx.Tenant, who.OrganizationID, *who.Email)
		if err == nil || !errors.Is(err, ochre.ErrNotFound) {
			return u, err
		}
	}
	u := &ochre.EndUser{
		ID: ochre.NewIDAt(tx.Now()), Name: personName(who), Email: who.Email, AvatarURL: who.AvatarURL, OrganizationID: who.OrganizationID, CreatedAt: tx.Now(),
	}
	return u, tx.InsertSlackEndUser(ctx, u)
}

// placeThread decides anew what the authors of a thread are, after its root or an identity became known, and tells of what changed.
func placeThread(ctx context.Context, tx *store.Tx, link *ochre.ChannelLink, t *ochre.Thread) error {
	root, err := tx.IdentityAt(ctx, tx.Tenant, t.LinkID, t.ThreadTS)
	if err != nil {
		return err
	}
	people, err := tx.LockPeople(ctx, t.ID, "", "") // locked before the conversation already
	if err != nil {
		return err
	}
	known := make(map[ochre.ID]*ochre.SlackIdentity, len(people))
	for i := range people {
		known[people[i].ID] = &people[i]
	}
	ms, err := tx.ThreadMessages(ctx, t.ID)
	if err != nil {
		return err
	}
	for i := range ms {
		m := &ms[i]
		if m.IdentityID == nil || m.DeliveryState != nil {
			continue
		}
		who := known[*m.IdentityID]
		kind, direction := place(link, who, root)
		if err := haveRole(ctx, tx, link, who, kind); err != nil {
			return err
		}
		if kind == m.AuthorKind && direction == m.Direction {
			continue
		}
		m.AuthorKind, m.Direction = kind, direction
		if err := tx.UpdateMessage(ctx, m); err != nil {
			return err
		}
		if m.ConversationID != nil {
			tx.Log(entryEvent(ochre.EventEntryChanged, *m.ConversationID, ochre.KindMessage, m.ID))
		}
	}
	return nil
}

// files stores the files of the event's message; those of which Slack told only the id are looked up.
func (rc *receiving) files(ctx context.Context, m *ochre.Message) error {
	if m.DeletedAt != nil {
		return nil
	}
	var as []ochre.Attachment
	pending := false
	for _, f := range rc.ev.Files {
		as = append(as, ochre.Attachment{
			ID: ochre.NewIDAt(rc.tx.Now()), SlackFileID: f.SlackID, State: f.State, Name: optional(f.Name), MimeType: optional(f.MimeType), Size: f.Size, SlackURL: optional(f.URL),
		})
		pending = pending || f.State == ochre.AttachmentPending
	}
	if len(as) == 0 && m.Version == 1 {
		return nil
	}
	if err := rc.tx.SetAttachments(ctx, m.ID, as); err != nil {
		return err
	}
	if !pending {
		return nil
	}
	return rc.job(JobFiles, "files:"+rc.inst.ID.String(), Job{MessageID: &m.ID})
}

// mentions has the names of mentioned people looked up whom nobody has met.
func (rc *receiving) mentions(ctx context.Context, m *ochre.Message) error {
	if m.DeletedAt != nil || len(rc.ev.UnknownMentions) == 0 {
		return nil
	}
	return rc.job(JobNames, "profile:"+rc.inst.ID.String(), Job{MessageID: &m.ID, Users: rc.ev.UnknownMentions})
}

// personName is the name to show for a Slack person; a placeholder until the profile is known.
func personName(who *ochre.SlackIdentity) string {
	if who.Name != "" {
		return who.Name
	}
	return "Slack user " + who.SlackUserID
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
