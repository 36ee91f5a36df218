//go:build unix

package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/internal/testenv"
)

// TestStory is the main job as a newcomer meets it, from an empty database to the answer in the customer's thread.
func TestStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, config{database: testenv.EmptyDatabase(t)})
	w.ochre("migrate")
	w.ochre("migrate") // again does no harm
	w.startNode()

	ochre := w.company("Ochre Labs", "ada@ochre-labs.example")
	ochre.connect("ada")
	_, channel := ochre.watch("globex-ochre", "Globex")
	inbox := ochre.opens("")
	inbox.caughtUp()

	iris := w.slack.person("iris")
	question := iris.posts(channel, "The export is *broken* since this morning")
	c := inbox.seesConversation("The export is broken since this morning")
	if c.Organization == nil || c.Organization.Name != "Globex" || c.EndUser == nil || c.EndUser.Name != "Iris Lindqvist" {
		t.Errorf("the new conversation is of %+v and %+v", c.Organization, c.EndUser)
	}
	inbox.seesMessage("The export is **broken** since this morning")

	message := ochre.reply(c.ID, "We are **on it**:\n\n- a fix is coming\n- see [status](https://status.example.com/)\n\n@channel and <!here> are just text")
	inbox.seesDelivery(message, "SENT")
	thread := iris.thread(channel, question)
	if len(thread) != 2 {
		t.Fatalf("the thread holds %+v", thread)
	}
	answer := thread[1]
	if answer.Username != "Ada Ferrer" || answer.Icons["image_48"] == "" || len(answer.Blocks) != 1 || answer.Blocks[0].Type != "rich_text" {
		t.Errorf("the answer shows %+v", answer)
	}
	if raw := w.slack.stored(channel); strings.Contains(raw, `<!channel>`) || strings.Contains(raw, `"broadcast"`) {
		t.Errorf("the answer pings somebody: %s", raw)
	}

	aNoteStaysInside(t, w, ochre, c.ID, channel)
	theAnswerIsChanged(t, w, ochre, c.ID, message, channel, question)
	theCustomerGoesOn(t, w, ochre, inbox, c.ID, channel, question)
	w.everythingApplied(channel)
}

// aNoteStaysInside adds a note and looks for it in all that Slack has.
func aNoteStaysInside(t *testing.T, w *world, ochre *company, conversation, channel string) {
	t.Helper()
	const secret = "they pay late, be careful"
	ochre.mutate("addNote", object{"conversationId": conversation, "body": secret})
	after := ochre.reply(conversation, "after the note")
	ochre.delivery(conversation, after, "SENT") // what the note had left behind would have gone out before
	w.slack.delivered()
	if raw := w.slack.stored(channel); strings.Contains(raw, secret) || !strings.Contains(raw, "after the note") {
		t.Errorf("Slack holds: %s", raw)
	}
	found := false
	for _, e := range ochre.conversation(conversation).Timeline.Nodes {
		found = found || e.Typename == "Note" && e.Body == secret
	}
	if !found {
		t.Error("the note is not in the timeline")
	}
}

func theAnswerIsChanged(t *testing.T, w *world, ochre *company, conversation, message, channel, question string) {
	t.Helper()
	iris := w.slack.person("iris")
	ochre.mutate("editReply", object{"messageId": message, "body": "It is *fixed* now"})
	eventually(t, "the edit", func() string {
		m := ochre.conversation(conversation).message(message)
		if m.PendingChange != nil || m.EditedAt == nil {
			return "it is pending"
		}
		return differs("the body", m.Body, "It is *fixed* now")
	})
	if n := iris.sees(channel, question, "It is fixed now"); n != 1 {
		t.Errorf("the edited answer is %d times in the thread: %+v", n, iris.thread(channel, question))
	}
	ochre.mutate("deleteReply", object{"messageId": message})
	eventually(t, "the deletion", func() string {
		m := ochre.conversation(conversation).message(message)
		if m.PendingChange != nil || m.DeletedAt == nil || m.Body != "" {
			return "it is not there yet"
		}
		return ""
	})
	if thread := iris.thread(channel, question); len(thread) != 2 || thread[1].Text != "after the note" {
		t.Errorf("after the deletion the thread holds %+v", thread)
	}
}

// theCustomerGoesOn edits, reacts, shares a file, writes and deletes.
func theCustomerGoesOn(t *testing.T, w *world, ochre *company, inbox *screen, conversation, channel, question string) {
	t.Helper()
	iris := w.slack.person("iris")
	iris.edits(channel, question, "The export is broken since yesterday")
	iris.reacts(channel, question, "eyes")
	eventually(t, "the edit and the reaction", func() string {
		c := ochre.conversation(conversation)
		m := c.messages()[0]
		if len(m.Reactions) != 1 || m.Reactions[0].Emoji != "eyes" || m.Reactions[0].Count != 1 {
			return "no reaction"
		}
		return differs("the body", m.Body, "The export is broken since yesterday") + differs("the title", c.Title, "The export is broken since yesterday")
	})

	passing := iris.answers(channel, question, "oh, never mind")
	inbox.seesMessage("oh, never mind")
	iris.deletes(channel, passing)
	eventually(t, "the deletion", func() string {
		for _, m := range ochre.conversation(conversation).messages() {
			if m.SlackTS == passing && m.DeletedAt != nil && m.Body == "" {
				return ""
			}
		}
		return "it is there still"
	})
	aFileIsShared(t, w, ochre, inbox, conversation, channel, question)
}

// aFileIsShared goes the way of a file in a Slack Connect channel: a stub first, then its name, then its bytes, for the tenant's agents only.
func aFileIsShared(t *testing.T, w *world, ochre *company, inbox *screen, conversation, channel, question string) {
	t.Helper()
	const content = "id,name\n1,widget\n"
	w.slack.goesWrong(object{"method": "files.info", "kind": "500"}) // so that the stub is seen before it is filled
	w.slack.person("iris").shares(channel, question, "export.csv", content, "here is the file")
	if as := inbox.seesMessage("here is the file").Attachments; len(as) != 1 || as[0].State != "PENDING" {
		t.Errorf("the file comes as %+v, want it PENDING", as)
	}
	var file attachment
	eventually(t, "the file", func() string {
		for _, m := range ochre.conversation(conversation).messages() {
			if m.Body == "here is the file" && len(m.Attachments) == 1 {
				file = m.Attachments[0]
			}
		}
		return differs("its state", file.State, "AVAILABLE")
	})
	if file.Name != "export.csv" || file.MimeType != "text/csv" || !strings.HasPrefix(file.URL, w.url+"/files/") {
		t.Errorf("the file is %+v", file)
	}
	stranger := w.company("Others", "eve@others.example")
	for _, who := range []struct {
		name   string
		client client
		status int
	}{
		{"nobody", client{t: t, url: w.url}, http.StatusUnauthorized},
		{"another company", stranger.client, http.StatusNotFound},
		{"the agent", ochre.client, http.StatusOK},
	} {
		status, got, err := who.client.http(http.MethodGet, file.URL, nil)
		if err != nil || status != who.status || (string(got) == content) != (status == http.StatusOK) {
			t.Errorf("%s gets status %d, %v, %q", who.name, status, err, got)
		}
	}
}
