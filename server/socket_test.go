package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/server"
)

// wsMessage is one message of graphql-transport-ws.
type wsMessage struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// dial opens a WebSocket on /graphql; status is the HTTP answer where there is none.
func (e *env) dial(headers ...string) (conn *websocket.Conn, status int) {
	e.t.Helper()
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	conn, res, err := websocket.Dial(e.t.Context(), e.url+"/graphql", &websocket.DialOptions{HTTPHeader: h, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		if res == nil {
			e.t.Fatal(err)
		}
		return nil, res.StatusCode
	}
	e.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, 101
}

func tell(t *testing.T, c *websocket.Conn, m wsMessage) {
	t.Helper()
	must(t, c.Write(t.Context(), websocket.MessageText, []byte(encode(t, m))))
}

func hear(t *testing.T, c *websocket.Conn) (wsMessage, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var m wsMessage
	_, data, err := c.Read(ctx)
	if err == nil {
		must(t, json.Unmarshal(data, &m))
	}
	return m, err
}

func bearer(token string) json.RawMessage {
	return json.RawMessage(`{"authorization":"Bearer ` + token + `"}`)
}

// feed makes inboxEvents send one event and then nothing until it ends.
func (e *env) feed() {
	e.fakes.subscriptions.inbox = func(ctx context.Context) (<-chan ochre.InboxEvent, error) {
		events := make(chan ochre.InboxEvent, 1)
		events <- &ochre.CaughtUp{EventHead: ochre.EventHead{Cursor: "abc", At: time.Now()}}
		context.AfterFunc(ctx, func() { close(events) })
		return events, nil
	}
}

func TestWebSocketSignsIn(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.feed()
	cookie := e.signIn()
	for name, c := range map[string]struct {
		headers []string
		init    json.RawMessage
		status  int                  // HTTP
		code    websocket.StatusCode // of the close; 0: acknowledged
	}{
		"token in the payload":    {nil, bearer(e.token), 101, 0},
		"token in the header":     {[]string{"Authorization", "Bearer " + e.token}, nil, 101, 0},
		"cookie":                  {[]string{"Cookie", cookie, "Origin", e.url}, nil, 101, 0},
		"payload before cookie":   {[]string{"Cookie", cookie, "Origin", e.url}, bearer("x"), 101, 4403},
		"nobody":                  {nil, nil, 101, 4403},
		"wrong token":             {nil, bearer("x"), 101, 4403},
		"not a bearer":            {nil, json.RawMessage(`{"authorization":"` + e.token + `"}`), 101, 4403},
		"not a string":            {nil, json.RawMessage(`{"authorization":7}`), 101, 4403},
		"wrong header":            {[]string{"Authorization", "Bearer x"}, nil, 401, 0},
		"another site's page":     {[]string{"Cookie", cookie, "Origin", "https://evil.example"}, nil, 403, 0},
		"an old cookie":           {[]string{"Cookie", "ochre_session=old", "Origin", e.url}, nil, 101, 4403},
		"an old cookie and token": {[]string{"Cookie", "ochre_session=old", "Origin", e.url}, bearer(e.token), 101, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn, status := e.dial(c.headers...)
			if status != c.status || conn == nil {
				if status != c.status {
					t.Errorf("HTTP %d, want %d", status, c.status)
				}
				return
			}
			tell(t, conn, wsMessage{Type: "connection_init", Payload: c.init})
			m, err := hear(t, conn)
			if websocket.CloseStatus(err) != c.code && (c.code != 0 || m.Type != "connection_ack") {
				t.Fatalf("got %v %v, want %d", m, err, c.code)
			}
			if c.code != 0 {
				return
			}
			tell(t, conn, wsMessage{Type: "subscribe", ID: "1", Payload: json.RawMessage(`{"query":"{viewer{id}}"}`)})
			if m, err := hear(t, conn); err != nil || !strings.Contains(string(m.Payload), e.admin.GlobalID()) {
				t.Errorf("who asks: %s %v", m.Payload, err)
			}
		})
	}
}

func TestRevokedAccessClosesSockets(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(e *env, cookie string) error{
		"token revoked": func(e *env, _ string) error {
			_, err := e.desk.RevokeToken(e.t.Context(), e.token)
			return err
		},
		"signed out": func(e *env, cookie string) error {
			e.page("POST", "/signout", nil, cookie, "same-origin")
			return nil
		},
		"role taken": func(e *env, _ string) error {
			exec(e.t, e, "UPDATE agents SET role = 'AGENT' WHERE id = $1", e.admin.ID.String())
			return nil
		},
		"deactivated": func(e *env, _ string) error {
			exec(e.t, e, "UPDATE agents SET active = false WHERE id = $1", e.admin.ID.String())
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := setup(t)
			e.feed()
			cookie := e.signIn()
			var conn *websocket.Conn
			if name == "signed out" {
				conn, _ = e.dial("Cookie", cookie, "Origin", e.url)
				tell(t, conn, wsMessage{Type: "connection_init"})
			} else {
				conn, _ = e.dial()
				tell(t, conn, wsMessage{Type: "connection_init", Payload: bearer(e.token)})
			}
			if m, err := hear(t, conn); err != nil || m.Type != "connection_ack" {
				t.Fatalf("got %v %v", m, err)
			}
			tell(t, conn, wsMessage{Type: "subscribe", ID: "1", Payload: json.RawMessage(`{"query":"subscription{inboxEvents{__typename}}"}`)})
			if m, err := hear(t, conn); err != nil || m.Type != "next" {
				t.Fatalf("got %v %v", m, err)
			}
			must(t, revoke(e, cookie))
			if m, err := hear(t, conn); websocket.CloseStatus(err) != 4403 {
				t.Errorf("got %v %v, want a close with 4403", m, err)
			}
		})
	}
}

// TestSocketsHaveTheLimitsOfHTTP runs what HTTP refuses over a WebSocket and an event stream.
func TestSocketsHaveTheLimitsOfHTTP(t *testing.T) {
	t.Parallel()
	e := setup(t, func(_ *server.Config, s *setting) { s.limits = server.Limits{Tokens: 50, Depth: 3} })
	conn, _ := e.dial()
	tell(t, conn, wsMessage{Type: "connection_init", Payload: bearer(e.token)})
	if m, err := hear(t, conn); err != nil || m.Type != "connection_ack" {
		t.Fatalf("got %v %v", m, err)
	}
	for document, code := range map[string]string{
		"{" + strings.Repeat("__typename ", 50) + "}":             "QUERY_TOO_LARGE",
		"{agents{edges{node{id}}}}":                               "QUERY_TOO_COMPLEX",
		"subscription{inboxEvents{...@defer{__typename}}}":        "GRAPHQL_VALIDATION_FAILED",
		"{conversation(by:{id:\"a\" number:1}){id}}":              "GRAPHQL_VALIDATION_FAILED",
		"subscription($a:EventCursor){inboxEvents(after:$a){x}}}": "GRAPHQL_PARSE_FAILED",
	} {
		payload := json.RawMessage(encode(t, map[string]any{"query": document}))
		tell(t, conn, wsMessage{Type: "subscribe", ID: code, Payload: payload})
		if m, err := hear(t, conn); err != nil || m.Type != "error" || !strings.Contains(string(m.Payload), `"code":"`+code+`"`) {
			t.Errorf("WebSocket: got %s %s %v, want %s", m.Type, m.Payload, err, code)
		}
		if a := e.send("POST", "/graphql", string(payload), "Accept", "text/event-stream"); !strings.Contains(a.body, `"code":"`+code+`"`) {
			t.Errorf("event stream: got %d %s, want %s", a.status, a.body, code)
		}
	}
}

func TestSubscriptionsAsEventStreams(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.feed()
	for name, accept := range map[string]string{
		"alone":              "text/event-stream",
		"beside JSON (urql)": responseJSON + ", application/json, text/event-stream, multipart/mixed",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "POST", e.url+"/graphql", strings.NewReader(`{"query":"subscription{inboxEvents{__typename}}"}`))
			must(t, err)
			r.Header = http.Header{"Authorization": {"Bearer " + e.token}, "Content-Type": {"application/json"}, "Accept": {accept}}
			res, err := client.Do(r)
			must(t, err)
			defer res.Body.Close()
			if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
				t.Fatalf("got %d %s", res.StatusCode, res.Header.Get("Content-Type"))
			}
			for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				if lines.Text() == `data: {"data":{"inboxEvents":{"__typename":"CaughtUp"}}}` {
					return
				}
			}
			t.Error("no event came")
		})
	}
}
