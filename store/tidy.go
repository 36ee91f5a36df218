package store

import (
	"context"
	"fmt"
	"time"
)

// tidyAtOnce bounds what one statement of Tidy deletes.
const tidyAtOnce = 5000

// Tidy deletes, a bounded number at once, what was last needed before the times given: idle lanes, idempotency keys, Slack's events as they came, OAuth
// states, and events of the log, whose cursors then get a Gap. Events that still wait to be applied, dead letters too, stay.
func (s *Store) Tidy(ctx context.Context, lanes, keys, slackEvents, log time.Time) error {
	if _, err := s.DeleteIdleLanes(ctx, lanes, tidyAtOnce); err != nil {
		return fmt.Errorf("delete idle lanes: %w", err)
	}
	db := s.db.WithContext(ctx)
	for _, d := range []struct {
		what, sql string
		before    time.Time
	}{
		{"idempotency keys", `DELETE FROM idempotency_keys WHERE ctid IN (SELECT ctid FROM idempotency_keys WHERE created_at < ? LIMIT ?)`, keys},
		{"oauth states", `DELETE FROM oauth_states WHERE hash IN (SELECT hash FROM oauth_states WHERE expires_at < ? LIMIT ?)`, keys},
		{"slack events", `DELETE FROM slack_events WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM slack_events e WHERE received_at < ?
			AND NOT EXISTS (SELECT FROM lane_items i WHERE i.tenant_id = e.tenant_id AND i.event_id = e.id) ORDER BY received_at LIMIT ?)`, slackEvents},
	} {
		if err := db.Exec(d.sql, d.before, tidyAtOnce).Error; err != nil {
			return fmt.Errorf("delete old %s: %w", d.what, err)
		}
	}
	tenants, err := s.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if _, err := s.TrimLog(ctx, t.ID, log, tidyAtOnce); err != nil {
			return fmt.Errorf("trim the event log: %w", err)
		}
	}
	return nil
}
