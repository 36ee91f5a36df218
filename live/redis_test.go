package live_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
)

// TestPublishNeverBlocks: not without Redis, nor with one that does not answer, nor with a full queue.
func TestPublishNeverBlocks(t *testing.T) {
	t.Parallel()
	r := testenv.OwnRedis(t)
	p := newPlace(t)
	n := p.node(options{redis: r.URL()})
	eventually(t, "Redis", n.bus.Up)
	must(t, r.Pause())
	start := time.Now()
	for range 50_000 { // far more than the queue holds
		n.hub.Load().Publish(p.Tenant.ID, []ochre.Event{{TenantID: p.Tenant.ID}}) // seq 0: nobody lacks it
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("50,000 took %s", took)
	}
	must(t, r.Continue())
	// What waited too long is not sent any more: news come through at once.
	c := p.Conversation(fixture.Noon)
	s := p.node(options{redis: r.URL()}).open(nil, -1)
	s.expect("CaughtUp 0")
	n.write(c)
	s.expect("ConversationChanged 1")
}

// TestOtherNodesSeeIt: over Redis at once, and about a second later without, or with one that is frozen.
func TestOtherNodesSeeIt(t *testing.T) {
	t.Parallel()
	r := testenv.OwnRedis(t)
	p := newPlace(t)
	c := p.Conversation(fixture.Noon)
	here, there := p.node(options{redis: r.URL()}), p.node(options{redis: r.URL()})
	lone := p.node(options{})
	eventually(t, "Redis", func() bool { return here.bus.Up() && there.bus.Up() })
	overRedis, byLog := there.open(nil, -1), lone.open(nil, -1)
	overRedis.expect("CaughtUp 0")
	byLog.expect("CaughtUp 0")
	see := func(s *screen, times int) (took []time.Duration) {
		for range times {
			start := time.Now()
			here.write(c)
			s.next()
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		return took
	}
	quick := see(overRedis, 11)
	t.Logf("over Redis: %s, at most %s", quick[5], quick[10])
	if quick[5] > 250*time.Millisecond { // looking at the log takes half a second in the middle
		t.Errorf("Redis does not help: %s", quick)
	}
	for range 11 {
		byLog.next()
	}
	slow := see(byLog, 3)
	t.Logf("without Redis: %s", slow)
	for range 3 {
		overRedis.next()
	}
	must(t, r.Pause())
	frozen := see(overRedis, 3)
	t.Logf("with a frozen Redis: %s", frozen)
	if slow[2] > 3*time.Second || frozen[2] > 3*time.Second {
		t.Errorf("without Redis %s, with a frozen one %s", slow, frozen)
	}
	must(t, r.Continue())
	eventually(t, "Redis again", func() bool { return here.bus.Up() && there.bus.Up() })
	for range 3 { // what came by the log is not told again
		byLog.next()
	}
	quick = see(overRedis, 5)
	if p.seq(byLog.next()) != 18 || quick[2] > 250*time.Millisecond {
		t.Errorf("after the frost: %s", quick)
	}
}

// heard is what a bus hands over.
type heard struct {
	mu     sync.Mutex
	events []ochre.Event
	joined map[ochre.ID]int
}

func (h *heard) receive(tenant ochre.ID, events []ochre.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.events = append(h.events, events...); len(events) == 0 {
		h.joined[tenant]++
	}
}

func (h *heard) seqs() (seqs []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func (h *heard) joins(tenant ochre.ID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.joined[tenant]
}

// TestBus: what is followed comes, also after Redis was restarted; what is not, is foreign or is no event does not.
func TestBus(t *testing.T) {
	t.Parallel()
	r := testenv.OwnRedis(t)
	ours, other, later := ochre.NewID(), ochre.NewID(), ochre.NewID()
	open := func() (*live.RedisBus, *heard) {
		bus, h := live.NewRedisBus(client(t, r.URL()), quiet), &heard{joined: map[ochre.ID]int{}}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan struct{})
		go func() { defer close(ended); bus.Run(ctx, h.receive) }()
		t.Cleanup(func() { cancel(); <-ended })
		return bus, h
	}
	sender, _ := open()
	receiver, h := open()
	receiver.Follow(ours)
	receiver.Follow(later)
	receiver.Unfollow(later)
	eventually(t, "that the bus follows", func() bool { return h.joins(ours) == 1 && sender.Up() })
	publish := func(tenant ochre.ID, seq int64) {
		sender.Publish(tenant, []ochre.Event{{TenantID: tenant, Seq: seq, Type: ochre.EventEntryAdded, ObjectKind: ochre.KindNote, ObjectID: &other, At: fixture.Noon}})
	}
	publish(other, 1)
	raw := client(t, r.URL())
	for _, body := range []string{"", "null", "[]", "{", `[{"TenantID":"` + other.String() + `","Seq":2}]`} {
		must(t, raw.Publish(t.Context(), "ochre:events:"+ours.String(), body).Err())
	}
	must(t, raw.Publish(t.Context(), "ochre:events:nobody", "[]").Err())
	publish(ours, 3)
	eventually(t, "an event", func() bool { return len(h.seqs()) > 0 })
	if e := h.events[0]; e.TenantID != ours || e.Seq != 3 || e.Type != ochre.EventEntryAdded || *e.ObjectID != other || !e.At.Equal(fixture.Noon) || e.ConversationID != nil {
		t.Errorf("it came as %+v", e)
	}
	receiver.Follow(later)
	eventually(t, "that the bus follows another", func() bool { return h.joins(later) == 1 })
	publish(later, 4)
	eventually(t, "the other's event", func() bool { return len(h.seqs()) == 2 })

	must(t, r.Stop())
	must(t, r.Restart(t.Context()))
	eventually(t, "that the bus follows again", func() bool { return h.joins(ours) > 1 && h.joins(later) > 1 })
	eventually(t, "an event after the restart", func() bool { publish(ours, 5); return len(h.seqs()) > 2 })
	receiver.Unfollow(later)
	publish(ours, 6)
	eventually(t, "the last event", func() bool { return slices.Contains(h.seqs(), 6) })
	for _, seq := range h.seqs() {
		if seq < 3 {
			t.Errorf("event %d came", seq)
		}
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	r := testenv.OwnRedis(t)
	c := client(t, r.URL()) // with the client's own time-outs of seconds
	one, two := live.NewLimiter(c, 1, 5), live.NewLimiter(client(t, r.URL()), 1, 5)
	allowed := 0
	for i := range 20 {
		wait, err := []*live.Limiter{one, two}[i%2].Allow(t.Context(), "agent")
		must(t, err)
		if wait == 0 {
			allowed++
		} else if wait < 0 || wait > time.Second {
			t.Errorf("wait %s", wait)
		}
	}
	if allowed < 5 || allowed > 7 { // a second may pass
		t.Errorf("%d of 20 are allowed, of 5 and one a second", allowed)
	}
	if wait, err := one.Allow(t.Context(), "another"); wait != 0 || err != nil {
		t.Errorf("another: %s, %v", wait, err)
	}
	for what, fails := range map[string]func() error{"frozen": r.Pause, "stopped": r.Stop} {
		must(t, fails())
		for range 3 {
			start := time.Now()
			if _, err := one.Allow(t.Context(), "another"); err == nil {
				t.Errorf("%s: no error", what)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: the error came after %s", what, took)
			}
		}
		if what == "frozen" {
			must(t, r.Continue())
		} else {
			must(t, r.Restart(t.Context()))
		}
		eventually(t, "that it counts again", func() bool { _, err := one.Allow(t.Context(), "another"); return err == nil })
	}
}

// slowBus follows late: what was published before is lost to it.
type slowBus struct {
	live.Bus
	follows chan ochre.ID
	receive chan told
}

func (b slowBus) Publish(ochre.ID, []ochre.Event) {}
func (b slowBus) Follow(tenant ochre.ID)          { b.follows <- tenant }
func (b slowBus) Unfollow(ochre.ID)               {}
func (b slowBus) Run(ctx context.Context, receive func(ochre.ID, []ochre.Event)) {
	b.receive <- receive
	<-ctx.Done()
}

// TestLateFollow: once the bus follows a tenant, what came before is read from the log at once, not at the next look.
func TestLateFollow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	bus := slowBus{follows: make(chan ochre.ID, 1), receive: make(chan told, 1)}
	n := p.node(options{redis: "redis://nowhere", wrap: func(live.Bus) live.Bus { return bus }})
	receive := <-bus.receive
	c, elsewhere := p.Conversation(fixture.Noon), p.node(options{})
	s := n.open(nil, -1)
	s.expect("CaughtUp 0")
	same(t, <-bus.follows, p.Tenant.ID)
	start := time.Now()
	for range 8 {
		elsewhere.write(c)
		receive(p.Tenant.ID, nil)
		s.next()
	}
	if took := time.Since(start); took > 4*time.Second { // at the looks they would come one a second
		t.Errorf("eight events took %s", took)
	}
}
