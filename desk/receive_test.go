package desk_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// door is an office to one of whose links events come.
type door struct{ *channel }

func newDoor(t *testing.T, connect bool) *door {
	t.Helper()
	url := testenv.SharedDatabase(t)
	return &door{newChannel(t, fixture.Open(t, url), connectSQL(t, url), connect)}
}

// says is a message of somebody, some seconds after the beginning of all; in 0 is a root.
func (d *door) says(user, team string, at, in int) desk.SlackEvent {
	ev := desk.SlackEvent{
		Kind: desk.Posted, TS: ts(at), ThreadTS: ts(at), ThreadKnown: true, EventTS: ts(at), Body: user + " says", PersonPosted: true,
		Author: desk.Author{UserID: user, TeamID: team, TeamKnown: team != "", IsExternal: team != "" && team != ownTeam},
	}
	if in > 0 {
		ev.ThreadTS = ts(in)
	}
	return ev
}

// appSays is a message of some app, which no person wrote.
func (d *door) appSays(at, in int) desk.SlackEvent {
	ev := d.says("", "", at, in)
	ev.PersonPosted, ev.Author = false, desk.Author{BotID: "B7", BotName: "Jira", AppID: "A7"}
	return ev
}

// ts is a number of seconds as Slack writes a time.
func ts(at int) string { return fixture.SlackTS(time.Unix(1_800_000_000+int64(at), 0)) }

// message reads the message at a Slack ts.
func (d *door) message(at int) *ochre.Message {
	d.t.Helper()
	var m *ochre.Message
	d.Write(func(tx *store.Tx) (err error) {
		m, err = tx.LockMessageAt(d.t.Context(), d.link.ID, ts(at))
		return err
	})
	return m
}

// conversation reads the conversation of the thread at a ts; nil for none.
func (d *door) conversation(at int) *ochre.Conversation {
	d.t.Helper()
	var c *ochre.Conversation
	d.Write(func(tx *store.Tx) error {
		t, err := tx.LockThread(d.t.Context(), d.link.ID, ts(at))
		if err != nil || t.ConversationID == nil {
			return err
		}
		c, err = tx.Conversation(d.t.Context(), d.Tenant.ID, *t.ConversationID)
		return err
	})
	return c
}

// identity reads who wrote the message at a ts.
func (d *door) identity(at int) *ochre.SlackIdentity {
	d.t.Helper()
	m := d.message(at)
	if m.IdentityID == nil {
		d.t.Fatalf("nobody wrote %d", at)
	}
	known, err := d.Store.IdentitiesByID(d.t.Context(), d.Tenant.ID, []ochre.ID{*m.IdentityID})
	if err != nil || known[*m.IdentityID] == nil {
		d.t.Fatalf("identity %s: %v", m.IdentityID, err)
	}
	return known[*m.IdentityID]
}

func (d *door) endUser(id *ochre.ID) *ochre.EndUser {
	d.t.Helper()
	if id == nil {
		d.t.Fatal("no end user")
	}
	us, err := d.Store.EndUsersByID(d.t.Context(), d.Tenant.ID, []ochre.ID{*id})
	if err != nil || us[*id] == nil {
		d.t.Fatalf("end user %s: %v", id, err)
	}
	return us[*id]
}

// profile lets Slack tell of who wrote the message at a ts, and does what follows.
func (d *door) profile(at int, p desk.Profile) {
	d.t.Helper()
	if p.SlackTeamID == ownTeam {
		p.SlackTeamID = d.Installation.SlackTeamID
	}
	if _, err := d.desk.SaveProfile(d.t.Context(), d.Tenant.ID, d.identity(at).ID, d.Installation.SlackTeamID, p); err != nil {
		d.t.Fatal(err)
	}
	for _, j := range d.jobs(desk.JobPlace) {
		if err := d.desk.PlaceIdentity(d.t.Context(), d.Tenant.ID, *j.IdentityID); err != nil {
			d.t.Fatal(err)
		}
	}
}

// is checks what the author of the message at a ts is.
func (d *door) is(what string, at int, kind ochre.AuthorKind, direction ochre.MessageDirection) {
	d.t.Helper()
	if m := d.message(at); m.AuthorKind != kind || m.Direction != direction {
		d.t.Errorf("%s: %s %s, want %s %s", what, m.Direction, m.AuthorKind, direction, kind)
	}
}

// stands checks the status of the conversation at a ts, and whose turn it is.
func (d *door) stands(what string, at int, status ochre.ConversationStatus, turn ochre.Side) {
	d.t.Helper()
	c := d.conversation(at)
	switch {
	case c == nil:
		d.t.Errorf("%s: there is no conversation", what)
	case c.Status != status || (c.WaitingOn == nil) != (turn == "") || c.WaitingOn != nil && *c.WaitingOn != turn:
		d.t.Errorf("%s: %s, waiting on %v, want %s, %q", what, c.Status, c.WaitingOn, status, turn)
	}
}

const (
	inbound  = ochre.DirectionInbound
	outbound = ochre.DirectionOutbound
)

func TestAuthorsOfConnectChannel(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{
		d.says("UDAVE", "TGLOBEX", 1, 0), d.says("UBOB", ownTeam, 2, 1), d.says("UTIM", ownTeam, 3, 1), d.appSays(4, 1), d.says("UEVE", "", 5, 1),
	})
	d.is("somebody of another workspace", 1, ochre.AuthorEndUser, inbound)
	d.is("somebody of our own", 2, ochre.AuthorTeammate, outbound)
	d.is("an app", 4, ochre.AuthorApp, inbound)
	d.is("somebody whose workspace is not known", 5, ochre.AuthorUnknown, inbound)

	d.profile(2, desk.Profile{SlackTeamID: ownTeam, Name: "Bob", Email: d.Agent.Email})
	d.is("one of ours whose email is an agent's", 2, ochre.AuthorAgent, outbound)
	if who := d.identity(2); who.AgentID == nil || *who.AgentID != d.Agent.ID {
		t.Errorf("the agent is %v", who.AgentID)
	}
	d.profile(3, desk.Profile{SlackTeamID: ownTeam, Name: "Tim", Email: "tim@acme.example"})
	d.is("one of ours with another email", 3, ochre.AuthorTeammate, outbound)
	d.profile(1, desk.Profile{SlackTeamID: "TGLOBEX", Name: "Dave", Email: d.Admin.Email})
	d.is("a foreigner who says to have an agent's email", 1, ochre.AuthorEndUser, inbound)
	d.profile(5, desk.Profile{SlackTeamID: "TGLOBEX", Name: "Eve"})
	d.is("once the workspace is known", 5, ochre.AuthorEndUser, inbound)
	if u := d.endUser(d.identity(5).EndUserID); u.Name != "Eve" || u.OrganizationID == nil || *u.OrganizationID != d.Organization.ID {
		t.Errorf("the end user is %+v", u)
	}

	// An agent who was made later is found by what is known already, and what they wrote before is theirs too.
	var tim *ochre.Agent
	d.Write(func(tx *store.Tx) error {
		tim = &ochre.Agent{ID: ochre.NewID(), Name: "Tim", Email: "TIM@acme.example", Role: ochre.RoleAgent, Active: true, CreatedAt: fixture.Noon}
		return tx.InsertAgent(t.Context(), tim)
	})
	d.live([]desk.SlackEvent{d.says("UTIM", ownTeam, 6, 1)})
	d.is("a later agent's new message", 6, ochre.AuthorAgent, outbound)
	d.profile(6, desk.Profile{SlackTeamID: ownTeam, Name: "Tim", Email: "tim@acme.example"})
	d.is("a later agent's old message", 3, ochre.AuthorAgent, outbound)
}

func TestAuthorsOfOrdinaryChannel(t *testing.T) {
	t.Parallel()
	d := newDoor(t, false)
	agent := desk.Profile{SlackTeamID: ownTeam, Name: "Bob", Email: d.Agent.Email}
	d.live([]desk.SlackEvent{d.says("UDAVE", ownTeam, 1, 0), d.says("UBOB", ownTeam, 2, 1), d.says("UTIM", "", 3, 1), d.says("UBOB", ownTeam, 10, 0), d.says("UDAVE", ownTeam, 11, 10)})
	d.profile(2, agent)
	d.is("who began", 1, ochre.AuthorEndUser, inbound)
	d.is("an agent", 2, ochre.AuthorAgent, outbound)
	d.is("anybody else, whose workspace need not be told", 3, ochre.AuthorEndUser, inbound)
	d.is("an agent who began", 10, ochre.AuthorEndUser, inbound)
	d.is("who answers an agent", 11, ochre.AuthorEndUser, inbound)
	if u := d.endUser(d.identity(1).EndUserID); u.OrganizationID != nil {
		t.Errorf("an organization: %v", u.OrganizationID)
	}

	// A reply comes before its root, and the same agent wrote both.
	d.live([]desk.SlackEvent{d.says("UBOB", ownTeam, 21, 20)})
	d.is("an agent's reply without its root", 21, ochre.AuthorAgent, outbound)
	d.stands("of an agent alone", 20, ochre.StatusClosed, "")
	d.live([]desk.SlackEvent{d.says("UBOB", ownTeam, 20, 0)})
	d.is("the same with its root", 21, ochre.AuthorEndUser, inbound)
	d.stands("began by an agent who asks", 20, ochre.StatusOpen, ochre.SideUs)
}

// TestOurPeopleAreNobodysCustomers has people of our own workspace seen in a customer's channel first, in each way there is, and then asking in our own.
func TestOurPeopleAreNobodysCustomers(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 1, 0), d.says("UBOB", ownTeam, 2, 1), d.says("UTIM", "", 3, 1)})
	d.profile(3, desk.Profile{SlackTeamID: ownTeam, Name: "Tim"})
	mentioned := desk.Profile{SlackTeamID: d.Installation.SlackTeamID, Name: "Zoe"}
	if err := d.desk.Meet(t.Context(), d.link, d.Installation, "UZOE", mentioned); err != nil {
		t.Fatal(err)
	}
	ask := func(link *ochre.ChannelLink, people ...string) (ids []*ochre.ID) {
		ours := &door{&channel{office: d.office, link: link, sql: d.sql}}
		for i, user := range people {
			ours.live([]desk.SlackEvent{ours.says(user, ownTeam, 100+i, 0)})
			ours.is(user, 100+i, ochre.AuthorEndUser, inbound)
			ids = append(ids, ours.endUser(ours.identity(100+i).EndUserID).OrganizationID)
		}
		return ids
	}
	for i, organization := range ask(d.ordinaryLink(), "UBOB", "UTIM", "UZOE") {
		if organization != nil {
			t.Errorf("person %d became one of the customer's", i)
		}
	}

	// An ordinary channel may have an organization: then it is theirs, wherever they were seen before.
	d.live([]desk.SlackEvent{d.says("UKIM", ownTeam, 4, 1)})
	link := *d.ordinaryLink()
	link.ID, link.SlackChannelID, link.OrganizationID = ochre.NewID(), fixture.Unique("C"), &d.Organization.ID
	d.Write(func(tx *store.Tx) error { return tx.InsertLink(t.Context(), &link) })
	for _, organization := range ask(&link, "UKIM", "ULEE") {
		if organization == nil || *organization != d.Organization.ID {
			t.Errorf("the organization is %v, want the channel's", organization)
		}
	}
}

func TestAppsNeitherOpenNorReopen(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.appSays(1, 0), d.appSays(2, 1)})
	if c := d.conversation(1); c != nil {
		t.Fatal("an app opened a conversation")
	}
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 3, 1)})
	d.stands("a person answered", 1, ochre.StatusOpen, ochre.SideUs)
	c := d.conversation(1)
	s, err := d.Store.Timeline(t.Context(), d.Tenant.ID, c.ID, store.Page{First: ptr(10)})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Nodes) != 4 { // three messages and CREATED
		t.Errorf("%d entries, want the app's two messages, the person's and an activity", len(s.Nodes))
	}
	if _, err := d.desk.CloseConversation(t.Context(), d.By(d.Admin), global(c)); err != nil {
		t.Fatal(err)
	}
	d.live([]desk.SlackEvent{d.appSays(5000, 1)})
	d.stands("an app after the close", 1, ochre.StatusClosed, "")
	if got := d.conversation(1); got.Preview != "says" || got.LastActivityAt.Unix() != 1_800_005_000 {
		t.Errorf("preview %q and last activity %s are not the app's", got.Preview, got.LastActivityAt)
	}

	// A person who turns out to be a bot was an app all along.
	d.live([]desk.SlackEvent{d.says("UHAL", "TGLOBEX", 6000, 1)})
	d.stands("who seems to be a person", 1, ochre.StatusOpen, ochre.SideUs)
	d.profile(6000, desk.Profile{SlackTeamID: "TGLOBEX", Name: "Hal", IsBot: true})
	d.is("a bot", 6000, ochre.AuthorApp, inbound)
	d.stands("who is a bot", 1, ochre.StatusClosed, "")
	as := d.activities(d.Reload(c))
	kinds := map[ochre.ActivityKind]int{}
	for _, a := range as {
		kinds[a.Kind]++
	}
	if kinds[ochre.ActivityCreated] != 1 || kinds[ochre.ActivityClosed] != 2 || kinds[ochre.ActivityReopened] != 1 {
		t.Errorf("activities: %v", kinds)
	}
}

func TestReopening(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.says("UBOB", ownTeam, 1, 0), d.says("UTIM", ownTeam, 2, 1)})
	d.stands("we begin", 1, ochre.StatusClosed, "")
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 3, 1)})
	d.stands("the customer answers", 1, ochre.StatusOpen, ochre.SideUs)
	if c := d.conversation(1); c.WaitingSince == nil || fixture.SlackTS(*c.WaitingSince) != ts(3) {
		t.Errorf("waiting since %v", c.WaitingSince)
	}
	d.live([]desk.SlackEvent{d.says("UTIM", ownTeam, 4, 1)})
	d.stands("we answer", 1, ochre.StatusOpen, ochre.SideCustomer)

	c, p := d.conversation(1), d.By(d.Admin)
	if _, err := d.desk.CloseConversation(t.Context(), p, global(c)); err != nil {
		t.Fatal(err)
	}
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 5, 1)}) // the clock stands at 1000
	d.stands("an older message comes late", 1, ochre.StatusClosed, "")
	d.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(2001), ThreadTS: ts(2001), EventTS: ts(2100)}, d.says("UDAVE", "TGLOBEX", 2001, 1)})
	d.stands("a newer one that was deleted", 1, ochre.StatusClosed, "")
	d.live([]desk.SlackEvent{d.says("UTIM", ownTeam, 2002, 1)})
	d.stands("one of ours", 1, ochre.StatusClosed, "")
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 2003, 1)})
	d.stands("a newer one", 1, ochre.StatusOpen, ochre.SideUs)
	d.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(2003), ThreadTS: ts(2003), EventTS: ts(2101)}})
	d.stands("it is deleted", 1, ochre.StatusClosed, "")
}

func TestSnoozeIsWokenByCustomer(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 1, 0)})
	c, until := d.conversation(1), d.now().Add(time.Hour)
	if _, err := d.desk.SnoozeConversation(t.Context(), d.By(d.Admin), global(c), until); err != nil {
		t.Fatal(err)
	}
	d.live([]desk.SlackEvent{d.says("UTIM", ownTeam, 2000, 1), d.appSays(2001, 1)})
	d.stands("we and an app write", 1, ochre.StatusSnoozed, ochre.SideCustomer)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 2002, 1)})
	d.stands("the customer writes", 1, ochre.StatusOpen, ochre.SideUs)
	if c := d.conversation(1); c.SnoozedUntil != nil {
		t.Errorf("awake, and snoozed until %s", c.SnoozedUntil)
	}
	d.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(2002), ThreadTS: ts(2002), EventTS: ts(2100)}})
	d.stands("it is deleted", 1, ochre.StatusSnoozed, ochre.SideCustomer)
	if c := d.conversation(1); c.SnoozedUntil == nil || !c.SnoozedUntil.Equal(until) {
		t.Errorf("snoozed until %v, want %s", c.SnoozedUntil, until)
	}
}

func TestLateEmailJoinsPeople(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	carol := desk.Profile{SlackTeamID: "TGLOBEX", Name: "Carol", Email: "carol@globex.example"}
	d.live([]desk.SlackEvent{d.says("UONE", "TGLOBEX", 1, 0), d.says("UTWO", "TGLOBEX", 2, 0)})
	first, second := *d.identity(1).EndUserID, *d.identity(2).EndUserID
	d.profile(1, carol)
	d.profile(2, carol)
	if got := *d.identity(2).EndUserID; got != first {
		t.Fatalf("the second identity is %s, want %s", got, first)
	}
	if u := d.endUser(&second); u.MergedInto == nil || *u.MergedInto != first {
		t.Errorf("who was emptied went into %v, want %s", u.MergedInto, first)
	}
	if c := d.conversation(2); c.EndUserID == nil || *c.EndUserID != first {
		t.Errorf("the conversation is %v's, want %s", c.EndUserID, first)
	}

	// The same email in another organization is somebody else.
	other := &ochre.Organization{ID: ochre.NewID(), Name: "Initech", CreatedAt: fixture.Noon}
	link := *d.link
	link.ID, link.SlackChannelID, link.OrganizationID = ochre.NewID(), fixture.Unique("C"), &other.ID
	d.Write(func(tx *store.Tx) error {
		if _, err := tx.InsertOrganization(t.Context(), other); err != nil {
			return err
		}
		return tx.InsertLink(t.Context(), &link)
	})
	elsewhere := &door{&channel{office: d.office, link: &link, sql: d.sql}}
	elsewhere.live([]desk.SlackEvent{d.says("UTHREE", "TINITECH", 1, 0)})
	elsewhere.profile(1, desk.Profile{SlackTeamID: "TINITECH", Name: "Carol", Email: "carol@globex.example"})
	if u := elsewhere.endUser(elsewhere.identity(1).EndUserID); u.ID == first || *u.OrganizationID != other.ID {
		t.Errorf("of another organization, but %s of %s", u.ID, u.OrganizationID)
	}
}

func TestOneEmailAtOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	const people, emails = 24, 6
	evs := make([]desk.SlackEvent, people)
	for i := range evs {
		evs[i] = d.says(fmt.Sprintf("U%d", i), "TGLOBEX", i+1, 0)
	}
	d.live(evs)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range people {
		id := d.identity(i + 1).ID
		all.Go(func() {
			<-begin
			p := desk.Profile{SlackTeamID: "TGLOBEX", Name: "Shared", Email: fmt.Sprintf("Help%d@Globex.example", i/(people/emails))}
			if _, err := d.desk.SaveProfile(t.Context(), d.Tenant.ID, id, d.Installation.SlackTeamID, p); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
	found := map[ochre.ID]int{}
	for i := range people {
		found[*d.identity(i + 1).EndUserID]++
	}
	for id, n := range found {
		if n != people/emails {
			t.Errorf("%d identities are end user %s, want %d", n, id, people/emails)
		}
	}
}

// TestSomeoneTwice has one person met without a workspace and then with it, at the same time in two threads.
func TestSomeoneTwice(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	unknown := d.says("UDAVE", "", 1, 0)
	d.live([]desk.SlackEvent{unknown})
	d.is("at first", 1, ochre.AuthorUnknown, inbound)
	d.stands("somebody writes", 1, ochre.StatusOpen, ochre.SideUs)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 2, 0)})
	d.is("known now", 2, ochre.AuthorEndUser, inbound)
	for _, j := range d.jobs(desk.JobPlace) {
		if err := d.desk.PlaceIdentity(t.Context(), d.Tenant.ID, *j.IdentityID); err != nil {
			t.Fatal(err)
		}
	}
	d.is("and so before", 1, ochre.AuthorEndUser, inbound)
	if a, b := d.identity(1), d.identity(2); a.ID != b.ID {
		t.Error("one person has two identities")
	}
}

func TestDeletedRootThatWasNeverSeen(t *testing.T) {
	t.Parallel()
	buried := desk.SlackEvent{Kind: desk.Deleted, TS: ts(1), ThreadTS: ts(1), ThreadKnown: true, EventTS: ts(5), Tombstone: true}
	for name, order := range map[string][]int{"deletion first": {0, 1}, "reply first": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, true)
			evs := []desk.SlackEvent{buried, d.says("UDAVE", "TGLOBEX", 2, 1)}
			d.live([]desk.SlackEvent{evs[order[0]], evs[order[1]]})
			if c := d.conversation(1); c.Title != "(deleted message)" || c.Preview != "UDAVE says" {
				t.Errorf("title %q, preview %q", c.Title, c.Preview)
			}
		})
	}
}

// TestDeletedTwice hears of a deletion again, as of each one that an agent made: screens are told of what changes by that, and of nothing else.
func TestDeletedTwice(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 1, 0), d.says("UDAVE", "TGLOBEX", 2, 1)})
	deleted := func(at int) {
		d.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(2), EventTS: ts(at)}})
	}
	deleted(9)
	_, seq := d.events(0)
	first := d.message(2)
	deleted(9)
	deleted(12)
	d.told(&seq, nil)
	if m := d.message(2); m.Version != first.Version {
		t.Errorf("the version went from %d to %d for nothing", first.Version, m.Version)
	}
	deleted(7)
	d.told(&seq, nil, ochre.EventEntryChanged)
	m := d.message(2)
	if at, err := ochre.TimeOf(ts(7)); err != nil || m.DeletedAt == nil || !m.DeletedAt.Equal(at) || m.Version <= first.Version {
		t.Errorf("deleted at %v, version %d after %d", m.DeletedAt, m.Version, first.Version)
	}
	if evs, _ := d.events(seq - 1); len(evs) != 1 || evs[0].Content {
		t.Errorf("it counts as news for ifUnchangedSince: %+v", evs)
	}
}

func TestReactionsAtOneTime(t *testing.T) {
	t.Parallel()
	put := desk.SlackEvent{Kind: desk.ReactionAdded, TS: ts(1), ThreadTS: ts(1), EventTS: ts(1), Emoji: "eyes", Author: desk.Author{UserID: "UDAVE"}}
	took := put
	took.Kind = desk.ReactionRemoved
	for name, evs := range map[string][]desk.SlackEvent{"put, taken": {put, took}, "taken, put": {took, put}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, true)
			d.live(append(evs, d.says("UDAVE", "TGLOBEX", 1, 0)))
			rs, err := d.Store.ReactionsOf(t.Context(), d.Tenant.ID, []ochre.ID{d.message(1).ID})
			if err != nil || len(rs) != 0 {
				t.Errorf("%v, %v", rs, err)
			}
		})
	}
}

// TestJobsNameWhatTheyMean keeps the payloads of jobs readable by the bridge.
func TestJobsNameWhatTheyMean(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	ev := d.says("UDAVE", "TGLOBEX", 2, 1)
	ev.UnknownMentions, ev.Files = []string{"UEVE"}, []desk.SlackFile{{SlackID: "F1", State: ochre.AttachmentPending}}
	d.live([]desk.SlackEvent{ev})
	m := d.message(2)
	for kind, want := range map[string]desk.Job{
		desk.JobProfile: {IdentityID: m.IdentityID, LinkID: d.link.ID}, desk.JobNames: {MessageID: &m.ID, LinkID: d.link.ID, Users: []string{"UEVE"}},
		desk.JobFiles: {MessageID: &m.ID, LinkID: d.link.ID}, desk.JobRoot: {ThreadID: &m.ThreadID, LinkID: d.link.ID},
	} {
		js := d.jobs(kind)
		a, _ := json.Marshal(js)
		b, _ := json.Marshal([]desk.Job{want})
		if string(a) != string(b) {
			t.Errorf("%s: %s, want %s", kind, a, b)
		}
	}
}
