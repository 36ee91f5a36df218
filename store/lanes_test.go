package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// lanes is a world in a database of its own, since claims take whatever lane is due.
type lanes struct {
	*fixture.World
	t   *testing.T
	url string
	sql *pgx.Conn
}

func newLanes(t *testing.T) *lanes {
	t.Helper()
	url := testenv.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return &lanes{World: fixture.New(t, fixture.Open(t, url)), t: t, url: url, sql: conn}
}

// put enqueues numbered items of one lane, each in a transaction of its own. They have been due for long, by any clock.
func (l *lanes) put(s *store.Store, key string, numbers ...int) {
	l.t.Helper()
	for _, n := range numbers {
		err := s.Tx(l.t.Context(), l.Tenant.ID, time.Unix(0, 0), func(tx *store.Tx) error {
			tx.Enqueue(store.NewItem{Queue: store.QueueJob, Key: key, Kind: "NUMBER", Payload: binary.BigEndian.AppendUint64(nil, uint64(n))})
			return nil
		})
		if err != nil {
			l.t.Error(err)
		}
	}
}

func number(it store.Item) int { return int(binary.BigEndian.Uint64(it.Payload)) }

// claim takes all lanes that are due.
func (l *lanes) claim(now time.Time) []store.Claim {
	l.t.Helper()
	cs, err := l.Store.ClaimLanes(l.t.Context(), store.QueueJob, now, time.Minute, 10)
	if err != nil {
		l.t.Fatal(err)
	}
	return cs
}

func (l *lanes) one(now time.Time) store.Claim {
	l.t.Helper()
	cs := l.claim(now)
	if len(cs) != 1 {
		l.t.Fatalf("%d lanes are claimed, want one", len(cs))
	}
	return cs[0]
}

func (l *lanes) numbers(c store.Claim) []int {
	l.t.Helper()
	items, err := l.Store.Items(l.t.Context(), c, 100)
	if err != nil {
		l.t.Fatal(err)
	}
	var ns []int
	for _, it := range items {
		ns = append(ns, number(it))
	}
	return ns
}

// done takes the first item of a lane out of it.
func (l *lanes) done(c store.Claim) error {
	l.t.Helper()
	items, err := l.Store.Items(l.t.Context(), c, 1)
	if err != nil || len(items) == 0 {
		l.t.Fatalf("%d items, %v", len(items), err)
	}
	return l.Store.Tx(l.t.Context(), l.Tenant.ID, fixture.Noon, func(tx *store.Tx) error { return tx.TakeItem(l.t.Context(), c, items[0].ID) })
}

func (l *lanes) release(c store.Claim, next time.Time) {
	l.t.Helper()
	if err := l.Store.Release(l.t.Context(), c, next, fixture.Noon); err != nil {
		l.t.Fatal(err)
	}
}

func TestLeaseEndsByTheClock(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "a", 1, 2)
	now := fixture.Noon
	first := l.one(now)
	if cs := l.claim(now.Add(time.Minute)); len(cs) > 0 {
		t.Fatal("claimed while the lease was held")
	}
	if err := l.Store.Renew(t.Context(), first, now.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if cs := l.claim(now.Add(2 * time.Minute)); len(cs) > 0 {
		t.Fatal("claimed though the lease was renewed")
	}
	second := l.one(now.Add(2*time.Minute + time.Microsecond))

	// The first one knows nothing of it, and can do nothing any more.
	if err := l.Store.Renew(t.Context(), first, now.Add(time.Hour)); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("renewed: %v", err)
	}
	if err := l.done(first); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("done: %v", err)
	}
	items, err := l.Store.Items(t.Context(), second, 1)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Store.Tx(t.Context(), l.Tenant.ID, now, func(tx *store.Tx) error { return tx.HoldsItem(t.Context(), first, items[0].ID) })
	if !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("held: %v", err)
	}
	if err := l.Store.FailItem(t.Context(), first, items[0].ID, "no", now, true); err != nil {
		t.Error(err)
	}
	l.release(first, now)
	if cs := l.claim(now.Add(2*time.Minute + time.Microsecond)); len(cs) > 0 {
		t.Error("who lost the lane released it")
	}
	if ns := l.numbers(second); len(ns) != 2 {
		t.Errorf("the lane holds %v", ns)
	}
	if err := l.done(second); err != nil {
		t.Error(err)
	}
}

func TestLaneRests(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "a", 1, 2)
	c := l.one(fixture.Noon)
	if err := l.done(c); err != nil {
		t.Fatal(err)
	}
	next := fixture.Noon.Add(time.Second)
	l.release(c, next)
	l.put(l.Store, "a", 3) // more work does not end the rest
	if cs := l.claim(next.Add(-time.Microsecond)); len(cs) > 0 {
		t.Error("claimed before its time")
	}
	if ns := l.numbers(l.one(next)); fmt.Sprint(ns) != "[2 3]" {
		t.Errorf("the lane holds %v", ns)
	}
}

func TestDeadLetterLetsTheLaneGoOn(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "a", 1, 2)
	c := l.one(fixture.Noon)
	items, err := l.Store.Items(t.Context(), c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Store.FailItem(t.Context(), c, items[0].ID, "not \xff text \x00", fixture.Noon, true); err != nil {
		t.Fatal(err)
	}
	if ns := l.numbers(c); fmt.Sprint(ns) != "[2]" {
		t.Errorf("the lane holds %v", ns)
	}
	if err := l.done(c); err != nil {
		t.Fatal(err)
	}
	l.release(c, fixture.Noon)
	depths, err := l.Store.QueueDepths(t.Context())
	if err != nil || len(depths) != 1 || depths[0].Waiting != 0 || depths[0].Dead != 1 {
		t.Errorf("%+v, %v", depths, err)
	}
	if n, err := l.Store.DeleteIdleLanes(t.Context(), fixture.Noon.Add(time.Hour), 10); n != 0 || err != nil {
		t.Errorf("%d lanes with a dead letter went: %v", n, err)
	}
}

func TestIdleLanesGo(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	l.put(l.Store, "idle", 1)
	l.put(l.Store, "busy", 1)
	for _, c := range l.claim(fixture.Noon) {
		if c.Key == "idle" {
			if err := l.done(c); err != nil {
				t.Fatal(err)
			}
		}
		l.release(c, fixture.Noon)
	}
	for _, want := range []struct {
		before time.Time
		n      int64
	}{{fixture.Noon, 0}, {fixture.Noon.Add(time.Second), 1}, {fixture.Noon.Add(time.Second), 0}} {
		if n, err := l.Store.DeleteIdleLanes(t.Context(), want.before, 10); n != want.n || err != nil {
			t.Errorf("%d lanes went, want %d: %v", n, want.n, err)
		}
	}
}

// TestIdleLanesGoWhileFilled fills lanes that are emptied and deleted all the time. Nothing is lost and nobody is refused.
func TestIdleLanesGoWhileFilled(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	const rounds = 300
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil {
			if _, err := l.Store.DeleteIdleLanes(ctx, fixture.Noon.Add(time.Hour), 10); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	var fillers sync.WaitGroup
	for i := range 2 {
		fillers.Go(func() {
			for n := range rounds {
				l.put(l.Store, fmt.Sprint("lane", (i+n)%3), n)
			}
		})
	}
	filled := make(chan struct{})
	go func() { fillers.Wait(); close(filled) }()
	taken, last := 0, false
	for taken < 2*rounds {
		claims := l.claim(fixture.Noon)
		for _, c := range claims {
			for range l.numbers(c) {
				if err := l.done(c); err != nil {
					t.Fatal(err)
				}
				taken++
			}
			l.release(c, fixture.Noon)
		}
		if len(claims) == 0 && last {
			break
		}
		select {
		case <-filled:
			last = true
		default:
		}
	}
	stop()
	others.Wait()
	fillers.Wait()
	if taken != 2*rounds {
		t.Errorf("%d of %d items came out", taken, 2*rounds)
	}
}

// TestLanesOfOneTransaction are locked in the order of their keys, whatever order they were filled in.
func TestLanesOfOneTransaction(t *testing.T) {
	t.Parallel()
	l := newLanes(t)
	var both sync.WaitGroup
	for _, keys := range [][]string{{"a", "b", "B", "c"}, {"c", "B", "b", "a"}} {
		both.Go(func() {
			for range 100 {
				err := l.Store.Tx(t.Context(), l.Tenant.ID, fixture.Noon, func(tx *store.Tx) error {
					for _, key := range keys {
						tx.Enqueue(store.NewItem{Queue: store.QueueJob, Key: key, Kind: "NUMBER", Payload: make([]byte, 8)})
					}
					tx.Log(ochre.Event{Type: ochre.EventEntryAdded})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	l.Store.Close()
	for { // whoever has left has reported
		var others, deadlocks int
		err := l.sql.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ochre'),
			(SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())`).Scan(&others, &deadlocks)
		if err != nil {
			t.Fatal(err)
		}
		if others > 0 {
			continue
		}
		if deadlocks > 0 {
			t.Errorf("%d deadlocks", deadlocks)
		}
		return
	}
}
