package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// AgentsEmail is the name of the index that keeps an email to one agent of the whole system, for IsUnique.
const AgentsEmail = "agents_email"

// InsertTenant stores a new tenant, which must be the transaction's own, with its counters at zero.
func (tx *Tx) InsertTenant(ctx context.Context, t *ochre.Tenant) error {
	db := tx.db.WithContext(ctx)
	if err := db.Exec("INSERT INTO tenants (id, name, created_at) VALUES (?, ?, ?)", t.ID, t.Name, t.CreatedAt).Error; err != nil {
		return fmt.Errorf("insert a tenant: %w", err)
	}
	if err := db.Exec("INSERT INTO event_counters (tenant_id) VALUES (?)", t.ID).Error; err != nil {
		return fmt.Errorf("insert a tenant's event counter: %w", err)
	}
	if err := db.Exec("INSERT INTO number_counters (tenant_id) VALUES (?)", t.ID).Error; err != nil {
		return fmt.Errorf("insert a tenant's number counter: %w", err)
	}
	return nil
}

// InsertAgent stores a new agent of the transaction's tenant. IsUnique(err, AgentsEmail) if an agent of any tenant has the email.
func (tx *Tx) InsertAgent(ctx context.Context, a *ochre.Agent) error {
	a.TenantID = tx.Tenant
	return tx.db.WithContext(ctx).Exec(`INSERT INTO agents (tenant_id, id, name, email, avatar_url, role, active, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, a.TenantID, a.ID, a.Name, a.Email, a.AvatarURL, a.Role, a.Active, a.CreatedAt).Error
}

// AnyAgentByEmail reads the agent with an email, in any case, of whatever tenant: emails are unique in the whole system.
func (q queries) AnyAgentByEmail(ctx context.Context, email string) (*ochre.Agent, error) {
	var a ochre.Agent
	return one(&a, q.db.WithContext(ctx).Raw("SELECT * FROM agents WHERE lower(email) = lower(?)", email).Scan(&a))
}

// Tenants reads all tenants, oldest first. It is for the operator only.
func (q queries) Tenants(ctx context.Context) ([]ochre.Tenant, error) {
	var ts []ochre.Tenant
	err := q.db.WithContext(ctx).Raw("SELECT * FROM tenants ORDER BY created_at, id").Scan(&ts).Error
	return ts, err
}

// AgentPrincipal is what an agent who is known by id may do now. ErrNotFound for one that is not active.
func (q queries) AgentPrincipal(ctx context.Context, tenant, agent ochre.ID) (*ochre.Principal, error) {
	var p ochre.Principal
	return one(&p, q.db.WithContext(ctx).Raw(`SELECT tenant_id, id AS agent_id, role FROM agents
		WHERE tenant_id = ? AND id = ? AND active`, tenant, agent).Scan(&p))
}

// TokenUse is who an API token stands for and when it was last used.
type TokenUse struct {
	ochre.Principal
	LastUsedAt *time.Time
}

const tokenSQL = `SELECT t.tenant_id, t.agent_id, a.role, t.id AS token_id, t.last_used_at FROM api_tokens t
	JOIN agents a ON a.tenant_id = t.tenant_id AND a.id = t.agent_id WHERE t.revoked_at IS NULL AND a.active `

// TokenPrincipal finds who the API token with this hash stands for. ErrNotFound for an unknown or revoked token and for one of an
// agent who is not active.
func (q queries) TokenPrincipal(ctx context.Context, hash []byte) (*TokenUse, error) {
	var u TokenUse
	return one(&u, q.db.WithContext(ctx).Raw(tokenSQL+"AND t.hash = ?", hash).Scan(&u))
}

// TokenPrincipalByID is TokenPrincipal for a token that was accepted before.
func (q queries) TokenPrincipalByID(ctx context.Context, tenant, token ochre.ID) (*TokenUse, error) {
	var u TokenUse
	return one(&u, q.db.WithContext(ctx).Raw(tokenSQL+"AND t.tenant_id = ? AND t.id = ?", tenant, token).Scan(&u))
}

// TouchToken notes that a token was used now.
func (s *Store) TouchToken(ctx context.Context, tenant, token ochre.ID, now time.Time) error {
	return s.db.WithContext(ctx).Exec("UPDATE api_tokens SET last_used_at = ? WHERE tenant_id = ? AND id = ?", now, tenant, token).Error
}

// errHashTaken is what PutToken gives for the text of another agent's token.
var errHashTaken = errors.New("the token belongs to another agent")

// PutToken stores a token. One with the same hash and agent that is there already is valid again afterwards and keeps its id, which
// is written into t.
func (tx *Tx) PutToken(ctx context.Context, t *ochre.APIToken) error {
	t.TenantID = tx.Tenant
	var ids []ochre.ID
	err := tx.db.WithContext(ctx).Raw(`INSERT INTO api_tokens AS had (tenant_id, id, agent_id, name, hash, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (hash) DO UPDATE SET revoked_at = NULL, name = excluded.name WHERE had.tenant_id = excluded.tenant_id AND had.agent_id = excluded.agent_id
		RETURNING id`, t.TenantID, t.ID, t.AgentID, t.Name, t.Hash, t.CreatedAt).Scan(&ids).Error
	switch {
	case err != nil:
		return fmt.Errorf("store a token: %w", err)
	case len(ids) == 0:
		return errHashTaken
	}
	t.ID = ids[0]
	return nil
}

// RevokeToken ends the token with this id or this hash, whichever is not nil, of whatever tenant: it is for the operator only. A
// token that was revoked before keeps that time.
func (s *Store) RevokeToken(ctx context.Context, id *ochre.ID, hash []byte, now time.Time) (*ochre.APIToken, error) {
	var t ochre.APIToken
	return one(&t, s.db.WithContext(ctx).Raw(`UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, ?)
		WHERE id = ? OR hash = ? RETURNING *`, now, id, hash).Scan(&t))
}

// InsertSignInLink stores the hash of a one-time sign-in link.
func (tx *Tx) InsertSignInLink(ctx context.Context, agent ochre.ID, hash []byte, expires time.Time) error {
	return tx.db.WithContext(ctx).Exec(`INSERT INTO signin_links (tenant_id, agent_id, hash, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?)`, tx.Tenant, agent, hash, tx.now, expires).Error
}

// UseSignInLink takes a sign-in link, once. ErrNotFound for one that is unknown, used, expired, or of an agent who is not active.
func (s *Store) UseSignInLink(ctx context.Context, hash []byte, now time.Time) (*ochre.Principal, error) {
	var p ochre.Principal
	return one(&p, s.db.WithContext(ctx).Raw(`UPDATE signin_links l SET used_at = ? FROM agents a
		WHERE l.hash = ? AND l.used_at IS NULL AND l.expires_at > ? AND a.tenant_id = l.tenant_id AND a.id = l.agent_id AND a.active
		RETURNING a.tenant_id, a.id AS agent_id, a.role`, now, hash, now).Scan(&p))
}

// Session reads a browser session by its key (a hash of the cookie); false if there is none or it has expired.
func (q queries) Session(ctx context.Context, key string, now time.Time) (data []byte, found bool, err error) {
	var rows []struct{ Data []byte }
	err = q.db.WithContext(ctx).Raw("SELECT data FROM sessions WHERE token = ? AND expiry > ?", key, now).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0].Data, true, nil
}

// PutSession writes a browser session.
func (s *Store) PutSession(ctx context.Context, key string, data []byte, expiry time.Time) error {
	return s.db.WithContext(ctx).Exec(`INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)
		ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry`, key, data, expiry).Error
}

// DeleteSession ends a browser session; one that is not there is fine.
func (s *Store) DeleteSession(ctx context.Context, key string) error {
	return s.db.WithContext(ctx).Exec("DELETE FROM sessions WHERE token = ?", key).Error
}

// DeleteExpired removes sessions and sign-in links that ended before now, at most limit of each, and tells how many went.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time, limit int) (int64, error) {
	db := s.db.WithContext(ctx)
	sessions := db.Exec("DELETE FROM sessions WHERE token IN (SELECT token FROM sessions WHERE expiry <= ? LIMIT ?)", now, limit)
	if sessions.Error != nil {
		return 0, fmt.Errorf("delete expired sessions: %w", sessions.Error)
	}
	links := db.Exec("DELETE FROM signin_links WHERE hash IN (SELECT hash FROM signin_links WHERE expires_at <= ? LIMIT ?)", now, limit)
	if links.Error != nil {
		return sessions.RowsAffected, fmt.Errorf("delete expired sign-in links: %w", links.Error)
	}
	return sessions.RowsAffected + links.RowsAffected, nil
}
