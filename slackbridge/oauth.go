package slackbridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
)

// installCookie names the browser that walks through Slack's pages.
const installCookie = "ochre_slack_install"

// How long the steps of the walk may take.
const (
	exchangeTimeout = 30 * time.Second // Slack, to exchange a code, in all
	stateTimeout    = 2 * time.Second  // the database, to find a state: a person waits
	saveTimeout     = 15 * time.Second // the database, to keep a token that Slack gives only once
)

// OAuthOptions configures the pages that connect a workspace.
type OAuthOptions struct {
	ClientID     string
	ClientSecret string
	Timeout      time.Duration // of the exchange; 0: 30 s
	// Installed is told of a new or renewed installation. It must not block. May be nil.
	Installed func(*ochre.SlackInstallation)
	Log       *slog.Logger
}

// OAuth serves the two pages of the walk that connects a workspace: InstallPath, which binds the browser and sends it to Slack, and CallbackPath, to
// which Slack sends it back. Whatever goes wrong ends in a page that says the next step, and nothing is stored.
type OAuth struct {
	desk   *desk.Desk
	client *Client
	o      OAuthOptions
}

// NewOAuth makes the pages.
func NewOAuth(d *desk.Desk, c *Client, o OAuthOptions) *OAuth {
	if o.Timeout == 0 {
		o.Timeout = exchangeTimeout
	}
	if o.Installed == nil {
		o.Installed = func(*ochre.SlackInstallation) {}
	}
	return &OAuth{desk: d, client: c, o: o}
}

// ServeHTTP implements http.Handler for InstallPath and CallbackPath.
func (h *OAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer") // the address holds the state
	if r.Method != http.MethodGet {
		header.Set("Allow", http.MethodGet)
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case InstallPath:
		h.install(w, r)
	case CallbackPath:
		h.callback(w, r)
	default:
		http.NotFound(w, r)
	}
}

// install binds the browser by a cookie and goes on to Slack.
func (h *OAuth) install(w http.ResponseWriter, r *http.Request) {
	state := r.URL.Query().Get("state")
	browser := h.browserOf(r)
	if browser == "" {
		browser, _ = secret.Token()
	}
	ctx, cancel := context.WithTimeout(r.Context(), stateTimeout)
	defer cancel()
	if err := h.desk.OpenInstall(ctx, state, browser); err != nil {
		h.refuse(w, r, err)
		return
	}
	http.SetCookie(w, h.cookie(browser))
	http.Redirect(w, r, h.authorizeURL(state), http.StatusFound)
}

// cookie names the browser for as long as the walk may take. Over https no other host can have set it, so that nobody can bind a
// stranger's browser to a walk of their own.
func (h *OAuth) cookie(browser string) *http.Cookie {
	c := &http.Cookie{
		Name: installCookie, Value: browser, Path: "/slack", MaxAge: 15 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if strings.HasPrefix(h.desk.PublicURL, "https://") {
		c.Name, c.Path, c.Secure = "__Host-"+installCookie, "/", true // what the prefix demands
	}
	return c
}

// browserOf gives the value of the browser's cookie, if it is one of ours: 256 bits in base64url.
func (h *OAuth) browserOf(r *http.Request) string {
	c, err := r.Cookie(h.cookie("").Name)
	if err != nil || len(c.Value) != 43 {
		return ""
	}
	return c.Value
}

// authorizeURL is Slack's page where an admin allows the app.
func (h *OAuth) authorizeURL(state string) string {
	u := url.URL{Scheme: h.client.apiURL.Scheme, Host: h.client.apiURL.Host, Path: "/oauth/v2/authorize"}
	u.RawQuery = url.Values{
		"client_id": {h.o.ClientID}, "scope": {strings.Join(ochre.NeededScopes, ",")}, "state": {state}, "redirect_uri": {h.redirectURI()},
	}.Encode()
	return u.String()
}

func (h *OAuth) redirectURI() string { return h.desk.PublicURL + CallbackPath }

// callback takes what Slack sent the browser back with.
func (h *OAuth) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("state") == "" {
		// Slack comes without a state when an admin approved the app later, or when the app was installed from Slack's own pages.
		h.show(w, r, http.StatusBadRequest, page400("This did not start in Ochre", "Slack sent you here without the mark that Ochre gives each connection it begins, so nothing was connected.",
			"Start again from Ochre's settings. If a Slack admin has just approved Ochre, it will work at once."))
		return
	}
	walk, err := h.take(r, q.Get("state"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if said := q.Get("error"); said != "" || q.Get("code") == "" {
		h.show(w, r, http.StatusBadRequest, denied(said, walk.ReturnTo))
		return
	}
	// Once Slack gave the token it must be kept, whether the browser waits or not.
	ctx := context.WithoutCancel(r.Context())
	n, err := h.exchange(ctx, q.Get("code"))
	if err != nil {
		h.notExchanged(w, r, walk, err)
		return
	}
	n.Install = *walk
	inst, err := h.save(ctx, n)
	if err != nil {
		h.notSaved(w, r, walk, err)
		return
	}
	h.o.Log.InfoContext(r.Context(), "slack workspace connected", "slack_team", inst.SlackTeamID, "installation", inst.GlobalID(), "missing_scopes", inst.MissingScopes())
	h.o.Installed(inst)
	http.Redirect(w, r, h.desk.PublicURL+walk.ReturnTo, http.StatusSeeOther)
}

func (h *OAuth) take(r *http.Request, state string) (*desk.Install, error) {
	ctx, cancel := context.WithTimeout(r.Context(), stateTimeout)
	defer cancel()
	return h.desk.TakeInstall(ctx, state, h.browserOf(r))
}

func (h *OAuth) save(ctx context.Context, n *desk.NewInstallation) (*ochre.SlackInstallation, error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	return h.desk.SaveInstallation(ctx, *n)
}

func (h *OAuth) exchange(ctx context.Context, code string) (*desk.NewInstallation, error) {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	return h.client.exchange(ctx, h.o.ClientID, h.o.ClientSecret, code, h.redirectURI())
}

// refuse answers a state that can't be used; anything else is our own failure.
func (h *OAuth) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *ochre.Error
	if errors.As(err, &e) && e.Code == ochre.CodeInvalid {
		h.show(w, r, http.StatusBadRequest, page400("This link can't be used", "Nothing was connected.", e.Message))
		return
	}
	h.o.Log.ErrorContext(r.Context(), "connect a slack workspace", "error", err)
	h.show(w, r, http.StatusServiceUnavailable, outcomePage{
		Title: "Ochre can't do this right now", What: "Ochre's database did not answer. Nothing was connected.", Next: "Wait a minute, then start again from Ochre's settings.", Link: "/",
	})
}

func (h *OAuth) notExchanged(w http.ResponseWriter, r *http.Request, walk *desk.Install, err error) {
	if errors.Is(err, errOrgInstall) {
		h.show(w, r, http.StatusBadRequest, outcomePage{
			Title: "Ochre can't be installed for a whole organization yet", What: "Slack installed Ochre for your Enterprise organization. Ochre works in single workspaces so far, and nothing was connected.",
			Next: "Start again and choose one workspace. An admin of the organization can remove the installation in Slack.", Link: walk.ReturnTo,
		})
		return
	}
	o := OutcomeOf(err)
	h.o.Log.WarnContext(r.Context(), "slack did not exchange a code", "code", o.Code, "kind", o.Kind.String(), "error", err)
	h.show(w, r, http.StatusBadGateway, exchangeFailed(o, walk.ReturnTo))
}

func (h *OAuth) notSaved(w http.ResponseWriter, r *http.Request, walk *desk.Install, err error) {
	var e *ochre.Error
	if errors.As(err, &e) && e.Code == ochre.CodeForbidden {
		h.o.Log.WarnContext(r.Context(), "a workspace of another tenant was refused", "error", err)
		h.show(w, r, http.StatusConflict, outcomePage{Title: "This workspace is taken", What: e.Message, Next: "Nothing was connected.", Link: walk.ReturnTo})
		return
	}
	h.refuse(w, r, err)
}
