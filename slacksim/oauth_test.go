package slacksim

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

const callback = "http://127.0.0.1:9/slack/oauth/callback"

// authorize clicks on the OAuth page and returns where it leads to; nil if nowhere.
func (s *sim) authorize(user, action, scopes string) (*url.URL, string) {
	s.t.Helper()
	link := s.http.URL + "/oauth/v2/authorize?" + url.Values{
		"client_id": {s.world.App.ClientID}, "scope": {scopes}, "state": {"st&te"}, "redirect_uri": {callback},
	}.Encode()
	client := &http.Client{
		Transport:     s.web.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.PostForm(link, url.Values{"user": {user}, "action": {action}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusFound {
		return nil, string(page)
	}
	return must[*url.URL](s.t)(resp.Location()), ""
}

func (s *sim) exchange(secret, code, redirect string) (*slack.OAuthV2Response, error) {
	return slack.GetOAuthV2ResponseContext(context.Background(), s.web, s.world.App.ClientID, secret, code, redirect,
		slack.OAuthOptionAPIURL(s.http.URL+"/api/"))
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestOAuthInstallsOnceAndAddsScopes(t *testing.T) {
	t.Parallel()
	time := newClock()
	s := start(t, Config{Now: time.Now, RedirectURLs: []string{"http://127.0.0.1:9/slack/"}})
	back, _ := s.authorize("ada", "allow", "chat:write,channels:read")
	if back == nil || back.Query().Get("state") != "st&te" || !strings.HasPrefix(back.String(), callback+"?") {
		t.Fatalf("allowed, and sent to %v", back)
	}
	code := back.Query().Get("code")
	_, err := s.exchange("wrong", code, callback)
	wantError(t, err, "bad_client_secret")
	_, err = s.exchange(s.world.App.ClientSecret, code, callback+"/other")
	wantError(t, err, "bad_redirect_uri")
	got, err := s.exchange(s.world.App.ClientSecret, code, callback)
	if err != nil {
		t.Fatal(err)
	}
	adaID, _ := s.user("ada")
	if got.Team.ID != s.world.Teams[0].ID || got.AuthedUser.ID != adaID || got.Scope != "chat:write,channels:read" || got.TokenType != "bot" || got.AppID != s.world.App.ID {
		t.Errorf("oauth.v2.access answers %+v", got)
	}
	_, err = s.exchange(s.world.App.ClientSecret, code, callback)
	wantError(t, err, "invalid_code")
	who, err := s.client(got.AccessToken).AuthTest()
	if err != nil || who.UserID != got.BotUserID || who.BotID == "" {
		t.Errorf("auth.test says %+v, %v", who, err)
	}

	again, _ := s.authorize("ben", "allow", "users:read")
	more, err := s.exchange(s.world.App.ClientSecret, again.Query().Get("code"), callback)
	if err != nil || more.AccessToken != got.AccessToken || more.Scope != "chat:write,channels:read,users:read" {
		t.Errorf("installed again: %+v, %v", more, err)
	}
}

func TestOAuthCodesExpire(t *testing.T) {
	t.Parallel()
	time := newClock()
	s := start(t, Config{Now: time.Now})
	back, _ := s.authorize("ada", "allow", "chat:write")
	time.pass(codeLife + 1)
	_, err := s.exchange(s.world.App.ClientSecret, back.Query().Get("code"), callback)
	wantError(t, err, "invalid_code")
}

func TestOAuthRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, Config{RedirectURLs: []string{"https://only.example/"}})
	if back, page := s.authorize("ada", "allow", "chat:write"); back != nil || !strings.Contains(page, "did not match any configured URIs") {
		t.Errorf("a foreign redirect URL leads to %v", back)
	}
	s.post("/control/config", object{"redirectUrls": []string{callback}}, nil)
	if back, page := s.authorize("gil", "allow", "chat:write"); back != nil || !strings.Contains(page, "may not install apps") {
		t.Errorf("a guest's click leads to %v", back)
	}
	back, _ := s.authorize("ada", "deny", "chat:write")
	if back == nil || back.Query().Get("error") != "access_denied" || back.Query().Get("state") != "st&te" {
		t.Errorf("a denial leads to %v", back)
	}
	s.post("/control/switches", object{"approvalRequired": true}, nil)
	if back, page := s.authorize("ben", "allow", "chat:write"); back != nil || !strings.Contains(page, "has to approve") {
		t.Errorf("waiting for approval leads to %v", back)
	}
	s.post("/control/switches", object{"approvalRequired": false, "declinedScopes": []string{"users:read.email"}}, nil)
	back, _ = s.authorize("ada", "allow", "chat:write,users:read.email")
	got, err := s.exchange(s.world.App.ClientSecret, back.Query().Get("code"), callback)
	if err != nil || got.Scope != "chat:write" {
		t.Errorf("with a declined scope: %+v, %v", got, err)
	}
}

func TestOAuthTakesBasicAuthentication(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	back, _ := s.authorize("ada", "allow", "chat:write")
	form := url.Values{"code": {back.Query().Get("code")}, "redirect_uri": {callback}}
	req := must[*http.Request](t)(http.NewRequest(http.MethodPost, s.http.URL+"/api/oauth.v2.access", strings.NewReader(form.Encode())))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(s.world.App.ClientID, s.world.App.ClientSecret)
	resp := must[*http.Response](t)(s.web.Do(req))
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(body), `"access_token":"xoxb-`) || !strings.Contains(string(body), `"enterprise":null`) {
		t.Errorf("answered %s", body)
	}
}

func TestAuthorizePageIsAPlainForm(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	resp := must[*http.Response](t)(s.web.Get(s.http.URL + "/oauth/v2/authorize?scope=chat:write&redirect_uri=http://a.example/&state=%22%3E&client_id=" + s.world.App.ClientID))
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`method="post"`, `name="user"`, `value="allow"`, `value="deny"`, `value="&#34;&gt;"`, "Ada Ferrer"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestUninstallTellsInTheOrderOfTheSwitch(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"app_uninstalled", "tokens_revoked"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{Switches: Switches{UninstallOrder: order, DeadTokenError: "token_revoked"}})
			bot := s.install("support")
			if err := bot.UninstallApp(s.world.App.ClientID, s.world.App.ClientSecret); err != nil {
				t.Fatal(err)
			}
			s.idle()
			var kinds []string
			for _, one := range s.deliveries() {
				if one.Type == "app_uninstalled" || one.Type == "tokens_revoked" {
					kinds = append(kinds, one.Type)
				}
			}
			want := []string{"app_uninstalled", "tokens_revoked"}
			if order == "tokens_revoked" {
				slices.Reverse(want)
			}
			if !slices.Equal(kinds, want) {
				t.Errorf("told %v", kinds)
			}
			_, err := bot.AuthTest()
			wantError(t, err, "token_revoked")

			back, _ := s.authorize("ada", "allow", "chat:write")
			fresh, err := s.exchange(s.world.App.ClientSecret, back.Query().Get("code"), callback)
			if err != nil || fresh.Scope != "chat:write" {
				t.Fatalf("installed anew: %+v, %v", fresh, err)
			}
			if _, err := s.client(fresh.AccessToken).AuthTest(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAuthRevoke(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install()
	if got, err := bot.SendAuthRevoke(""); err != nil || !got.Revoked {
		t.Fatalf("auth.revoke: %+v, %v", got, err)
	}
	revoked := s.event("tokens_revoked", "").env.Event["tokens"].(map[string]any)
	if len(revoked["bot"].([]any)) != 1 {
		t.Errorf("tokens_revoked names %v", revoked)
	}
	_, err := bot.AuthTest()
	wantError(t, err, "token_revoked")
}

func (s *sim) deliveries() []attempt {
	var got struct{ Deliveries []attempt }
	s.get("/control/deliveries", &got)
	return got.Deliveries
}
