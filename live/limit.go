package live

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Limiter counts calls over all nodes, in Redis.
type Limiter struct {
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

// NewLimiter allows perSecond calls a second and key, with bursts of burst.
func NewLimiter(c *redis.Client, perSecond, burst int) *Limiter {
	return &Limiter{redis_rate.NewLimiter(c), redis_rate.Limit{Rate: perSecond, Period: time.Second, Burst: burst}}
}

// Allow counts one call. retryAfter is 0 where it is allowed; an error means that Redis did not tell in time.
func (l *Limiter) Allow(ctx context.Context, key string) (retryAfter time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	r, err := l.limiter.Allow(ctx, "ochre:limit:"+key, l.limit)
	if err != nil || r.Allowed > 0 {
		return 0, err
	}
	return max(r.RetryAfter, time.Millisecond), nil
}
