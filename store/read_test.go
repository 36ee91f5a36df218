package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

func TestConversationFilter(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx := t.Context()
	second := &ochre.Organization{ID: ochre.NewID(), Name: "Initech", CreatedAt: fixture.Noon}
	link := *w.Link
	link.ID, link.SlackChannelID, link.OrganizationID = ochre.NewID(), fixture.Unique("C"), &second.ID
	user := &ochre.EndUser{ID: ochre.NewID(), Name: "Dave", CreatedAt: fixture.Noon}
	w.Write(func(tx *store.Tx) error {
		_, e1 := tx.InsertOrganization(ctx, second)
		_, e2 := tx.InsertEndUser(ctx, user)
		return errors.Join(e1, e2, tx.InsertLink(ctx, &link))
	})
	customer := ochre.SideCustomer
	plain := w.Conversation(fixture.Noon)
	closed := w.Conversation(fixture.Noon.Add(1*time.Second), func(c *ochre.Conversation) {
		c.SetStatus(ochre.StatusClosed, fixture.Noon)
		c.WaitingOn, c.WaitingSince, c.AssigneeID = nil, nil, &w.Agent.ID
	})
	foreign := w.Conversation(fixture.Noon.Add(2*time.Second), func(c *ochre.Conversation) {
		c.OrganizationID, c.LinkID, c.EndUserID, c.WaitingOn = &second.ID, link.ID, &user.ID, &customer
	})
	snoozed := w.Conversation(fixture.Noon.Add(3*time.Second), func(c *ochre.Conversation) {
		c.SetStatus(ochre.StatusSnoozed, fixture.Noon)
		c.SnoozedUntil, c.AssigneeID = ptr(fixture.Noon.Add(time.Hour)), &w.Admin.ID
	})
	for name, c := range map[string]struct {
		filter store.ConversationFilter
		want   []*ochre.Conversation
	}{
		"all":              {store.ConversationFilter{}, []*ochre.Conversation{plain, closed, foreign, snoozed}},
		"no status at all": {store.ConversationFilter{Status: []ochre.ConversationStatus{}}, nil},
		"one status":       {store.ConversationFilter{Status: []ochre.ConversationStatus{ochre.StatusClosed}}, []*ochre.Conversation{closed}},
		"two statuses": {
			store.ConversationFilter{Status: []ochre.ConversationStatus{ochre.StatusClosed, ochre.StatusSnoozed}},
			[]*ochre.Conversation{closed, snoozed},
		},
		"waiting on":     {store.ConversationFilter{WaitingOn: &customer}, []*ochre.Conversation{foreign}},
		"assignee":       {store.ConversationFilter{AssigneeID: &w.Agent.ID}, []*ochre.Conversation{closed}},
		"unassigned":     {store.ConversationFilter{Unassigned: ptr(true)}, []*ochre.Conversation{plain, foreign}},
		"assigned":       {store.ConversationFilter{Unassigned: ptr(false)}, []*ochre.Conversation{closed, snoozed}},
		"organization":   {store.ConversationFilter{OrganizationID: &second.ID}, []*ochre.Conversation{foreign}},
		"link":           {store.ConversationFilter{LinkID: &w.Link.ID}, []*ochre.Conversation{plain, closed, snoozed}},
		"end user":       {store.ConversationFilter{EndUserID: &user.ID}, []*ochre.Conversation{foreign}},
		"both must hold": {store.ConversationFilter{EndUserID: &user.ID, AssigneeID: &w.Agent.ID}, nil},
	} {
		s, err := w.Store.ConversationPage(ctx, w.Tenant.ID, c.filter, store.ByCreated, false, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(s.Nodes, c.want, func(a, b *ochre.Conversation) bool { return a.ID == b.ID }) {
			t.Errorf("%s: %d conversations, want %d", name, len(s.Nodes), len(c.want))
		}
	}
}

func TestPeopleLists(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx, tenant := t.Context(), w.Tenant.ID
	names := []string{"100% sure", "1000 sure", "Same", "Same", "Same", `back\slash`, "under_score", "underXscore"}
	organizations := map[string][]ochre.ID{"Globex": {w.Organization.ID}}
	w.Write(func(tx *store.Tx) error {
		for _, n := range names {
			o := &ochre.Organization{ID: ochre.NewID(), Name: n, Domain: ptr("domain-of-" + fixture.Unique("x") + ".example"), ExternalID: ptr(fixture.Unique("EXT-")), CreatedAt: fixture.Noon}
			if _, err := tx.InsertOrganization(ctx, o); err != nil {
				return err
			}
			organizations[n] = append(organizations[n], o.ID)
		}
		gone := &ochre.EndUser{ID: ochre.NewID(), Name: "Carol", Email: ptr("carol@old.example"), CreatedAt: fixture.Noon}
		if _, err := tx.InsertEndUser(ctx, gone); err != nil {
			return err
		}
		gone.MergedInto = &w.Customer.ID
		return tx.UpdateSlackEndUser(ctx, gone)
	})
	for query, want := range map[string][]string{
		"0% s":   {"100% sure"},
		"r_s":    {"under_score"},
		`k\s`:    {`back\slash`},
		"SAME":   {"Same"},
		"ext-":   names,
		"domain": names,
		"%":      {"100% sure"},
		"nobody": nil,
		"\x00":   nil,
	} {
		want = slices.Compact(slices.Sorted(slices.Values(want)))
		s, err := w.Store.OrganizationPage(ctx, tenant, query, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range s.Nodes {
			got = append(got, o.Name)
		}
		if !slices.Equal(slices.Compact(slices.Sorted(slices.Values(got))), want) {
			t.Errorf("organizations with %q: %q, want %q", query, got, want)
		}
	}
	same := slices.SortedFunc(slices.Values(organizations["Same"]), byID)
	both(t, same, func(o *ochre.Organization) ochre.ID { return o.ID }, func(p store.Page) (*store.Slice[*ochre.Organization], error) {
		return w.Store.OrganizationPage(ctx, tenant, "same", p)
	})
	users, err := w.Store.EndUserPage(ctx, tenant, "", nil, store.Page{})
	if err != nil || len(users.Nodes) != 1 || users.Nodes[0].ID != w.Customer.ID {
		t.Errorf("end users: %d, %v; want only the one who was not merged", len(users.Nodes), err)
	}
	users, err = w.Store.EndUserPage(ctx, tenant, "", &organizations["Same"][0], store.Page{})
	if err != nil || len(users.Nodes) != 0 {
		t.Errorf("end users of another organization: %d, %v", len(users.Nodes), err)
	}
	agents, err := w.Store.AgentPage(ctx, tenant, store.Page{})
	if err != nil || len(agents.Nodes) != 2 || agents.Nodes[0].ID != w.Admin.ID {
		t.Errorf("agents: %v, %v", agents, err)
	}
}

func TestMergedEndUsers(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx := t.Context()
	one := &ochre.EndUser{ID: ochre.NewID(), Name: "One", CreatedAt: fixture.Noon}
	two := &ochre.EndUser{ID: ochre.NewID(), Name: "Two", CreatedAt: fixture.Noon}
	w.Write(func(tx *store.Tx) error {
		_, e1 := tx.InsertEndUser(ctx, one)
		_, e2 := tx.InsertEndUser(ctx, two)
		one.MergedInto, two.MergedInto = &two.ID, &w.Customer.ID
		return errors.Join(e1, e2, tx.UpdateSlackEndUser(ctx, one), tx.UpdateSlackEndUser(ctx, two))
	})
	now, err := w.Store.CurrentEndUsers(ctx, w.Tenant.ID, []ochre.ID{one.ID, w.Customer.ID})
	if err != nil || now[one.ID] == nil || now[one.ID].ID != w.Customer.ID || now[w.Customer.ID].ID != w.Customer.ID {
		t.Errorf("who took over: %v, %v", now, err)
	}
	own, err := w.Store.EndUsersByID(ctx, w.Tenant.ID, []ochre.ID{one.ID})
	if err != nil || own[one.ID] == nil || own[one.ID].Name != "One" {
		t.Errorf("the merged one's own id: %v, %v", own, err)
	}
}

func TestSlackLists(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx, tenant := t.Context(), w.Tenant.ID
	ended := *w.Link
	ended.ID, ended.State, ended.CreatedAt = ochre.NewID(), ochre.LinkUnlinked, fixture.Noon.Add(-time.Hour)
	channel := func(name, slackID string, private, member, archived bool) ochre.SlackChannel {
		return ochre.SlackChannel{
			ID: ochre.NewID(), InstallationID: w.Installation.ID, SlackChannelID: slackID, Name: name,
			IsPrivate: private, IsBotMember: member, IsArchived: archived, UpdatedAt: fixture.Noon,
		}
	}
	w.Write(func(tx *store.Tx) error {
		_, err := tx.PutSlackChannels(ctx, w.Installation.ID, []ochre.SlackChannel{
			channel("general", "C1", false, false, false), channel("vip", "C2", true, true, false), channel("secret", "C3", true, false, false),
			channel("old", "C4", false, true, true),
		})
		return errors.Join(err, tx.InsertLink(ctx, &ended))
	})
	for query, want := range map[string][]string{"": {"general", "vip"}, "GEN": {"general"}, "C2": {"vip"}, "C": nil, "secret": nil} {
		s, err := w.Store.SlackChannelPage(ctx, tenant, w.Installation.ID, query, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range s.Nodes {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("channels with %q: %q, want %q", query, got, want)
		}
	}
	linkID := func(l *ochre.ChannelLink) ochre.ID { return l.ID }
	for unlinked, want := range map[bool][]ochre.ID{false: {w.Link.ID}, true: {ended.ID, w.Link.ID}} {
		both(t, want, linkID, func(p store.Page) (*store.Slice[*ochre.ChannelLink], error) {
			return w.Store.LinkPage(ctx, tenant, unlinked, p)
		})
	}
	live, err := w.Store.LiveLinks(ctx, tenant, []string{w.Link.SlackChannelID, "C1"})
	if err != nil || len(live) != 1 || live[w.Link.SlackChannelID].ID != w.Link.ID {
		t.Errorf("live links: %v, %v", live, err)
	}
}
