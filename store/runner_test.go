package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

// runner is a runner of the job queue that looks often, unless a test changes it.
func (l *lanes) runner(s *store.Store, handle func(context.Context, store.Claim, store.Item) store.Verdict) *store.Runner {
	return &store.Runner{
		Store: s, Queue: store.QueueJob, Workers: 3, Lease: time.Minute, Poll: 5 * time.Millisecond, Now: time.Now, Handle: handle, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs a runner until f returns.
func (l *lanes) run(r *store.Runner, f func()) {
	l.t.Helper()
	ctx, stop := context.WithCancel(l.t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	f()
	stop()
	running.Wait()
}

// receive waits for a value, and fails the test if none comes.
func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing came", what)
	}
	return v
}

// take finishes an item in a transaction that tells of it in the log: object is the lane and its number.
func take(ctx context.Context, s *store.Store, c store.Claim, it store.Item) error {
	return s.Tx(ctx, c.TenantID, fixture.Noon, func(tx *store.Tx) error {
		var object ochre.ID
		object[0] = c.Key[0]
		binary.BigEndian.PutUint64(object[8:], uint64(number(it)))
		tx.Log(ochre.Event{Type: ochre.EventEntryAdded, ObjectID: &object})
		return tx.TakeItem(ctx, c, it.ID)
	})
}

// TestOrderUnderCrashes has items worked on by runners of two nodes, which are stopped and started, fail, and lose their leases in the midst of the work. Each
// item is done once, those of a lane in order.
func TestOrderUnderCrashes(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	const keys, items = 5, 40
	for n := range items {
		for k := range keys {
			l.put(l.Store, string(rune('a'+k)), n)
		}
	}
	var done, lost atomic.Int64
	finished := make(chan struct{})
	nodes := []*store.Store{l.Store, fixture.Open(t, l.url)}
	handle := func(s *store.Store) func(context.Context, store.Claim, store.Item) store.Verdict {
		return func(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
			switch rand.IntN(6) {
			case 0:
				return store.Verdict{Err: errors.New("some failure"), RetryAfter: time.Millisecond}
			case 1: // another worker gets the lane, while this one goes on as if it had it
				if err := l.steal(ctx, s, c); err != nil {
					return store.Verdict{Err: err, RetryAfter: time.Millisecond}
				}
			}
			err := take(ctx, s, c, it)
			if errors.Is(err, store.ErrLeaseLost) {
				lost.Add(1)
			}
			if err == nil && done.Add(1) == keys*items {
				close(finished)
			}
			return store.Verdict{Err: err}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, s := range nodes {
		all.Go(func() {
			for ctx.Err() == nil { // each life of the node is short
				life, end := context.WithTimeout(ctx, time.Duration(50+rand.IntN(100))*time.Millisecond)
				l.runner(s, handle(s)).Run(life)
				end()
			}
		})
	}
	receive(t, "all items", finished)
	stop()
	all.Wait()
	if lost.Load() == 0 {
		t.Error("no lease was ever lost: the test tries nothing")
	}

	evs, err := l.Store.EventsAfter(t.Context(), l.Tenant.ID, nil, 0, 1000)
	if err != nil || len(evs) != keys*items {
		t.Fatalf("%d items were done, want %d: %v", len(evs), keys*items, err)
	}
	next := map[byte]uint64{}
	for i, e := range evs {
		lane, n := e.ObjectID[0], binary.BigEndian.Uint64(e.ObjectID[8:])
		if n != next[lane] {
			t.Fatalf("lane %c: item %d was done when it was %d's turn", lane, n, next[lane])
		}
		next[lane]++
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has seq %d", i, e.Seq)
		}
	}
}

// steal ends a lease, as the clock would.
func (l *lanes) steal(ctx context.Context, s *store.Store, c store.Claim) error {
	if err := s.Renew(ctx, c, time.Now().Add(-time.Second)); err != nil {
		return err
	}
	cs, err := s.ClaimLanes(ctx, store.QueueJob, time.Now(), time.Millisecond, 1) // perhaps this one; for a moment only
	for _, c := range cs {
		err = errors.Join(err, s.Release(ctx, c, time.Now(), time.Now()))
	}
	return err
}

// TestNoWakeUpIsLost puts an item into a lane just when the one before was done and the lane is being released: the runner never looks by itself.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	var r *store.Runner
	s, err := store.Open(t.Context(), l.url, store.Options{Wake: func(store.Queue) { r.Wake() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	handled := make(chan int, 1)
	r = l.runner(s, func(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
		err := take(ctx, s, c, it)
		handled <- number(it)
		return store.Verdict{Err: err}
	})
	r.Poll = time.Hour
	l.run(r, func() {
		for n := range 1500 {
			l.put(s, "a", n)
			if got := receive(t, fmt.Sprint("item ", n), handled); got != n {
				t.Fatalf("item %d came, want %d", got, n)
			}
		}
	})
}

func TestLostItemKeepsTheLaneGoing(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "a", 1)
	var first atomic.Bool
	done := make(chan error, 1)
	r := l.runner(l.Store, func(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
		if !first.Swap(true) {
			return store.Verdict{Err: store.ErrLeaseLost} // somebody who had the lane before took the item, or seemed to
		}
		err := take(ctx, l.Store, c, it)
		done <- err
		return store.Verdict{Err: err}
	})
	r.Lease = time.Hour // nobody waits for its end
	l.run(r, func() {
		if err := receive(t, "the item", done); err != nil {
			t.Error(err)
		}
	})
}

func TestWorkEndsBeforeItsLease(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*lanes, *store.Store, store.Claim) error{
		"lost": func(l *lanes, _ *store.Store, c store.Claim) error { return l.steal(l.t.Context(), l.Store, c) },
		"database away": func(_ *lanes, s *store.Store, _ store.Claim) error { // for this worker
			s.Close()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLanes(t)
			l.put(l.Store, "a", 1)
			s := fixture.Open(t, l.url)
			const lease = 2 * time.Second
			began := time.Now()
			ended := make(chan time.Duration, 10)
			r := l.runner(s, func(ctx context.Context, c store.Claim, _ store.Item) store.Verdict {
				if err := end(l, s, c); err != nil {
					t.Error(err)
				}
				<-ctx.Done()
				ended <- time.Since(began)
				return store.Verdict{Err: ctx.Err()}
			})
			r.Lease, r.Workers = lease, 1
			l.run(r, func() {
				if took := receive(t, "the end", ended); took > lease {
					t.Errorf("it worked for %s under a lease of %s", took, lease)
				}
			})
		})
	}
}

func TestPanicsBecomeADeadLetter(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "a", 1, 2)
	var hours atomic.Int64
	tries := 0
	done := make(chan error, 1)
	r := l.runner(l.Store, func(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
		if number(it) == 1 {
			tries++
			panic("bad item")
		}
		err := take(ctx, l.Store, c, it)
		done <- err
		return store.Verdict{Err: err}
	})
	r.Workers, r.Now = 1, func() time.Time { return fixture.Noon.Add(time.Duration(hours.Add(1)) * time.Hour) } // past any back-off
	l.run(r, func() {
		if err := receive(t, "the item behind", done); err != nil {
			t.Error(err)
		}
	})
	if tries != 6 {
		t.Errorf("it was tried %d times", tries)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempts, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 8: 256 * time.Second, 9: 5 * time.Minute, 1000: 5 * time.Minute} {
		if got := store.Backoff(attempts); got != want {
			t.Errorf("after %d attempts: %s, want %s", attempts, got, want)
		}
	}
}
