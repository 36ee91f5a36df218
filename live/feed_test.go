package live

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/internal/testenv"
)

func events(from, to int64) (list []ochre.Event) {
	for seq := from; seq <= to; seq++ {
		id := ochre.NewID()
		list = append(list, ochre.Event{Seq: seq, Type: ochre.EventObjectRemoved, ObjectKind: ochre.KindNote, ObjectID: &id})
	}
	return list
}

func ringOf(f *feed) (seqs []int64) {
	for _, e := range f.ring {
		seqs = append(seqs, e.event.Seq)
	}
	return seqs
}

func TestFeedPutsInOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		f := newFeed(ochre.NewID())
		f.start(100)
		all := events(95, 160) // some of them old
		all = append(all, all[20:40]...)
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for len(all) > 0 {
			n := 1 + random.IntN(min(5, len(all)))
			f.offer(fixture.Noon, all[:n]...)
			all = all[n:]
		}
		var want []int64
		for seq := int64(101); seq <= 160; seq++ {
			want = append(want, seq)
		}
		if !slices.Equal(ringOf(f), want) || f.head != 160 || len(f.early) != 0 || !f.holeAt.IsZero() {
			t.Fatalf("seed %d: %v, head %d, early %v, hole since %v", seed, ringOf(f), f.head, f.early, f.holeAt)
		}
	}
}

// TestFeedBeforeItsStart: what comes before the feed knows where the log stands is no hole and moves nothing.
func TestFeedBeforeItsStart(t *testing.T) {
	t.Parallel()
	f := newFeed(ochre.NewID())
	if opened, _ := f.offer(fixture.Noon, events(99_999, 100_003)...); opened || f.head != 0 {
		t.Errorf("head %d, hole %t", f.head, opened)
	}
	f.start(100_000)
	if f.start(500_000); f.head != 100_003 || !slices.Equal(ringOf(f), []int64{100_001, 100_002, 100_003}) {
		t.Errorf("head %d, ring %v", f.head, ringOf(f))
	}
}

// TestFeedNamesAHoleOnce: it is mended once however much comes behind it.
func TestFeedNamesAHoleOnce(t *testing.T) {
	t.Parallel()
	f := newFeed(ochre.NewID())
	f.start(0)
	first, second := fixture.Noon, fixture.Noon.Add(time.Second)
	for i, tc := range []struct {
		at     time.Time
		events []ochre.Event
		opened bool
	}{
		{first, events(1, 1), false}, {first, events(3, 3), true}, {second, events(4, 9), false}, {second, events(2, 2), false}, {second, events(11, 11), true},
	} {
		if opened, holeAt := f.offer(tc.at, tc.events...); opened != tc.opened || opened && !f.hasHole(holeAt) {
			t.Errorf("%d: %t at %s", i, opened, holeAt)
		}
	}
	if f.hasHole(first) || f.hasHole(time.Time{}) || !f.hasHole(second) {
		t.Error("it names the wrong hole")
	}
}

func TestFeedIsBounded(t *testing.T) {
	t.Parallel()
	f := newFeed(ochre.NewID())
	f.start(0)
	_, changed := f.position()
	opened, holeAt := f.offer(fixture.Noon, events(2, 3*ringSize)...)
	if len(f.early) != ringSize-1 || !opened {
		t.Errorf("%d events wait for the one before them; a hole: %t", len(f.early), opened)
	}
	if f.offer(fixture.Noon, events(1, 1)...); f.head != ringSize || !f.hasHole(holeAt) {
		t.Errorf("the missing one moved it to %d; a hole: %t", f.head, f.hasHole(holeAt))
	}
	f.offer(fixture.Noon, events(1, 3*ringSize)...)
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if seqs := ringOf(f); len(seqs) != ringSize || seqs[0] != 2*ringSize+1 {
		t.Errorf("%d in the ring, from %d", len(seqs), seqs[0])
	}
	if e, ok := f.after(3*ringSize-10, 4); !ok || len(e) != 4 || e[0].event.Seq != 3*ringSize-9 {
		t.Errorf("the next 4: %v, %t", e, ok)
	}
	if _, ok := f.after(2*ringSize-1, 4); ok {
		t.Error("it gives what it does not have")
	}
	_, changed = f.position()
	f.skip(1)
	if f.skip(4 * ringSize); f.head != 4*ringSize || len(f.ring) != 0 {
		t.Errorf("head %d, %d in the ring", f.head, len(f.ring))
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the skip")
	}
}

// testHub is a hub that does not run, with a world.
func testHub(t *testing.T) (*Hub, *fixture.World) {
	t.Helper()
	w := fixture.New(t, fixture.Open(t, testenv.SharedDatabase(t)))
	k, err := secret.New(strings.Repeat("test", 8))
	if err != nil {
		t.Fatal(err)
	}
	return NewHub(w.Store, NewCursors(k, "epoch"), (*RedisBus)(nil), nil), w
}

// TestLoadsAreShared: what one subscriber reads is everybody's, and if it gives up, the next one reads.
func TestLoadsAreShared(t *testing.T) {
	t.Parallel()
	h, w := testHub(t)
	c := w.Conversation(fixture.Noon)
	f := newFeed(w.Tenant.ID)
	f.start(0)
	f.offer(fixture.Noon, ochre.Event{Seq: 1, Type: ochre.EventConversationChanged, ConversationID: &c.ID})
	entries, _ := f.after(0, 9)
	if ev, wait := entries[0].claim(); ev != nil || wait != nil {
		t.Fatal("somebody was there before")
	}
	// One who leaves while another reads.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.loadEntries(ctx, w.Tenant.ID, entries); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left gets %v", err)
	}
	got := make(chan ochre.InboxEvent)
	for range 2 {
		go func() {
			evs, err := h.loadEntries(t.Context(), w.Tenant.ID, entries)
			if err != nil {
				t.Error(err)
			}
			got <- evs[0]
		}()
	}
	select {
	case <-got:
		t.Error("it did not wait for the one who reads")
	default:
	}
	entries[0].settle(nil) // the reader gives up
	a, b := <-got, <-got
	if a == nil || a != b {
		t.Errorf("they got %v and %v", a, b)
	}
	// Read under a context that is over: the next one still gets it.
	f.offer(fixture.Noon, ochre.Event{Seq: 2, Type: ochre.EventConversationChanged, ConversationID: &c.ID})
	entries, _ = f.after(1, 9)
	if _, err := h.loadEntries(ctx, w.Tenant.ID, entries); err == nil {
		t.Error("it was read under a context that is over")
	}
	if evs, err := h.loadEntries(t.Context(), w.Tenant.ID, entries); err != nil || evs[0] == nil {
		t.Errorf("after one who gave up: %v, %v", evs, err)
	}
}

// TestRingForgetsObjects: those of old events, and those of a thing that changed since.
func TestRingForgetsObjects(t *testing.T) {
	t.Parallel()
	f := newFeed(ochre.NewID())
	f.start(0)
	load := func() (kept int) {
		for _, e := range f.ring {
			if ev, wait := e.claim(); ev == nil && wait == nil {
				e.settle(&ochre.ObjectRemoved{})
			}
		}
		for _, e := range f.ring {
			if e.loaded != nil {
				kept++
			}
		}
		return kept
	}
	for _, e := range events(1, 200) {
		f.offer(fixture.Noon, e)
		load()
	}
	if n := load(); n != sharedNow {
		t.Errorf("objects of %d events are kept", n)
	}
	last := *f.ring[199].event.ObjectID
	f.offer(fixture.Noon, ochre.Event{Seq: 201, Type: ochre.EventObjectRemoved, ObjectID: &last})
	if f.ring[199].loaded != nil || f.ring[198].loaded == nil {
		t.Error("not what changed was forgotten")
	}
}

// TestSlowSubscriberHoldsLittle: what has left the ring is not kept for those who do not read.
func TestSlowSubscriberHoldsLittle(t *testing.T) {
	t.Parallel()
	h, w := testHub(t)
	const slow = 10
	for range slow {
		ch, err := h.Subscribe(t.Context(), w.By(w.Agent), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-ch // CaughtUp
	}
	f := h.feeds[w.Tenant.ID]
	var entries []weak.Pointer[entry]
	for _, e := range events(1, 5*ringSize) {
		f.offer(fixture.Noon, e)
		entries = append(entries, weak.Make(f.ring[len(f.ring)-1]))
	}
	runtime.GC()
	alive := 0
	for _, e := range entries {
		if e.Value() != nil {
			alive++
		}
	}
	if alive < ringSize || alive > ringSize+slow*loadAtOnce {
		t.Errorf("%d events are held", alive)
	}
}

// TestIdleFeedIsDropped, but not while somebody attaches.
func TestIdleFeedIsDropped(t *testing.T) {
	t.Parallel()
	h, w := testHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	ch, err := h.Subscribe(ctx, w.By(w.Agent), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(feedLinger + time.Hour)
	if len(h.watched(later)) != 1 {
		t.Error("a watched feed was dropped")
	}
	cancel()
	for range ch { // until it is closed, after which the subscriber is detached
	}
	f := h.feeds[w.Tenant.ID]
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		f.mu.Lock()
		left := f.subscribers == 0
		f.mu.Unlock()
		if left {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the subscriber is not detached")
		}
	}
	if len(h.watched(time.Now())) != 1 {
		t.Error("a feed was dropped at once")
	}
	if len(h.watched(later)) != 0 || len(h.feeds) != 0 {
		t.Error("an idle feed is kept")
	}
}
