package slackbridge

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
)

const testToken = "xoxb-not-a-token-of-anybody"

// wire is a Slack that answers what a test says, and a client of it.
type wire struct {
	*Client
	server  *httptest.Server
	inst    *ochre.SlackInstallation
	refused atomic.Pointer[string]
}

func newWire(t *testing.T, h http.HandlerFunc) *wire {
	t.Helper()
	keys, err := secret.New(strings.Repeat("k", secret.MinLength))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{server: httptest.NewServer(h)}
	w.Client, err = NewClient(ClientOptions{
		APIURL: w.server.URL + "/api/", Keys: keys,
		Refused: func(_ context.Context, _ *ochre.SlackInstallation, code string) { w.refused.Store(&code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.inst = &ochre.SlackInstallation{
		SlackTeamID: "T1", BotUserID: "UBOT", BotID: "BBOT", Connected: true, TokenSealed: keys.Seal([]byte(testToken), desk.TokenContext("T1")),
	}
	t.Cleanup(func() {
		w.Close()
		w.server.CloseClientConnections()
		w.server.Close()
	})
	return w
}

func answering(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestPostMessageSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slack http.HandlerFunc
		kind  Kind
		code  string
	}{
		"stored":             {answering(`{"ok":true,"ts":"1700000000.000100","channel":"C1","message":{}}`), OK, ""},
		"refused":            {answering(`{"ok":false,"error":"is_archived"}`), Permanent, "is_archived"},
		"token revoked":      {answering(`{"ok":false,"error":"token_revoked"}`), Disconnected, "token_revoked"},
		"ok without ts":      {answering(`{"ok":true}`), Unclear, "bad_answer"},
		"neither yes nor no": {answering(`{"ok":false}`), Unclear, "bad_answer"},
		"html":               {answering(`<html>oops</html>`), Unclear, "bad_answer"},
		"half an answer": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"ok":true,"ts":"17`)
		}, Unclear, "no_answer"},
		"connection cut": {cut, Unclear, "no_answer"},
		"500":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, Unclear, "http_500"},
		"429": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(429)
		}, RateLimited, "ratelimited"},
		"redirected": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, NotSent, "http_302"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			w := newWire(t, func(rw http.ResponseWriter, r *http.Request) { calls.Add(1); c.slack(rw, r) })
			ts, err := w.PostMessage(t.Context(), w.inst, Post{Channel: "C1", Text: "hello", MessageID: "msg_1"})
			if o := OutcomeOf(err); o.Kind != c.kind || o.Code != c.code {
				t.Errorf("got %s %q (%v), want %s %q", o.Kind, o.Code, err, c.kind, c.code)
			}
			if (ts != "") != (c.kind == OK) {
				t.Errorf("ts %q", ts)
			}
			if calls.Load() != 1 {
				t.Errorf("Slack was called %d times: a post must never be repeated by itself", calls.Load())
			}
			if told := w.refused.Load(); (told != nil) != (c.kind == Disconnected) {
				t.Errorf("told of a dead token: %v", told)
			}
			if err != nil && strings.Contains(err.Error(), testToken) {
				t.Errorf("the token stands in the error: %v", err)
			}
		})
	}
}

func TestPostMessageWithoutSlack(t *testing.T) {
	t.Parallel()
	w := newWire(t, answering(`{}`))
	w.server.Close()
	if _, err := w.PostMessage(t.Context(), w.inst, Post{Channel: "C1", Text: "hello"}); OutcomeOf(err).Kind != NotSent {
		t.Errorf("connection refused: %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.PostMessage(done, w.inst, Post{Channel: "C1", Text: "hello"}); OutcomeOf(err).Kind != NotSent {
		t.Errorf("cancelled before the call: %v", err)
	}
}

func TestPostMessageOutOfTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	w := newWire(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Slack has it now
		cancel()
		<-release
	})
	defer close(release)
	if _, err := w.PostMessage(ctx, w.inst, Post{Channel: "C1", Text: "hello"}); OutcomeOf(err).Kind != Unclear {
		t.Errorf("given up after writing: %v", err)
	}
}

func TestPostMessageNeverSpeaksTLSToNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "this is not TLS\n")
			_ = conn.Close()
		}
	}()
	w := newWire(t, answering(`{}`))
	c, err := NewClient(ClientOptions{APIURL: "https://" + l.Addr().String() + "/api/", Keys: w.keys})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.PostMessage(t.Context(), w.inst, Post{Channel: "C1", Text: "hello"}); OutcomeOf(err).Kind != NotSent {
		t.Errorf("a failed handshake sent nothing: %v", err)
	}
	<-done
	_ = l.Close()
}

func TestPostMessageArguments(t *testing.T) {
	t.Parallel()
	var got map[string][]string
	var path string
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got, path = r.PostForm, r.URL.Path
		_, _ = io.WriteString(rw, `{"ok":true,"ts":"1700000000.000100","channel":"C1"}`)
	})
	blocks := json.RawMessage(`[{"type":"rich_text","elements":[{"type":"tomorrow","unknown":true}]},{"type":"section"}]`)
	_, err := w.PostMessage(t.Context(), w.inst, Post{
		Channel: "C1", ThreadTS: "1699999999.000100", Text: "a &lt; b", Blocks: blocks, Username: "Ada Ferrer", IconURL: "https://example.com/a.png", MessageID: "msg_1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if path != "/api/chat.postMessage" {
		t.Errorf("called %s", path)
	}
	for key, want := range map[string]string{
		"token": testToken, "channel": "C1", "thread_ts": "1699999999.000100", "text": "a &lt; b", "username": "Ada Ferrer", "icon_url": "https://example.com/a.png",
		"unfurl_links": "false", "unfurl_media": "false", "blocks": string(blocks),
		"metadata": `{"event_type":"ochre_message","event_payload":{"message_id":"msg_1"}}`,
	} {
		if g := strings.Join(got[key], "|"); g != want {
			t.Errorf("%s = %q, want %q", key, g, want)
		}
	}
	for _, never := range []string{"link_names", "parse", "reply_broadcast", "as_user"} {
		if _, has := got[never]; has {
			t.Errorf("%s was sent", never)
		}
	}
}

func TestTokenThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := newWire(t, answering(`{"ok":true}`))
	gone := *w.inst
	gone.Connected = false
	if err := w.DeleteMessage(t.Context(), &gone, "C1", "1.000100"); OutcomeOf(err).Kind != Disconnected {
		t.Errorf("a workspace that is not connected: %v", err)
	}
	foreign := *w.inst
	foreign.SlackTeamID = "T2" // the token was sealed for T1
	if err := w.DeleteMessage(t.Context(), &foreign, "C1", "1.000100"); OutcomeOf(err).Kind != NotSent {
		t.Errorf("a token of another workspace: %v", err)
	}
	if w.refused.Load() != nil {
		t.Error("an unreadable token is not a dead one")
	}
}
