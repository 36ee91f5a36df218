package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/server"
)

// How long things are kept that only matter for a while.
const (
	keepKeys   = 48 * time.Hour      // idempotency keys
	keepEvents = 7 * 24 * time.Hour  // Slack's events as they came, and with them which were seen
	keepLog    = 30 * 24 * time.Hour // the event log; older cursors get a Gap
	keepLanes  = 10 * time.Minute    // lanes in which nothing waits
)

// wakeLoop wakes snoozed conversations whose time has come.
func (n *node) wakeLoop(ctx context.Context) {
	every(ctx, time.Second, func() {
		if _, err := n.desk.WakeDue(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("snoozed conversations could not be woken; it is tried again", "error", err)
		}
	})
}

// tidyLoop deletes what is past its time, a little at once.
func (n *node) tidyLoop(ctx context.Context) {
	every(ctx, time.Minute, func() {
		now := time.Now()
		if err := n.store.Tidy(ctx, now.Add(-keepLanes), now.Add(-keepKeys), now.Add(-keepEvents), now.Add(-keepLog)); err != nil && ctx.Err() == nil {
			n.log.Warn("old rows could not be deleted; it is tried again", "error", err)
		}
		if _, err := n.store.DeleteExpired(ctx, now, 1000); err != nil && ctx.Err() == nil {
			n.log.Warn("expired sessions and links could not be deleted; it is tried again", "error", err)
		}
	})
}

func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// limiter counts in Redis over all nodes, and on this node alone while Redis is away.
type limiter struct {
	shared *live.Limiter
	bus    *live.RedisBus
	own    *server.NodeLimiter
}

func newLimiter(c *redis.Client, bus *live.RedisBus) server.Limiter {
	own := server.NewNodeLimiter(requestsPerSecond, requestBurst)
	if c == nil {
		return own
	}
	return &limiter{live.NewLimiter(c, requestsPerSecond, requestBurst), bus, own}
}

// Allow implements server.Limiter.
func (l *limiter) Allow(ctx context.Context, key string) (time.Duration, error) {
	if l.bus.Up() {
		if wait, err := l.shared.Allow(ctx, key); err == nil {
			return wait, nil
		}
	}
	return l.own.Allow(ctx, key)
}
