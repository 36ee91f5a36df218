package slacksim

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLife is how long an OAuth code may be exchanged.
const codeLife = 10 * time.Minute

// oauthCode is what a user allowed, until the app exchanges it.
type oauthCode struct {
	userID      string
	scopes      []string
	userScopes  []string
	redirectURI string // as asked; empty if none was
	expires     time.Time
}

// authorizeRequest is what the app asks for with its link to Slack.
type authorizeRequest struct {
	ClientID, Scope, UserScope, State, RedirectURI, Team string
}

func (q authorizeRequest) hidden() map[string]string {
	return map[string]string{
		"client_id": q.ClientID, "scope": q.Scope, "user_scope": q.UserScope,
		"state": q.State, "redirect_uri": q.RedirectURI, "team": q.Team,
	}
}

func readAuthorize(r *http.Request) authorizeRequest {
	return authorizeRequest{
		r.FormValue("client_id"), r.FormValue("scope"), r.FormValue("user_scope"),
		r.FormValue("state"), r.FormValue("redirect_uri"), r.FormValue("team"),
	}
}

// checkAuthorize returns where to go back to, or what is wrong with the link.
func (s *Server) checkAuthorize(q authorizeRequest) (back *url.URL, problem string) {
	app := s.world.app
	if q.ClientID != app.ClientID {
		return nil, "Invalid client_id parameter"
	}
	if q.Scope == "" && q.UserScope == "" {
		return nil, "No scopes requested"
	}
	target := q.RedirectURI
	if target == "" && len(app.RedirectURLs) > 0 {
		target = app.RedirectURLs[0]
	}
	back, err := url.Parse(target)
	if err != nil || back.Host == "" || back.Scheme != "http" && back.Scheme != "https" {
		return nil, "redirect_uri is not a URL"
	}
	known := slices.ContainsFunc(app.RedirectURLs, func(prefix string) bool { return strings.HasPrefix(target, prefix) })
	if len(app.RedirectURLs) > 0 && !known {
		return nil, "redirect_uri did not match any configured URIs. Passed URI: " + target
	}
	return back, ""
}

var authorizePage = template.Must(template.New("authorize").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.App}} wants to be installed</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/page/style.css"></head>
<body class="sheet"><main>
{{if .Problem}}<h1>Something is wrong with this link</h1><p>{{.Problem}}</p>
{{else if .Pending}}<h1>Your request was sent</h1><p>An admin of the workspace has to approve {{.App}} before it can be installed.</p>
{{else}}<h1>{{.App}} is asking to be installed in a workspace</h1>
<form method="post" action="/oauth/v2/authorize">
{{range $name, $value := .Hidden}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<label>You are <select name="user">
{{range .Teams}}<optgroup label="{{.Name}}">{{range .Users}}<option value="{{.ID}}">{{.RealName}}{{if .IsAdmin}} (admin){{end}}</option>{{end}}</optgroup>
{{end}}</select></label>
<p>It asks for:</p><ul>{{range .Scopes}}<li><code>{{.}}</code></li>{{end}}</ul>
<button name="action" value="allow" class="primary">Allow</button> <button name="action" value="deny">Cancel</button>
</form>{{end}}
</main></body></html>
`))

type authorizeTeam struct {
	Name  string
	Users []*user
}

type authorizeView struct {
	App, Problem string
	Pending      bool
	Hidden       map[string]string
	Teams        []authorizeTeam
	Scopes       []string
}

func (s *Server) showAuthorize(w http.ResponseWriter, status int, view authorizeView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := authorizePage.Execute(w, view); err != nil {
		s.log.Debug("the authorize page was not read to its end", "error", err)
	}
}

func (s *Server) serveAuthorizePage(w http.ResponseWriter, r *http.Request) {
	q := readAuthorize(r)
	s.mu.Lock()
	view := authorizeView{App: s.world.app.Name, Hidden: q.hidden(), Scopes: splitScopes(q.Scope + "," + q.UserScope)}
	_, view.Problem = s.checkAuthorize(q)
	for _, t := range s.world.sortedTeams() {
		if q.Team != "" && q.Team != t.ID {
			continue
		}
		one := authorizeTeam{Name: t.Name}
		for _, u := range s.world.sortedUsers() {
			if u.TeamID == t.ID && !u.IsBot && !u.IsGuest && !u.Deleted {
				copied := *u
				one.Users = append(one.Users, &copied)
			}
		}
		view.Teams = append(view.Teams, one)
	}
	s.mu.Unlock()
	status := http.StatusOK
	if view.Problem != "" {
		status = http.StatusBadRequest
	}
	s.showAuthorize(w, status, view)
}

// serveAuthorizeAnswer is the user's click. user is an id, a name or an e-mail.
func (s *Server) serveAuthorizeAnswer(w http.ResponseWriter, r *http.Request) {
	q := readAuthorize(r)
	s.mu.Lock()
	view := authorizeView{App: s.world.app.Name}
	back := s.decide(q, r.FormValue("user"), r.FormValue("action"), &view)
	s.mu.Unlock()
	switch {
	case view.Problem != "":
		s.showAuthorize(w, http.StatusBadRequest, view)
	case view.Pending:
		s.showAuthorize(w, http.StatusOK, view)
	default:
		http.Redirect(w, r, back.String(), http.StatusFound)
	}
}

// decide returns where the user's answer leads to, or says in the view why nowhere.
func (s *Server) decide(q authorizeRequest, who, action string, view *authorizeView) *url.URL {
	back, problem := s.checkAuthorize(q)
	u := s.world.findUser(who)
	switch {
	case problem != "":
		view.Problem = problem
	case action != "allow" && action != "deny":
		view.Problem = "action is neither allow nor deny"
	case action == "allow" && (u == nil || u.IsBot || u.IsGuest):
		view.Problem = "no such user, or one who may not install apps"
	case action == "allow" && q.Team != "" && q.Team != u.TeamID:
		view.Problem = "the link is for another workspace"
	case action == "allow" && s.switches.ApprovalRequired:
		view.Pending = true
	}
	if view.Problem != "" || view.Pending {
		return nil
	}
	answer := back.Query()
	if action == "deny" {
		answer.Set("error", "access_denied")
	} else {
		answer.Set("code", s.newCode(q, u))
	}
	answer.Set("state", q.State)
	back.RawQuery = answer.Encode()
	return back
}

func (s *Server) newCode(q authorizeRequest, u *user) string {
	for code, c := range s.codes {
		if s.now().After(c.expires) {
			delete(s.codes, code)
		}
	}
	granted := slices.DeleteFunc(splitScopes(q.Scope), func(scope string) bool {
		return slices.Contains(s.switches.DeclinedScopes, scope)
	})
	code := s.world.digits("code/"+newUUID(), 12) + "." + s.world.digits("code/"+newUUID(), 13) + "." + s.world.hex("code/"+newUUID(), 64)
	s.codes[code] = oauthCode{
		userID: u.ID, scopes: granted, userScopes: splitScopes(q.UserScope),
		redirectURI: q.RedirectURI, expires: s.now().Add(codeLife),
	}
	return code
}

func splitScopes(list string) []string {
	var out []string
	for _, scope := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(out, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// credentials checks the client id and secret, as HTTP Basic or as arguments.
func (c *call) credentials() *apiError {
	id, secret, basic := c.basic()
	if !basic {
		id, secret = c.args["client_id"], c.args["client_secret"]
	}
	switch {
	case id != c.world.app.ClientID:
		return fail("invalid_client_id")
	case secret != c.world.app.ClientSecret:
		return fail("bad_client_secret")
	}
	return nil
}

// oauthAccess is oauth.v2.access: a code, once, for a token.
func (c *call) oauthAccess() (object, *apiError) {
	if err := c.credentials(); err != nil {
		return nil, err
	}
	if grant := c.args["grant_type"]; grant != "" && grant != "authorization_code" {
		return nil, fail("invalid_grant_type")
	}
	code, found := c.codes[c.args["code"]]
	if !found || c.now().After(code.expires) {
		return nil, fail("invalid_code")
	}
	if code.redirectURI != "" && c.args["redirect_uri"] != code.redirectURI {
		return nil, fail("bad_redirect_uri")
	}
	delete(c.codes, c.args["code"])
	u := c.world.users[code.userID]
	t := c.world.teams[u.TeamID]
	authed := object{"id": u.ID}
	out := object{
		"app_id": c.world.app.ID, "authed_user": authed, "team": object{"id": t.ID, "name": t.Name},
		"enterprise": nil, "is_enterprise_install": false,
	}
	if len(code.userScopes) > 0 {
		tok := c.allowUser(u, code.userScopes)
		authed["access_token"], authed["scope"], authed["token_type"] = tok.Token, strings.Join(tok.Scopes, ","), "user"
	}
	if len(code.scopes) > 0 {
		inst := c.install(u, code.scopes)
		out["access_token"], out["token_type"], out["bot_user_id"] = inst.Token, "bot", inst.BotUserID
		out["scope"] = strings.Join(inst.Scopes, ",")
	}
	return out, nil
}

// allowUser gives the app a token of the person.
func (s *Server) allowUser(u *user, scopes []string) *token {
	tok := &token{
		Token: s.world.secretToken("xoxp", "app user token/"+u.ID), UserID: u.ID,
		AppID: s.world.app.ID, BotID: s.world.id("B", "bot/"+u.TeamID),
	}
	if old := s.world.tokens[tok.Token]; old != nil && old.Dead == "" {
		tok.Scopes = old.Scopes
	}
	tok.Scopes = splitScopes(strings.Join(append(tok.Scopes, scopes...), ","))
	s.world.saveToken(tok)
	return tok
}

// install puts the app into the user's workspace, or adds scopes to it there:
// granted scopes can't be taken away by installing again, and the token stays.
func (s *Server) install(by *user, scopes []string) *installation {
	w := s.world
	t := w.teams[by.TeamID]
	inst := w.installs[t.ID]
	serial := w.nextSerial()
	if inst == nil || !inst.Active {
		inst = &installation{
			TeamID: t.ID, BotUserID: w.id("U", "bot/"+t.ID), BotID: w.id("B", "bot/"+t.ID), InstallerID: by.ID,
			Token: w.secretToken("xoxb", t.ID+"/"+itoa(serial)), Serial: serial, Active: true,
		}
		w.installs[t.ID] = inst
		w.saveUser(&user{
			ID: inst.BotUserID, TeamID: t.ID, Name: strings.ToLower(w.app.Name), RealName: w.app.Name, IsBot: true,
			AppID: w.app.ID, BotID: inst.BotID, Token: inst.Token, Order: serial, UpdatedSec: s.now().Unix(),
		})
	}
	inst.Scopes = splitScopes(strings.Join(append(inst.Scopes, scopes...), ","))
	w.saveToken(&token{
		Token: inst.Token, UserID: inst.BotUserID, AppID: w.app.ID, BotID: inst.BotID, IsBot: true, Scopes: inst.Scopes,
	})
	w.saveInstall(inst)
	s.watchers.tell("")
	return inst
}
