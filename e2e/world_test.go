//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/slacksim"
)

// world is what one test plays in: a Slack of its own, a database of its own, and an address behind which nodes come and go.
type world struct {
	t        testing.TB
	slack    *slack
	database string
	redis    string
	balancer *balancer
	url      string // Ochre's public address
	node     *node  // behind the address, where the test has no other wish
}

// config says in what a world differs from the usual one.
type config struct {
	database, redis string // "" for ones of the test's own, or shared
	switches        slacksim.Switches
	retries         []time.Duration
}

// newWorld makes a world in which Ochre does not run yet.
func newWorld(t testing.TB, c config) *world {
	t.Helper()
	if c.database == "" {
		c.database = testenv.Database(t)
	}
	if c.redis == "" {
		c.redis = testenv.Redis(t)
	}
	if c.retries == nil {
		c.retries = []time.Duration{200 * time.Millisecond, 2 * time.Second, 8 * time.Second}
	}
	w := &world{t: t, database: c.database, redis: c.redis, balancer: newBalancer(t)}
	w.url = w.balancer.url
	w.slack = newSlack(t, slacksim.Config{Seed: t.Name(), Switches: c.switches, RetryDelays: c.retries, EventsURL: w.url + "/slack/events"})
	return w
}

// setUp makes a world with one node, and a company on it whose workspace is connected.
func setUp(t testing.TB, c config) (*world, *company) {
	t.Helper()
	w := newWorld(t, c)
	w.node = w.startNode()
	co := w.company("Ochre Labs", "ada@ochre-labs.example")
	co.connect("ada")
	return w, co
}

// company creates a company with its first admin by the command line. The admin signs in by the link, once, and gets a token.
func (w *world) company(name, admin string) *company {
	w.t.Helper()
	said := w.ochre("tenant", "create", name, "--admin", admin)
	link, err := url.Parse(regexp.MustCompile(`http://\S+`).FindString(said))
	if err != nil || !strings.HasPrefix(link.String(), w.url+"/signin?") {
		w.t.Fatalf("`ochre tenant create` prints no sign-in link: %s", said)
	}
	b := newBrowser(w.t)
	b.open(link.String(), nil)
	if at, status, page := b.open(w.url+link.Path, link.Query()); status != http.StatusOK || at.String() != w.url+"/" || !strings.Contains(page, "Sign out") {
		w.t.Fatalf("signing in ended at %s with %d:\n%s", at, status, tail(page, 2000))
	}
	return &company{client: client{t: w.t, url: w.url, token: w.ochre("token", "create", "--agent", admin)}, w: w, browser: b}
}

// sql runs a statement that gives one number.
func (w *world) sql(statement string, args ...any) (n int) {
	w.t.Helper()
	conn := w.connect()
	defer conn.Close(context.Background())
	if err := conn.QueryRow(w.t.Context(), statement, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
	return n
}

func (w *world) connect() *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.database)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// eventually looks again and again until it is as it should be. look says what is wrong, "" for nothing.
func eventually(t testing.TB, what string, look func() (wrong string)) {
	t.Helper()
	within(t, patience, what, look)
}

func within(t testing.TB, limit time.Duration, what string, look func() (wrong string)) {
	t.Helper()
	again := time.NewTicker(80 * time.Millisecond)
	defer again.Stop()
	over := time.After(limit)
	for {
		wrong := look()
		if wrong == "" || t.Failed() {
			return
		}
		select {
		case <-again.C:
		case <-over:
			t.Fatalf("%s: not within %s: %s", what, limit, wrong)
		case <-t.Context().Done():
			t.Fatalf("%s: %s", what, wrong)
		}
	}
}

// differs is for eventually: it says how two values differ.
func differs[T comparable](name string, got, want T) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s is %v, want %v", name, got, want)
}

// balancer stands before the nodes, as in production: its address stays while they come and go.
type balancer struct {
	url    string
	target atomic.Pointer[url.URL]
}

func newBalancer(t testing.TB) *balancer {
	b := &balancer{}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(b.target.Load()); r.Out.Host = r.In.Host },
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.target.Load() == nil {
			http.Error(w, "no node", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		transport.CloseIdleConnections()
	})
	b.url = s.URL
	return b
}

// send sends what comes to a node.
func (b *balancer) send(node string) {
	u, err := url.Parse(node)
	if err != nil {
		panic(err) // it is ours
	}
	b.target.Store(u)
}

// browser is what a person walks through pages with.
type browser struct {
	t    testing.TB
	http *http.Client
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{Jar: jar, Transport: transport, Timeout: patience}}
}

// open opens a page and follows where it leads; a form is posted if there is one. It gives the address and the page it ended at.
func (b *browser) open(address string, form url.Values) (at *url.URL, status int, page string) {
	b.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.Request.URL, resp.StatusCode, string(text)
}
