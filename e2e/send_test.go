//go:build unix

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre/slacksim"
)

// mishap is a way in which sending a reply can go wrong, and what must come of it.
type mishap struct {
	name     string
	fault    object // of chat.postMessage, once
	state    string // in the end
	code     string // in the end
	attempts int
	after    time.Duration // the message is in Slack no sooner than so long after the reply was written
	times    int           // how often the reply is in the thread
	doubted  bool          // it is UNCONFIRMED for a while
}

const settleTime = 30 * time.Second

var mishaps = []mishap{
	{name: "answer-lost", fault: object{"kind": "lost_answer"}, state: "SENT", attempts: 1, times: 1},
	{name: "answer-late", fault: object{"kind": "late_timeout"}, state: "SENT", attempts: 1, times: 1},
	{name: "answer-lost-and-shown-late", fault: object{"kind": "lost_answer_hidden"}, state: "SENT", attempts: 1, times: 1, doubted: true},
	{name: "server-error", fault: object{"kind": "500"}, state: "SENT", attempts: 2, after: settleTime, times: 1, doubted: true},
	{name: "cut-before", fault: object{"kind": "close_before"}, state: "SENT", attempts: 2, after: settleTime, times: 1, doubted: true},
	{name: "broke-at-slack", fault: object{"kind": "error", "code": "fatal_error"}, state: "SENT", attempts: 2, after: settleTime, times: 1, doubted: true},
	{name: "no-answer", fault: object{"kind": "timeout"}, state: "SENT", attempts: 2, after: settleTime, times: 1, doubted: true},
	{name: "rate-limited", fault: object{"kind": "429", "retryAfter": 4}, state: "SENT", attempts: 2, after: 4 * time.Second, times: 1},
	{name: "too-long-for-slack", fault: object{"kind": "error", "code": "msg_too_long"}, state: "FAILED", code: "msg_too_long", attempts: 1},
	{name: "bot-thrown-out", fault: object{"kind": "error", "code": "not_in_channel"}, state: "FAILED", code: "not_in_channel", attempts: 1},
}

// TestSendingGoesWrong has one channel for each mishap, all at once, since most of it is waiting for the settle time. No event shows the metadata, so that only
// looking can tell whether Slack has a message.
func TestSendingGoesWrong(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{switches: slacksim.Switches{EventMetadata: "absent"}})
	iris := w.slack.person("iris")
	type trial struct {
		mishap
		channel, question, conversation, reply string
		written                                time.Time
	}
	var trials []*trial
	for _, m := range mishaps {
		w.slack.control("channel", object{"name": m.name, "teams": []string{"ochre-labs", "globex"}, "users": []string{"ada", "iris"}})
		_, channel := ochre.watch(m.name, "Globex")
		tr := &trial{mishap: m, channel: channel, question: iris.posts(channel, "About "+m.name)}
		m.fault["method"], m.fault["channel"] = "chat.postMessage", channel
		w.slack.goesWrong(m.fault)
		trials = append(trials, tr)
	}
	for _, tr := range trials {
		tr.conversation = ochre.conversationOf("About " + tr.name).ID
		tr.written = time.Now()
		tr.reply = ochre.reply(tr.conversation, "Answer to "+tr.name)
	}
	for _, tr := range trials {
		if tr.doubted {
			ochre.delivery(tr.conversation, tr.reply, "UNCONFIRMED")
		}
	}
	for _, tr := range trials {
		m := ochre.delivery(tr.conversation, tr.reply, tr.state)
		if m.Delivery.Attempts != tr.attempts || m.Delivery.ErrorCode != tr.code {
			t.Errorf("%s: %+v, want %d attempts and code %q", tr.name, *m.Delivery, tr.attempts, tr.code)
		}
		thread := iris.thread(tr.channel, tr.question)
		if len(thread) != 1+tr.times {
			t.Errorf("%s: the thread holds %+v", tr.name, thread)
			continue
		}
		if tr.times == 1 && (thread[1].TS != m.SlackTS || m.Version < 2) {
			t.Errorf("%s: the message is known to be at %q and stands at %q", tr.name, m.SlackTS, thread[1].TS)
		}
		if tr.times == 1 && slackTime(t, thread[1].TS).Before(tr.written.Add(tr.after)) {
			t.Errorf("%s: it was sent again after %s, too soon", tr.name, slackTime(t, thread[1].TS).Sub(tr.written))
		}
	}
	w.slack.faultsHit()

	// What failed is sent by hand once the cause is gone, and stands in the thread once.
	thrown := trials[len(trials)-1]
	ochre.mutate("retryDelivery", object{"messageId": thrown.reply})
	ochre.delivery(thrown.conversation, thrown.reply, "SENT")
	if n := iris.sees(thrown.channel, thrown.question, "Answer to"); n != 1 {
		t.Errorf("after a retry by hand the reply is %d times in the thread", n)
	}
}

func slackTime(t *testing.T, ts string) time.Time {
	t.Helper()
	seconds, err := time.ParseDuration(ts + "s")
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, int64(seconds))
}

// TestTooLongAReply fails at once and says so, as does an edit.
func TestTooLongAReply(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	_, channel := ochre.watch("globex-ochre", "Globex")
	question := w.slack.person("iris").posts(channel, "Tell me all")
	c := ochre.conversationOf("Tell me all")
	long := ochre.reply(c.ID, strings.Repeat("word ", 4000))
	if m := ochre.delivery(c.ID, long, "FAILED"); m.Delivery.ErrorCode != "MSG_TOO_LONG" {
		t.Errorf("the delivery is %+v", *m.Delivery)
	}
	next := ochre.reply(c.ID, "In short: no")
	ochre.delivery(c.ID, next, "SENT")
	if thread := w.slack.person("iris").thread(channel, question); len(thread) != 2 {
		t.Errorf("the thread holds %+v", thread)
	}
	ochre.mutate("editReply", object{"messageId": next, "body": strings.Repeat("word ", 4000)})
	eventually(t, "the edit fails", func() string {
		m := ochre.conversation(c.ID).message(next)
		if m.PendingChange == nil {
			return "there is no pending change"
		}
		return differs("the code", m.PendingChange.ErrorCode, "MSG_TOO_LONG") + differs("the text", m.Body, "In short: no")
	})
	if got := ochre.conversation(c.ID).WaitingOn; got != "CUSTOMER" {
		t.Errorf("the conversation waits on %q", got)
	}
}

// TestTokenRevoked is a token that Slack stops to take in the midst of a reply: it waits, and goes out once after the workspace is connected again.
func TestTokenRevoked(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	link, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	question := iris.posts(channel, "Still there?")
	c := ochre.conversationOf("Still there?")
	w.quiet()
	inbox := ochre.opens("")
	inbox.caughtUp()

	w.slack.goesWrong(object{"method": "chat.postMessage", "kind": "error", "code": "token_revoked"})
	reply := ochre.reply(c.ID, "Still here")
	inbox.until("SlackInstallationChanged", func(e event) bool {
		return !e.Installation.Connected && e.Installation.DisconnectedReason == "token_revoked"
	})
	inbox.until("ChannelLinkChanged", func(e event) bool { return e.ChannelLink.ID == link && e.ChannelLink.State == "DISCONNECTED" })
	m := ochre.delivery(c.ID, reply, "QUEUED")
	if m.Delivery.ErrorCode == "" || m.Delivery.Attempts != 1 {
		t.Errorf("the delivery is %+v", *m.Delivery)
	}
	if _, refused := ochre.tryReply(c.ID, "And now?", ""); len(refused) != 1 || refused[0].Code != "INSTALLATION_DISCONNECTED" {
		t.Errorf("another reply: %+v", refused)
	}
	ochre.connect("ada")
	ochre.delivery(c.ID, reply, "SENT")
	if got := ochre.link(link).State; got != "WATCHING" {
		t.Errorf("after connecting again the link is %s", got)
	}
	if n := iris.sees(channel, question, "Still here"); n != 1 {
		t.Errorf("the reply is %d times in the thread", n)
	}
	iris.answers(channel, question, "Good")
	ochre.wantLines(c.ID, "INBOUND EndUser Iris Lindqvist: Still there?", "OUTBOUND Agent Ada Ferrer: Still here", "INBOUND EndUser Iris Lindqvist: Good")
}

// TestEventsComeAnyhow is Slack's own bad days: events twice, late, in any order, the first attempt lost.
func TestEventsComeAnyhow(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	_, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	want := []string{"INBOUND EndUser Iris Lindqvist: the beginning"}
	event := func(kind string) {
		w.slack.goesWrong(object{"event": true, "type": "message", "channel": channel, "kind": kind, "delayMs": 1500})
	}
	event("delay") // so that replies come before their root
	question := iris.posts(channel, "the beginning")
	for _, kind := range []string{"double", "reorder", "drop_first", "delay", "double", "reorder"} {
		event(kind)
		iris.answers(channel, question, kind)
		want = append(want, "INBOUND EndUser Iris Lindqvist: "+kind)
	}
	event("reorder") // the edit comes after the deletion of another message, the deletion before its message
	iris.edits(channel, question, "the very beginning")
	want[0] = "INBOUND EndUser Iris Lindqvist: the very beginning"
	event("delay")
	slip := iris.answers(channel, question, "a slip")
	iris.deletes(channel, slip)
	want = append(want, "INBOUND EndUser Iris Lindqvist: ")
	w.slack.delivered()
	c := ochre.conversationOf("the very beginning")
	ochre.wantLines(c.ID, want...)
	w.slack.faultsHit()
	w.everythingApplied(channel)
}
