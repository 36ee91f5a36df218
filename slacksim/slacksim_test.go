package slacksim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sim is a simulator behind a real HTTP server, and an app that gets its events.
type sim struct {
	t      *testing.T
	server *Server
	http   *httptest.Server
	web    *http.Client
	app    *receiver
	world  worldView
}

type worldView struct {
	App struct {
		ID, ClientID, ClientSecret, SigningSecret string
	}
	Teams []struct {
		ID, Name, Domain string
		Users            []struct {
			ID, Name, RealName, Email, Token string
			IsBot                            bool
		}
	}
	Channels []struct {
		ID, Name           string
		IsPrivate          bool
		IsExtShared        bool
		TeamIDs, MemberIDs []string
	}
}

// received is one request to the app's events endpoint.
type received struct {
	header http.Header
	body   []byte
	env    struct {
		TeamID             string `json:"team_id"`
		EventID            string `json:"event_id"`
		EventContext       string `json:"event_context"`
		IsExtSharedChannel bool   `json:"is_ext_shared_channel"`
		Authorizations     []authorization
		Event              map[string]any
	}
}

// receiver is an app's endpoint; answer may be changed while it runs.
type receiver struct {
	server *httptest.Server
	got    chan received
	mu     sync.Mutex
	answer http.HandlerFunc
}

func newReceiver(t *testing.T) *receiver {
	app := &receiver{got: make(chan received, 1000), answer: func(http.ResponseWriter, *http.Request) {}}
	app.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := received{header: r.Header}
		one.body, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(one.body, &one.env); err != nil {
			t.Errorf("an event is not JSON: %v", err)
		}
		app.mu.Lock()
		answer := app.answer
		app.mu.Unlock()
		app.got <- one
		r.Body = io.NopCloser(bytes.NewReader(one.body))
		answer(w, r)
	}))
	t.Cleanup(app.server.Close)
	return app
}

func (app *receiver) answerWith(h http.HandlerFunc) {
	app.mu.Lock()
	defer app.mu.Unlock()
	app.answer = h
}

// answerEcho answers with what came, which holds the challenge of a verification.
func (app *receiver) answerEcho() {
	app.answerWith(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
}

func start(t *testing.T, cfg Config) *sim {
	t.Helper()
	s := &sim{t: t, app: newReceiver(t), web: &http.Client{Transport: &http.Transport{}}}
	if cfg.EventsURL == "" {
		cfg.EventsURL = s.app.server.URL + "/slack/events"
	}
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.server, s.http = server, httptest.NewServer(server.Handler())
	t.Cleanup(s.stop)
	s.get("/world", &s.world)
	return s
}

func (s *sim) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.server.Close(ctx); err != nil {
		s.t.Errorf("close: %v", err)
	}
	s.web.CloseIdleConnections()
	s.http.Close()
}

func (s *sim) get(path string, into any) {
	s.t.Helper()
	s.do(http.MethodGet, path, nil, into)
}

func (s *sim) post(path string, body, into any) {
	s.t.Helper()
	s.do(http.MethodPost, path, body, into)
}

func (s *sim) do(method, path string, body, into any) {
	s.t.Helper()
	var payload io.Reader
	if body != nil {
		payload = bytes.NewReader(encode(body))
	}
	req, err := http.NewRequest(method, s.http.URL+path, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.web.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: %v %s %s", method, path, err, resp.Status, raw)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(raw, into); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
}

// client is slack-go as anyone uses it.
func (s *sim) client(token string) *slack.Client {
	return slack.New(token, slack.OptionAPIURL(s.http.URL+"/api/"), slack.OptionHTTPClient(s.web))
}

func (s *sim) user(name string) (id string, client *slack.Client) {
	s.t.Helper()
	for _, t := range s.world.Teams {
		for _, u := range t.Users {
			if u.Name == name {
				return u.ID, s.client(u.Token)
			}
		}
	}
	s.t.Fatalf("no user %s", name)
	return "", nil
}

func (s *sim) channel(name string) string {
	s.t.Helper()
	for _, c := range s.world.Channels {
		if c.Name == name {
			return c.ID
		}
	}
	s.t.Fatalf("no channel %s", name)
	return ""
}

// install puts the app into ours and the bot into the channels.
func (s *sim) install(channels ...string) *slack.Client {
	s.t.Helper()
	var inst struct{ Token string }
	s.post("/control/install", object{}, &inst)
	for _, name := range channels {
		s.post("/control/invite", object{"channel": name}, nil)
	}
	s.idle()
	s.drain()
	return s.client(inst.Token)
}

func (s *sim) idle() {
	s.t.Helper()
	s.get("/control/idle?wait=10s", nil)
}

func (s *sim) drain() {
	for len(s.app.got) > 0 {
		<-s.app.got
	}
}

// event waits for the next event of the inner type and subtype.
func (s *sim) event(kind, subtype string) received {
	s.t.Helper()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case one := <-s.app.got:
			got, _ := one.env.Event["subtype"].(string)
			if one.env.Event["type"] == kind && got == subtype {
				return one
			}
		case <-timeout.C:
			s.t.Fatalf("no event %s %s came", kind, subtype)
		}
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
