// Package slacksim is a Slack of our own: a server that speaks enough of Slack's
// Web API, OAuth pages and Events API for a Slack app to be run, tried and tested
// without an account. It knows several workspaces, Slack Connect channels between
// them, and one app (the one under test) that is installed through OAuth.
//
// It shares no code with the app it serves, and keeps what clients send as the raw
// JSON they sent. Where nobody knows what Slack does, a switch chooses the answer
// (see [Switches]); where Slack goes wrong, a fault makes it go wrong on purpose
// (see [Fault]). README.md lists both, and the /control routes.
package slacksim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config is what a simulator is started with. The zero value is a simulator that
// keeps its world in memory and delivers no events until it is told where to.
type Config struct {
	// EventsURL is the app's request URL for events. If empty, the one kept in
	// DataDir; POST /control/config changes it.
	EventsURL string
	// RedirectURLs are the app's OAuth redirect URLs, matched by prefix as Slack does.
	// With none, every redirect URL is accepted.
	RedirectURLs []string
	// DataDir keeps the world, its messages, files and tokens. Empty: memory only.
	DataDir string
	// Seed decides every id, token and secret of a new world: two worlds of one seed are
	// equal, two worlds of different seeds share no id. Empty is a seed like any other. A
	// world that DataDir already holds keeps its own.
	Seed string
	// RetryDelays are the waits before each retry of a delivery that failed. Nil means
	// Slack's: almost at once, one minute, five minutes.
	RetryDelays []time.Duration
	// AckTimeout is how long the app may take to answer a delivery. Default 3 s.
	AckTimeout time.Duration
	// Switches are the answers to what is not known about Slack.
	Switches Switches
	// Now is the clock of timestamps and expiry; deliveries wait in real time.
	Now func() time.Time
	// Logger gets what an operator would want to see. Default: nothing.
	Logger *slog.Logger
	// BaseURL is the simulator's own public URL, for links and file URLs. If empty, it is
	// taken from the first request.
	BaseURL string
}

// Server is one simulator. It is safe for concurrent use, and several of them can
// live in one process.
type Server struct {
	now       func() time.Time
	log       *slog.Logger
	mux       *http.ServeMux
	methods   map[string]method
	deliverer *deliverer
	faults    faultList
	watchers  watcherList
	done      chan struct{}
	closeOnce sync.Once

	mu       sync.Mutex // guards everything below
	world    *world
	switches Switches
	baseURL  string
	codes    map[string]oauthCode
}

// New makes a simulator and starts its deliverers. It fails if DataDir can't be
// read or written, or a switch has a value that it doesn't know.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if err := cfg.Switches.check(); err != nil {
		return nil, err
	}
	w, err := openWorld(cfg.DataDir, cfg.Seed, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("open the simulator's world: %w", err)
	}
	if cfg.EventsURL != "" {
		w.app.EventsURL = cfg.EventsURL
	}
	if cfg.RedirectURLs != nil {
		w.app.RedirectURLs = cfg.RedirectURLs
	}
	w.saveApp()
	s := &Server{
		now:      cfg.Now,
		log:      cfg.Logger,
		methods:  methodTable(),
		done:     make(chan struct{}),
		world:    w,
		switches: cfg.Switches,
		baseURL:  strings.TrimRight(cfg.BaseURL, "/"),
		codes:    map[string]oauthCode{},
	}
	s.deliverer = newDeliverer(s, cfg.RetryDelays, cfg.AckTimeout)
	s.mux = s.routes()
	return s, nil
}

// Handler serves the Web API, the OAuth pages, files, /world, /control and the page.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.learnBaseURL(r)
		s.mux.ServeHTTP(w, r)
	})
}

// Close stops the deliverers, ends open streams and held requests, and closes the
// data folder. Deliveries still waiting for a retry are given up. It returns
// ctx.Err() if a delivery in flight outlives ctx.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.closeOnce.Do(func() {
		close(s.done)
		err = s.deliverer.close(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if jerr := s.world.journal.close(); err == nil {
			err = jerr
		}
	})
	return err
}

func (s *Server) learnBaseURL(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.baseURL != "" || r.Host == "" {
		return
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	s.baseURL = scheme + r.Host
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /oauth/v2/authorize", s.serveAuthorizePage)
	mux.HandleFunc("POST /oauth/v2/authorize", s.serveAuthorizeAnswer)
	mux.HandleFunc("GET /files-pri/{ids}/{path...}", s.serveFile)
	mux.HandleFunc("GET /signin", s.serveSignIn)
	mux.HandleFunc("POST /upload/v1/{ticket}", s.serveUpload)
	mux.HandleFunc("PUT /upload/v1/{ticket}", s.serveUpload)
	mux.HandleFunc("GET /avatar/{name}", s.serveAvatar)
	mux.HandleFunc("GET /world", s.serveWorld)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	s.controlRoutes(mux)
	s.pageRoutes(mux)
	return mux
}
