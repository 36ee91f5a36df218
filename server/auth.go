package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/store"
)

// authLimit is how long finding out who asks may take: a database that does not answer must be told of within 3 s.
const authLimit = 2 * time.Second

// touchEvery is how exact an API token's last use is kept.
const touchEvery = time.Minute

// Auth tells who makes a request: an API token in the Authorization header, or a browser session. It implements the sockets'
// Authenticator. Nothing is cached: a revoked token ends with the next request.
type Auth struct {
	store    *store.Store
	desk     *desk.Desk
	sessions *sessions
	now      func() time.Time
	cross    *http.CrossOriginProtection
}

// NewAuth makes an Auth. The session cookie is for https only if the desk's public URL is.
func NewAuth(st *store.Store, d *desk.Desk) *Auth {
	return &Auth{
		store: st, desk: d, now: d.Now, cross: http.NewCrossOriginProtection(),
		sessions: newSessions(st, d.Now, strings.HasPrefix(d.PublicURL, "https://")),
	}
}

var errSignIn = ochre.Errorf(ochre.CodeUnauthenticated, "Sign in: send `Authorization: Bearer TOKEN` with a valid API token.")

// request admits an HTTP request that is no WebSocket. By GET the cookie is not looked at: another site's page can make a browser
// send a GET with it. By POST the browser must say that the page is ours.
func (a *Auth) request(ctx context.Context, w http.ResponseWriter, r *http.Request) (context.Context, error) {
	if r.Header.Get("Authorization") != "" {
		return a.bearer(ctx, r.Header["Authorization"])
	}
	if r.Method == http.MethodGet {
		return ctx, errSignIn
	}
	ctx, err := a.cookie(ctx, w, r)
	if err != nil {
		return ctx, err
	}
	if err := a.cross.Check(r); err != nil {
		return ctx, ochre.Errorf(ochre.CodeForbidden, "This request came from another site.")
	}
	return ctx, nil
}

// upgrade admits a WebSocket, as nobody yet unless it says who it is: connection_init may.
func (a *Auth) upgrade(ctx context.Context, r *http.Request) (context.Context, error) {
	if r.Header.Get("Authorization") != "" {
		return a.bearer(ctx, r.Header["Authorization"])
	}
	with, err := a.cookie(ctx, nil, r)
	if ochre.CodeOf(err) == ochre.CodeUnauthenticated {
		return ctx, nil
	}
	return with, err
}

// Connect is the sockets' door: connection_init's payload {"authorization": "Bearer TOKEN"} counts before what the HTTP request said.
func (a *Auth) Connect(ctx context.Context, _ *http.Request, payload json.RawMessage) (context.Context, error) {
	if len(payload) > 0 {
		var init struct {
			Authorization *string `json:"authorization"` // in any case
		}
		if json.Unmarshal(payload, &init) != nil {
			return ctx, errSignIn
		}
		if init.Authorization != nil {
			return a.bearer(ctx, []string{*init.Authorization})
		}
	}
	if _, ok := ochre.PrincipalFrom(ctx); !ok {
		return ctx, errSignIn
	}
	return ctx, nil
}

// Check tells whether the principal of ctx is still who they were: token, session and agent valid, the role the same.
func (a *Auth) Check(ctx context.Context) error {
	was, ok := ochre.PrincipalFrom(ctx)
	if !ok {
		return errSignIn
	}
	ctx, cancel := context.WithTimeout(ctx, authLimit)
	defer cancel()
	is, err := a.reread(ctx, was)
	if err != nil {
		return authError(err)
	}
	if is.Role != was.Role {
		return ochre.Errorf(ochre.CodeForbidden, "The role has changed: connect again.")
	}
	return nil
}

func (a *Auth) reread(ctx context.Context, p ochre.Principal) (*ochre.Principal, error) {
	if !p.TokenID.IsZero() {
		use, err := a.store.TokenPrincipalByID(ctx, p.TenantID, p.TokenID)
		if err != nil {
			return nil, err
		}
		return &use.Principal, nil
	}
	if _, found, err := a.store.Session(ctx, p.SessionID, a.now()); err != nil || !found {
		return nil, errors.Join(err, notFoundUnless(err))
	}
	return a.store.AgentPrincipal(ctx, p.TenantID, p.AgentID)
}

// bearer admits by an API token.
func (a *Auth) bearer(ctx context.Context, headers []string) (context.Context, error) {
	if len(headers) != 1 {
		return ctx, errSignIn
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return ctx, errSignIn
	}
	limited, cancel := context.WithTimeout(ctx, authLimit)
	defer cancel()
	use, err := a.store.TokenPrincipal(limited, secret.Hash(token))
	if err != nil {
		return ctx, authError(err)
	}
	if now := a.now(); use.LastUsedAt == nil || now.Sub(*use.LastUsedAt) >= touchEvery {
		if err := a.store.TouchToken(limited, use.TenantID, use.TokenID, now); err != nil {
			return ctx, authError(err)
		}
	}
	return admitted(ctx, use.Principal), nil
}

// cookie admits by a browser session. With a ResponseWriter it may renew the cookie.
func (a *Auth) cookie(ctx context.Context, w http.ResponseWriter, r *http.Request) (context.Context, error) {
	limited, cancel := context.WithTimeout(ctx, authLimit)
	defer cancel()
	p, err := a.sessions.principal(limited, w, r)
	if err != nil {
		return ctx, authError(err)
	}
	return admitted(ctx, *p), nil
}

// authError is what may be said of an error on the way to who asks.
func authError(err error) error {
	var known *ochre.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, ochre.ErrNotFound):
		return errSignIn
	}
	return &ochre.Error{Code: ochre.CodeUnavailable, Message: "Ochre can't reach its database now. Try again.", Err: fmt.Errorf("who asks: %w", err)}
}

func notFoundUnless(err error) error {
	if err != nil {
		return nil
	}
	return ochre.ErrNotFound
}
