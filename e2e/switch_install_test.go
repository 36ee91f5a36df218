//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/slacksim"
)

// TestSwitchesOfInstalling goes through what is not known about installing and uninstalling the app.
func TestSwitchesOfInstalling(t *testing.T) {
	t.Parallel()
	s := newStage(t, "globex-ochre", "Globex")
	iris := s.slack.person("iris")
	disconnected := func(t *testing.T, reasons ...string) {
		t.Helper()
		eventually(t, "the workspace is disconnected", func() string {
			i := s.ochre.installations()[0]
			if i.Connected || !slices.Contains(reasons, i.DisconnectedReason) {
				return fmt.Sprintf("it is %+v", i)
			}
			return ""
		})
	}
	// Both events are through before anybody connects again: Slack's times have whole seconds, and nobody uninstalls and installs within one.
	uninstall := func(t *testing.T) {
		t.Helper()
		s.slack.control("uninstall", object{})
		disconnected(t, "app_uninstalled", "tokens_revoked", "account_inactive") // by an event, or by a call that was faster
		s.slack.delivered()
		eventually(t, "the events are applied", func() string {
			return differs("the number that waits", s.sql(`SELECT count(*) FROM lane_items WHERE kind = 'WORKSPACE_EVENT'`), 0)
		})
	}
	connect := func(t *testing.T) {
		t.Helper()
		s.ochre.connect("ada")
		s.slack.control("invite", object{"channel": s.channel})
	}
	for _, first := range []string{"app_uninstalled", "tokens_revoked"} {
		s.plays("uninstallOrder="+first, func(t *testing.T) {
			s.under("uninstallOrder", first)
			uninstall(t)
			connect(t)
			s.mainStory(t, iris)
		})
	}
	for _, answer := range []string{"redirect", "page"} {
		s.plays("fileSignIn="+answer, func(t *testing.T) {
			s.under("fileSignIn", answer)
			question := iris.posts(s.channel, s.text("a file"))
			c := s.ochre.conversationOf(s.text("a file"))
			iris.shares(s.channel, question, "notes.txt", "the notes", "")
			var file attachment
			eventually(t, "the file", func() string {
				if ms := s.ochre.conversation(c.ID).messages(); len(ms) == 2 && len(ms[1].Attachments) == 1 {
					file = ms[1].Attachments[0]
				}
				return differs("its state", file.State, "AVAILABLE")
			})
			if status, got, err := s.ochre.http(http.MethodGet, file.URL, nil); err != nil || status != http.StatusOK || string(got) != "the notes" {
				t.Errorf("the file: status %d, %v, %q", status, err, got)
			}
			uninstall(t)
			if status, got, err := s.ochre.http(http.MethodGet, file.URL, nil); err != nil || status/100 == 2 || strings.Contains(string(got), "Sign in to your workspace") {
				t.Errorf("the file by a dead token: status %d, %v, %q", status, err, got)
			}
			connect(t)
		})
	}
	s.plays("approvalRequired=true", func(t *testing.T) {
		s.under("approvalRequired", true)
		page := s.ochre.authorizePage(s.ochre.browser)
		if at, _, _ := s.ochre.browser.open(page.address, page.answer("ada", "allow")); !strings.HasPrefix(at.String(), s.slack.url) {
			t.Errorf("the walk ended at %s", at)
		}
		s.under("", nil)
		s.ochre.connect("ada")
		s.mainStory(t, iris)
	})
}

// TestSwitchDeadTokenError is an app that was removed without a word: only a call tells, by any of three codes.
func TestSwitchDeadTokenError(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"account_inactive", "token_revoked", "invalid_auth"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w, ochre := setUp(t, config{switches: slacksim.Switches{DeadTokenError: code}})
			_, channel := ochre.watch("globex-ochre", "Globex")
			iris := w.slack.person("iris")
			question := iris.posts(channel, "Still there?")
			c := ochre.conversationOf("Still there?")
			w.quiet()
			for _, kind := range []string{"app_uninstalled", "tokens_revoked"} {
				w.slack.goesWrong(object{"event": true, "type": kind, "kind": "drop"})
			}
			w.slack.control("uninstall", object{})
			reply := ochre.reply(c.ID, "yes")
			eventually(t, "the workspace is disconnected", func() string {
				i := ochre.installations()[0]
				return differs("connected", i.Connected, false) + differs("the reason", i.DisconnectedReason, code)
			})
			ochre.connect("ada")
			w.slack.control("invite", object{"channel": channel})
			ochre.delivery(c.ID, reply, "SENT")
			if n := iris.sees(channel, question, "yes"); n != 1 {
				t.Errorf("the reply is %d times in the thread", n)
			}
			w.slack.faultsHit()
		})
	}
}

// TestSwitchDeclinedScopes is an admin who leaves a permission out.
func TestSwitchDeclinedScopes(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{switches: slacksim.Switches{DeclinedScopes: []string{"users:read.email"}}})
	_, channel := ochre.watch("globex-ochre", "Globex")
	if got := ochre.installations()[0].MissingScopes; !slices.Equal(got, []string{"users:read.email"}) {
		t.Errorf("missing scopes: %q", got)
	}
	iris := w.slack.person("iris")
	iris.posts(channel, "Who am I?")
	c := ochre.conversationOf("Who am I?")
	ochre.delivery(c.ID, ochre.reply(c.ID, "Iris"), "SENT")
	c = ochre.wantLines(c.ID, "INBOUND EndUser Iris Lindqvist: Who am I?", "OUTBOUND Agent ada: Iris")
	w.quiet()
	if email := ochre.conversation(c.ID).messages()[0].Author.Email; email != "" {
		t.Errorf("without the permission the email is %q", email)
	}
}
