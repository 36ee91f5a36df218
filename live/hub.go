package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// Times and sizes of the hub.
const (
	lookInterval = time.Second           // how often the counters are looked at: it closes losses at the tail, and is the way without Redis
	holeWait     = 30 * time.Millisecond // how long an event that is missing may still come by itself
	feedLinger   = 30 * time.Second      // how long a feed without subscribers is kept
	readTimeout  = 5 * time.Second       // of one read of the database
	blindAfter   = 10 * time.Second      // a node that can't read the log for so long sends its subscribers elsewhere
	readAtOnce   = 200                   // events read from the log in one go
	fillAtOnce   = 4                     // feeds for which a look reads the log at the same time
)

// Bus carries committed events to the other nodes. It may lose, double and reorder them.
type Bus interface {
	// Publish must not block.
	Publish(tenant ochre.ID, events []ochre.Event)
	// Follow asks for a tenant's events, Unfollow ends that. They must not block.
	Follow(tenant ochre.ID)
	Unfollow(tenant ochre.ID)
	// Run hands over what comes until ctx ends. No events mean that the bus follows the tenant from now on: what came before may be missing.
	Run(ctx context.Context, receive func(tenant ochre.ID, events []ochre.Event))
}

// Hub keeps a feed for each tenant that somebody on this node watches. It is safe for concurrent use.
type Hub struct {
	Store   *store.Store
	Cursors *Cursors
	Bus     Bus // nil: one node alone
	Log     *slog.Logger

	mu     sync.Mutex
	feeds  map[ochre.ID]*feed
	cut    chan struct{} // closed when subscriptions are to end: the node is blind
	checks chan check
}

// check is a feed that may lack something: a hole that was named by offer, or anything.
type check struct {
	feed   *feed
	holeAt time.Time
}

// NewHub makes a Hub; Run makes it live. b may be nil, a nil *RedisBus too.
func NewHub(s *store.Store, c *Cursors, b Bus, log *slog.Logger) *Hub {
	if b == (*RedisBus)(nil) {
		b = nil
	}
	return &Hub{Store: s, Cursors: c, Bus: b, Log: log, feeds: map[ochre.ID]*feed{}, cut: make(chan struct{}), checks: make(chan check, 256)}
}

// Publish tells of events that were just committed on this node. It never blocks: what gets lost on the way is found in the log.
func (h *Hub) Publish(tenant ochre.ID, events []ochre.Event) {
	if len(events) == 0 {
		return
	}
	h.receive(tenant, events)
	if h.Bus != nil {
		h.Bus.Publish(tenant, events)
	}
}

func (h *Hub) receive(tenant ochre.ID, events []ochre.Event) {
	h.mu.Lock()
	f := h.feeds[tenant]
	h.mu.Unlock()
	if f == nil {
		return
	}
	opened, holeAt := f.offer(time.Now(), events...)
	if !opened && len(events) > 0 {
		return
	}
	select {
	case h.checks <- check{f, holeAt}:
	default: // the next look at the counters finds it
	}
}

// Run keeps the feeds live until ctx ends. Then what is subscribed ends too.
func (h *Hub) Run(ctx context.Context) {
	defer h.interrupt()
	var parts sync.WaitGroup
	defer parts.Wait()
	if h.Bus != nil {
		parts.Go(func() { h.Bus.Run(ctx, h.receive) })
	}
	parts.Go(func() { h.mend(ctx) })
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	seen, failing := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := h.look(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			if failing {
				h.Log.Info("the event log can be read again")
			}
			seen, failing = time.Now(), false
		case !failing:
			h.Log.Warn("the event log can't be read; it is tried again", "error", err)
			failing = true
		case time.Since(seen) > blindAfter:
			h.Log.Warn("subscribers are sent to another node: the event log can't be read", "error", err)
			h.interrupt()
			seen = time.Now()
		}
	}
}

// interrupt ends all subscriptions. Their clients come back, here or elsewhere.
func (h *Hub) interrupt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.cut)
	h.cut = make(chan struct{})
}

// mend reads what stays missing for longer than holeWait.
func (h *Hub) mend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-h.checks:
			if !c.holeAt.IsZero() {
				if !wait(ctx, time.Until(c.holeAt.Add(holeWait))) {
					return
				}
				if !c.feed.hasHole(c.holeAt) {
					continue
				}
			}
			if !c.feed.isStarted() {
				continue
			}
			head, _ := c.feed.position()
			if err := h.fill(ctx, c.feed, head+1); err != nil && ctx.Err() == nil {
				h.Log.Warn("the event log could not be read; it is tried again", "tenant", c.feed.tenant, "error", err)
			}
		}
	}
}

// look compares every feed with the log's counter and reads what it lacks. Its error is that the counters could not be read.
func (h *Hub) look(ctx context.Context) error {
	feeds := h.watched(time.Now())
	tenants := make([]ochre.ID, 0, len(feeds))
	for id := range feeds {
		tenants = append(tenants, id)
	}
	at, err := h.positions(ctx, tenants)
	if err != nil {
		return err
	}
	var fills sync.WaitGroup
	defer fills.Wait()
	room := make(chan struct{}, fillAtOnce)
	for _, p := range at {
		f := feeds[p.TenantID]
		if head, _ := f.position(); p.Seq <= head || !f.isStarted() {
			continue
		}
		room <- struct{}{}
		fills.Go(func() {
			defer func() { <-room }()
			if err := h.fill(ctx, f, p.Seq); err != nil && ctx.Err() == nil {
				h.Log.Warn("the event log could not be read; it is tried again", "tenant", f.tenant, "error", err)
			}
		})
	}
	return nil
}

// positions reads where logs stand.
func (h *Hub) positions(ctx context.Context, tenants []ochre.ID) ([]store.LogPosition, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return h.Store.LogPositions(ctx, tenants)
}

// watched gives the feeds, without those that nobody watches any more: they are dropped.
func (h *Hub) watched(now time.Time) map[ochre.ID]*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	feeds := make(map[ochre.ID]*feed, len(h.feeds))
	for id, f := range h.feeds {
		f.mu.Lock()
		idle := f.subscribers == 0 && now.Sub(f.idleSince) > feedLinger
		f.mu.Unlock()
		if !idle {
			feeds[id] = f
			continue
		}
		delete(h.feeds, id)
		if h.Bus != nil {
			h.Bus.Unfollow(id)
		}
	}
	return feeds
}

// fill reads from the log what a feed lacks, if it lacks anything up to a seq. Only one fills a feed at a time; who comes second mostly finds nothing to do.
func (h *Hub) fill(ctx context.Context, f *feed, upto int64) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	select {
	case f.filling <- struct{}{}:
		defer func() { <-f.filling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if head, _ := f.position(); head >= upto {
		return nil
	}
	f.skip(upto - ringSize) // who is behind that far reads the log by itself
	for {
		head, _ := f.position()
		events, err := h.Store.EventsAfter(ctx, f.tenant, nil, head, readAtOnce)
		if err != nil {
			return err
		}
		if len(events) == 0 || events[0].Seq > head+1 { // trimmed under us: go on behind it, subscribers get a Gap
			at, err := h.Store.LogPosition(ctx, f.tenant)
			if err != nil {
				return err
			}
			f.skip(at.Oldest - 1)
		}
		f.offer(time.Now(), events...)
		if len(events) < readAtOnce {
			return nil
		}
	}
}

// attach gives the tenant's feed, begun if it is the first subscriber's, and counts the subscriber. cut is closed when the subscription is to end.
func (h *Hub) attach(ctx context.Context, tenant ochre.ID) (_ *feed, at *store.LogPosition, cut <-chan struct{}, err error) {
	h.mu.Lock()
	f, ok := h.feeds[tenant]
	if !ok {
		f = newFeed(tenant)
		h.feeds[tenant] = f
		if h.Bus != nil {
			h.Bus.Follow(tenant)
		}
	}
	f.mu.Lock()
	f.subscribers++
	f.mu.Unlock()
	cut = h.cut
	h.mu.Unlock()
	defer func() {
		if err != nil {
			h.detach(f)
		}
	}()
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if at, err = h.Store.LogPosition(limited, tenant); err != nil {
		return nil, nil, nil, err
	}
	f.start(at.Seq)
	if err = h.fill(limited, f, at.Seq); err != nil {
		return nil, nil, nil, err
	}
	return f, at, cut, nil
}

func (h *Hub) detach(f *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers--; f.subscribers == 0 {
		f.idleSince = time.Now()
	}
}

// wait waits; false: ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
