package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	e := setup(t)
	revoked, _, err := e.desk.CreateToken(t.Context(), e.admin.Email, "revoked")
	must(t, err)
	_, err = e.desk.RevokeToken(t.Context(), revoked)
	must(t, err)
	byID, token, err := e.desk.CreateToken(t.Context(), e.admin.Email, "revoked by id")
	must(t, err)
	_, err = e.desk.RevokeToken(t.Context(), token.ID.String())
	must(t, err)
	chosen := "dev-" + ochre.NewID().String()
	_, err = e.desk.SetToken(t.Context(), strings.ToUpper(e.admin.Email), "dev", chosen)
	must(t, err)

	for name, c := range map[string]struct {
		authorization, query string
		status               int
	}{
		"good":                   {"Bearer " + e.token, "", 200},
		"scheme in another case": {"bearer  " + e.token, "", 200},
		"the operator's choice":  {"Bearer " + chosen, "", 200},
		"none":                   {"-", "", 401},
		"wrong":                  {"Bearer " + e.token + "x", "", 401},
		"empty":                  {"Bearer ", "", 401},
		"no scheme":              {e.token, "", 401},
		"another scheme":         {"Basic " + e.token, "", 401},
		"revoked":                {"Bearer " + revoked, "", 401},
		"revoked by id":          {"Bearer " + byID, "", 401},
		"in the address":         {"-", "?access_token=" + e.token, 401},
		"in the address too":     {"Bearer " + e.token, "?token=" + e.token, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a := e.send("POST", "/graphql"+c.query, `{"query":"{`, "Authorization", c.authorization) // not even JSON: 401 comes before
			if c.status == 401 {
				if a.status != 401 || a.codes(t)[0] != "UNAUTHENTICATED" || strings.Contains(a.body, `"data"`) || a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("got %d %v %s", a.status, a.header, a.body)
				}
				return
			}
			if a.status != 400 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	if log := e.log.String(); strings.Contains(log, e.token) || strings.Contains(log, "access_token") {
		t.Error("a token is in the log")
	}
}

func TestTokenOfAnInactiveAgent(t *testing.T) {
	t.Parallel()
	e := setup(t)
	agent, err := e.desk.CreateAgent(t.Context(), e.tenant.ID, ochre.NewID().String()+"@example.com", "", ochre.RoleAgent)
	must(t, err)
	token, _, err := e.desk.CreateToken(t.Context(), agent.Email, "x")
	must(t, err)
	if a := e.query("{__typename}", nil, "Authorization", "Bearer "+token); a.status != 200 {
		t.Fatalf("active: %d", a.status)
	}
	exec(t, e, "UPDATE agents SET active = false WHERE id = $1", agent.ID.String())
	if a := e.query("{__typename}", nil, "Authorization", "Bearer "+token); a.status != 401 {
		t.Errorf("inactive: %d", a.status)
	}
	if _, _, err := e.desk.CreateToken(t.Context(), agent.Email, "y"); ochre.CodeOf(err) != ochre.CodeNotFound {
		t.Errorf("a token for an inactive agent: %v", err)
	}
	if _, err := e.desk.SignInLink(t.Context(), agent.Email); ochre.CodeOf(err) != ochre.CodeNotFound {
		t.Errorf("a sign-in link for an inactive agent: %v", err)
	}
}

func TestLastUseIsKeptToTheMinute(t *testing.T) {
	t.Parallel()
	e := setup(t)
	used := func() time.Time {
		e.query("{__typename}", nil)
		u, err := e.store.TokenPrincipalByID(t.Context(), e.tenant.ID, e.tokenID)
		must(t, err)
		return *u.LastUsedAt
	}
	first := used()
	e.clock.advance(59 * time.Second)
	if again := used(); !again.Equal(first) {
		t.Errorf("written again after 59 s")
	}
	e.clock.advance(time.Second)
	if again := used(); !again.After(first) {
		t.Errorf("not written again after a minute")
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	e := setup(t)
	ctx := t.Context()
	if _, _, _, err := e.desk.CreateTenant(ctx, "Other", strings.ToUpper(e.admin.Email)); ochre.CodeOf(err) != ochre.CodeEmailTaken {
		t.Errorf("an email twice: %v", err)
	}
	if _, err := e.desk.CreateAgent(ctx, e.tenant.ID, e.admin.Email, "", ochre.RoleAgent); ochre.CodeOf(err) != ochre.CodeEmailTaken {
		t.Errorf("an email twice: %v", err)
	}
	for _, bad := range []string{"", "ada", "Ada <ada@example.com>", "ada@", "a b@example.com"} {
		if _, err := e.desk.CreateAgent(ctx, e.tenant.ID, bad, "", ochre.RoleAgent); ochre.CodeOf(err) != ochre.CodeBadUserInput {
			t.Errorf("email %q: %v", bad, err)
		}
	}
	if _, _, _, err := e.desk.CreateTenant(ctx, " ", "new@example.com"); ochre.CodeOf(err) != ochre.CodeBadUserInput {
		t.Errorf("a tenant without a name: %v", err)
	}
	if _, err := e.desk.RevokeToken(ctx, "nothing"); ochre.CodeOf(err) != ochre.CodeNotFound {
		t.Errorf("revoke what is not there: %v", err)
	}
	text, token, err := e.desk.CreateToken(ctx, e.admin.Email, "twice")
	must(t, err)
	if !strings.HasPrefix(text, desk.TokenPrefix) || len(text) != len(desk.TokenPrefix)+43 {
		t.Errorf("token %q", text)
	}
	again, err := e.desk.SetToken(ctx, e.admin.Email, "twice", text)
	must(t, err)
	if again.ID != token.ID {
		t.Error("the same token twice has two ids")
	}
	other := setup(t)
	if _, err := other.desk.SetToken(ctx, other.admin.Email, "theirs", text); err == nil {
		t.Error("another tenant took the token over")
	}
	if len(e.tenantIDs()) == 0 {
		t.Error("no tenants")
	}
}

func (e *env) tenantIDs() []ochre.Tenant {
	e.t.Helper()
	ts, err := e.store.Tenants(e.t.Context())
	must(e.t, err)
	return ts
}

// page sends what a browser would: no Authorization, a cookie perhaps, and where the request comes from.
func (e *env) page(method, path string, form url.Values, cookie, site string) answer {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, strings.NewReader(form.Encode()))
	must(e.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	return e.do(r)
}

func (e *env) linkToken() url.Values {
	_, token, _ := strings.Cut(e.link, "token=")
	return url.Values{"token": {token}}
}

// signIn posts the admin's link and gives the cookie.
func (e *env) signIn() string {
	e.t.Helper()
	a := e.page("POST", "/signin", e.linkToken(), "", "same-origin")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		e.t.Fatalf("sign in: %d %s", a.status, a.body)
	}
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie
}

func TestSignInLink(t *testing.T) {
	t.Parallel()
	e := setup(t)
	path := strings.TrimPrefix(e.link, e.url)
	for range 3 { // a mail program's preview
		a := e.page("GET", path, nil, "", "none")
		if a.status != 200 || !strings.Contains(a.body, `name="token"`) || a.header.Get("Set-Cookie") != "" {
			t.Fatalf("the page: %d %s", a.status, a.body)
		}
		if a.header.Get("Referrer-Policy") != "strict-origin" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", a.header)
		}
	}
	if a := e.page("POST", "/signin", e.linkToken(), "", "cross-site"); a.status != 403 {
		t.Errorf("posted by another site: %d", a.status)
	}
	var signedIn atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			switch a := e.page("POST", "/signin", e.linkToken(), "", "same-origin"); a.status {
			case http.StatusSeeOther:
				signedIn.Add(1)
			case http.StatusUnauthorized:
			default:
				t.Errorf("sign in: %d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	if signedIn.Load() != 1 {
		t.Errorf("%d of 8 signed in with one link", signedIn.Load())
	}
	if strings.Contains(e.log.String(), e.linkToken().Get("token")) {
		t.Error("the link's token is in the log")
	}

	link, err := e.desk.SignInLink(t.Context(), e.admin.Email)
	must(t, err)
	e.link = link
	e.clock.advance(desk.SignInLinkLife)
	if a := e.page("POST", "/signin", e.linkToken(), "", "same-origin"); a.status != 401 || !strings.Contains(a.body, "expired") {
		t.Errorf("an expired link: %d %s", a.status, a.body)
	}
	for _, token := range []string{"", "nothing", "\x00"} {
		if a := e.page("POST", "/signin", url.Values{"token": {token}}, "", "same-origin"); a.status != 401 {
			t.Errorf("token %q: %d", token, a.status)
		}
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	e := setup(t)
	cookie := e.signIn()
	post := func(cookie string, headers ...string) answer {
		return e.query("{viewer{id}}", nil, append([]string{"Authorization", "-", "Cookie", cookie}, headers...)...)
	}
	ours := []string{"Sec-Fetch-Site", "same-origin"}
	if a := post(cookie, ours...); a.status != 200 || !strings.Contains(a.body, e.admin.GlobalID()) {
		t.Fatalf("with the cookie: %d %s", a.status, a.body)
	}
	for name, c := range map[string]struct {
		status int
		send   func() answer
	}{
		"another site":   {403, func() answer { return post(cookie, "Sec-Fetch-Site", "cross-site") }},
		"another port":   {403, func() answer { return post(cookie, "Sec-Fetch-Site", "same-site") }},
		"another origin": {403, func() answer { return post(cookie, "Origin", "https://evil.example") }},
		"our origin":     {200, func() answer { return post(cookie, "Origin", e.url) }},
		"text/plain":     {415, func() answer { return post(cookie, append(ours, "Content-Type", "text/plain")...) }},
		"get":            {401, func() answer { return e.page("GET", "/graphql?query={viewer{id}}", nil, cookie, "same-origin") }},
		"get as an event stream": {401, func() answer {
			return e.send("GET", "/graphql?query={viewer{id}}", "", "Authorization", "-", "Cookie", cookie, "Accept", "text/event-stream")
		}},
		"made up":                 {401, func() answer { return post("ochre_session=" + strings.Repeat("A", 43)) }},
		"no cookie":               {401, func() answer { return post("a=b") }},
		"a wrong token beside it": {401, func() answer { return post(cookie, "Authorization", "Bearer x") }},
	} {
		t.Run(name, func(t *testing.T) {
			if a := c.send(); a.status != c.status {
				t.Errorf("got %d, want %d: %s", a.status, c.status, a.body)
			}
		})
	}

	if a := e.page("GET", "/", nil, cookie, "none"); a.status != 200 || !strings.Contains(a.body, "/graphiql") {
		t.Errorf("start page: %d", a.status)
	}
	if a := e.page("GET", "/", nil, "", "none"); a.status != 303 || a.header.Get("Location") != "/signin" {
		t.Errorf("start page of a stranger: %d", a.status)
	}
	if a := e.page("POST", "/signout", nil, cookie, "cross-site"); a.status != 403 {
		t.Errorf("signed out by another site: %d", a.status)
	}
	a := e.page("POST", "/signout", nil, cookie, "same-origin")
	if a.status != 303 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("sign out: %d %v", a.status, a.header)
	}
	if a := post(cookie, ours...); a.status != 401 {
		t.Errorf("after signing out: %d", a.status)
	}
}

func TestSessionIsRotatedAndEnds(t *testing.T) {
	t.Parallel()
	e := setup(t, func(_ *serverConfig, s *setting) { s.publicURL = "https://ochre.example" })
	first := e.page("POST", "/signin", e.linkToken(), "__Host-ochre_session=chosen-by-an-attacker", "same-origin").header.Get("Set-Cookie")
	for _, part := range []string{"__Host-ochre_session=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", fmt.Sprintf("Max-Age=%d", 14*24*3600)} {
		if !strings.Contains(first, part[:len(part)-1]) {
			t.Errorf("cookie %q lacks %s", first, part)
		}
	}
	if strings.Contains(first, "chosen-by-an-attacker") {
		t.Error("the cookie was not rotated")
	}
	cookie, _, _ := strings.Cut(first, ";")
	post := func() int {
		return e.query("{__typename}", nil, "Authorization", "-", "Cookie", cookie, "Sec-Fetch-Site", "same-origin").status
	}

	link, err := e.desk.SignInLink(t.Context(), e.admin.Email)
	must(t, err)
	e.link = strings.Replace(link, "https://ochre.example", e.url, 1)
	was := cookie
	cookie, _, _ = strings.Cut(e.page("POST", "/signin", e.linkToken(), was, "same-origin").header.Get("Set-Cookie"), ";")
	if post() != 200 {
		t.Fatal("the second session does not work")
	}
	now := cookie
	cookie = was
	if post() != 401 {
		t.Error("signing in again left the former session")
	}
	cookie = now
	e.clock.advance(14*24*time.Hour + time.Minute)
	if post() != 401 {
		t.Error("a session without use for 14 days still works")
	}
	n, err := e.store.DeleteExpired(t.Context(), e.clock.Now(), 1000)
	must(t, err)
	if n == 0 {
		t.Error("nothing was expired")
	}
}
