package slackbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/slacksim"
	"github.com/ochrehq/ochre/store"
)

// house is an Ochre with its pages, a database and a Slack of its own, all over HTTP. Events that tell of channels and of the app are handled
// as they come.
type house struct {
	t        *testing.T
	store    *store.Store
	desk     *desk.Desk
	client   *Client
	channels *Channels
	oauth    *OAuth
	gateway  *httptest.Server
	sim      *httptest.Server
	world    world
	log      *logged

	mu    sync.Mutex
	later time.Duration // how far the house's clock is ahead
}

// world is what GET /world of the simulator tells.
type world struct {
	App struct {
		ID           string `json:"id"`
		ClientID     string `json:"clientId"`
		ClientSecret string `json:"clientSecret"`
	} `json:"app"`
	Teams []struct {
		ID     string `json:"id"`
		Domain string `json:"domain"`
	} `json:"teams"`
	Channels []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"channels"`
}

// logged is what the house logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, log: &logged{}}
	h.gateway = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	publicURL := "http://" + h.gateway.Listener.Addr().String()
	sim, err := slacksim.New(slacksim.Config{
		EventsURL: publicURL + EventsPath, RedirectURLs: []string{publicURL + CallbackPath}, RetryDelays: []time.Duration{time.Millisecond}, Seed: t.Name(),
	})
	h.must(err)
	h.sim = httptest.NewServer(sim.Handler())
	h.store, err = store.Open(t.Context(), testenv.Database(t), store.Options{})
	h.must(err)
	keys, err := secret.New(strings.Repeat("k", secret.MinLength))
	h.must(err)
	h.client, err = NewClient(ClientOptions{APIURL: h.sim.URL + "/api/", Keys: keys, Refused: func(ctx context.Context, inst *ochre.SlackInstallation, code string) {
		if err := h.desk.TokenRefused(ctx, inst, code); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	}})
	h.must(err)
	log := slog.New(slog.NewTextHandler(h.log, nil))
	h.desk = &desk.Desk{Store: h.store, Keys: keys, Slack: h.client, PublicURL: publicURL, Now: h.now}
	h.channels = NewChannels(h.client, h.store, h.desk, log)
	h.get(h.sim.URL+"/world", &h.world)
	h.oauth = NewOAuth(h.desk, h.client, OAuthOptions{ClientID: h.world.App.ClientID, ClientSecret: h.world.App.ClientSecret, Log: log})
	h.gateway.Start()
	t.Cleanup(func() {
		h.idle()
		if err := sim.Close(context.Background()); err != nil {
			t.Errorf("close the simulator: %v", err)
		}
		h.gateway.Close()
		h.sim.Close()
		h.client.Close()
		h.store.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.later)
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later += d
}

func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case EventsPath:
		h.take(w, r)
	case InstallPath, CallbackPath:
		h.oauth.ServeHTTP(w, r)
	default:
		_, _ = io.WriteString(w, "the inbox at "+r.URL.RequestURI())
	}
}

// take handles an event at once, as the worker of the queue does later.
func (h *house) take(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Errorf("read an event: %v", err)
		return
	}
	event, err := ParseWorkspaceEvent(raw)
	if err != nil {
		h.t.Errorf("read an event: %v", err)
		return
	}
	for range 2 { // whatever comes twice changes nothing the second time
		if err := h.channels.Handle(context.WithoutCancel(r.Context()), event); err != nil && OutcomeOf(err).Kind != Disconnected {
			h.t.Errorf("handle %s: %v", event.Inner, err)
		}
	}
}

func (h *house) get(address string, into any) {
	h.t.Helper()
	resp, err := http.Get(address)
	h.must(err)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		h.t.Fatalf("GET %s: %s", address, resp.Status)
	}
	if into != nil {
		h.must(json.NewDecoder(resp.Body).Decode(into))
	}
}

// control tells the simulator to do something, and waits until its events are handled.
func (h *house) control(what string, args any) {
	h.t.Helper()
	body, err := json.Marshal(args)
	h.must(err)
	resp, err := http.Post(h.sim.URL+"/control/"+what, "application/json", bytes.NewReader(body))
	h.must(err)
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	h.must(err)
	if resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"ok":false`)) {
		h.t.Fatalf("control %s %s: %s", what, body, answer)
	}
	h.idle()
}

// idle waits until no event is on its way.
func (h *house) idle() {
	h.t.Helper()
	h.get(h.sim.URL+"/control/idle?wait=20s", nil)
}

type args map[string]any

// act is a person's own hand in Slack.
func (h *house) act(user, method string, a args) {
	h.t.Helper()
	h.control("act", args{"user": user, "method": method, "args": a})
}

func (h *house) team(domain string) string {
	h.t.Helper()
	for _, t := range h.world.Teams {
		if t.Domain == domain {
			return t.ID
		}
	}
	h.t.Fatalf("no workspace %s", domain)
	return ""
}

func (h *house) channel(name string) string {
	h.t.Helper()
	for _, c := range h.world.Channels {
		if c.Name == name {
			return c.ID
		}
	}
	h.t.Fatalf("no channel %s", name)
	return ""
}

// tenant is a company of the house, and its admin.
type tenant struct {
	*house
	p    ochre.Principal
	seen int64 // the last event of the log that was looked at
}

func (h *house) tenant(name string) *tenant {
	h.t.Helper()
	t, a, _, err := h.desk.CreateTenant(h.t.Context(), name, ochre.NewID().String()+"@ochre.example")
	h.must(err)
	return &tenant{house: h, p: ochre.Principal{TenantID: t.ID, AgentID: a.ID, Role: a.Role}}
}

// events gives what the tenant's screens were told since the last look: types, and the kind of the object.
func (c *tenant) events() []string {
	c.t.Helper()
	evs, err := c.store.EventsAfter(c.t.Context(), c.p.TenantID, nil, c.seen, 1000)
	c.must(err)
	told := []string{}
	for _, e := range evs {
		c.seen = e.Seq
		told = append(told, string(e.Type))
	}
	return told
}

// browser keeps cookies and follows redirects.
type browser struct {
	*house
	http.Client
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	h.must(err)
	return &browser{h, http.Client{Jar: jar}}
}

// page is where a browser ended.
type landing struct {
	status int
	url    *url.URL
	text   string
}

func (b *browser) landed(resp *http.Response, err error) landing {
	b.t.Helper()
	b.must(err)
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	b.must(err)
	return landing{resp.StatusCode, resp.Request.URL, string(text)}
}

func (b *browser) open(address string) landing {
	b.t.Helper()
	return b.landed(b.Get(address))
}

// answer clicks on Slack's page.
func (b *browser) answer(at landing, user, action string) landing {
	b.t.Helper()
	if at.status != http.StatusOK || !strings.HasPrefix(at.url.String(), b.sim.URL+"/oauth/v2/authorize?") {
		b.t.Fatalf("not on Slack's page but %d %s: %s", at.status, at.url, at.text)
	}
	form := at.url.Query()
	form.Set("user", user)
	form.Set("action", action)
	return b.landed(b.PostForm(b.sim.URL+"/oauth/v2/authorize", form))
}

// start begins a walk and gives the address of its first page.
func (c *tenant) start(returnTo string) string {
	c.t.Helper()
	address, err := c.desk.StartSlackInstall(c.t.Context(), c.p, &returnTo)
	c.must(err)
	return address
}

// install walks through Slack's pages as a person of the workspace.
func (c *tenant) install(user string) *ochre.SlackInstallation {
	c.t.Helper()
	b := c.browser()
	end := b.answer(b.open(c.start("/settings")), user, "allow")
	if end.status != http.StatusOK || end.url.Path != "/settings" {
		c.t.Fatalf("the walk ended at %d %s: %s", end.status, end.url, end.text)
	}
	c.idle()
	all, err := c.store.Installations(c.t.Context(), c.p.TenantID)
	c.must(err)
	if len(all) == 0 {
		c.t.Fatal("nothing was installed")
	}
	return all[len(all)-1]
}

func (c *tenant) installation(id ochre.ID) *ochre.SlackInstallation {
	c.t.Helper()
	inst, err := c.store.SlackInstallation(c.t.Context(), c.p.TenantID, id)
	c.must(err)
	return inst
}

func (c *tenant) link(inst *ochre.SlackInstallation, name string, organization *string) (*ochre.ChannelLink, error) {
	c.t.Helper()
	return c.desk.LinkChannel(c.t.Context(), c.p, desk.LinkChannelInput{InstallationID: inst.GlobalID(), SlackChannelID: c.channel(name), OrganizationID: organization})
}
