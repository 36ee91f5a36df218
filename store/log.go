package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
)

// writeLog takes as many numbers as there are events and inserts their rows in one statement, the last before the commit: the tenant's
// counter row is locked for as short as can be, and seq follows commit order without holes.
func (tx *Tx) writeLog() error {
	if len(tx.logged) == 0 {
		return nil
	}
	n := len(tx.logged)
	var sql strings.Builder
	args := []any{n, tx.Tenant}
	sql.WriteString(`WITH c AS (UPDATE event_counters SET seq = seq + ? WHERE tenant_id = ? RETURNING seq), v(ord, type, conversation_id, object_kind, object_id, actor_id, content) AS (VALUES `)
	for i, e := range tx.logged {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString("(?::bigint, ?::text, ?::uuid, ?::text, ?::uuid, ?::uuid, ?::boolean)")
		args = append(args, i+1, string(e.Type), e.ConversationID, string(e.ObjectKind), e.ObjectID, e.ActorID, e.Content)
	}
	sql.WriteString(`) INSERT INTO events (tenant_id, seq, type, conversation_id, object_kind, object_id, actor_id, content, at)
		SELECT ?::uuid, c.seq - ? + v.ord, v.type, v.conversation_id, v.object_kind, v.object_id, v.actor_id, v.content, ?::timestamptz FROM c, v ORDER BY v.ord RETURNING seq`)
	args = append(args, tx.Tenant, n, tx.now)
	var seqs []int64
	if err := tx.db.Raw(sql.String(), args...).Scan(&seqs).Error; err != nil {
		return fmt.Errorf("write the event log: %w", err)
	}
	if len(seqs) != n {
		return fmt.Errorf("write the event log: tenant %s has no counter", tx.Tenant)
	}
	for i := range tx.logged {
		tx.logged[i].Seq = seqs[i]
	}
	return nil
}

// LogPosition is where a tenant's log stands: Seq is the newest event, Oldest the first that can still be read.
type LogPosition struct {
	TenantID ochre.ID
	Seq      int64
	Oldest   int64
}

// LogEpoch is the name of this database's event log. It changes when a backup was restored: older cursors then mean nothing.
func (q queries) LogEpoch(ctx context.Context) (string, error) {
	var epoch string
	err := q.db.WithContext(ctx).Raw("SELECT epoch FROM log_epoch").Scan(&epoch).Error
	return epoch, err
}

// LogPosition reads where the log of one tenant stands.
func (q queries) LogPosition(ctx context.Context, tenant ochre.ID) (*LogPosition, error) {
	var p LogPosition
	return one(&p, q.db.WithContext(ctx).Raw("SELECT tenant_id, seq, oldest FROM event_counters WHERE tenant_id = ?", tenant).Scan(&p))
}

// LogPositions reads where the logs of many tenants stand, in one look.
func (q queries) LogPositions(ctx context.Context, tenants []ochre.ID) ([]LogPosition, error) {
	var ps []LogPosition
	if len(tenants) == 0 {
		return nil, nil
	}
	err := q.db.WithContext(ctx).Raw("SELECT tenant_id, seq, oldest FROM event_counters WHERE tenant_id IN ?", tenants).Scan(&ps).Error
	return ps, err
}

// EventsAfter reads at most limit events of a tenant with a seq greater than after, in order. With a conversation, only its own.
func (q queries) EventsAfter(ctx context.Context, tenant ochre.ID, conversation *ochre.ID, after int64, limit int) ([]ochre.Event, error) {
	var evs []ochre.Event
	db := q.db.WithContext(ctx)
	if conversation != nil {
		db = db.Raw("SELECT * FROM events WHERE tenant_id = ? AND conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?", tenant, *conversation, after, limit)
	} else {
		db = db.Raw("SELECT * FROM events WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?", tenant, after, limit)
	}
	err := db.Scan(&evs).Error
	return evs, err
}

// TrimLog deletes at most limit events of a tenant that are older than before. Cursors into them then get a Gap. It gives how many went.
func (s *Store) TrimLog(ctx context.Context, tenant ochre.ID, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.WithContext(ctx).Raw(`WITH upto AS (
			SELECT seq FROM events WHERE tenant_id = ? AND at < ? ORDER BY seq LIMIT ?
		), gone AS (
			DELETE FROM events e USING upto u WHERE e.tenant_id = ? AND e.seq = u.seq RETURNING e.seq
		), moved AS (
			UPDATE event_counters SET oldest = GREATEST(oldest, (SELECT max(seq) + 1 FROM gone)) WHERE tenant_id = ? AND EXISTS (SELECT FROM gone)
		) SELECT count(*) FROM gone`, tenant, before, limit, tenant, tenant).Scan(&n).Error
	return n, err
}

// MovedOn tells whether, after a seq, a message of a conversation was added, edited or deleted by anybody but one agent.
func (q queries) MovedOn(ctx context.Context, tenant, conversation ochre.ID, after int64, agent ochre.ID) (bool, error) {
	var moved bool
	err := q.db.WithContext(ctx).Raw(`SELECT EXISTS (SELECT FROM events WHERE tenant_id = ? AND conversation_id = ? AND seq > ? AND content
		AND actor_id IS DISTINCT FROM ?::uuid)`, tenant, conversation, after, agent).Scan(&moved).Error
	return moved, err
}
