package live_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/localredis"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

// chaos loses, doubles and holds back what passes, each in 5 of 100 cases.
type chaos struct {
	mu     sync.Mutex
	random *rand.Rand
	held   []func()
}

func newChaos(seed uint64) *chaos { return &chaos{random: rand.New(rand.NewPCG(seed, 7))} }

func (c *chaos) pass(on told) told {
	return func(tenant ochre.ID, events []ochre.Event) {
		c.mu.Lock()
		fate := c.random.IntN(100)
		late := c.held
		c.held = nil
		if fate >= 10 && fate < 15 {
			c.held = append(late, func() { on(tenant, events) })
			late = nil
		}
		c.mu.Unlock()
		switch {
		case fate < 5 || fate >= 10 && fate < 15:
		case fate < 10:
			on(tenant, events)
			on(tenant, events)
		default:
			on(tenant, events)
		}
		for _, f := range late {
			f()
		}
	}
}

// faultyBus is a bus with chaos on the receiving end.
type faultyBus struct {
	live.Bus
	chaos *chaos
}

func (b faultyBus) Run(ctx context.Context, receive func(ochre.ID, []ochre.Event)) {
	b.Bus.Run(ctx, b.chaos.pass(receive))
}

// watcher is a subscriber who comes and goes, always with its last cursor.
type watcher struct {
	place        *place
	conversation *ochre.Conversation
	cursor       *ochre.EventCursor
	begin        int64
	seen         []int64
	visits       int
}

// visit watches for at most n events, or until `until` says that it was enough, or for a while.
func (w *watcher) visit(n *node, limit int, while time.Duration, until func() bool) {
	t := w.place.t
	s, err := n.subscribe(w.conversation, w.cursor)
	if err != nil {
		t.Errorf("subscribe: %v", err)
		return
	}
	defer s.close()
	w.visits++
	end := time.After(while)
	caughtUp := int64(-1)
	for seen := 0; seen < limit && !until(); {
		select {
		case <-end:
			return
		case ev, ok := <-s.events:
			if !ok {
				return // the hub ended
			}
			cursor := head(ev).Cursor
			seq := w.place.seq(ev)
			switch ev.(type) {
			case *ochre.Gap:
				t.Errorf("a gap: %+v", ev)
			case *ochre.CaughtUp:
				if caughtUp >= 0 {
					t.Errorf("CaughtUp twice: %d, %d", caughtUp, seq)
				}
				caughtUp = seq
				if w.cursor == nil {
					w.begin = seq
				}
				if len(w.seen) > 0 && seq < w.seen[len(w.seen)-1] {
					t.Errorf("CaughtUp %d behind event %d", seq, w.seen[len(w.seen)-1])
				}
			default:
				if caughtUp >= 0 && seq <= caughtUp {
					t.Errorf("event %d after CaughtUp %d", seq, caughtUp)
				}
				w.seen = append(w.seen, seq)
				seen++
			}
			w.cursor = &cursor
		}
	}
}

// check compares what was seen with the log.
func (w *watcher) check() {
	t := w.place.t
	want := w.place.seqs(w.conversation, w.begin)
	if !slices.Equal(w.seen, want) {
		t.Errorf("in %d visits after %d %d events were seen, want %d; the first difference:", w.visits, w.begin, len(w.seen), len(want))
		for i := range max(len(w.seen), len(want)) {
			if i >= len(w.seen) || i >= len(want) || w.seen[i] != want[i] {
				t.Errorf("at %d: seen %v, want %v", i, w.seen[i:min(i+5, len(w.seen))], want[i:min(i+5, len(want))])
				return
			}
		}
	}
}

// storm is writers and watchers at work on two nodes.
type storm struct {
	place         *place
	nodes         []*node
	conversations []*ochre.Conversation
	done          atomic.Bool // the writers are to end
	writers       sync.WaitGroup
	watchers      sync.WaitGroup
	watching      []*watcher
}

// wrote waits until so many more events were written.
func (s *storm) wrote(n int64) {
	s.place.t.Helper()
	before := s.last()
	eventually(s.place.t, "more events", func() bool { return s.last() >= before+n })
}

func (s *storm) last() int64 {
	at, err := s.place.Store.LogPosition(s.place.t.Context(), s.place.Tenant.ID)
	if err != nil {
		s.place.t.Fatal(err)
	}
	return at.Seq
}

func (s *storm) begin(writers, watchers int) {
	for range 3 {
		s.conversations = append(s.conversations, s.place.Conversation(fixture.Noon.Add(time.Duration(len(s.conversations))*time.Second)))
	}
	for i := range writers {
		s.writers.Go(func() { s.write(rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	for i := range watchers {
		w := &watcher{place: s.place}
		if i%2 == 1 {
			w.conversation = s.conversations[i%len(s.conversations)]
		}
		s.watching = append(s.watching, w)
		s.watchers.Go(func() { s.watch(w, rand.New(rand.NewPCG(uint64(i), 2))) })
	}
}

// write writes bursts with pauses between, and rolls some back.
func (s *storm) write(random *rand.Rand) {
	for pause := time.NewTicker(20 * time.Millisecond); !s.done.Load(); <-pause.C {
		n := s.nodes[random.IntN(len(s.nodes))]
		var of []*ochre.Conversation
		for range 1 + random.IntN(3) {
			of = append(of, s.conversations[random.IntN(len(s.conversations))])
		}
		if random.IntN(10) == 0 {
			_ = n.store.Tx(s.place.t.Context(), s.place.Tenant.ID, time.Now(), func(tx *store.Tx) error {
				tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &of[0].ID})
				return context.Canceled
			})
			continue
		}
		if err := n.change(of...); err != nil {
			s.place.t.Errorf("write: %v", err)
			return
		}
	}
}

// watch comes and goes until the writers are done, and then stays until it has seen the last event.
func (s *storm) watch(w *watcher, random *rand.Rand) {
	for !s.done.Load() {
		w.visit(s.nodes[random.IntN(len(s.nodes))], 1+random.IntN(300), time.Duration(random.IntN(800))*time.Millisecond, s.done.Load)
	}
	s.writers.Wait()
	want := w.place.seqs(w.conversation, w.begin)
	all := func() bool { return len(want) == 0 || len(w.seen) > 0 && w.seen[len(w.seen)-1] >= want[len(want)-1] }
	for end := time.Now().Add(patience); !all() && time.Now().Before(end); {
		w.visit(s.nodes[random.IntN(len(s.nodes))], 1+random.IntN(300), patience, all)
	}
}

func (s *storm) end() {
	s.done.Store(true)
	s.writers.Wait()
	s.watchers.Wait()
	visits := 0
	for _, w := range s.watching {
		w.check()
		visits += w.visits
	}
	s.place.t.Logf("%d events, %d watchers in %d visits", s.last(), len(s.watching), visits)
}

// TestScreenMissesNothing is promise 5: 16 writers on two nodes, watchers that come and go, messages between commit and screen that get
// lost, doubled and out of order, and what may happen to Redis and to nodes.
func TestScreenMissesNothing(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(t *testing.T, s *storm, r *localredis.Server){
		"nothing": func(*testing.T, *storm, *localredis.Server) {},
		"redis comes late": func(t *testing.T, s *storm, r *localredis.Server) {
			if s.nodes[0].bus.Up() {
				t.Error("the bus is up without Redis")
			}
			must(t, r.Restart(t.Context()))
			s.awaitUp(true)
		},
		"redis is restarted": func(t *testing.T, s *storm, r *localredis.Server) {
			s.awaitUp(true)
			must(t, r.Stop())
			s.awaitUp(false)
			must(t, r.Restart(t.Context()))
			s.awaitUp(true)
		},
		"redis is frozen": func(t *testing.T, s *storm, r *localredis.Server) {
			s.awaitUp(true)
			must(t, r.Pause())
			s.awaitUp(false)
			must(t, r.Continue())
			s.awaitUp(true)
		},
		"a hub is restarted": func(t *testing.T, s *storm, _ *localredis.Server) {
			for _, n := range s.nodes {
				n.end()
				n.start()
				s.wrote(300)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testenv.OwnRedis(t)
			if name == "redis comes late" {
				must(t, r.Stop())
			}
			s := &storm{place: newPlace(t)}
			for i := range 2 {
				onTheWay, unpublished := newChaos(uint64(i)), newChaos(uint64(10+i))
				s.nodes = append(s.nodes, s.place.node(options{
					redis: r.URL(), tell: unpublished.pass, wrap: func(b live.Bus) live.Bus { return faultyBus{b, onTheWay} },
				}))
			}
			s.begin(16, 10)
			s.wrote(500)
			happens(t, s, r)
			s.wrote(500)
			s.end()
		})
	}
}

func (s *storm) awaitUp(up bool) {
	s.place.t.Helper()
	for _, n := range s.nodes {
		eventually(s.place.t, "that Redis is seen to come or go", func() bool { return n.bus.Up() == up })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
