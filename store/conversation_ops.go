package store

import (
	"context"
	"time"

	"github.com/ochrehq/ochre"
)

// ShareAgent reads an agent and keeps others from changing it until the commit.
func (tx *Tx) ShareAgent(ctx context.Context, id ochre.ID) (*ochre.Agent, error) {
	var a ochre.Agent
	return one(&a, tx.db.WithContext(ctx).Raw("SELECT * FROM agents WHERE tenant_id = ? AND id = ? FOR SHARE", tx.Tenant, id).Scan(&a))
}

// LockAssigned reads the conversations of an agent that are not closed, by id, and locks them.
func (tx *Tx) LockAssigned(ctx context.Context, agent ochre.ID) ([]*ochre.Conversation, error) {
	return rows[ochre.Conversation](ctx, tx.queries, "SELECT * FROM conversations WHERE tenant_id = ? AND assignee_id = ? AND status <> 'CLOSED' ORDER BY id FOR NO KEY UPDATE", tx.Tenant, agent)
}

// Due names a conversation whose time has come.
type Due struct {
	TenantID ochre.ID
	ID       ochre.ID
}

// DueToWake lists at most limit snoozed conversations of all tenants whose time has come, the longest due first.
func (s *Store) DueToWake(ctx context.Context, now time.Time, limit int) ([]Due, error) {
	var due []Due
	err := s.db.WithContext(ctx).Raw("SELECT tenant_id, id FROM conversations WHERE status = 'SNOOZED' AND snoozed_until <= ? ORDER BY snoozed_until LIMIT ?", now, limit).Scan(&due).Error
	return due, err
}

// LockDue locks a conversation that still is to wake. ErrNotFound if it is not any more, or if somebody else has it locked.
func (tx *Tx) LockDue(ctx context.Context, id ochre.ID) (*ochre.Conversation, error) {
	var c ochre.Conversation
	return one(&c, tx.db.WithContext(ctx).Raw(`SELECT * FROM conversations WHERE tenant_id = ? AND id = ? AND status = 'SNOOZED' AND snoozed_until <= ?
		FOR NO KEY UPDATE SKIP LOCKED`, tx.Tenant, id, tx.now).Scan(&c))
}

// LastEntryAt is the time of the newest message, note or activity of a conversation; ErrNotFound if it has none.
func (q queries) LastEntryAt(ctx context.Context, tenant, conversation ochre.ID) (time.Time, error) {
	var at *time.Time
	err := q.db.WithContext(ctx).Raw(`SELECT max(created_at) FROM (
		(SELECT created_at FROM messages WHERE tenant_id = ? AND conversation_id = ? ORDER BY position DESC LIMIT 1) UNION ALL
		(SELECT created_at FROM notes WHERE tenant_id = ? AND conversation_id = ? ORDER BY position DESC LIMIT 1) UNION ALL
		(SELECT created_at FROM activities WHERE tenant_id = ? AND conversation_id = ? ORDER BY position DESC LIMIT 1)) AS e`,
		tenant, conversation, tenant, conversation, tenant, conversation).Scan(&at).Error
	if err != nil || at == nil {
		if err == nil {
			err = ochre.ErrNotFound
		}
		return time.Time{}, err
	}
	return *at, nil
}
