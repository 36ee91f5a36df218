package socket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
)

// event is one server-sent event, as a browser would dispatch it.
type event struct{ name, data string }

// events is an open event stream.
type events struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Reader
	// comments seen while waiting for events
	comments int
}

// next gives the next event, or false at the end of the stream.
func (e *events) next() (ev event, ok bool) {
	var data []string
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			return event{}, false
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "" && (ev.name != "" || data != nil):
			ev.data = strings.Join(data, "\n")
			return ev, true
		case strings.HasPrefix(line, ":"):
			e.comments++
		case strings.HasPrefix(line, "event: "):
			ev.name = line[len("event: "):]
		case strings.HasPrefix(line, "data:"):
			data = append(data, strings.TrimPrefix(line[len("data:"):], " "))
		case line != "":
			e.t.Errorf("line %q", line)
		}
	}
}

func (e *events) expect(want ...event) {
	e.t.Helper()
	for _, w := range want {
		if got, ok := e.next(); !ok || got != w {
			e.t.Fatalf("got %q %v, want %q", got, ok, w)
		}
	}
}

func (e *events) expectEnd() {
	e.t.Helper()
	if got, ok := e.next(); ok {
		e.t.Fatalf("got %q, want the end", got)
	}
}

func nextOf(payload string) event { return event{"next", payload} }

var completeEvent = event{"complete", ""}

// stream POSTs query and opens its stream.
func (f *fixture) stream(t *testing.T, query string) *events {
	t.Helper()
	return f.open(t, f.post(t, fmt.Sprintf(`{"query":%q}`, query)))
}

func (f *fixture) post(t *testing.T, body string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", f.http.URL+"/sse", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	return req
}

func (f *fixture) get(t *testing.T, query url.Values) *http.Request {
	t.Helper()
	req := f.post(t, "")
	req.Method, req.Body, req.ContentLength = "GET", nil, 0
	req.Header.Del("Content-Type")
	req.URL.RawQuery = query.Encode()
	return req
}

func (f *fixture) open(t *testing.T, req *http.Request) *events {
	t.Helper()
	resp := f.do(t, req)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" ||
		resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("got %s %v", resp.Status, resp.Header)
	}
	return &events{t: t, body: resp.Body, r: bufio.NewReader(resp.Body)}
}

func (f *fixture) do(t *testing.T, req *http.Request) *http.Response {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestSSEOperations(t *testing.T) {
	t.Parallel()
	failed := func(text, code string) []event {
		return []event{nextOf(fmt.Sprintf(`{"errors":[{"message":%q,"extensions":{"code":%q}}]}`, text, code)), completeEvent}
	}
	for _, tc := range []struct {
		query string
		want  []event
	}{
		{"count 2", []event{nextOf(`{"data":{"i":0}}`), nextOf(`{"data":{"i":1}}`), completeEvent}},
		{"count 0", []event{completeEvent}},
		{"mutation", []event{nextOf(`{"data":{"done":true}}`), completeEvent}},
		{"lines", []event{nextOf("{\"data\":\n{\"a\":1}\n}"), completeEvent}},
		{"refused", failed("no such field", "GRAPHQL_VALIDATION_FAILED")},
		{"fails", failed("not a cursor", "INVALID_CURSOR")},
		{"breaks", failed("internal error", "INTERNAL")},
		{"panics", failed("internal error", "INTERNAL")},
		{"panicsLater", failed("internal error", "INTERNAL")},
		{"lags", nil},
		{"interrupted", nil},
	} {
		t.Run(tc.query, func(t *testing.T) {
			t.Parallel()
			e := serve(t, Options{}).stream(t, tc.query)
			e.expect(tc.want...)
			e.expectEnd()
		})
	}
}

func TestSSEGet(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{})
	e := f.open(t, f.get(t, url.Values{"query": {"whoami"}, "operationName": {"Who"}, "variables": {`{"n":12345678901234567890}`}}))
	e.expect(nextOf(`{"data":{"who":"","variables":{"n":12345678901234567890},"name":"Who"}}`), completeEvent)

	resp := f.do(t, f.get(t, url.Values{"query": {"mutation"}}))
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
		t.Errorf("mutation by GET: %s, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}

// TestSSEBadRequests: what is no GraphQL request gets its HTTP status, and nothing of it is echoed.
func TestSSEBadRequests(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	f := serve(t, Options{})
	body := func(b string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(b)), int64(len(b)) }
	}
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	query := func(raw string) func(*http.Request) {
		return func(r *http.Request) { r.Method, r.URL.RawQuery = "GET", raw; body("")(r) }
	}
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"empty body", body(""), 400},
		{"a list", body("[]"), 400},
		{"a string", body(`"hunter2"`), 400},
		{"null", body("null"), 400},
		{"truncated", body(`{"query":"hunter2`), 400},
		{"two values", body(`{"query":"count 0"} {}`), 400},
		{"not UTF-8", body("{\"query\":\"hunter2\xff\"}"), 400},
		{"no query", body(`{"hunter2":1}`), 400},
		{"query is null", body(`{"query":null}`), 400},
		{"query is a number", body(`{"query":1}`), 400},
		{"variables is a list", body(`{"query":"count 0","variables":["hunter2"]}`), 400},
		{"extensions is a string", body(`{"query":"count 0","extensions":"hunter2"}`), 400},
		{"too big", body(`{"query":"` + strings.Repeat("x", 1<<20) + `"}`), 413},
		{"no content type", func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		{"text", header("Content-Type", "text/plain"), 415},
		{"a form", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"latin1", header("Content-Type", "application/json; charset=iso-8859-1"), 415},
		{"gzip", header("Content-Encoding", "gzip"), 415},
		{"wants JSON", header("Accept", "application/json"), 406},
		{"PUT", func(r *http.Request) { r.Method = "PUT" }, 405},
		{"GET without a query", query(""), 400},
		{"GET with bad variables", query("query=count+0&variables=hunter2"), 400},
		{"GET with variables of another kind", query("query=count+0&variables=[1]"), 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			req := f.post(t, `{"query":"count 0"}`)
			tc.change(req)
			resp := f.do(t, req)
			b, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.want || !strings.Contains(string(b), `"code":"BAD_USER_INPUT"`) || strings.Contains(string(b), secret) {
				t.Errorf("got %s %s", resp.Status, b)
			}
		})
	}
}

// TestSSEHeartbeat: the stream opens with a comment, and outlives the HTTP server's time-outs (100 ms here).
func TestSSEHeartbeat(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{Heartbeat: 50 * time.Millisecond})
	e := f.stream(t, "gate")
	for range 5 {
		if line, err := e.r.ReadString('\n'); err != nil || line != ":\n" {
			t.Fatalf("got %q %v", line, err)
		}
		if line, err := e.r.ReadString('\n'); err != nil || line != "\n" {
			t.Fatalf("got %q %v", line, err)
		}
	}
	f.exec.gate <- `{"data":1}`
	e.expect(nextOf(`{"data":1}`))
}

// TestSSEEnds: a stream that the server cuts ends without `complete`, and the operation ends.
func TestSSEEnds(t *testing.T) {
	t.Parallel()
	r := &revoker{}
	for _, tc := range []struct {
		name string
		o    Options
		end  func(*fixture, *events)
	}{
		{"client goes", Options{}, func(_ *fixture, e *events) { e.body.Close() }},
		{"drain", Options{}, func(f *fixture, _ *events) { go f.Drain(context.Background()) }},
		{"revoked", Options{Revoked: r.watch}, func(f *fixture, e *events) {
			f.exec.gate <- `{"data":1}` // so that the stream is open
			e.expect(nextOf(`{"data":1}`))
			r.revokeAll()
		}},
		{"check refuses", Options{CheckInterval: 20 * time.Millisecond}, func(f *fixture, _ *events) {
			f.auth.set(ochre.Errorf(ochre.CodeUnavailable, "no database"))
			await(t, f.auth.checked, "a check")
			await(t, f.auth.checked, "a check")
			f.auth.set(ochre.Errorf(ochre.CodeForbidden, "revoked"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, tc.o)
			e := f.stream(t, "gate")
			await(t, f.exec.started, "start")
			tc.end(f, e)
			e.expectEnd()
			await(t, f.exec.stopped, "stop")
			await(t, f.closed, "the end")
		})
	}
}

// TestSSESlowReader: a reader that stops is cut, and little is made for it beyond what the kernel takes.
func TestSSESlowReader(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{WriteTimeout: 200 * time.Millisecond})
	conn, err := net.Dial("tcp", f.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"query":"flood 100000"}`
	fmt.Fprintf(conn, "POST /sse HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	await(t, f.exec.stopped, "stop")
	await(t, f.closed, "the end")
	_ = conn.SetDeadline(time.Now().Add(patience))
	got, err := io.Copy(io.Discard, conn)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		t.Error("the connection is still open")
	}
	if held := f.exec.produced.Load() - got; held > 1<<20 {
		t.Errorf("%d bytes were held", held)
	}
}

func TestSSEFull(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxConnections: 1})
	f.stream(t, "hang")
	if resp := f.do(t, f.post(t, `{"query":"count 0"}`)); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %s", resp.Status)
	}
}
