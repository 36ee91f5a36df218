package slackbridge

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

func TestConnectAWorkspace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	if inst.SlackTeamID != h.team("ochre-labs") || inst.TeamName != "Ochre Labs" || inst.AppID != h.world.App.ID || !inst.Connected || inst.BotUserID == "" || inst.BotID == "" {
		t.Errorf("stored %+v", inst)
	}
	if u, err := url.Parse(inst.TeamURL); err != nil || u.Host == "" || !strings.HasSuffix(inst.TeamURL, "/") {
		t.Errorf("the workspace's address is %q", inst.TeamURL)
	}
	if !slices.Equal(inst.Scopes, ochre.NeededScopes) || len(inst.MissingScopes()) != 0 {
		t.Errorf("scopes %q", inst.Scopes)
	}
	token, err := h.desk.Keys.Open(inst.TokenSealed, desk.TokenContext(inst.SlackTeamID))
	if err != nil || !strings.HasPrefix(string(token), "xoxb-") {
		t.Errorf("the token can't be opened: %v", err)
	}
	if strings.Contains(string(inst.TokenSealed), "xoxb") || strings.Contains(h.log.String(), "xoxb") {
		t.Error("the token stands in the clear in the database or the log")
	}
	if told := c.events(); !slices.Equal(told, []string{"INSTALLATION_CHANGED"}) {
		t.Errorf("told %q", told)
	}
}

func TestScopesThatWereDeclined(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.control("switches", args{"declinedScopes": []string{"users:read.email", "groups:read"}})
	inst := h.tenant("Ochre Labs").install("ada")
	if got := inst.MissingScopes(); !slices.Equal(got, []string{"groups:read", "users:read.email"}) {
		t.Errorf("missing %q", got)
	}
	h.must(h.channels.Refresh(t.Context(), inst)) // without the private ones, and without a missing_scope
}

// refused checks that a page says what went wrong and the next step, and that nothing was stored.
func (c *tenant) refused(got landing, status int, words ...string) {
	c.t.Helper()
	if got.status != status {
		c.t.Errorf("status %d, want %d: %s", got.status, status, got.text)
	}
	for _, w := range append(words, "Next step:", `<a href="`) {
		if !strings.Contains(got.text, w) {
			c.t.Errorf("the page does not say %q: %s", w, got.text)
		}
	}
	all, err := c.store.Installations(c.t.Context(), c.p.TenantID)
	c.must(err)
	if len(all) != 0 {
		c.t.Error("something was installed")
	}
}

// code walks to the point where Slack sends the browser back, and gives that address.
func (b *browser) code(at landing, user string) string {
	b.t.Helper()
	follow := b.CheckRedirect
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { b.CheckRedirect = follow }()
	form := at.url.Query()
	form.Set("user", user)
	form.Set("action", "allow")
	resp, err := b.PostForm(b.sim.URL+"/oauth/v2/authorize", form)
	b.must(err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		b.t.Fatalf("Slack did not send back: %s", resp.Status)
	}
	return resp.Header.Get("Location")
}

func TestStatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	callback := h.gateway.URL + CallbackPath
	h.control("faults", args{"method": "oauth.v2.access", "kind": "error", "code": "nobody_should_ask", "times": -1})

	c.refused(h.browser().open(h.gateway.URL+InstallPath), 400, "can&#39;t be used")
	c.refused(h.browser().open(h.gateway.URL+InstallPath+"?state=madeup"), 400, "did not make this link")
	c.refused(h.browser().open(callback+"?code=1"), 400, "did not start in Ochre", "approved")
	c.refused(h.browser().open(callback+"?code=1&state=madeup"), 400, "did not make this link")

	// Another browser can neither open the page again nor come back with the code, and does not spoil it for the first.
	first := h.browser()
	page := c.start("/settings")
	at := first.open(page)
	c.refused(h.browser().open(page), 400, "another browser")
	back := first.code(at, "ada")
	c.refused(h.browser().open(back), 400, "another browser")

	// Nobody opened the page: there is no browser that it belongs to.
	state := c.start("/")[len(h.gateway.URL+InstallPath+"?state="):]
	c.refused(h.browser().open(callback+"?code=1&state="+state), 400, "another browser")

	// Older than ten minutes, before and after Slack.
	late := c.start("/")
	h.pass(11 * time.Minute)
	c.refused(h.browser().open(late), 400, "10 minutes")
	c.refused(first.open(back), 400, "10 minutes")

	if calls := h.exchanges(); calls != 0 {
		t.Errorf("%d codes were exchanged", calls)
	}
}

// exchanges counts the codes that Slack was asked to exchange, by the faults that waited for it.
func (h *house) exchanges() int {
	var got struct {
		Faults []struct {
			Method string `json:"method"`
			Hits   int    `json:"hits"`
		} `json:"faults"`
	}
	h.get(h.sim.URL+"/control/faults", &got)
	n := 0
	for _, f := range got.Faults {
		if f.Method == "oauth.v2.access" {
			n += f.Hits
		}
	}
	return n
}

func TestAStateIsUsedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	b := h.browser()
	page := c.start("/settings?tab=slack")
	if again := b.open(page); again.status != http.StatusOK {
		t.Errorf("the page's second opening by one browser: %d", again.status)
	}
	back := b.code(b.open(page), "ada")
	if end := b.open(back); end.url.RequestURI() != "/settings?tab=slack" {
		t.Fatalf("ended at %s: %s", end.url, end.text)
	}
	if got := b.open(back); got.status != 400 || !strings.Contains(got.text, "used already") {
		t.Errorf("used twice: %d %s", got.status, got.text)
	}
	if got := b.open(page); got.status != 400 || !strings.Contains(got.text, "used already") {
		t.Errorf("opened after its use: %d %s", got.status, got.text)
	}
}

func TestWalksThatSlackEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	b := h.browser()
	got := b.answer(b.open(c.start("/settings")), "ada", "deny")
	c.refused(got, 400, "did not allow", "approval", `<a href="/settings">`)

	b.open(c.start("/settings"))
	at := b.open(c.start("/settings"))
	c.refused(b.open(h.gateway.URL+CallbackPath+"?state="+at.url.Query().Get("state")), 400, "without a permission", `<a href="/settings">`)

	at = b.open(c.start("/"))
	c.refused(b.open(h.gateway.URL+CallbackPath+"?error=%3Cscript%3E&state="+at.url.Query().Get("state")), 400, "without a permission")

	// Waiting for an admin: Slack shows its own page, and later comes without our state.
	h.control("switches", args{"approvalRequired": true})
	if got := b.answer(b.open(c.start("/")), "ada", "allow"); !strings.HasPrefix(got.url.String(), h.sim.URL) {
		t.Errorf("Slack sent back to %s", got.url)
	}
}

func TestExchangesThatFail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	h.oauth.o.Timeout = 300 * time.Millisecond
	for _, f := range []struct {
		fault args
		words []string
	}{
		{args{"method": "oauth.v2.access", "kind": "error", "code": "invalid_code"}, []string{"run out", "invalid_code"}},
		{args{"method": "oauth.v2.access", "kind": "error", "code": "bad_client_secret"}, []string{"SLACK_CLIENT_SECRET"}},
		{args{"method": "oauth.v2.access", "kind": "500"}, []string{"http_500"}},
		{args{"method": "oauth.v2.access", "kind": "429", "retryAfter": 5}, []string{"ratelimited"}},
		{args{"method": "oauth.v2.access", "kind": "timeout"}, []string{"no_answer"}},
		{args{"method": "oauth.v2.access", "kind": "close_before"}, []string{"no_answer"}},
		{args{"method": "auth.test", "kind": "500"}, []string{"http_500"}},
		{args{"method": "auth.test", "kind": "error", "code": "invalid_auth"}, []string{"invalid_auth"}},
	} {
		h.control("faults", f.fault)
		b := h.browser()
		c.refused(b.answer(b.open(c.start("/settings")), "ada", "allow"), 502, append(f.words, `<a href="/settings">`)...)
	}
	if strings.Contains(h.log.String(), h.world.App.ClientSecret) || strings.Contains(h.log.String(), "xoxb") {
		t.Error("a secret stands in the log")
	}
	c.install("ada") // and then it works
}

func TestOrganizationWideInstallIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	w := newWire(t, answering(`{"ok":true,"access_token":"xoxb-1","token_type":"bot","scope":"chat:write","bot_user_id":"U1","app_id":"A1","team":null,
		"enterprise":{"id":"E1","name":"Big"},"is_enterprise_install":true}`))
	h.oauth.client = w.Client
	b := h.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page := c.start("/settings")
	b.open(page)
	state := page[strings.Index(page, "state=")+len("state="):]
	c.refused(b.open(h.gateway.URL+CallbackPath+"?code=1&state="+state), 400, "whole organization", "one workspace")
}

func TestPagesOfTheWalkAreSafe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	b := h.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := b.Get(c.start("/"))
	h.must(err)
	_ = resp.Body.Close()
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/slack" {
		t.Errorf("cookie %+v", cookie)
	}
	to, err := url.Parse(resp.Header.Get("Location"))
	h.must(err)
	q := to.Query()
	if to.Path != "/oauth/v2/authorize" || q.Get("client_id") != h.world.App.ClientID || q.Get("redirect_uri") != h.gateway.URL+CallbackPath ||
		q.Get("scope") != strings.Join(ochre.NeededScopes, ",") || len(q.Get("state")) != 43 {
		t.Errorf("sent to %s", to)
	}
	for _, method := range []string{http.MethodHead, http.MethodPost} {
		req, err := http.NewRequest(method, c.start("/"), nil)
		h.must(err)
		resp, err := b.Do(req)
		h.must(err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	resp, err = b.Get(h.gateway.URL + CallbackPath)
	h.must(err)
	_ = resp.Body.Close()
	for key, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := resp.Header.Get(key); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
	if got := resp.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
		t.Errorf("the policy is %q", got)
	}
}

func TestWhereAWalkMayEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	for path, fine := range map[string]bool{
		"/": true, "/settings": true, "/settings?a=b#c": true, "/a//b": true, "/%2F%2Fevil.example": true,
		"": false, "settings": false, "//evil.example": false, "/\\evil.example": false, "/\t/evil.example": false, "/\n/evil.example": false,
		"https://evil.example": false, "javascript:alert(1)": false, "/a b": false, "/%zz": false, "/" + strings.Repeat("a", 3000): false, "/\x00": false, "/\xff": false,
	} {
		_, err := h.desk.StartSlackInstall(t.Context(), c.p, &path)
		if fine != (err == nil) || !fine && ochre.CodeOf(err) != ochre.CodeInvalid {
			t.Errorf("%q: %v", path, err)
		}
	}
	if address, err := h.desk.StartSlackInstall(t.Context(), c.p, nil); err != nil || !strings.HasPrefix(address, h.gateway.URL+InstallPath+"?state=") {
		t.Errorf("without a path: %s, %v", address, err)
	}
}

func TestWhoMayFinishAWalk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	b := h.browser()
	back := b.code(b.open(c.start("/")), "ada")
	second, err := h.desk.CreateAgent(t.Context(), c.p.TenantID, ochre.NewID().String()+"@ochre.example", "Second", ochre.RoleAdmin)
	h.must(err)
	demoted := ochre.RoleAgent
	other := ochre.Principal{TenantID: c.p.TenantID, AgentID: second.ID, Role: ochre.RoleAdmin}
	_, err = h.desk.UpdateAgent(t.Context(), other, c.p.AgentID.Global(ochre.KindAgent), nil, &demoted)
	h.must(err)
	c.refused(b.open(back), 400, "may not connect Slack any more")
}

func TestReinstallKeepsEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	watching, err := c.link(inst, "support", nil)
	h.must(err)
	again := c.install("ben")
	if again.ID != inst.ID || !again.InstalledAt.After(inst.InstalledAt) {
		t.Errorf("the installation %+v became %+v", inst, again)
	}
	l, err := h.store.ChannelLink(t.Context(), c.p.TenantID, watching.ID)
	h.must(err)
	if l.State != ochre.LinkWatching {
		t.Errorf("the link is %s", l.State)
	}
}

func TestAWorkspaceOfAnotherTenantIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	stranger := h.tenant("Stranger")
	b := h.browser()
	got := b.answer(b.open(stranger.start("/settings")), "ben", "allow")
	stranger.refused(got, http.StatusConflict, "already connected")
	if strings.Contains(got.text, c.p.TenantID.String()) || strings.Contains(got.text, "Ochre Labs") {
		t.Errorf("the page tells of another tenant: %s", got.text)
	}
	if log := h.log.String(); !strings.Contains(log, "a workspace of another tenant was refused") || !strings.Contains(log, stranger.p.TenantID.String()) {
		t.Errorf("not logged: %s", log)
	}
	if now := c.installation(inst.ID); !now.Connected || !now.InstalledAt.Equal(inst.InstalledAt) {
		t.Errorf("the first tenant's became %+v", now)
	}
	// It stays the first tenant's after an uninstall too.
	h.control("uninstall", args{})
	stranger.refused(b.answer(b.open(stranger.start("/settings")), "ben", "allow"), http.StatusConflict, "already connected")
}
