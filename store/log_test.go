package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

var errNo = errors.New("no")

// told is what Options.Committed was given, call by call.
type told struct {
	mu    sync.Mutex
	calls [][]ochre.Event
}

func (c *told) committed(_ ochre.ID, events []ochre.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, events)
}

// logging is a world whose commits are told.
func logging(t *testing.T) (*fixture.World, *told) {
	t.Helper()
	c := &told{}
	s, err := store.Open(t.Context(), testenv.SharedDatabase(t), store.Options{MaxConns: 16, Committed: c.committed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return fixture.New(t, s), c
}

func changed(conversation ochre.ID) ochre.Event {
	return ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &conversation}
}

// wholeLog reads a tenant's log.
func wholeLog(t *testing.T, w *fixture.World) []ochre.Event {
	t.Helper()
	events, err := w.Store.EventsAfter(t.Context(), w.Tenant.ID, nil, 0, 1e6)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		events[i].At = events[i].At.UTC()
	}
	return events
}

func seqsOf(events []ochre.Event) (seqs []int64) {
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func upTo(n int) (seqs []int64) {
	for i := range n {
		seqs = append(seqs, int64(i+1))
	}
	return seqs
}

// TestLogHasNoHoles: many transactions at once, of which some are rolled back, some by the loss of their context, and some by the
// database. Each event is told once, after its commit, under the number that it has in the log.
func TestLogHasNoHoles(t *testing.T) {
	t.Parallel()
	w, told := logging(t)
	const writers, each = 16, 25
	var group sync.WaitGroup
	want := make([]int, writers)
	for i := range writers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range each {
				ctx, cancel := context.WithCancel(t.Context())
				n, fate := 1+random.IntN(4), random.IntN(4)
				err := w.Store.Tx(ctx, w.Tenant.ID, fixture.Noon, func(tx *store.Tx) error {
					for range n {
						tx.Log(changed(ochre.NewID()))
					}
					switch fate {
					case 0:
						return errNo
					case 1:
						cancel()
					case 2:
						again := *w.Agent // who is there already
						return tx.InsertAgent(ctx, &again)
					}
					return nil
				})
				cancel()
				if (err == nil) != (fate == 3) {
					t.Errorf("fate %d: %v", fate, err)
				}
				if err == nil {
					want[i] += n
				}
			}
		})
	}
	group.Wait()
	sum := 0
	for _, n := range want {
		sum += n
	}
	log := wholeLog(t, w)
	if !slices.Equal(seqsOf(log), upTo(sum)) {
		t.Fatalf("%d events were committed, the log has %v", sum, seqsOf(log))
	}
	at, err := w.Store.LogPosition(t.Context(), w.Tenant.ID)
	if err != nil || at.Seq != int64(sum) || at.Oldest != 1 || at.TenantID != w.Tenant.ID {
		t.Errorf("the log stands at %+v, %v", at, err)
	}
	for _, call := range told.calls {
		for i, e := range call {
			if e.Seq != call[0].Seq+int64(i) {
				t.Errorf("events of one transaction are not together: %v", seqsOf(call))
			}
		}
	}
	slices.SortFunc(told.calls, func(a, b []ochre.Event) int { return int(a[0].Seq - b[0].Seq) })
	if all := slices.Concat(told.calls...); !reflect.DeepEqual(all, log) {
		t.Errorf("told %d events %v, which are not the %d of the log", len(all), seqsOf(all), len(log))
	}
}

// TestLogTellsOfAThingOnce: where it was told first, and with the agent who changed the words, if it was only one.
func TestLogTellsOfAThingOnce(t *testing.T) {
	t.Parallel()
	w, told := logging(t)
	a, b := ochre.NewID(), ochre.NewID()
	ada, bob := w.Admin.ID, w.Agent.ID
	entry := func(typ ochre.EventType, object ochre.ID, content bool, actor *ochre.ID) ochre.Event {
		return ochre.Event{Type: typ, ConversationID: &a, ObjectKind: ochre.KindMessage, ObjectID: &object, Content: content, ActorID: actor}
	}
	first, second, third, fourth := ochre.NewID(), ochre.NewID(), ochre.NewID(), ochre.NewID()
	w.Write(func(tx *store.Tx) error {
		for _, e := range []ochre.Event{
			changed(a), changed(b),
			entry(ochre.EventEntryAdded, first, true, &ada), changed(a), entry(ochre.EventEntryChanged, first, false, nil), entry(ochre.EventEntryChanged, first, true, &bob),
			entry(ochre.EventEntryChanged, second, true, &ada), entry(ochre.EventEntryChanged, second, false, &bob), changed(b),
			entry(ochre.EventEntryChanged, third, true, &ada), entry(ochre.EventEntryChanged, third, true, nil),
			entry(ochre.EventEntryChanged, fourth, true, &ada), entry(ochre.EventEntryChanged, fourth, true, &ada),
		} {
			tx.Log(e)
		}
		return nil
	})
	want := []ochre.Event{
		changed(a), changed(b), entry(ochre.EventEntryAdded, first, true, &ada), entry(ochre.EventEntryChanged, first, true, &bob),
		entry(ochre.EventEntryChanged, second, true, &ada), entry(ochre.EventEntryChanged, third, true, nil), entry(ochre.EventEntryChanged, fourth, true, &ada),
	}
	for i := range want {
		want[i].TenantID, want[i].Seq, want[i].At = w.Tenant.ID, int64(i+1), fixture.Noon
	}
	if log := wholeLog(t, w); !reflect.DeepEqual(log, want) || !reflect.DeepEqual(told.calls, [][]ochre.Event{want}) {
		t.Errorf("log  %+v\ntold %+v\nwant %+v", log, told.calls, want)
	}
}

// TestLogOfAHugeChange: one change may touch more things than a statement can have arguments (65,535).
func TestLogOfAHugeChange(t *testing.T) {
	t.Parallel()
	w := world(t)
	const n = 70_000
	w.Write(func(tx *store.Tx) error {
		for range n {
			tx.Log(changed(ochre.NewID()))
		}
		return nil
	})
	if got := seqsOf(wholeLog(t, w)); !slices.Equal(got, upTo(n)) {
		t.Errorf("%d events in the log", len(got))
	}
}

func TestEventsAfter(t *testing.T) {
	t.Parallel()
	w, other := world(t), world(t)
	a, b := ochre.NewID(), ochre.NewID()
	for _, c := range []ochre.ID{a, b, a, a, b} {
		w.Write(func(tx *store.Tx) error { tx.Log(changed(c)); return nil })
	}
	other.Write(func(tx *store.Tx) error { tx.Log(changed(a)); return nil })
	for _, tc := range []struct {
		conversation *ochre.ID
		after        int64
		limit        int
		want         []int64
	}{
		{nil, 0, 9, []int64{1, 2, 3, 4, 5}}, {nil, 3, 9, []int64{4, 5}}, {nil, 1, 2, []int64{2, 3}}, {nil, 5, 9, nil}, {nil, 99, 9, nil},
		{&a, 0, 9, []int64{1, 3, 4}}, {&a, 1, 1, []int64{3}}, {&b, 2, 9, []int64{5}}, {ptr(ochre.NewID()), 0, 9, nil},
	} {
		got, err := w.Store.EventsAfter(t.Context(), w.Tenant.ID, tc.conversation, tc.after, tc.limit)
		if err != nil || !slices.Equal(seqsOf(got), tc.want) {
			t.Errorf("after %d of %v: %v, %v, want %v", tc.after, tc.conversation, seqsOf(got), err, tc.want)
		}
	}
	at, err := w.Store.LogPositions(t.Context(), []ochre.ID{other.Tenant.ID, w.Tenant.ID, ochre.NewID()})
	slices.SortFunc(at, func(a, b store.LogPosition) int { return int(b.Seq - a.Seq) })
	if want := []store.LogPosition{{w.Tenant.ID, 5, 1}, {other.Tenant.ID, 1, 1}}; err != nil || !slices.Equal(at, want) {
		t.Errorf("positions %v, %v, want %v", at, err, want)
	}
	if _, err := w.Store.LogPosition(t.Context(), ochre.NewID()); !errors.Is(err, ochre.ErrNotFound) {
		t.Errorf("the log of nobody: %v", err)
	}
}

// TestTrimLog: the oldest go, in the order of seq even where their times are not, and numbers go on as if nothing was.
func TestTrimLog(t *testing.T) {
	t.Parallel()
	w, other := world(t), world(t)
	write := func(w *fixture.World, minutes ...int) {
		for _, m := range minutes {
			err := w.Store.Tx(t.Context(), w.Tenant.ID, fixture.Noon.Add(time.Duration(m)*time.Minute), func(tx *store.Tx) error { tx.Log(changed(ochre.NewID())); return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write(w, 0, 1, 2, 5, 3, 6)
	write(other, 0)
	for _, tc := range []struct {
		before, limit, gone int
		oldest              int64
		left                []int64
	}{
		{0, 9, 0, 1, []int64{1, 2, 3, 4, 5, 6}},
		{4, 2, 2, 3, []int64{3, 4, 5, 6}},
		{4, 9, 1, 4, []int64{4, 5, 6}}, // 5 is old, but 4 is not
		{4, 9, 0, 4, []int64{4, 5, 6}},
		{99, 9, 3, 7, nil},
		{99, 9, 0, 7, nil},
	} {
		n, err := w.Store.TrimLog(t.Context(), w.Tenant.ID, fixture.Noon.Add(time.Duration(tc.before)*time.Minute), tc.limit)
		if err != nil {
			t.Fatal(err)
		}
		at, err := w.Store.LogPosition(t.Context(), w.Tenant.ID)
		if err != nil {
			t.Fatal(err)
		}
		if left := seqsOf(wholeLog(t, w)); n != tc.gone || at.Oldest != tc.oldest || at.Seq != 6 || !slices.Equal(left, tc.left) {
			t.Errorf("before %d, at most %d: %d went, %v are left, and it stands at %+v", tc.before, tc.limit, n, left, at)
		}
	}
	write(w, 9)
	if left := seqsOf(wholeLog(t, w)); !slices.Equal(left, []int64{7}) {
		t.Errorf("after a trimmed log comes %v", left)
	}
	if left := seqsOf(wholeLog(t, other)); !slices.Equal(left, []int64{1}) {
		t.Errorf("another tenant's log has %v", left)
	}
}

func TestMovedOn(t *testing.T) {
	t.Parallel()
	w := world(t)
	c, entry := ochre.NewID(), ochre.NewID()
	for _, e := range []ochre.Event{
		{Content: true, ActorID: &w.Admin.ID}, // 1
		{Content: true, ActorID: &w.Agent.ID}, // 2
		{},                                    // 3
		{Content: true},                       // 4
		{ActorID: &w.Admin.ID},                // 5
	} {
		e.Type, e.ConversationID, e.ObjectKind, e.ObjectID = ochre.EventEntryChanged, &c, ochre.KindMessage, &entry
		w.Write(func(tx *store.Tx) error { tx.Log(e); return nil })
	}
	for _, tc := range []struct {
		after int64
		agent ochre.ID
		want  bool
	}{
		{0, w.Agent.ID, true}, {1, w.Agent.ID, true}, {3, w.Agent.ID, true}, {4, w.Agent.ID, false}, {3, w.Admin.ID, true}, {5, w.Admin.ID, false},
	} {
		got, err := w.Store.MovedOn(t.Context(), w.Tenant.ID, c, tc.after, tc.agent)
		if err != nil || got != tc.want {
			t.Errorf("after %d for %s: %t, %v", tc.after, tc.agent, got, err)
		}
	}
	if got, err := w.Store.MovedOn(t.Context(), w.Tenant.ID, ochre.NewID(), 0, w.Agent.ID); err != nil || got {
		t.Errorf("another conversation moved on: %t, %v", got, err)
	}
}
