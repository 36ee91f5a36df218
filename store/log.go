package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
)

// eventKey is what an event tells of.
type eventKey struct {
	typ                  ochre.EventType
	kind                 ochre.Kind
	object, conversation ochre.ID
}

// Log adds an event to the tenant's log. Its seq is known only after the commit. One transaction tells of one thing once, where it was told first.
func (tx *Tx) Log(e ochre.Event) {
	e.TenantID, e.At = tx.Tenant, tx.now
	// Copies: events are kept for a while, and would keep with them what the pointers point into.
	e.ConversationID, e.ObjectID, e.ActorID = copyID(e.ConversationID), copyID(e.ObjectID), copyID(e.ActorID)
	key := eventKey{typ: e.Type, kind: e.ObjectKind}
	if e.ObjectID != nil {
		key.object = *e.ObjectID
	}
	if e.ConversationID != nil {
		key.conversation = *e.ConversationID
	}
	i, ok := tx.places[key]
	if !ok {
		tx.places[key] = len(tx.logged)
		tx.logged = append(tx.logged, e)
		return
	}
	switch had := &tx.logged[i]; {
	case e.Content && !had.Content: // it counts who changed the words
		had.Content, had.ActorID = true, e.ActorID
	case e.Content && !sameID(had.ActorID, e.ActorID):
		had.ActorID = nil // not one agent's alone
	}
}

func copyID(id *ochre.ID) *ochre.ID {
	if id == nil {
		return nil
	}
	c := *id
	return &c
}

func sameID(a, b *ochre.ID) bool { return a == b || a != nil && b != nil && *a == *b }

// writeLog takes as many numbers as there are events and inserts their rows in one statement, the last before the commit: the tenant's
// counter row is locked for as short as can be, and seq follows commit order without holes. The rows come as arrays, since a change may
// touch more conversations than a statement can have arguments.
func (tx *Tx) writeLog() error {
	if len(tx.logged) == 0 {
		return nil
	}
	n := len(tx.logged)
	types, kinds, contents := make([]string, n), make([]string, n), make([]string, n)
	conversations, objects, actors := make([]*ochre.ID, n), make([]*ochre.ID, n), make([]*ochre.ID, n)
	for i, e := range tx.logged {
		types[i], kinds[i], contents[i] = string(e.Type), string(e.ObjectKind), strconv.FormatBool(e.Content)
		conversations[i], objects[i], actors[i] = e.ConversationID, e.ObjectID, e.ActorID
	}
	var last int64
	res := tx.db.Raw(`WITH c AS (
			UPDATE event_counters SET seq = seq + ? WHERE tenant_id = ? RETURNING seq
		), written AS (
			INSERT INTO events (tenant_id, seq, type, conversation_id, object_kind, object_id, actor_id, content, at)
			SELECT ?::uuid, c.seq - ? + v.ord, v.type, v.conversation_id, v.object_kind, v.object_id, v.actor_id, v.content, ?::timestamptz
			FROM c, unnest(?::text[], ?::uuid[], ?::text[], ?::uuid[], ?::uuid[], ?::boolean[])
				WITH ORDINALITY AS v(type, conversation_id, object_kind, object_id, actor_id, content, ord)
		) SELECT seq FROM c`,
		n, tx.Tenant, tx.Tenant, n, tx.now,
		quotedArray(types), idArray(conversations), quotedArray(kinds), idArray(objects), idArray(actors), quotedArray(contents)).Scan(&last)
	if res.Error != nil {
		return fmt.Errorf("write the event log: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return fmt.Errorf("write the event log: tenant %s has no counter", tx.Tenant)
	}
	for i := range tx.logged {
		tx.logged[i].Seq = last - int64(n-1-i)
	}
	return nil
}

// quotedArray writes words as one argument for ?::text[].
func quotedArray(words []string) string { return `{"` + strings.Join(words, `","`) + `"}` }

// idArray writes ids, of which any may be missing, as one argument for ?::uuid[].
func idArray(ids []*ochre.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		if texts[i] = "NULL"; id != nil {
			texts[i] = id.String()
		}
	}
	return "{" + strings.Join(texts, ",") + "}"
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

// eventSQL names its columns, so that nodes of the former version go on reading while a migration adds one.
const eventSQL = `SELECT tenant_id, seq, type, conversation_id, object_kind, object_id, actor_id, content, at FROM events `

// EventsAfter reads at most limit events of a tenant with a seq greater than after, in order. With a conversation, only its own.
func (q queries) EventsAfter(ctx context.Context, tenant ochre.ID, conversation *ochre.ID, after int64, limit int) ([]ochre.Event, error) {
	var evs []ochre.Event
	db := q.db.WithContext(ctx)
	if conversation != nil {
		db = db.Raw(eventSQL+"WHERE tenant_id = ? AND conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?", tenant, *conversation, after, limit)
	} else {
		db = db.Raw(eventSQL+"WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?", tenant, after, limit)
	}
	err := db.Scan(&evs).Error
	return evs, err
}

// TrimLog deletes at most limit events of a tenant that are older than before. Cursors into them then get a Gap. It gives how many went.
// Times do not quite follow seq (a transaction's time is its begin), so the first event that is young enough keeps what comes after it.
func (s *Store) TrimLog(ctx context.Context, tenant ochre.ID, before time.Time, limit int) (int, error) {
	var n int
	err := s.db.WithContext(ctx).Raw(`WITH first AS (
			SELECT seq, at < ? AS old FROM events WHERE tenant_id = ? ORDER BY seq LIMIT ?
		), gone AS (
			DELETE FROM events WHERE tenant_id = ? AND seq < COALESCE((SELECT min(seq) FROM first WHERE NOT old), (SELECT max(seq) + 1 FROM first)) RETURNING seq
		), moved AS (
			UPDATE event_counters SET oldest = GREATEST(oldest, (SELECT max(seq) + 1 FROM gone)) WHERE tenant_id = ? AND EXISTS (SELECT FROM gone)
		) SELECT count(*) FROM gone`, before, tenant, limit, tenant, tenant).Scan(&n).Error
	return n, err
}

// MovedOn tells whether, after a seq, a message of a conversation was added, edited or deleted by anybody but one agent.
func (q queries) MovedOn(ctx context.Context, tenant, conversation ochre.ID, after int64, agent ochre.ID) (bool, error) {
	var moved bool
	err := q.db.WithContext(ctx).Raw(`SELECT EXISTS (SELECT FROM events WHERE tenant_id = ? AND conversation_id = ? AND seq > ? AND content
		AND actor_id IS DISTINCT FROM ?::uuid)`, tenant, conversation, after, agent).Scan(&moved).Error
	return moved, err
}
