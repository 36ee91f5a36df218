package resolvers_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/complexity"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
)

// compact writes a decoded JSON value with its keys in order.
func compact(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUserErrors(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	p := a.By(a.Admin)
	stranger := fixture.New(t, a.Store)
	foreign, never := stranger.Conversation(fixture.Noon).GlobalID(), ochre.NewID().Global(ochre.KindConversation)
	theirs := stranger.Message(stranger.Conversation(fixture.Noon.Add(time.Minute)), fixture.Noon.Add(time.Hour)).GlobalID()
	note, _, err := a.resolver.Desk.AddNote(t.Context(), stranger.By(stranger.Agent), desk.AddNoteInput{ConversationID: foreign, Body: "psst"})
	if err != nil {
		t.Fatal(err)
	}
	notes := []string{note.GlobalID(), ochre.NewID().Global(ochre.KindNote)}
	agents := []string{stranger.Agent.GlobalID(), ochre.NewID().Global(ochre.KindAgent)}
	links := []string{stranger.Link.GlobalID(), ochre.NewID().Global(ochre.KindChannelLink)}
	messages := []string{theirs, ochre.NewID().Global(ochre.KindMessage)}
	conversations := []string{foreign, never}
	installations := []string{stranger.Installation.GlobalID(), ochre.NewID().Global(ochre.KindSlackInstallation)}
	for _, c := range []struct {
		call, object, field string
		ids                 []string
	}{
		{`closeConversation(input: {conversationId: $id})`, "conversation { id }", "conversationId", conversations},
		{`reopenConversation(input: {conversationId: $id})`, "conversation { id }", "conversationId", conversations},
		{`assignConversation(input: {conversationId: $id})`, "conversation { id }", "conversationId", conversations},
		{`snoozeConversation(input: {conversationId: $id, until: "2030-01-01T00:00:00Z"})`, "conversation { id }", "conversationId", conversations},
		{`setConversationPriority(input: {conversationId: $id, priority: LOW})`, "conversation { id }", "conversationId", conversations},
		{`addNote(input: {conversationId: $id, body: "x"})`, "note { id } conversation { id }", "conversationId", conversations},
		{`postReply(input: {conversationId: $id, body: "x"})`, "message { id } conversation { id }", "conversationId", conversations},
		{`editReply(input: {messageId: $id, body: "x"})`, "message { id }", "messageId", messages},
		{`deleteReply(input: {messageId: $id})`, "message { id }", "messageId", messages},
		{`retryDelivery(input: {messageId: $id})`, "message { id }", "messageId", messages},
		{`editNote(input: {noteId: $id, body: "x"})`, "note { id }", "noteId", notes},
		{`deleteNote(input: {noteId: $id})`, "deletedNoteId", "noteId", notes},
		{`updateAgent(input: {agentId: $id, name: "x"})`, "agent { id }", "agentId", agents},
		{`deactivateAgent(input: {agentId: $id})`, "agent { id }", "agentId", agents},
		{`updateChannelLink(input: {channelLinkId: $id})`, "channelLink { id }", "channelLinkId", links},
		{`pauseChannelLink(input: {channelLinkId: $id})`, "channelLink { id }", "channelLinkId", links},
		{`resumeChannelLink(input: {channelLinkId: $id})`, "channelLink { id }", "channelLinkId", links},
		{`unlinkChannel(input: {channelLinkId: $id})`, "channelLink { id }", "channelLinkId", links},
		{`linkChannel(input: {installationId: $id, slackChannelId: "C1"})`, "channelLink { id }", "installationId", installations},
		{`upsertOrganization(input: {by: {id: $id}, name: "x"})`, "organization { id }", `by","id`, []string{stranger.Organization.GlobalID(), ochre.NewID().Global(ochre.KindOrganization)}},
		{`upsertEndUser(input: {by: {id: $id}, name: "x"})`, "endUser { id }", `by","id`, []string{stranger.Customer.GlobalID(), ochre.NewID().Global(ochre.KindEndUser)}},
	} {
		for _, id := range c.ids {
			data, codes := a.run(&p, `mutation($id: ID!) { it: `+c.call+` { `+c.object+` userErrors { code path } } }`, map[string]any{"id": id})
			nothing := strings.NewReplacer(" { id }", `":null,"`).Replace(c.object)
			want := `{"it":{"` + strings.ReplaceAll(nothing, " ", "")
			if !strings.Contains(c.object, "{") {
				want += `":null,"`
			}
			want += `userErrors":[{"code":"NOT_FOUND","path":["input","` + c.field + `"]}]}}`
			if data != want || codes != nil {
				t.Errorf("%s of %s: %s, %v, want %s", c.call, id, data, codes, want)
			}
		}
	}
}

func TestMutations(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	c := a.Conversation(fixture.Noon)
	vars := map[string]any{"c": c.GlobalID(), "a": a.Agent.GlobalID()}
	// The second field changes what the first one showed, and the third one must show that.
	got := as[map[string]json.RawMessage](a, a.Admin, `mutation($c: ID!, $a: ID!) {
		one: assignConversation(input: {conversationId: $c, assigneeId: $a}) { conversation { assignee { name } } userErrors { code } }
		two: updateAgent(input: {agentId: $a, name: "Robert"}) { agent { name } userErrors { code } }
		three: setConversationPriority(input: {conversationId: $c, priority: HIGH}) { conversation { assignee { name } priority } userErrors { code } }
		four: addNote(input: {conversationId: $c, body: "psst"}) { note { author { ... on Agent { name } } body } conversation { version } userErrors { code } }
		five: closeConversation(input: {conversationId: $c}) { conversation { status waitingOn } userErrors { code } }
		six: upsertEndUser(input: {by: {email: "d@x.example"}}) { endUser { name } userErrors { code } }
	}`, vars)
	for field, want := range map[string]string{
		"one":   `{"conversation":{"assignee":{"name":"Bob"}},"userErrors":[]}`,
		"two":   `{"agent":{"name":"Robert"},"userErrors":[]}`,
		"three": `{"conversation":{"assignee":{"name":"Robert"},"priority":"HIGH"},"userErrors":[]}`,
		"four":  `{"note":{"author":{"name":"Ada"},"body":"psst"},"conversation":{"version":4},"userErrors":[]}`,
		"five":  `{"conversation":{"status":"CLOSED","waitingOn":null},"userErrors":[]}`,
		"six":   `{"endUser":{"name":"d@x.example"},"userErrors":[]}`,
	} {
		if string(got[field]) != want {
			t.Errorf("%s: %s, want %s", field, got[field], want)
		}
	}
	timeline := as[map[string]any](a, a.Agent, `query($c: ID!) { conversation(by: {id: $c}) { timeline(last: 10) { nodes { __typename
		... on Activity { kind from to actor { ... on Agent { name } } } } } } }`, vars)
	text := compact(t, timeline)
	for _, want := range []string{
		`{"__typename":"Activity","actor":{"name":"Ada"},"from":null,"kind":"ASSIGNED","to":"` + a.Agent.GlobalID() + `"}`,
		`{"__typename":"Activity","actor":{"name":"Ada"},"from":"OPEN","kind":"CLOSED","to":"CLOSED"}`, `{"__typename":"Note"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	c := a.Conversation(fixture.Noon, func(c *ochre.Conversation) { c.AssigneeID = &a.Agent.ID })
	p := a.By(a.Agent)
	next, ctx := a.start(t.Context(), &p, `subscription($c: ID!, $after: EventCursor) { conversationEvents(conversationId: $c, after: $after) {
		__typename cursor ... on ConversationChanged { conversation { assignee { name } } } } }`, map[string]any{"c": c.GlobalID(), "after": "here"})
	for i, name := range []string{"Bob", "Robert"} { // between the events the agent gets another name
		if i == 1 {
			as[any](a, a.Admin, `mutation($a: ID!) { updateAgent(input: {agentId: $a, name: "Robert"}) { agent { name } } }`, map[string]any{"a": a.Agent.GlobalID()})
		}
		a.feed.events <- &ochre.ConversationChanged{EventHead: ochre.EventHead{Cursor: "there", At: fixture.Noon}, Conversation: c}
		res := next(ctx)
		if want := `{"conversationEvents":{"__typename":"ConversationChanged","cursor":"there","conversation":{"assignee":{"name":"` + name + `"}}}}`; string(res.Data) != want || res.Errors != nil {
			t.Errorf("event %d: %s, %v, want %s", i, res.Data, res.Errors, want)
		}
	}
	if a.feed.conversation == nil || *a.feed.conversation != c.ID || a.feed.after == nil || *a.feed.after != "here" {
		t.Errorf("subscribed to %v after %v", a.feed.conversation, a.feed.after)
	}
	close(a.feed.events)
	if res := next(ctx); res != nil {
		t.Errorf("after the end: %s", res.Data)
	}
}

func TestLatestEventCursor(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	c := a.Conversation(fixture.Noon)
	read := func() ochre.EventCursor {
		return as[struct{ LatestEventCursor ochre.EventCursor }](a, a.Agent, `{ latestEventCursor }`, nil).LatestEventCursor
	}
	before := read()
	as[any](a, a.Agent, `mutation($c: ID!) { closeConversation(input: {conversationId: $c}) { userErrors { code } } }`, map[string]any{"c": c.GlobalID()})
	var seqs []int64
	for _, cursor := range []ochre.EventCursor{before, read()} {
		seq, current, err := a.resolver.Desk.Cursors.Decode(a.Tenant.ID, cursor)
		if err != nil || !current {
			t.Fatal(seq, current, err)
		}
		seqs = append(seqs, seq)
	}
	if !slices.Equal(seqs, []int64{0, 2}) {
		t.Errorf("the log stood at %v", seqs)
	}
}

func TestComplexity(t *testing.T) {
	t.Parallel()
	schema := newAPI(t).resolver.Schema()
	for query, want := range map[string]int{
		`{ viewer { name } }`:                                                   2,
		`{ agents { nodes { name } } }`:                                         1 + 25*2,
		`{ agents(first: 100) { nodes { name } } }`:                             1 + 100*2,
		`{ agents(last: 3) { nodes { name } } }`:                                1 + 3*2,
		`{ agents(first: -7) { nodes { name } } }`:                              1 + 2,
		`{ agents(first: 2000000000) { nodes { name } } }`:                      1 + 100*2,
		`{ nodes(ids: ["a", "b", "c"]) { id } }`:                                1 + 3*1,
		`{ conversations { nodes { timeline(first: 100) { nodes { id } } } } }`: 1 + 25*(1+(1+100*2)),
	} {
		doc, errs := gqlparser.LoadQueryWithRules(schema.Schema(), query, rules.NewDefaultRules())
		if errs != nil {
			t.Fatal(errs)
		}
		if got := complexity.Calculate(t.Context(), schema, doc.Operations[0], nil); got != want {
			t.Errorf("%s costs %d, want %d", query, got, want)
		}
	}
}
