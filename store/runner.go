package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Verdict is what became of an item. The zero value: done, and taken from the lane in its own transaction.
type Verdict struct {
	Err        error         // why it was not done; logged and kept with the item
	RetryAfter time.Duration // with Err: when to try again. Without Err: the item is done and the lane rests for so long (pacing)
	Dead       bool          // with Err: give up, keep it as a dead letter, go on with the lane
	Wait       bool          // not done and not failed: look again after RetryAfter
}

// Runner works the lanes of one queue: each lane by one worker at a time, in order. Any number of runners on any number of nodes share a queue.
type Runner struct {
	Store   *Store
	Queue   Queue
	Workers int           // lanes at once
	Lease   time.Duration // how long a lane is ours without a sign of life; renewed at half of it
	Poll    time.Duration // how often to look for work that nobody told of
	Now     func() time.Time
	Handle  func(ctx context.Context, c Claim, it Item) Verdict
	Log     *slog.Logger

	wake chan struct{}
	once sync.Once
}

func (r *Runner) init() { r.once.Do(func() { r.wake = make(chan struct{}, 1) }) }

// Wake tells that there may be work. It never blocks.
func (r *Runner) Wake() {
	r.init()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, and returns when its workers have. A worker finishes the item in its hands.
func (r *Runner) Run(ctx context.Context) {
	r.init()
	var workers sync.WaitGroup
	defer workers.Wait()
	free := make(chan struct{}, r.Workers)
	tick := time.NewTicker(r.Poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		n := r.Workers - len(free)
		var claims []Claim
		claimed := time.Now()
		if n > 0 {
			// Not cancelled with ctx: claims whose answer nobody reads would hold their lanes until the lease ends.
			cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
			var err error
			if claims, err = r.Store.ClaimLanes(cctx, r.Queue, r.Now(), r.Lease, n); err != nil && ctx.Err() == nil {
				r.Log.Warn("lanes could not be claimed", "queue", r.Queue, "error", err)
			}
			cancel()
		}
		for _, c := range claims {
			free <- struct{}{}
			workers.Go(func() {
				r.work(ctx, c, claimed)
				<-free
				r.Wake()
			})
		}
		if n > 0 && len(claims) == n {
			continue
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// claimTimeout bounds how long a claim may take, also when the node is going down.
const claimTimeout = 3 * time.Second

// itemsAtOnce bounds how long one busy lane keeps a worker from the others.
const itemsAtOnce = 32

// work handles what waits in a lane, then gives it back.
func (r *Runner) work(ctx context.Context, c Claim, claimed time.Time) {
	wctx, stop := r.keep(ctx, c, claimed)
	defer stop()
	next := r.Now()
	items, err := r.Store.Items(wctx, c, itemsAtOnce)
	if err != nil {
		r.Log.Warn("a lane could not be read", "queue", r.Queue, "error", err)
		next = next.Add(time.Second)
	}
	for _, it := range items {
		if ctx.Err() != nil || wctx.Err() != nil {
			break
		}
		v := r.handle(wctx, c, it)
		next = r.Now().Add(v.RetryAfter)
		if errors.Is(v.Err, ErrLeaseLost) {
			break // perhaps the item alone was: a lease that we still have is given back below
		}
		if v.Err != nil {
			r.failed(wctx, c, it, v)
		}
		if v.RetryAfter > 0 || v.Wait || v.Err != nil && !v.Dead {
			break
		}
	}
	// Also when the node is going down: another one then need not wait for the lease to end.
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := r.Store.Release(rctx, c, next, r.Now()); err != nil {
		r.Log.Warn("a lane could not be released; its lease will end", "queue", r.Queue, "error", err)
	}
}

func (r *Runner) handle(ctx context.Context, c Claim, it Item) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("a worker panicked", "queue", r.Queue, "item", it.ID, "kind", it.Kind, "panic", p)
			v = Verdict{Err: errors.New("panic while handling the item"), RetryAfter: Backoff(it.Attempts), Dead: it.Attempts >= 5}
		}
	}()
	return r.Handle(ctx, c, it)
}

func (r *Runner) failed(ctx context.Context, c Claim, it Item, v Verdict) {
	level := slog.LevelWarn
	if v.Dead {
		level = slog.LevelError
	}
	r.Log.Log(ctx, level, "an item failed", "queue", r.Queue, "item", it.ID, "kind", it.Kind, "attempt", it.Attempts+1, "dead", v.Dead, "error", v.Err)
	if IsUnavailable(v.Err) && !v.Dead {
		return // nothing is wrong with the item
	}
	if err := r.Store.FailItem(ctx, c, it.ID, v.Err.Error(), r.Now(), v.Dead); err != nil {
		r.Log.Warn("a failed item could not be marked", "queue", r.Queue, "item", it.ID, "error", err)
	}
}

// keep renews the lease while a worker is busy. The returned context ends when the lease is lost, and a little before it would end because the
// database could not be reached to renew it: what the worker is doing then ends while the lane is still its own.
func (r *Runner) keep(ctx context.Context, c Claim, claimed time.Time) (context.Context, func()) {
	wctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // an item in hand is finished though the node goes down
	done := make(chan struct{})
	go func() {
		defer close(done)
		end := claimed.Add(r.Lease - r.Lease/10) // by our own clock: that of Now may be a test's
		t := time.NewTimer(r.Lease / 2)
		defer t.Stop()
		for {
			select {
			case <-wctx.Done():
				return
			case <-t.C:
			}
			asked := time.Now()
			rctx, stop := context.WithDeadline(wctx, end)
			err := r.Store.Renew(rctx, c, r.Now().Add(r.Lease))
			stop()
			switch {
			case err == nil:
				end = asked.Add(r.Lease - r.Lease/10)
				t.Reset(r.Lease / 2)
			case errors.Is(err, ErrLeaseLost) || !time.Now().Before(end):
				cancel()
				return
			default:
				t.Reset(min(r.Lease/8, time.Until(end)))
			}
		}
	}()
	return wctx, func() { cancel(); <-done }
}

// Backoff is how long to wait after a number of failed attempts: a second, doubled each time, at most five minutes.
func Backoff(attempts int) time.Duration {
	return min(time.Second<<min(attempts, 9), 5*time.Minute)
}
