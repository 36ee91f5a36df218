package server

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limiter bounds how often something may happen. Allow takes one turn of key, or tells after how long to come back (0: allowed).
// An error means that nobody could tell.
type Limiter interface {
	Allow(ctx context.Context, key string) (retryAfter time.Duration, err error)
}

// NodeLimiter is a Limiter that counts on this node alone. It remembers a bounded number of keys; one that is forgotten starts anew.
type NodeLimiter struct {
	perSecond rate.Limit
	burst     int
	keys      *lru.Cache[string, *rate.Limiter]
}

// NewNodeLimiter allows perSecond turns a second and key, burst of them at once. It panics if either is not positive: that is wiring.
func NewNodeLimiter(perSecond float64, burst int) *NodeLimiter {
	if perSecond <= 0 || burst <= 0 {
		panic("server: a limiter that allows nothing")
	}
	keys, err := lru.New[string, *rate.Limiter](10_000)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &NodeLimiter{rate.Limit(perSecond), burst, keys}
}

// Allow implements Limiter. It never fails.
func (l *NodeLimiter) Allow(_ context.Context, key string) (time.Duration, error) {
	limiter := rate.NewLimiter(l.perSecond, l.burst)
	if had, ok, _ := l.keys.PeekOrAdd(key, limiter); ok {
		l.keys.Get(key) // keeps it
		limiter = had
	}
	turn := limiter.Reserve()
	wait := turn.Delay()
	if wait > 0 {
		turn.Cancel()
	}
	return wait, nil
}
