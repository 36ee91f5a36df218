//go:build unix

package e2e_test

import (
	"testing"
	"time"

	"github.com/ochrehq/ochre/internal/fault"
	"github.com/ochrehq/ochre/slacksim"
)

// death is a way to die in the midst of the main job: at a point, with a customer's message or with an agent's reply in hand.
type death struct {
	name     string
	point    fault.Point
	onReply  bool
	switches slacksim.Switches
	// left is what a number of the database is at the moment of death: a proof that the node died where it was meant to.
	left string
	want int
	// inSlack tells whether Slack has the reply by then.
	inSlack bool
}

const (
	storedEvents   = `SELECT count(*) FROM slack_events`
	appliedEvents  = `SELECT count(*) FROM slack_events WHERE outcome IS NOT NULL`
	storedReplies  = `SELECT count(*) FROM message_parts WHERE delivery_state IS NOT NULL`
	repliesSending = `SELECT count(*) FROM message_parts WHERE delivery_state = 'SENDING'`
)

var deaths = []death{
	{name: "event before it is stored", point: fault.BeforeInsert, left: storedEvents, want: 0},
	{name: "event stored and not acknowledged", point: fault.AfterInsert, left: storedEvents, want: 1},
	{name: "event acknowledged and not applied", point: fault.AfterAck, left: appliedEvents, want: 0},
	{name: "event applied and not told", point: fault.BeforePublish, left: appliedEvents, want: 1},
	{name: "reply stored and not told", point: fault.BeforePublish, onReply: true, left: storedReplies, want: 1},
	{name: "reply claimed and not posted", point: fault.AfterClaim, onReply: true, left: repliesSending, want: 1},
	{name: "reply posted, the echo tells", point: fault.AfterPost, onReply: true, left: repliesSending, want: 1, inSlack: true},
	{name: "reply posted, only looking tells", point: fault.AfterPost, onReply: true, left: repliesSending, want: 1, inSlack: true,
		switches: slacksim.Switches{EventMetadata: "absent"}},
}

// TestKilled kills the node at every point at which a message may be in its hands, and looks at what becomes of it under the next one.
func TestKilled(t *testing.T) {
	t.Parallel()
	tried := map[fault.Point]bool{}
	for _, d := range deaths {
		tried[d.point] = true
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.try(t)
		})
	}
	for _, p := range fault.All {
		if !tried[p] {
			t.Errorf("nobody dies at %s", p)
		}
	}
}

func (d death) try(t *testing.T) {
	w, ochre := setUp(t, config{switches: d.switches, retries: []time.Duration{200 * time.Millisecond, 3 * time.Second, 20 * time.Second}})
	_, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	const title, answer = "Is anybody there?", "Yes, we are"
	before := ochre.latestCursor()
	var question string
	if d.onReply {
		question = iris.posts(channel, title)
		ochre.conversationOf(title)
	}
	w.quiet()
	w.node.stop()

	doomed := w.startNode("OCHRE_FAULT=" + string(d.point))
	if !d.onReply {
		question = iris.posts(channel, title)
		d.dies(w, doomed, channel, question)
		w.startNode()
	}
	c := ochre.conversationOf(title)
	var reply string
	if d.onReply {
		reply = ochre.replyAcross(c.ID, answer, func() { d.dies(w, doomed, channel, question); w.startNode() })
	} else {
		reply = ochre.reply(c.ID, answer)
	}
	sent := ochre.delivery(c.ID, reply, "SENT")
	wantAttempts := 1
	if d.point == fault.AfterClaim {
		wantAttempts = 2 // the first was claimed and died
	}
	if sent.Delivery.Attempts != wantAttempts {
		t.Errorf("it took %d attempts, want %d", sent.Delivery.Attempts, wantAttempts)
	}
	iris.answers(channel, question, "Good")
	ochre.wantLines(c.ID, "INBOUND EndUser Iris Lindqvist: "+title, "OUTBOUND Agent Ada Ferrer: "+answer, "INBOUND EndUser Iris Lindqvist: Good")
	if thread := iris.thread(channel, question); len(thread) != 3 || thread[1].Text != answer || thread[1].TS != sent.SlackTS {
		t.Errorf("the thread holds %+v", thread)
	}
	w.everythingApplied(channel)
	ochre.toldOnce(before, c.ID, 3)
}

// dies waits for the death and checks what it leaves behind.
func (d death) dies(w *world, doomed *node, channel, question string) {
	w.t.Helper()
	doomed.diesAt(d.point)
	if wrong := differs(d.left, w.sql(d.left), d.want); wrong != "" {
		w.t.Error(wrong)
	}
	if inSlack := len(w.slack.person("iris").thread(channel, question)) > 1; inSlack != d.inSlack {
		w.t.Errorf("at the moment of death the reply is in Slack: %t", inSlack)
	}
}

// replyAcross replies while the node dies. A client whose answer is lost asks again with the same key.
func (c client) replyAcross(conversation, body string, meanwhile func()) (message string) {
	c.t.Helper()
	input := object{"conversationId": conversation, "body": body, "idempotencyKey": "reply-across-a-death"}
	_, _, _ = c.try(postReply, object{"i": input}, nil)
	meanwhile()
	message, refused := c.tryReply(conversation, body, "reply-across-a-death")
	if len(refused) > 0 {
		c.t.Fatalf("asked again with the same key: %+v", refused)
	}
	return message
}

// toldOnce replays the log and checks that each message of a conversation was told as added, once.
func (c client) toldOnce(after, conversation string, messages int) {
	c.t.Helper()
	times := map[string]int{}
	for _, e := range c.opens(after).caughtUp() {
		if e.Typename == "TimelineEntryAdded" && e.Conversation.ID == conversation && e.Entry.Typename == "Message" {
			times[e.Entry.ID]++
		}
	}
	if len(times) != messages {
		c.t.Errorf("%d messages were told, want %d", len(times), messages)
	}
	for id, n := range times {
		if n != 1 {
			c.t.Errorf("message %s was told %d times", id, n)
		}
	}
}

// quiet waits until nothing is on its way anywhere, in Slack or here.
func (w *world) quiet() {
	w.t.Helper()
	w.slack.delivered()
	eventually(w.t, "nothing is left to do", func() string {
		return differs("the number of waiting items", w.sql(`SELECT count(*) FROM lane_items WHERE dead_at IS NULL`), 0)
	})
}
