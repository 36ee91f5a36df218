package resolvers_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

const authorFragment = `fragment who on Message { author { __typename
	... on EndUser { name slackIdentities { teamId userId isExternal } } ... on Agent { name } ... on Teammate { name }
	... on SlackApp { name appId } ... on Automation { kind name } } }`

// authors adds a message by each kind of author behind the customer's first, and gives what the API should say of them.
func (a *api) authors(c *ochre.Conversation) []string {
	ctx := a.t.Context()
	mate := &ochre.Teammate{ID: ochre.NewID(), Name: "Mate", CreatedAt: fixture.Noon}
	ours := &ochre.SlackIdentity{
		ID: ochre.NewID(), SlackTeamID: a.Installation.SlackTeamID, SlackUserID: "UOURS", Name: "Ours",
		AgentID: &a.Agent.ID, TeammateID: &mate.ID, EndUserID: &a.Customer.ID, CreatedAt: fixture.Noon,
	}
	a.Write(func(tx *store.Tx) error {
		err := tx.InsertTeammate(ctx, mate)
		_, also := tx.InsertIdentity(ctx, ours)
		return errors.Join(err, also)
	})
	write := func(i int, kind ochre.AuthorKind, change func(m *ochre.Message)) {
		a.Message(c, fixture.Noon.Add(time.Duration(i)*time.Minute), func(m *ochre.Message) {
			m.AuthorKind, m.IdentityID = kind, &ours.ID
			change(m)
		})
	}
	as := func(*ochre.Message) {}
	write(1, ochre.AuthorAgent, as)
	write(2, ochre.AuthorAgent, func(m *ochre.Message) { m.IdentityID, m.AgentID = nil, &a.Admin.ID })
	write(3, ochre.AuthorTeammate, as)
	write(4, ochre.AuthorEndUser, as)
	write(5, ochre.AuthorApp, func(m *ochre.Message) { m.IdentityID, m.AppName, m.SlackAppID = nil, ptr("Jira"), ptr("A7") })
	write(6, ochre.AuthorUnknown, as)
	write(7, ochre.AuthorAutomation, func(m *ochre.Message) { m.IdentityID = nil })
	identities := `[{"isExternal":false,"teamId":"` + a.Installation.SlackTeamID + `","userId":"UOURS"},{"isExternal":true,"teamId":"TGLOBEX","userId":"UCAROL"}]`
	return []string{
		`{"__typename":"EndUser","name":"Carol","slackIdentities":` + identities + `}`,
		`{"__typename":"Agent","name":"Bob"}`,
		`{"__typename":"Agent","name":"Ada"}`,
		`{"__typename":"Teammate","name":"Mate"}`,
		`{"__typename":"EndUser","name":"Carol","slackIdentities":` + identities + `}`,
		`{"__typename":"SlackApp","appId":"A7","name":"Jira"}`,
		`null`,
		`{"__typename":"Automation","kind":"SYSTEM","name":"Ochre"}`,
	}
}

func TestAuthors(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	c := a.Conversation(fixture.Noon)
	want := a.authors(c)
	got := as[struct {
		Conversation struct {
			Timeline struct{ Nodes []map[string]any }
		}
	}](a, a.Agent, `query($n: Int!) { conversation(by: {number: $n}) { timeline { nodes { ... who } } } } `+authorFragment, map[string]any{"n": c.Number})
	if len(got.Conversation.Timeline.Nodes) != len(want) {
		t.Fatalf("%d messages, want %d", len(got.Conversation.Timeline.Nodes), len(want))
	}
	for i, n := range got.Conversation.Timeline.Nodes {
		if s := compact(t, n["author"]); s != want[i] {
			t.Errorf("author %d is %s, want %s", i, s, want[i])
		}
	}
}

func TestConversationWhole(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	ctx := t.Context()
	c := a.Conversation(fixture.Noon, func(c *ochre.Conversation) { c.AssigneeID = &a.Agent.ID })
	reply := a.Message(c, fixture.Noon.Add(time.Minute))
	file := ochre.Attachment{ID: ochre.NewID(), SlackFileID: "F1", State: ochre.AttachmentAvailable, Name: ptr("a.png"), MimeType: ptr("image/png"), Size: ptr(int64(1 << 40))}
	pending := ochre.Attachment{ID: ochre.NewID(), SlackFileID: "F2", State: ochre.AttachmentPending}
	a.Write(func(tx *store.Tx) error {
		_, err := tx.React(ctx, a.Link.ID, *reply.SlackTS, "tada", a.Installation.BotUserID, "1.000000", true)
		return errors.Join(err, tx.SetAttachments(ctx, reply.ID, []ochre.Attachment{file, pending}))
	})
	got := as[map[string]any](a, a.Agent, `query($id: ID!) { conversation(by: {id: $id}) {
		url title status waitingOn waitingSince source priority version
		assignee { name } organization { name } endUser { name organization { name } }
		channelLink { state slackChannelName organization { name } installation { teamName missingScopes scopes connected } }
		slackPermalink timeline(last: 1) { pageInfo { hasPreviousPage hasNextPage } edges { cursor node { createdAt ... on Message {
			attachments { id state name size url } reactions { emoji count reactedByUs } slackTs slackPermalink delivery { state } pendingChange { kind }
		} } } } } }`, map[string]any{"id": c.GlobalID()})
	text := compact(t, got["conversation"])
	channel, fileID := a.Link.SlackChannelID, file.ID.Global(ochre.KindAttachment)
	for _, want := range []string{
		fmt.Sprintf(`"url":"http://ochre.test/conversations/%d"`, c.Number),
		`"assignee":{"name":"Bob"}`, `"organization":{"name":"Globex"}`, `"endUser":{"name":"Carol","organization":{"name":"Globex"}}`,
		`"waitingOn":"US","waitingSince":"2026-11-23T12:00:00.000000Z"`, `"missingScopes":[]`,
		`"slackPermalink":"https://acme.slack.com/archives/` + channel + `/p1795435200000000"`,
		`"pageInfo":{"hasNextPage":false,"hasPreviousPage":true}`,
		`{"id":"` + fileID + `","name":"a.png","size":1099511627776,"state":"AVAILABLE","url":"http://ochre.test/files/` + fileID + `"}`,
		`"name":null,"size":null,"state":"PENDING","url":null}`,
		`"reactions":[{"count":1,"emoji":"tada","reactedByUs":true}]`,
		`"slackPermalink":"https://acme.slack.com/archives/` + channel + `/p1795435260000000?thread_ts=1795435200.000000\u0026cid=` + channel + `"`,
		`"delivery":null`, `"pendingChange":null`, `"createdAt":"2026-11-23T12:01:00.000000Z"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestListsAndLinks(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Write(func(tx *store.Tx) error {
		_, err := tx.PutSlackChannels(t.Context(), a.Installation.ID, []ochre.SlackChannel{
			{ID: ochre.NewID(), SlackChannelID: a.Link.SlackChannelID, Name: "globex", UpdatedAt: fixture.Noon},
			{ID: ochre.NewID(), SlackChannelID: "CFREE", Name: "hall", UpdatedAt: fixture.Noon},
		})
		return err
	})
	a.Conversation(fixture.Noon)
	got := as[map[string]any](a, a.Agent, `query($i: ID!, $o: ID!) {
		viewer { name role slackIdentities { userId } }
		agents { nodes { name } } organizations(query: "glob") { nodes { name } } endUsers(organizationId: $o) { edges { node { name } } }
		channelLinks { nodes { state } } slackInstallations { teamName }
		slackChannels(installationId: $i) { nodes { name link { state } } }
		conversations(filter: {organizationId: $o, status: [OPEN]}, orderBy: {field: WAITING_SINCE, direction: ASC}, first: 1) { nodes { title } }
	}`, map[string]any{"i": a.Installation.GlobalID(), "o": a.Organization.GlobalID()})
	want := `{"agents":{"nodes":[{"name":"Ada"},{"name":"Bob"}]},"channelLinks":{"nodes":[{"state":"WATCHING"}]},"conversations":{"nodes":[{"title":"Help"}]},` +
		`"endUsers":{"edges":[{"node":{"name":"Carol"}}]},"organizations":{"nodes":[{"name":"Globex"}]},` +
		`"slackChannels":{"nodes":[{"link":{"state":"WATCHING"},"name":"globex"},{"link":null,"name":"hall"}]},"slackInstallations":[{"teamName":"Acme"}],` +
		`"viewer":{"name":"Bob","role":"AGENT","slackIdentities":[]}}`
	if text := compact(t, got); text != want {
		t.Errorf("got %s", text)
	}
}

// TestUnknownIDs asks for things by ids that mean nothing to the caller: all of them get the same answer.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	stranger := fixture.New(t, a.Store)
	foreign := stranger.Conversation(fixture.Noon)
	p := a.By(a.Admin)
	for query, ids := range map[string][]string{
		`query($id: ID!) { conversations(filter: {assigneeId: $id}) { nodes { id } } }`:     {stranger.Agent.GlobalID(), ochre.NewID().Global(ochre.KindAgent), "x"},
		`query($id: ID!) { conversations(filter: {organizationId: $id}) { nodes { id } } }`: {stranger.Organization.GlobalID(), ochre.NewID().Global(ochre.KindOrganization), ""},
		`query($id: ID!) { conversations(filter: {channelLinkId: $id}) { nodes { id } } }`:  {stranger.Link.GlobalID(), ochre.NewID().Global(ochre.KindChannelLink), "\x00"},
		`query($id: ID!) { conversations(filter: {endUserId: $id}) { nodes { id } } }`:      {stranger.Customer.GlobalID(), ochre.NewID().Global(ochre.KindEndUser), a.Agent.GlobalID()},
		`query($id: ID!) { endUsers(organizationId: $id) { nodes { id } } }`:                {stranger.Organization.GlobalID(), ochre.NewID().Global(ochre.KindOrganization)},
		`query($id: ID!) { slackChannels(installationId: $id) { nodes { id } } }`:           {stranger.Installation.GlobalID(), ochre.NewID().Global(ochre.KindSlackInstallation)},
		`subscription($id: ID!) { conversationEvents(conversationId: $id) { at } }`:         {foreign.GlobalID(), ochre.NewID().Global(ochre.KindConversation), "conv"},
	} {
		for _, id := range ids {
			if data, codes := a.run(&p, query, map[string]any{"id": id}); !slices.Equal(codes, []string{"NOT_FOUND"}) {
				t.Errorf("%s of %q: %s, %v", query, id, data, codes)
			}
		}
	}
	for query, ids := range map[string][]string{
		`query($id: ID!) { node(id: $id) { id } }`:                                                                {foreign.GlobalID(), ochre.NewID().Global(ochre.KindConversation), "", "conv_", "\x00", "tenant_x"},
		`query($id: ID!) { conversation(by: {id: $id}) { id } }`:                                                  {foreign.GlobalID(), ochre.NewID().Global(ochre.KindConversation), a.Agent.GlobalID(), "x"},
		`query($id: String!) { conversation(by: {slackMessage: {teamId: $id, channelId: $id, ts: $id}}) { id } }`: {"x", "\x00", ""},
	} {
		for _, id := range ids {
			data, codes := a.run(&p, query, map[string]any{"id": id})
			if codes != nil || data != `{"node":null}` && data != `{"conversation":null}` {
				t.Errorf("%s of %q: %s, %v", query, id, data, codes)
			}
		}
	}
	if data, codes := a.run(&p, fmt.Sprintf(`{ conversation(by: {number: %d}) { id } }`, 1<<40), nil); codes != nil || data != `{"conversation":null}` {
		t.Errorf("a number nobody has: %s, %v", data, codes)
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	p := a.By(a.Agent)
	c := a.Conversation(fixture.Noon)
	ids := []string{c.GlobalID(), "nothing", a.Customer.GlobalID(), c.GlobalID(), ""}
	data, codes := a.run(&p, `query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }`, map[string]any{"ids": ids})
	conversation := `{"id":"` + c.GlobalID() + `","__typename":"Conversation"}`
	if want := `{"nodes":[` + conversation + `,null,{"id":"` + a.Customer.GlobalID() + `","__typename":"EndUser"},` + conversation + `,null]}`; data != want || codes != nil {
		t.Errorf("got %s, %v, want %s", data, codes, want)
	}
	_, codes = a.run(&p, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, map[string]any{"ids": slices.Repeat([]string{"x"}, 101)})
	if !slices.Equal(codes, []string{"BAD_USER_INPUT"}) {
		t.Errorf("101 ids: %v", codes)
	}
	if data, codes := a.run(&p, `{ nodes(ids: []) { id } }`, nil); data != `{"nodes":[]}` || codes != nil {
		t.Errorf("no ids: %s, %v", data, codes)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	agent, admin := a.By(a.Agent), a.By(a.Admin)
	const anyone, admins = `{ viewer { name } }`, `mutation { upsertOrganization(input: {name: "x"}) { organization { name } userErrors { code } } }`
	for _, c := range []struct {
		who   *ochre.Principal
		query string
		code  string
	}{
		{nil, anyone, "UNAUTHENTICATED"}, {nil, admins, "UNAUTHENTICATED"}, {nil, `subscription { inboxEvents { at } }`, "UNAUTHENTICATED"},
		{&agent, anyone, ""}, {&agent, admins, "FORBIDDEN"}, {&admin, anyone, ""}, {&admin, admins, ""},
	} {
		data, codes := a.run(c.who, c.query, nil)
		if got := strings.Join(codes, " "); got != c.code {
			t.Errorf("%s as %v: %s, %q", c.query, c.who, data, got)
		}
	}
}

func TestBadPageArguments(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	p := a.By(a.Agent)
	c := a.Conversation(fixture.Noon)
	for args, code := range map[string]string{
		"first: 0": "BAD_USER_INPUT", "first: -1": "BAD_USER_INPUT", "first: 101": "BAD_USER_INPUT", "last: 101": "BAD_USER_INPUT",
		"first: 1, last: 1": "BAD_USER_INPUT", `after: ""`: "INVALID_CURSOR", `before: "x"`: "INVALID_CURSOR", `after: "%%"`: "INVALID_CURSOR",
	} {
		for _, query := range []string{
			`{ conversations(%s) { nodes { id } } }`, `{ organizations(%s) { nodes { id } } }`, `{ endUsers(%s) { nodes { id } } }`, `{ agents(%s) { nodes { id } } }`,
			`{ channelLinks(%s) { nodes { id } } }`, `{ slackChannels(installationId: "` + a.Installation.GlobalID() + `", %s) { nodes { id } } }`,
			`{ conversation(by: {id: "` + c.GlobalID() + `"}) { timeline(%s) { nodes { id } } } }`,
		} {
			query = fmt.Sprintf(query, args)
			if _, codes := a.run(&p, query, nil); !slices.Equal(codes, []string{code}) {
				t.Errorf("%s: %v, want %s", query, codes, code)
			}
		}
	}
}
