//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// wantLines waits until a conversation's messages are these, line by line.
func (c client) wantLines(id string, want ...string) (got *conversation) {
	c.t.Helper()
	eventually(c.t, "the timeline", func() string {
		got = c.conversation(id)
		return differs("it", got.lines(), strings.Join(want, "\n")+"\n")
	})
	return got
}

// TestConnectChannel is who is who in a channel shared with a customer.
func TestConnectChannel(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	// A customer's admin can write anybody's address into their own people's profiles.
	w.slack.control("user", object{"team": "globex", "name": "mallory", "realName": "Mallory Quist", "email": "ada@ochre-labs.example"})
	w.slack.control("invite", object{"channel": "globex-ochre", "user": "mallory"})
	_, channel := ochre.watch("globex-ochre", "Globex")
	ada, ben, iris, mallory := w.slack.person("ada"), w.slack.person("ben"), w.slack.person("iris"), w.slack.person("mallory")

	question := iris.posts(channel, "Nothing works")
	c := ochre.conversationOf("Nothing works")
	ben.answers(channel, question, "Ada knows")
	ada.answers(channel, question, "Let me see")
	mallory.answers(channel, question, "I am Ada")
	reply := ochre.reply(c.ID, "From the inbox")
	ochre.delivery(c.ID, reply, "SENT")
	c = ochre.wantLines(c.ID,
		"INBOUND EndUser Iris Lindqvist: Nothing works",
		"OUTBOUND Teammate Ben Okafor: Ada knows",
		"OUTBOUND Agent Ada Ferrer: Let me see",
		"INBOUND EndUser Mallory Quist: I am Ada",
		"OUTBOUND Agent Ada Ferrer: From the inbox")
	if c.Organization.Name != "Globex" || c.Status != "OPEN" || c.WaitingOn != "CUSTOMER" {
		t.Errorf("the conversation is %s, waits on %q, of %+v", c.Status, c.WaitingOn, c.Organization)
	}

	hello := ben.posts(channel, "We have news for you")
	c = ochre.conversationOf("We have news for you")
	if c.Status != "CLOSED" || c.WaitingOn != "" {
		t.Errorf("what we begin is %s and waits on %q", c.Status, c.WaitingOn)
	}
	iris.answers(channel, hello, "Good ones?")
	eventually(t, "the customer's answer opens it", func() string {
		c := ochre.conversation(c.ID)
		return differs("status", c.Status, "OPEN") + differs("waitingOn", c.WaitingOn, "US")
	})
	w.everythingApplied(channel)
}

// TestOrdinaryChannel is who is who in a channel of our own: only an agent who did not ask stands on our side.
func TestOrdinaryChannel(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	_, channel := ochre.watch("support", "")
	ada, ben, chloe, gil := w.slack.person("ada"), w.slack.person("ben"), w.slack.person("chloe"), w.slack.person("gil")

	question := ben.posts(channel, "My laptop is slow")
	c := ochre.conversationOf("My laptop is slow")
	if c.Organization != nil || c.Status != "OPEN" || c.WaitingOn != "US" {
		t.Errorf("the conversation is %s, waits on %q, of %+v", c.Status, c.WaitingOn, c.Organization)
	}
	chloe.answers(channel, question, "Mine too")
	gil.answers(channel, question, "And mine, a guest's")
	ada.answers(channel, question, "Restart it")
	ben.answers(channel, question, "That helped")
	reply := ochre.reply(c.ID, "Glad to hear")
	ochre.delivery(c.ID, reply, "SENT")
	ochre.wantLines(c.ID,
		"INBOUND EndUser Ben Okafor: My laptop is slow",
		"INBOUND EndUser Chloe Marchetti: Mine too",
		"INBOUND EndUser Gil Sato: And mine, a guest's",
		"OUTBOUND Agent Ada Ferrer: Restart it",
		"INBOUND EndUser Ben Okafor: That helped",
		"OUTBOUND Agent Ada Ferrer: Glad to hear")

	own := ada.posts(channel, "Who has a spare screen?")
	c = ochre.conversationOf("Who has a spare screen?")
	ada.answers(channel, own, "Found one")
	ochre.wantLines(c.ID, "INBOUND EndUser Ada Ferrer: Who has a spare screen?", "INBOUND EndUser Ada Ferrer: Found one")
	w.everythingApplied(channel)
}

// TestBothSidesWatch is one Slack Connect channel whose two companies both use Ochre, by the same app: Slack delivers each event once.
func TestBothSidesWatch(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	globex := w.company("Globex", "hank@globex.example")
	globex.connect("hank")
	_, channel := ochre.watch("globex-ochre", "Globex")
	globex.watch("globex-ochre", "Ochre Labs")
	iris := w.slack.person("iris")

	question := iris.posts(channel, "Is it me or you?")
	ours, theirs := ochre.conversationOf("Is it me or you?"), globex.conversationOf("Is it me or you?")
	if ours.Status != "OPEN" || theirs.Status != "CLOSED" {
		t.Errorf("for who is asked it is %s, for who asks %s", ours.Status, theirs.Status)
	}
	ochre.delivery(ours.ID, ochre.reply(ours.ID, "It is us"), "SENT")
	globex.delivery(theirs.ID, globex.reply(theirs.ID, "Thank you"), "SENT")
	w.slack.person("ada").answers(channel, question, "Fixed")
	ochre.wantLines(ours.ID,
		"INBOUND EndUser Iris Lindqvist: Is it me or you?",
		"OUTBOUND Agent Ada Ferrer: It is us",
		"INBOUND SlackApp Hank Moreau: Thank you",
		"OUTBOUND Agent Ada Ferrer: Fixed")
	globex.wantLines(theirs.ID,
		"OUTBOUND Teammate Iris Lindqvist: Is it me or you?",
		"INBOUND SlackApp Ada Ferrer: It is us",
		"OUTBOUND Agent Hank Moreau: Thank you",
		"INBOUND EndUser Ada Ferrer: Fixed")
	w.slack.delivered()
	if thread := iris.thread(channel, question); len(thread) != 4 {
		t.Errorf("the thread holds %+v", thread)
	}

	// Neither may see or use anything of the other.
	var got struct{ Conversation, Node *struct{ ID string } }
	globex.query(`query($id: ID!) { conversation(by: {id: $id}) { id } node(id: $id) { id } }`, object{"id": ours.ID}, &got)
	if got.Conversation != nil || got.Node != nil {
		t.Errorf("another company sees %+v", got)
	}
	if _, refused := globex.tryReply(ours.ID, "sneaking in", ""); len(refused) != 1 || refused[0].Code != "NOT_FOUND" {
		t.Errorf("a reply into another company's conversation: %+v", refused)
	}
	if ms := ochre.conversation(ours.ID).messages(); len(ms) != 4 {
		t.Errorf("there are %d messages in the end", len(ms))
	}
}

// TestPauseAndUnlink is what becomes of messages in a channel that is watched no longer.
func TestPauseAndUnlink(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	link, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	question := iris.posts(channel, "said while watched")
	c := ochre.conversationOf("said while watched")

	ochre.mutate("pauseChannelLink", object{"channelLinkId": link})
	iris.answers(channel, question, "said while paused")
	iris.posts(channel, "also said while paused")
	w.slack.delivered()
	eventually(t, "the dropped events are counted", func() string { return differs("their number", ochre.link(link).DroppedEvents, 2) })
	ochre.delivery(c.ID, ochre.reply(c.ID, "answered while paused"), "SENT") // a pause stops nobody from answering
	if n := w.hold(t, "said while paused"); n != 0 {
		t.Errorf("what was said during a pause is stored %d times", n)
	}
	ochre.mutate("resumeChannelLink", object{"channelLinkId": link})
	iris.answers(channel, question, "said after the pause")
	ochre.wantLines(c.ID,
		"INBOUND EndUser Iris Lindqvist: said while watched",
		"OUTBOUND Agent Ada Ferrer: answered while paused",
		"INBOUND EndUser Iris Lindqvist: said after the pause")

	ochre.mutate("unlinkChannel", object{"channelLinkId": link})
	iris.answers(channel, question, "said after the end")
	w.slack.person("nina").posts(w.slack.channel("initech-ochre"), "never linked at all")
	w.slack.delivered()
	for _, text := range []string{"said after the end", "never linked at all"} {
		if n := w.hold(t, text); n != 0 {
			t.Errorf("%q is stored %d times", text, n)
		}
	}
	if n := w.hold(t, "said while watched"); n < 2 { // as it came and as a message: the search does find things
		t.Errorf("what was said while watched is stored %d times", n)
	}
	if got := ochre.link(link).State; got != "UNLINKED" {
		t.Errorf("the link is %s", got)
	}
	if ms := ochre.conversation(c.ID).messages(); len(ms) != 3 {
		t.Errorf("the history holds %d messages", len(ms))
	}
	if _, refused := ochre.tryReply(c.ID, "too late", ""); len(refused) != 1 || refused[0].Code != "CHANNEL_UNLINKED" {
		t.Errorf("a reply into an unlinked channel: %+v", refused)
	}
}

// hold counts the rows of the whole database that hold a text, in whatever column that can.
func (w *world) hold(t *testing.T, text string) (n int) {
	t.Helper()
	conn := w.connect()
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
		AND data_type IN ('text', 'character varying', 'bytea', 'json', 'jsonb')`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct{ Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil || !slices.Contains(columns, column{"slack_events", "body", "bytea"}) || !slices.Contains(columns, column{"messages", "body", "text"}) {
		t.Fatalf("the columns of the database: %v, %+v", err, columns)
	}
	for _, c := range columns {
		name, what := pgx.Identifier{c.Name}.Sanitize(), "$1::text"
		if c.Type == "bytea" {
			what = "convert_to($1::text, 'UTF8')"
		} else {
			name += "::text"
		}
		var found int
		if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s WHERE position(%s IN %s) > 0", pgx.Identifier{c.Table}.Sanitize(), what, name), text).Scan(&found); err != nil {
			t.Fatal(err)
		}
		n += found
	}
	return n
}
