package live

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// limitWait is how long a call may wait for Redis to count it.
const limitWait = 100 * time.Millisecond

// Limiter counts calls over all nodes, in Redis.
type Limiter struct {
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

// NewLimiter allows perSecond calls a second and key, with bursts of burst. The client stays the caller's.
func NewLimiter(c *redis.Client, perSecond, burst int) *Limiter {
	// A context's deadline does not end a read that has begun, a time-out does.
	return &Limiter{redis_rate.NewLimiter(c.WithTimeout(limitWait)), redis_rate.Limit{Rate: perSecond, Period: time.Second, Burst: burst}}
}

// Allow counts one call. retryAfter is 0 where it is allowed; an error means that Redis did not tell in time.
func (l *Limiter) Allow(ctx context.Context, key string) (retryAfter time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limitWait)
	defer cancel()
	r, err := l.limiter.Allow(ctx, "ochre:limit:"+key, l.limit)
	if err != nil || r.Allowed > 0 {
		return 0, err
	}
	return max(r.RetryAfter, time.Millisecond), nil
}
