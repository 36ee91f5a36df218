// Package server is Ochre over HTTP: routes, who asks, limits, how errors look, health and metrics. What the routes do is elsewhere.
package server

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ochrehq/ochre/internal/secret"
)

// Socket serves WebSockets and event streams on /graphql. live/socket's Server is one.
type Socket interface {
	ServeWS(w http.ResponseWriter, r *http.Request)
	ServeSSE(w http.ResponseWriter, r *http.Request)
	// Drain ends all connections so that their clients come back elsewhere, and waits for that.
	Drain(ctx context.Context) error
}

// Config is what a Server is made of. Handlers that are nil have no route.
type Config struct {
	Auth     *Auth
	Executor graphql.GraphExecutor // NewExecutor's
	Socket   Socket
	Limiter  Limiter // of GraphQL requests per agent; nil: none
	Logger   *slog.Logger
	Metrics  *Metrics // may be nil

	SlackEvents   http.Handler // /slack/events
	SlackInstall  http.Handler // /slack/install
	SlackCallback http.Handler // /slack/oauth/callback
	Files         http.Handler // /files/, for who signed in

	Ready []Check // what /readyz asks

	// Gatherer is shown on /metrics to who sends MetricsToken as a Bearer token. Without a token there is no such route: serve
	// MetricsHandler on a listener of its own then.
	Gatherer     prometheus.Gatherer
	MetricsToken string

	PublicURL string // without a slash at the end

	// How long a client may take to send a header and a body: 10 s and 30 s unless given.
	HeaderLimit time.Duration
	BodyLimit   time.Duration
}

// Server is the HTTP side of a node.
type Server struct {
	handler     http.Handler
	socket      Socket
	checks      []Check
	headerLimit time.Duration
	draining    atomic.Bool
}

// New wires the routes. It panics without an Auth, Executor or Socket: all are wiring, not input.
func New(c Config) *Server {
	if c.Auth == nil || c.Executor == nil || c.Socket == nil {
		panic("server: Config.Auth, Executor and Socket are required")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.HeaderLimit == 0 {
		c.HeaderLimit = 10 * time.Second
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 30 * time.Second
	}
	s := &Server{socket: c.Socket, checks: c.Ready, headerLimit: c.HeaderLimit}
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, h)
		}
	}
	handle("/graphql", &graphqlHTTP{c.Executor, c.Auth, c.Socket, c.Limiter, c.Logger, time.Now})
	handle("/slack/events", c.SlackEvents)
	handle("/slack/install", c.SlackInstall)
	handle("/slack/oauth/callback", c.SlackCallback)
	if c.Files != nil {
		handle("/files/", replied(c.Auth.files(c.Files, c.Logger), fileLimit))
	}
	handle("GET /healthz", http.HandlerFunc(healthz))
	handle("GET /readyz", http.HandlerFunc(s.readyz))
	if c.Gatherer != nil && c.MetricsToken != "" {
		handle("GET /metrics", withToken(MetricsHandler(c.Gatherer), c.MetricsToken))
	}
	pages := &pages{auth: c.Auth, log: c.Logger, socketOrigin: socketOrigin(c.PublicURL)}
	pages.routes(func(pattern string, f http.HandlerFunc) { handle(pattern, f) })
	// The mux is within the time-outs: it answers what has no route by itself, after reading the body.
	timed := replied(received(mux, c.BodyLimit), replyLimit)
	s.handler = observed(hardened(timed, strings.HasPrefix(c.PublicURL, "https://")), c.Logger, c.Metrics)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain tells load balancers by /readyz to send no more, and ends the sockets so that their clients come back elsewhere.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	return s.socket.Drain(ctx)
}

// withToken admits only who sends the token.
func withToken(next http.Handler, token string) http.Handler {
	want := secret.Hash(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare(secret.Hash(got), want) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="ochre metrics"`)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
