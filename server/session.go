package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// A browser session ends after so long without use, and at last so long after signing in.
const (
	sessionIdle = 14 * 24 * time.Hour
	sessionLife = 30 * 24 * time.Hour
)

// renewEvery is how often a session in use is written again, which moves its idle end.
const renewEvery = time.Hour

// What a session holds.
const (
	sessionTenant = "tenant"
	sessionAgent  = "agent"
	sessionSeen   = "seen" // Unix time at which it was last written
)

// sessions are the browsers' sessions: scs over table sessions, keyed by a hash of the cookie.
type sessions struct {
	scs   *scs.SessionManager
	store *store.Store
	now   func() time.Time
}

func newSessions(st *store.Store, now func() time.Time, secure bool) *sessions {
	// scs.New would start a goroutine for a store of its own, which nothing can end for sure.
	m := &scs.SessionManager{
		Store:            sessionStore{st, now},
		Codec:            scs.GobCodec{},
		HashTokenInStore: true,
		IdleTimeout:      sessionIdle,
		Lifetime:         sessionLife,
		Cookie:           scs.SessionCookie{Name: "ochre_session", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true},
	}
	if secure {
		m.Cookie.Name = "__Host-ochre_session" // browsers take it over https only, and from this host only
		m.Cookie.Secure = true
	}
	return &sessions{m, st, now}
}

// principal tells whose session the request's cookie names. Without one that is valid: errSignIn. A session that is used is renewed,
// if there is a response to send the cookie with.
func (s *sessions) principal(ctx context.Context, w http.ResponseWriter, r *http.Request) (*ochre.Principal, error) {
	cookie, err := r.Cookie(s.scs.Cookie.Name)
	if err != nil || cookie.Value == "" {
		return nil, errSignIn
	}
	ctx, err = s.scs.Load(ctx, cookie.Value)
	if err != nil {
		return nil, fmt.Errorf("read a session: %w", err)
	}
	tenant, errTenant := ochre.ParseUUID(s.scs.GetString(ctx, sessionTenant))
	agent, errAgent := ochre.ParseUUID(s.scs.GetString(ctx, sessionAgent))
	if errTenant != nil || errAgent != nil { // there is no such session
		return nil, errSignIn
	}
	p, err := s.store.AgentPrincipal(ctx, tenant, agent)
	if err != nil {
		return nil, err
	}
	p.SessionID = sessionKey(cookie.Value)
	if w != nil && s.now().Unix()-s.scs.GetInt64(ctx, sessionSeen) >= int64(renewEvery/time.Second) {
		if err := s.write(ctx, w); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// begin starts a session under a new token, whatever cookie came, and ends the former one.
func (s *sessions) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, p *ochre.Principal) error {
	ctx, err := s.load(ctx, r)
	if err != nil {
		return err
	}
	if err := s.scs.RenewToken(ctx); err != nil {
		return fmt.Errorf("begin a session: %w", err)
	}
	s.scs.Put(ctx, sessionTenant, p.TenantID.String())
	s.scs.Put(ctx, sessionAgent, p.AgentID.String())
	return s.write(ctx, w)
}

// end ends the request's session, if it has one, and takes the cookie back.
func (s *sessions) end(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	ctx, err := s.load(ctx, r)
	if err != nil {
		return err
	}
	if err := s.scs.Destroy(ctx); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	s.scs.WriteSessionCookie(ctx, w, "", time.Time{})
	return nil
}

func (s *sessions) load(ctx context.Context, r *http.Request) (context.Context, error) {
	var token string
	if cookie, err := r.Cookie(s.scs.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := s.scs.Load(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("read a session: %w", err)
	}
	return ctx, nil
}

func (s *sessions) write(ctx context.Context, w http.ResponseWriter) error {
	s.scs.Put(ctx, sessionSeen, s.now().Unix())
	token, expiry, err := s.scs.Commit(ctx)
	if err != nil {
		return fmt.Errorf("write a session: %w", err)
	}
	s.scs.WriteSessionCookie(ctx, w, token, expiry)
	return nil
}

// sessionKey is the key under which scs keeps the session of a cookie, with HashTokenInStore.
func sessionKey(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sessionStore is scs's view of the store. scs calls the methods that take a context; the others are there for its interface.
type sessionStore struct {
	store *store.Store
	now   func() time.Time
}

var _ scs.CtxStore = sessionStore{}

// FindCtx implements scs.CtxStore.
func (s sessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return s.store.Session(ctx, token, s.now())
}

// CommitCtx implements scs.CtxStore.
func (s sessionStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return s.store.PutSession(ctx, token, b, expiry)
}

// DeleteCtx implements scs.CtxStore.
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return s.store.DeleteSession(ctx, token)
}

// Find implements scs.Store.
func (s sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit implements scs.Store.
func (s sessionStore) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete implements scs.Store.
func (s sessionStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
