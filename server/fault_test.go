package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/server"
)

// TestDatabaseDown has PostgreSQL frozen, so that it takes connections and never answers, and then gone.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	e := setup(t, func(c *server.Config, s *setting) {
		s.databaseURL = pg.URL("ochre")
		c.Ready = []server.Check{{Name: "always", Func: func(context.Context) error { return nil }}}
	})
	down := func(name string) {
		t.Helper()
		for _, headers := range [][]string{nil, {"Authorization", "-", "Cookie", "ochre_session=x", "Sec-Fetch-Site", "same-origin"}} {
			start := time.Now()
			a := e.query("{viewer{id}}", nil, headers...)
			if took := time.Since(start); took >= 3*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			if a.status != 503 || a.codes(t)[0] != "UNAVAILABLE" || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "ochre?") {
				t.Errorf("%s: got %d %s", name, a.status, a.body)
			}
		}
	}
	must(t, pg.Pause())
	down("frozen")
	must(t, pg.Continue())
	if a := e.query("{viewer{id}}", nil); a.status != 200 {
		t.Errorf("thawed: %d %s", a.status, a.body)
	}
	must(t, pg.Stop())
	down("stopped")
}

// TestSlowRequests sends headers and bodies byte by byte, to a server with shorter limits than the usual ones.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *server.Config, _ *setting) { c.HeaderLimit, c.BodyLimit = time.Second, 2*time.Second })
	signedIn := "POST /graphql HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + e.token + "\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ request, drip, answer string }{
		"header":            {"POST /graphql HTTP/1.1\r\nHost: a\r\nX: ", " ", ""},
		"body":              {signedIn + "Content-Length: 1000\r\n\r\n", " ", "HTTP/1.1 408 "},
		"chunks":            {signedIn + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", "HTTP/1.1 408 "},
		"body of no route":  {"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", " ", "HTTP/1.1 404 "},
		"body of no method": {"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", " ", "HTTP/1.1 405 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
			must(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, c.request)
			must(t, err)
			start := time.Now()
			must(t, conn.SetReadDeadline(start.Add(20*time.Second)))
			stop := drip(conn, c.drip)
			defer stop()
			answer, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("never cut")
			}
			if took := time.Since(start); took < 900*time.Millisecond {
				t.Errorf("cut after %v", took)
			}
			if !strings.HasPrefix(string(answer), c.answer) {
				t.Errorf("answered %.200q", answer)
			}
		})
	}
}

// drip writes a few bytes every half second until it is stopped or the connection is gone.
func drip(conn net.Conn, bytes string) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if _, err := io.WriteString(conn, bytes); err != nil {
					return
				}
			}
		}
	}()
	return func() { close(done); <-gone }
}

func TestRunDrains(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.feed()
	began := make(chan struct{})
	finish := make(chan struct{})
	e.fakes.queries.viewer = func(ctx context.Context) (*ochre.Agent, error) {
		close(began)
		<-finish
		return &ochre.Agent{Name: "Ada"}, ctx.Err()
	}
	conn, _ := e.dial()
	tell(t, conn, wsMessage{Type: "connection_init", Payload: bearer(e.token)})
	if m, err := hear(t, conn); err != nil || m.Type != "connection_ack" {
		t.Fatalf("got %v %v", m, err)
	}
	if a := e.send("GET", "/readyz", ""); a.status != 200 || a.body != `{"ready":true}`+"\n" {
		t.Errorf("ready: %d %s", a.status, a.body)
	}
	slow := make(chan answer, 1)
	go func() { slow <- e.query("{viewer{name}}", nil) }()
	<-began
	ended := make(chan error, 1)
	go func() { ended <- e.stop() }()
	if m, err := hear(t, conn); websocket.CloseStatus(err) != 1012 {
		t.Errorf("got %v %v, want a close with 1012", m, err)
	}
	close(finish)
	if a := <-slow; a.status != 200 || !strings.Contains(a.body, "Ada") {
		t.Errorf("a request at work: %d %s", a.status, a.body)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://")); err == nil {
		t.Error("it still takes connections")
	}
}

func TestRunReportsALostListener(t *testing.T) {
	t.Parallel()
	e := setup(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	if err := server.Run(t.Context(), l, e.server, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error")
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var database, install error
	e := setup(t, func(c *server.Config, _ *setting) {
		c.Ready = []server.Check{
			{Name: "database", Func: func(context.Context) error { return database }},
			{Name: "install", Func: func(context.Context) error { return install }},
			{Name: "quick", Func: func(ctx context.Context) error { return ctx.Err() }},
		}
	})
	if a := e.send("GET", "/readyz", ""); a.status != 200 {
		t.Errorf("ready: %d %s", a.status, a.body)
	}
	database, install = errors.New("dial postgres://hunter2@db"), ochre.Errorf(ochre.CodeUnavailable, "The first channel is not linked.")
	if a := e.send("GET", "/readyz", ""); a.status != 503 ||
		a.body != `{"ready":false,"notReady":{"database":"failed","install":"The first channel is not linked."}}`+"\n" {
		t.Errorf("not ready: %d %s", a.status, a.body)
	}
	if a := e.send("GET", "/healthz", ""); a.status != 200 {
		t.Errorf("alive: %d", a.status)
	}
	must(t, e.server.Drain(t.Context()))
	database, install = nil, nil
	if a := e.send("GET", "/readyz", ""); a.status != 503 || a.body != `{"ready":false,"draining":true}`+"\n" {
		t.Errorf("draining: %d %s", a.status, a.body)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "ochre_test", Help: "A test's."}))
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := ochre.PrincipalFrom(r.Context())
		io.WriteString(w, r.URL.Path+" "+p.AgentID.String())
	})
	e := setup(t, func(c *server.Config, _ *setting) {
		c.SlackEvents, c.SlackInstall, c.SlackCallback, c.Files = echo, echo, echo, echo
		c.Gatherer, c.MetricsToken = registry, "metrics-token"
	})
	nobody := ochre.ID{}.String()
	for path, c := range map[string]struct {
		authorization string
		status        int
		body          string
	}{
		"/slack/events":  {"-", 200, "/slack/events " + nobody},
		"/slack/install": {"-", 200, "/slack/install " + nobody},
		"/slack/oauth/callback?code=planted-code": {"-", 200, "/slack/oauth/callback " + nobody},
		"/files/file_1":         {"Bearer " + e.token, 200, "/files/file_1 " + e.admin.ID.String()},
		"/files/file_2":         {"-", 401, "UNAUTHENTICATED"},
		"/metrics":              {"Bearer metrics-token", 200, "ochre_test 0"},
		"/metrics?":             {"Bearer " + e.token, 401, ""},
		"/metrics?a":            {"-", 401, ""},
		"/graphiql":             {"-", 200, "graphiql.js"},
		"/graphiql/graphiql.js": {"-", 200, "graphql-transport-ws"},
		"/assets/page.css":      {"-", 200, "main"},
		"/assets/signin.html":   {"-", 404, ""},
		"/assets/":              {"-", 404, ""},
		"/nothing":              {"-", 404, ""},
	} {
		a := e.send("GET", path, "", "Authorization", c.authorization)
		if a.status != c.status || !strings.Contains(a.body, c.body) {
			t.Errorf("%s: got %d %.200s", path, a.status, a.body)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src 'unsafe") ||
			strings.Contains(strings.Split(csp, "style-src")[0], "unsafe-inline") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	if strings.Contains(e.log.String(), "planted-code") {
		t.Error("an OAuth code is in the log")
	}
	if a := e.send("DELETE", "/files/file_1", ""); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("delete a file: %d", a.status)
	}
}

func TestPanicOfAHandler(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *server.Config, _ *setting) {
		c.SlackEvents = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("hunter2") })
		c.SlackInstall = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("a", 1<<16))
			panic("hunter2")
		})
	})
	a := e.send("POST", "/slack/events", "{}", "X-Request-Id", "bad id\t")
	id := a.header.Get("X-Request-Id")
	if a.status != 500 || a.codes(t)[0] != "INTERNAL" || !strings.Contains(a.body, id) || strings.Contains(a.body, "hunter2") || strings.Contains(id, " ") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if !strings.Contains(e.log.String(), "fault_test.go") {
		t.Error("no stack in the log")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /slack/install HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("half an answer looks whole")
	}
}
