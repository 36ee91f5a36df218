package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ochrehq/ochre"
)

// Queue is one of the purposes of the lanes.
type Queue string

// The queues.
const (
	QueueInbound  Queue = "INBOUND"
	QueueOutbound Queue = "OUTBOUND"
	QueueJob      Queue = "JOB"
)

// ErrLeaseLost tells that another worker has the item: what was done with it must be rolled back.
var ErrLeaseLost = errors.New("the lane's lease was lost")

// Claim is one lane in the hands of one worker until the lease ends.
type Claim struct {
	LaneID   int64
	Key      string
	TenantID ochre.ID
	Lease    ochre.ID
}

// Item is what waits in a lane. Items of a lane are handled one after another in the order of their ids.
type Item struct {
	ID        int64
	LaneID    int64
	TenantID  ochre.ID
	Kind      string
	MessageID *ochre.ID
	EventID   *ochre.ID
	Payload   []byte
	Attempts  int
	CreatedAt time.Time
}

// NewItem is an item to be put into a lane.
type NewItem struct {
	Queue     Queue
	Key       string
	Kind      string
	MessageID *ochre.ID
	Payload   []byte
}

// Enqueue puts an item at the end of a lane. It is written at the end of the transaction, so that lanes are locked as shortly as can be and always in
// the order of their keys; runners on this node are told after the commit.
func (tx *Tx) Enqueue(it NewItem) { tx.items = append(tx.items, it) }

// writeItems writes what was enqueued. A lane's row stays locked until the commit, so that ids of its items follow commit order.
func (tx *Tx) writeItems(ctx context.Context) error {
	slices.SortStableFunc(tx.items, func(a, b NewItem) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Key, b.Key))
	})
	for _, it := range tx.items {
		var lane int64
		err := tx.db.WithContext(ctx).Raw(`INSERT INTO lanes (queue, key, tenant_id, pending, next_at) VALUES (?, ?, ?, true, ?)
			ON CONFLICT (queue, key) DO UPDATE SET pending = true, idle_since = NULL RETURNING id`, string(it.Queue), it.Key, tx.Tenant, tx.now).Scan(&lane).Error
		if err != nil {
			return fmt.Errorf("open lane %s: %w", it.Key, err)
		}
		err = tx.db.WithContext(ctx).Exec(`INSERT INTO lane_items (lane_id, queue, tenant_id, kind, message_id, payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			lane, string(it.Queue), tx.Tenant, it.Kind, it.MessageID, it.Payload, tx.now).Error
		if err != nil {
			return fmt.Errorf("put into lane %s: %w", it.Key, err)
		}
	}
	return nil
}

// ClaimLanes takes at most n lanes of a queue that have something to do at now and nobody holds, the longest waiting first.
func (s *Store) ClaimLanes(ctx context.Context, q Queue, now time.Time, lease time.Duration, n int) ([]Claim, error) {
	var claims []Claim
	err := s.db.WithContext(ctx).Raw(`WITH due AS MATERIALIZED (
			SELECT id FROM lanes WHERE queue = ? AND pending AND next_at <= ? AND (leased_until IS NULL OR leased_until < ?)
			ORDER BY next_at LIMIT ? FOR UPDATE SKIP LOCKED
		) UPDATE lanes l SET lease = gen_random_uuid(), leased_until = ? FROM due WHERE l.id = due.id
		RETURNING l.id AS lane_id, l.key, l.tenant_id, l.lease`, string(q), now, now, n, now.Add(lease)).Scan(&claims).Error
	if err != nil {
		return nil, fmt.Errorf("claim lanes: %w", err)
	}
	return claims, nil
}

// Items reads the next items of a claimed lane, at most limit.
func (q queries) Items(ctx context.Context, c Claim, limit int) ([]Item, error) {
	var items []Item
	err := q.db.WithContext(ctx).Raw("SELECT * FROM lane_items WHERE lane_id = ? AND dead_at IS NULL ORDER BY id LIMIT ?", c.LaneID, limit).Scan(&items).Error
	return items, err
}

// Renew lengthens a lease that is still held. ErrLeaseLost if it is not.
func (s *Store) Renew(ctx context.Context, c Claim, until time.Time) error {
	res := s.db.WithContext(ctx).Exec("UPDATE lanes SET leased_until = ? WHERE id = ? AND lease = ?", until, c.LaneID, c.Lease)
	if res.Error == nil && res.RowsAffected == 0 {
		return ErrLeaseLost
	}
	return res.Error
}

// TakeItem removes an item in the transaction that does its work, so that the work is done once. ErrLeaseLost if another worker did or has it.
func (tx *Tx) TakeItem(ctx context.Context, c Claim, item int64) error {
	res := tx.db.WithContext(ctx).Exec(`DELETE FROM lane_items WHERE id = ? AND EXISTS (SELECT FROM lanes WHERE id = ? AND lease = ?)`, item, c.LaneID, c.Lease)
	if res.Error == nil && res.RowsAffected == 0 {
		return ErrLeaseLost
	}
	return res.Error
}

// HoldsItem locks an item that stays, and checks that the lease is still held.
func (tx *Tx) HoldsItem(ctx context.Context, c Claim, item int64) error {
	var n int
	err := tx.db.WithContext(ctx).Raw(`SELECT 1 FROM lane_items i WHERE i.id = ? AND EXISTS (SELECT FROM lanes WHERE id = ? AND lease = ?) FOR UPDATE OF i`,
		item, c.LaneID, c.Lease).Scan(&n).Error
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

// FailItem counts a failed attempt; with dead, the item is given up and kept as a dead letter.
func (s *Store) FailItem(ctx context.Context, c Claim, item int64, reason string, now time.Time, dead bool) error {
	reason = strings.ReplaceAll(strings.ToValidUTF8(reason, "\uFFFD"), "\x00", "\uFFFD") // it may quote what a stranger sent
	var deadAt *time.Time
	if dead {
		deadAt = &now
	}
	return s.db.WithContext(ctx).Exec(`UPDATE lane_items SET attempts = attempts + 1, last_error = ?, dead_at = ?
		WHERE id = ? AND EXISTS (SELECT FROM lanes WHERE id = ? AND lease = ?)`, reason, deadAt, item, c.LaneID, c.Lease).Error
}

// Release gives a lane back. It is not claimed again before next. Releasing a lost lease does nothing.
func (s *Store) Release(ctx context.Context, c Claim, next, now time.Time) error {
	return s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
		// The lock first and the look at the items after it, in a statement of its own: who enqueues holds the lock until its commit, so the
		// look sees every item or the enqueuer sees pending = false and sets it.
		res := db.Exec("SELECT FROM lanes WHERE id = ? AND lease = ? FOR UPDATE", c.LaneID, c.Lease)
		if res.Error != nil {
			return res.Error
		}
		return db.Exec(`UPDATE lanes SET lease = NULL, leased_until = NULL, next_at = ?, pending = p.more, idle_since = CASE WHEN p.more THEN NULL ELSE ?::timestamptz END
			FROM (SELECT EXISTS (SELECT FROM lane_items WHERE lane_id = ? AND dead_at IS NULL) AS more) p WHERE id = ? AND lease = ?`,
			next, now, c.LaneID, c.LaneID, c.Lease).Error
	})
}

// DeleteIdleLanes removes at most limit lanes that have been empty since before. It gives how many went.
func (s *Store) DeleteIdleLanes(ctx context.Context, before time.Time, limit int) (int64, error) {
	res := s.db.WithContext(ctx).Exec(`DELETE FROM lanes WHERE id IN (
			SELECT id FROM lanes l WHERE NOT pending AND idle_since < ? AND NOT EXISTS (SELECT FROM lane_items WHERE lane_id = l.id)
			ORDER BY idle_since LIMIT ? FOR UPDATE SKIP LOCKED)`, before, limit)
	return res.RowsAffected, res.Error
}

// QueueDepth is how many items of a queue wait, and how many were given up.
type QueueDepth struct {
	Queue   Queue
	Waiting int64
	Dead    int64
}

// QueueDepths counts the items of every queue.
func (s *Store) QueueDepths(ctx context.Context) ([]QueueDepth, error) {
	var ds []QueueDepth
	err := s.db.WithContext(ctx).Raw(`SELECT queue, count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(dead_at) AS dead FROM lane_items GROUP BY queue`).Scan(&ds).Error
	return ds, err
}
