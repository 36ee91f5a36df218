package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ochrehq/ochre"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{Origins: []string{"https://inbox.example.com"}})
	host := strings.TrimPrefix(f.http.URL, "http://")
	for _, tc := range []struct {
		name, origin, protocols string
		plain                   bool
		want                    int
	}{
		{name: "no origin", protocols: subprotocol, want: 101},
		{name: "own origin", origin: "http://" + host, protocols: subprotocol, want: 101},
		{name: "allowed origin", origin: "https://Inbox.example.com", protocols: subprotocol, want: 101},
		{name: "among others", protocols: "graphql-ws, " + subprotocol, want: 101},
		{name: "foreign origin", origin: "https://evil.example", protocols: subprotocol, want: 403},
		{name: "allowed origin by another scheme", origin: "http://inbox.example.com", protocols: subprotocol, want: 403},
		{name: "prefix of an allowed origin", origin: "https://inbox.example.com.evil.example", protocols: subprotocol, want: 403},
		{name: "sandboxed page", origin: "null", protocols: subprotocol, want: 403},
		{name: "no subprotocol", want: 400},
		{name: "the older protocol", protocols: "graphql-ws", want: 400},
		{name: "no upgrade", protocols: subprotocol, plain: true, want: 426},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			req, _ := http.NewRequest("GET", f.http.URL+"/ws", nil)
			if !tc.plain {
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "websocket")
			}
			req.Header.Set("Sec-WebSocket-Version", "13")
			req.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
			if tc.origin != "" {
				req.Header.Set("Origin", tc.origin)
			}
			if tc.protocols != "" {
				req.Header.Set("Sec-WebSocket-Protocol", tc.protocols)
			}
			resp, err := new(http.Transport).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("got %s", resp.Status)
			}
			if got := resp.Header.Get("Sec-WebSocket-Protocol"); tc.want == 101 && got != subprotocol {
				t.Errorf("subprotocol %q", got)
			}
		})
	}
}

// TestClose has a row for each way a client earns a close code.
func TestClose(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		send []string // after connection_ack, unless the first is ""
		code int
		text string
	}{
		{"init twice", []string{initGood}, 4429, "Too many initialisation requests"},
		{"init twice at once", []string{"", initGood, initGood}, 4429, "Too many initialisation requests"},
		{"subscribe before init", []string{"", subscribe("1", "count 1")}, 4401, "Unauthorized"},
		{"subscribe before ack", []string{"", `{"type":"connection_init","payload":{"authorization":"Bearer hang"}}`, subscribe("1", "count 1")}, 4401, "Unauthorized"},
		{"bad token", []string{"", `{"type":"connection_init","payload":{"authorization":"Bearer bad"}}`}, 4403, "Forbidden"},
		{"no token", []string{"", `{"type":"connection_init"}`}, 4403, "Forbidden"},
		{"null payload", []string{"", `{"type":"connection_init","payload":null}`}, 4403, "Forbidden"},
		{"nobody can tell", []string{"", `{"type":"connection_init","payload":{"authorization":"Bearer later"}}`}, 1013, "Try again later"},
		{"panic while connecting", []string{"", `{"type":"connection_init","payload":{"authorization":"Bearer panic"}}`}, 1011, "Internal error"},
		{"duplicate id", []string{subscribe("1", "hang"), subscribe("1", "hang")}, 4409, "Subscriber for 1 already exists"},
		{"duplicate long id", []string{subscribe(long[:200], "hang"), subscribe(long[:200], "hang")}, 4409, truncate("Subscriber for "+long, maxReason)},
		{"message too big", []string{`{"type":"ping","payload":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`}, 1009, "Message too big"},
		{"message far too big", []string{strings.Repeat("x", 4<<20)}, 1009, "Message too big"},
		{"not UTF-8", []string{"{\"type\":\"ping\xff\"}"}, 1007, "Message is not UTF-8"},
		{"a source is lost", []string{subscribe("1", "interrupted")}, 1013, "Try again later"},
		{"too slow for its stream", []string{subscribe("1", "lags")}, 1013, "Slow consumer"},
		{"empty", []string{" "}, 4400, "Message is not a JSON object"},
		{"bad JSON", []string{`{"type":"ping"`}, 4400, "Message is not a JSON object"},
		{"two values", []string{`{"type":"ping"}{"type":"ping"}`}, 4400, "Message is not a JSON object"},
		{"null", []string{`null`}, 4400, "Message is not a JSON object"},
		{"a list", []string{`[]`}, 4400, "Message is not a JSON object"},
		{"no type", []string{`{"id":"1"}`}, 4400, "Message has no type"},
		{"type in capitals", []string{`{"TYPE":"ping"}`}, 4400, "Message has no type"},
		{"type is a number", []string{`{"type":1}`}, 4400, "Message has no type"},
		{"unknown type", []string{`{"type":"start"}`}, 4400, "Unknown message type"},
		{"a server's type", []string{`{"type":"connection_ack"}`}, 4400, "Unknown message type"},
		{"bad JSON before init", []string{"", `nonsense`}, 4400, "Message is not a JSON object"},
		{"init payload is a string", []string{"", `{"type":"connection_init","payload":"x"}`}, 4400, "Payload is not an object"},
		{"ping payload is a list", []string{`{"type":"ping","payload":[]}`}, 4400, "Payload is not an object"},
		{"no id", []string{`{"type":"subscribe","payload":{"query":"hang"}}`}, 4400, "Message has no id"},
		{"empty id", []string{subscribe("", "hang")}, 4400, "Message has no id"},
		{"id is a number", []string{`{"id":1,"type":"subscribe","payload":{"query":"hang"}}`}, 4400, "Message has no id"},
		{"endless id", []string{subscribe(long, "hang")}, 4400, "Id is too long"},
		{"complete without id", []string{`{"type":"complete"}`}, 4400, "Message has no id"},
		{"no payload", []string{`{"id":"1","type":"subscribe"}`}, 4400, "Message has no payload"},
		{"null payload of subscribe", []string{`{"id":"1","type":"subscribe","payload":null}`}, 4400, "Message has no payload"},
		{"payload is a string", []string{`{"id":"1","type":"subscribe","payload":"x"}`}, 4400, "The request is not a JSON object"},
		{"no query", []string{`{"id":"1","type":"subscribe","payload":{}}`}, 4400, "query is not a string"},
		{"query is a number", []string{`{"id":"1","type":"subscribe","payload":{"query":1}}`}, 4400, "query is not a string"},
		{"variables is a list", []string{`{"id":"1","type":"subscribe","payload":{"query":"hang","variables":[]}}`}, 4400, "variables is not an object"},
		{"extensions is a string", []string{`{"id":"1","type":"subscribe","payload":{"query":"hang","extensions":""}}`}, 4400, "extensions is not an object"},
		{"operationName is a number", []string{`{"id":"1","type":"subscribe","payload":{"query":"hang","operationName":1}}`}, 4400, "operationName is not a string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// The peer's answer ends the connection, not the end of the grace.
			f := serve(t, Options{CloseGrace: time.Minute})
			c := f.dial(t, nil)
			if tc.send[0] == "" {
				tc.send = tc.send[1:]
			} else {
				c.send(initGood)
				c.expect(ack)
			}
			for _, m := range tc.send {
				if err := c.ws.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil && len(m) < 1<<20 {
					t.Fatal(err) // a message that is too big may be cut off
				}
			}
			for {
				m, err := c.read()
				if err == nil && m == ack { // of "init twice at once"
					continue
				}
				if got := closeError(err); err == nil || got != fmt.Sprintf("%d %s", tc.code, tc.text) {
					t.Fatalf("got %.100s %v, want close %d %q", m, err, tc.code, tc.text)
				}
				break
			}
			if got := await(t, f.closed, "the end"); got != tc.code {
				t.Errorf("counted as %d", got)
			}
		})
	}
}

func closeError(err error) string {
	var ce websocket.CloseError
	if !errors.As(err, &ce) {
		return ""
	}
	return fmt.Sprintf("%d %s", ce.Code, ce.Reason)
}

func TestBinaryMessage(t *testing.T) {
	t.Parallel()
	c := serve(t, Options{}).connect(t)
	c.write(websocket.MessageBinary, `{"type":"ping"}`)
	c.expectClose(codeBadMessage, "Message is not text")
}

// TestMessageOfTheLimit: 1 MiB is still taken.
func TestMessageOfTheLimit(t *testing.T) {
	t.Parallel()
	c := serve(t, Options{}).connect(t)
	m := `{"type":"pong","payload":{"a":""}}`
	c.send(m[:31] + strings.Repeat("x", 1<<20-len(m)) + m[31:])
	c.send(subscribe("1", "count 0"))
	c.expect(complete("1"))
}

func TestInitTimeout(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{InitTimeout: 50 * time.Millisecond})
	c := f.dial(t, nil)
	c.send(`{"type":"ping"}`)
	c.expect(`{"type":"pong"}`)
	c.expectClose(codeInitTimeout, "Connection initialisation timeout")

	hangs := f.dial(t, nil)
	hangs.send(`{"type":"connection_init","payload":{"authorization":"Bearer hang"}}`)
	hangs.expectClose(codeTryLater, "Try again later")
}

// TestOutlivesTheServersTimeouts: the HTTP server's read and write time-outs (100 ms here) are not for sockets.
func TestOutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{PingInterval: time.Second}) // within which a busy machine has to answer
	pings := make(chan struct{}, 100)
	ws, _, err := websocket.Dial(t.Context(), f.http.URL+"/ws", &websocket.DialOptions{
		Subprotocols:   []string{subprotocol},
		OnPingReceived: func(context.Context, []byte) bool { pings <- struct{}{}; return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	c := &client{t, ws}
	c.send(initGood)
	c.expect(ack)
	c.send(subscribe("1", "gate"))
	go func() {
		<-pings
		f.exec.gate <- `{"data":1}`
	}()
	c.expect(next("1", `{"data":1}`))
}

func TestOperations(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, query string
		want        []string
	}{
		{"one result", "count 1", []string{next("a", `{"data":{"i":0}}`), complete("a")}},
		{"a mutation", "mutation", []string{next("a", `{"data":{"done":true}}`), complete("a")}},
		{"several results", "count 3", []string{next("a", `{"data":{"i":0}}`), next("a", `{"data":{"i":1}}`), next("a", `{"data":{"i":2}}`), complete("a")}},
		{"no result", "count 0", []string{complete("a")}},
		{"refused", "refused", []string{errorMessage("a", "no such field", "GRAPHQL_VALIDATION_FAILED")}},
		{"fails at its start", "fails", []string{errorMessage("a", "not a cursor", "INVALID_CURSOR")}},
		{"an error to be shown", "unavailable", []string{errorMessage("a", "try later", "UNAVAILABLE")}},
		{"an error to be hidden", "breaks", []string{errorMessage("a", "internal error", "INTERNAL")}},
		{"panic in Start", "panics", []string{errorMessage("a", "internal error", "INTERNAL")}},
		{"panic in Next", "panicsLater", []string{errorMessage("a", "internal error", "INTERNAL")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, Options{}).connect(t)
			// Twice: the id is free again, and nothing (no complete after an error) comes in between.
			for range 2 {
				c.send(subscribe("a", tc.query))
				c.expect(tc.want...)
			}
			c.send(`{"type":"ping"}`)
			c.expect(`{"type":"pong"}`)
		})
	}
}

func TestRequestReachesTheExecutor(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{})
	c := f.dial(t, http.Header{"Cookie": {"session=good"}})
	c.send(`{"type":"connection_init"}`)
	c.expect(ack)
	c.send(`{"payload":{"query":"whoami","variables":{"n":12345678901234567890},"operationName":"Who","extensions":null},"type":"subscribe","id":"<\"\u00e9"}`)
	c.expect(`{"id":"\u003c\"é","type":"next","payload":{"data":{"who":"cookie","variables":{"n":12345678901234567890},"name":"Who"}}}`,
		`{"id":"\u003c\"é","type":"complete"}`)
}

func TestPingAndPong(t *testing.T) {
	t.Parallel()
	c := serve(t, Options{}).dial(t, nil)
	c.send(`{"type":"ping"}`, `{"type":"pong"}`, `{"type":"ping","payload":{"a":[1]}}`, `{"type":"complete","id":"unknown"}`, initGood)
	c.expect(`{"type":"pong"}`, `{"type":"pong","payload":{"a":[1]}}`, ack)
}

// TestComplete: the client's complete cancels, is not answered, and frees the id for another operation.
func TestComplete(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{})
	c := f.connect(t)
	for range 3 {
		c.send(subscribe("1", "gate"))
		await(t, f.exec.started, "start")
		f.exec.gate <- `{"data":1}`
		c.expect(next("1", `{"data":1}`))
		c.send(complete("1"))
		await(t, f.exec.stopped, "stop")
	}
	c.send(subscribe("1", "count 0"))
	c.expect(complete("1"))
}

func TestTooManySubscriptions(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{})
	c := f.connect(t)
	for i := range 500 {
		c.send(subscribe(fmt.Sprint(i), "hang"))
	}
	for range 500 {
		await(t, f.exec.started, "start")
	}
	c.send(subscribe("500", "hang"))
	c.expect(errorMessage("500", "A socket may run 500 operations at a time.", "TOO_MANY_SUBSCRIPTIONS"))
	// The socket stays, and a place becomes free.
	c.send(complete("7"))
	c.send(subscribe("500", "count 0"))
	c.expect(complete("500"))
}

// TestCompletedOperationsCount: operations that go on after `complete` are limited as well.
func TestCompletedOperationsCount(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxSubscriptions: 2})
	c := f.connect(t)
	for range 4 {
		c.send(subscribe("1", "deaf"))
		await(t, f.exec.deaf, "Next")
		c.send(complete("1"))
	}
	c.send(subscribe("1", "deaf"))
	c.expect(errorMessage("1", "A socket may run 2 operations at a time.", "TOO_MANY_SUBSCRIPTIONS"))
	for range 4 {
		f.exec.gate <- `{}`
		await(t, f.exec.stopped, "stop")
	}
	c.send(subscribe("1", "count 0"))
	c.expect(complete("1"))
}

// TestCheck: a Check that can't tell changes nothing, one that refuses closes.
func TestCheck(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{CheckInterval: 20 * time.Millisecond})
	f.auth.set(ochre.Errorf(ochre.CodeUnavailable, "no database"))
	c := f.connect(t)
	c.send(subscribe("1", "hang"))
	for range 3 {
		await(t, f.auth.checked, "a check")
	}
	c.send(`{"type":"ping"}`)
	c.expect(`{"type":"pong"}`)
	f.auth.set(ochre.Errorf(ochre.CodeUnauthenticated, "revoked"))
	c.expectClose(codeForbidden, "Forbidden")
	await(t, f.exec.stopped, "stop")
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	r := &revoker{}
	f := serve(t, Options{Revoked: r.watch})
	c := f.connect(t)
	r.revokeAll()
	c.expectClose(codeForbidden, "Forbidden")
	await(t, f.closed, "the end")
	if n := r.watched(); n != 0 {
		t.Errorf("%d connections are still watched", n)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{})
	var clients []*client
	for range 5 {
		c := f.connect(t)
		c.send(subscribe("1", "hang"))
		await(t, f.exec.started, "start")
		clients = append(clients, c)
	}
	drained := make(chan error, 1)
	go func() { drained <- f.Drain(context.Background()) }()
	for _, c := range clients {
		c.expectClose(codeRestart, "Service restart")
	}
	if err := await(t, drained, "the drain"); err != nil {
		t.Fatal(err)
	}
	if n := f.Len(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	resp, err := http.Get(f.http.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest { // it is told what is wrong with it first
		t.Errorf("got %s", resp.Status)
	}
	_, resp, err = websocket.Dial(t.Context(), f.http.URL+"/ws", &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %v %v", resp, err)
	}
}

// TestDrainCuts: clients that don't answer the close frame are cut when the time is over.
func TestDrainCuts(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{CloseGrace: time.Minute})
	c := f.dialRaw(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.Drain(ctx); err == nil {
		t.Error("drained")
	}
	if code := c.lastClose(); code != codeRestart {
		t.Errorf("got %d", code)
	}
	await(t, f.closed, "the end")
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxConnections: 1})
	c := f.connect(t)
	_, resp, err := websocket.Dial(t.Context(), f.http.URL+"/ws", &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %v %v", resp, err)
	}
	c.ws.Close(websocket.StatusNormalClosure, "")
	if code := await(t, f.closed, "the end"); code != 1000 {
		t.Errorf("counted as %d", code)
	}
}

// TestClientGoes: whatever way a client ends, its operations end.
func TestClientGoes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(*rawClient)
		code int
	}{
		{"close frame", func(c *rawClient) { c.frame(frameClose, "\x03\xe8bye") }, 1000},
		{"close frame without a code", func(c *rawClient) { c.frame(frameClose, "") }, codeNoStatus},
		{"TCP closed", func(c *rawClient) { c.Close() }, codeNoStatus},
		{"unmasked frame", func(c *rawClient) { io.WriteString(c, "\x81\x02{}") }, codeProtocol},
		{"unknown opcode", func(c *rawClient) { c.frame(0x83, "") }, codeProtocol},
		{"reserved bit", func(c *rawClient) { c.frame(0xc1, "{}") }, codeProtocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, Options{CloseGrace: 50 * time.Millisecond})
			c := f.dialRaw(t)
			c.frame(frameText, subscribe("1", "hang"))
			await(t, f.exec.started, "start")
			tc.end(c)
			await(t, f.exec.stopped, "stop")
			if code := await(t, f.closed, "the end"); code != tc.code {
				t.Errorf("counted as %d", code)
			}
			if tc.code == codeProtocol {
				if code := c.lastClose(); code != codeProtocol {
					t.Errorf("got %d", code)
				}
			}
		})
	}
}
