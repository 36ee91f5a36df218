//go:build unix

package e2e_test

import (
	"fmt"
	"testing"
)

// TestUninstalledAndBack removes the app in Slack while replies wait, which takes its bot out of every channel, and connects again: the replies go out
// once, in their order, and customers are heard again, without anybody inviting the bot.
func TestUninstalledAndBack(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	_, channel := ochre.watch("globex-ochre", "Globex")
	_, support := ochre.watch("support", "")
	iris := w.slack.person("iris")
	question := iris.posts(channel, "Still there?")
	c := ochre.conversationOf("Still there?")
	w.quiet()

	var replies []string
	want := []string{"INBOUND EndUser Iris Lindqvist: Still there?"}
	for i := range 3 { // one a second goes out: the rest waits
		replies = append(replies, ochre.reply(c.ID, fmt.Sprintf("Reply %d", i)))
		want = append(want, fmt.Sprintf("OUTBOUND Agent Ada Ferrer: Reply %d", i))
	}
	w.slack.control("uninstall", object{})
	eventually(t, "the workspace is disconnected", func() string {
		return differs("connected", ochre.installations()[0].Connected, false)
	})
	w.slack.delivered()
	eventually(t, "the events are applied", func() string {
		return differs("the number that waits", w.sql(`SELECT count(*) FROM lane_items WHERE kind = 'WORKSPACE_EVENT'`), 0)
	})
	if m := ochre.delivery(c.ID, replies[2], "QUEUED"); m.Delivery.Attempts != 0 {
		t.Errorf("the last reply is %+v", *m.Delivery)
	}

	ochre.connect("ada")
	for _, id := range replies {
		ochre.delivery(c.ID, id, "SENT")
	}
	for i := range replies {
		if n := iris.sees(channel, question, fmt.Sprintf("Reply %d", i)); n != 1 {
			t.Errorf("reply %d is %d times in the thread", i, n)
		}
	}
	ochre.wantLines(c.ID, want...)
	w.quiet()
	iris.posts(channel, "And something else")
	ochre.conversationOf("And something else")
	w.slack.person("ben").posts(support, "From our own channel")
	ochre.conversationOf("From our own channel")
}
