package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/graph/generated"
	"github.com/ochrehq/ochre/graph/model"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/server"
	"github.com/ochrehq/ochre/store"
)

func TestMain(m *testing.M) {
	testenv.Main(m, func() error { return goleak.Find() })
}

// fakes answer a few fields of the real schema; any other field panics with a nil pointer.
type fakes struct {
	generated.ResolverRoot
	queries       *queries
	mutations     *mutations
	subscriptions *subscriptions
	nobody        *ochre.Agent // always nil
}

func (f *fakes) Query() generated.QueryResolver               { return f.queries }
func (f *fakes) Mutation() generated.MutationResolver         { return f.mutations }
func (f *fakes) Subscription() generated.SubscriptionResolver { return f.subscriptions }

type queries struct {
	generated.QueryResolver
	viewer       func(context.Context) (*ochre.Agent, error)
	conversation func(context.Context, model.ConversationBy) (*ochre.Conversation, error)
}

func (q *queries) Viewer(ctx context.Context) (*ochre.Agent, error) { return q.viewer(ctx) }

func (q *queries) Conversation(ctx context.Context, by model.ConversationBy) (*ochre.Conversation, error) {
	return q.conversation(ctx, by)
}

type mutations struct {
	generated.MutationResolver
	closeConversation func(context.Context, model.CloseConversationInput) (*model.CloseConversationPayload, error)
}

func (m *mutations) CloseConversation(ctx context.Context, in model.CloseConversationInput) (*model.CloseConversationPayload, error) {
	return m.closeConversation(ctx, in)
}

type subscriptions struct {
	generated.SubscriptionResolver
	inbox func(context.Context) (<-chan ochre.InboxEvent, error)
}

func (s *subscriptions) InboxEvents(ctx context.Context, _ *ochre.EventCursor) (<-chan ochre.InboxEvent, error) {
	return s.inbox(ctx)
}

// env is a whole server over HTTP, with a tenant and its admin's token.
type env struct {
	t       *testing.T
	url     string
	store   *store.Store
	desk    *desk.Desk
	auth    *server.Auth
	server  *server.Server
	socket  *socket.Server
	fakes   *fakes
	tenant  *ochre.Tenant
	admin   *ochre.Agent
	link    string // the admin's sign-in link
	token   string
	tokenID ochre.ID
	clock   *clock
	log     *lockedBuffer
	stop    func() error // ends Run, as SIGTERM does, and tells what it returned

	databaseURL string
}

// clock is the tests' time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// option changes the configuration of a test's server.
type option func(*server.Config, *setting)

type setting struct {
	databaseURL string
	limits      server.Limits
	publicURL   string
}

func setup(t *testing.T, options ...option) *env {
	t.Helper()
	e := &env{t: t, clock: &clock{now: time.Now()}, log: &lockedBuffer{}}
	e.fakes = &fakes{queries: &queries{}, mutations: &mutations{}, subscriptions: &subscriptions{}}
	e.fakes.queries.viewer = func(ctx context.Context) (*ochre.Agent, error) {
		p, _ := ochre.PrincipalFrom(ctx)
		return &ochre.Agent{ID: p.AgentID, TenantID: p.TenantID, Name: "Ada", Email: "ada@example.com", Role: p.Role}, nil
	}
	var c server.Config
	s := setting{}
	for _, o := range options {
		o(&c, &s)
	}
	if s.databaseURL == "" {
		s.databaseURL = testenv.SharedDatabase(t)
	}
	e.databaseURL = s.databaseURL
	log := slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	e.store, err = store.Open(t.Context(), s.databaseURL, store.Options{MaxConns: 4})
	must(t, err)
	t.Cleanup(e.store.Close)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	e.url = "http://" + listener.Addr().String()
	if s.publicURL == "" {
		s.publicURL = e.url
	}
	e.desk = &desk.Desk{Store: e.store, PublicURL: s.publicURL, Now: e.clock.Now}
	e.account()

	e.auth = server.NewAuth(e.store, e.desk)
	metrics := server.NewMetrics(prometheus.NewRegistry())
	es := generated.NewExecutableSchema(generated.Config{Resolvers: e.fakes, Directives: generated.DirectiveRoot{
		HasRole: func(ctx context.Context, _ any, next graphql.Resolver, _ ochre.Role) (any, error) {
			return next(ctx)
		},
	}})
	exec := server.NewExecutor(es, server.ExecutorOptions{Limits: s.limits, Logger: log, Metrics: metrics})
	e.socket = socket.New(socket.Options{
		Executor: socket.NewGQLGenExecutor(exec), Auth: e.auth, CheckInterval: 50 * time.Millisecond, Logger: log,
	})
	c.Auth, c.Executor, c.Socket, c.Logger, c.Metrics, c.PublicURL = e.auth, exec, e.socket, log, metrics, s.publicURL
	e.server = server.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, listener, e.server, log) }()
	e.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { must(t, e.stop()) })
	return e
}

// account makes a tenant of the test's own, with its admin and a token.
func (e *env) account() {
	e.t.Helper()
	email := strings.ToLower(ochre.NewID().String()) + "@example.com"
	var err error
	e.tenant, e.admin, e.link, err = e.desk.CreateTenant(e.t.Context(), "Ochre & Sons", email)
	must(e.t, err)
	var token *ochre.APIToken
	e.token, token, err = e.desk.CreateToken(e.t.Context(), email, "test")
	must(e.t, err)
	e.tokenID = token.ID
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// codes are errors[].extensions.code.
func (a answer) codes(t *testing.T) []string {
	t.Helper()
	var res struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &res); err != nil {
		t.Fatalf("the answer is not JSON: %v: %.300s", err, a.body)
	}
	var codes []string
	for _, e := range res.Errors {
		if e.Message == "" {
			t.Errorf("an error without a message: %s", a.body)
		}
		codes = append(codes, e.Extensions.Code)
	}
	return codes
}

// send sends a request with the admin's token unless the headers say otherwise. A header "-" is left out.
func (e *env) send(method, path, body string, headers ...string) answer {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, strings.NewReader(body))
	must(e.t, err)
	r.Header.Set("Authorization", "Bearer "+e.token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "-" {
			r.Header.Del(headers[i])
		}
	}
	return e.do(r)
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (e *env) do(r *http.Request) answer {
	e.t.Helper()
	res, err := client.Do(r)
	must(e.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(e.t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

// query posts a document with variables.
func (e *env) query(document string, variables map[string]any, headers ...string) answer {
	e.t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	must(e.t, err)
	return e.send(http.MethodPost, "/graphql", string(body), headers...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

type serverConfig = server.Config

// exec runs SQL that no method of the store has.
func exec(t *testing.T, e *env, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), e.databaseURL)
	must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql, args...)
	must(t, err)
}
