package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// Times of the hub.
const (
	lookInterval = time.Second           // how often the counters are looked at: it closes losses at the tail, and is the way without Redis
	holeWait     = 30 * time.Millisecond // how long an event that is missing may still come by itself
	feedLinger   = 30 * time.Second      // how long a feed without subscribers is kept
	readAtOnce   = 500                   // events read from the log in one go
)

// Bus carries committed events to the other nodes. It may lose, double and reorder them.
type Bus interface {
	// Publish must not block.
	Publish(tenant ochre.ID, events []ochre.Event)
	// Follow asks for a tenant's events, Unfollow ends that. They must not block.
	Follow(tenant ochre.ID)
	Unfollow(tenant ochre.ID)
	// Run hands over what comes until ctx ends.
	Run(ctx context.Context, receive func(tenant ochre.ID, events []ochre.Event))
}

// Hub keeps a feed for each tenant that somebody on this node watches. It is safe for concurrent use.
type Hub struct {
	Store   *store.Store
	Cursors *Cursors
	Bus     Bus // nil: one node alone
	Log     *slog.Logger

	mu    sync.Mutex
	feeds map[ochre.ID]*feed
	holes chan *feed
}

// NewHub makes a Hub; Run makes it live.
func NewHub(s *store.Store, c *Cursors, b Bus, log *slog.Logger) *Hub {
	return &Hub{Store: s, Cursors: c, Bus: b, Log: log, feeds: map[ochre.ID]*feed{}, holes: make(chan *feed, 64)}
}

// Publish tells of events that were just committed on this node. It never blocks: what gets lost on the way is found in the log.
func (h *Hub) Publish(tenant ochre.ID, events []ochre.Event) {
	h.receive(tenant, events)
	if h.Bus != nil {
		h.Bus.Publish(tenant, events)
	}
}

func (h *Hub) receive(tenant ochre.ID, events []ochre.Event) {
	h.mu.Lock()
	f := h.feeds[tenant]
	h.mu.Unlock()
	if f != nil && f.offer(time.Now(), events...) {
		select {
		case h.holes <- f:
		default: // the next look at the counters finds it
		}
	}
}

// Run keeps the feeds live until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	var parts sync.WaitGroup
	defer parts.Wait()
	if h.Bus != nil {
		parts.Go(func() { h.Bus.Run(ctx, h.receive) })
	}
	parts.Go(func() { h.mend(ctx) })
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.look(ctx)
		}
	}
}

// mend reads what stays missing for longer than holeWait.
func (h *Hub) mend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-h.holes:
			t := time.NewTimer(holeWait)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			if f.offer(time.Now()) {
				h.fill(ctx, f)
			}
		}
	}
}

// look compares every feed with the log's counter and reads what it lacks; feeds that nobody watches any more are dropped.
func (h *Hub) look(ctx context.Context) {
	now := time.Now()
	var tenants []ochre.ID
	byTenant := map[ochre.ID]*feed{}
	h.mu.Lock()
	for id, f := range h.feeds {
		f.mu.Lock()
		idle := f.subscribers == 0 && now.Sub(f.idleSince) > feedLinger
		f.mu.Unlock()
		if idle {
			delete(h.feeds, id)
			if h.Bus != nil {
				h.Bus.Unfollow(id)
			}
			continue
		}
		tenants = append(tenants, id)
		byTenant[id] = f
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at, err := h.Store.LogPositions(ctx, tenants)
	if err != nil {
		if ctx.Err() == nil {
			h.Log.Warn("the event log could not be looked at; it is tried again", "error", err)
		}
		return
	}
	for _, p := range at {
		f := byTenant[p.TenantID]
		if head, _ := f.position(); p.Seq > head {
			h.fill(ctx, f)
		}
	}
}

// fill reads from the log what a feed lacks.
func (h *Hub) fill(ctx context.Context, f *feed) {
	for {
		head, _ := f.position()
		events, err := h.Store.EventsAfter(ctx, f.tenant, nil, head, readAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				h.Log.Warn("the event log could not be read; it is tried again", "tenant", f.tenant, "error", err)
			}
			return
		}
		if len(events) > 0 && events[0].Seq > head+1 { // trimmed under us: start behind it, subscribers get a Gap
			f.start(events[0].Seq - 1)
		}
		f.offer(time.Now(), events...)
		if len(events) < readAtOnce {
			return
		}
	}
}

// attach gives the tenant's feed, begun if it is the first subscriber's, and counts the subscriber.
func (h *Hub) attach(ctx context.Context, tenant ochre.ID) (*feed, *store.LogPosition, error) {
	h.mu.Lock()
	f, ok := h.feeds[tenant]
	if !ok {
		f = newFeed(tenant)
		h.feeds[tenant] = f
		if h.Bus != nil {
			h.Bus.Follow(tenant) // before the counter is read, so that nothing falls between
		}
	}
	f.mu.Lock()
	f.subscribers++
	f.mu.Unlock()
	h.mu.Unlock()
	at, err := h.Store.LogPosition(ctx, tenant)
	if err != nil {
		h.detach(f)
		return nil, nil, err
	}
	if head, _ := f.position(); head == 0 && at.Seq > 0 {
		f.start(at.Seq)
	} else if at.Seq > head {
		h.fill(ctx, f)
	}
	return f, at, nil
}

func (h *Hub) detach(f *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers--; f.subscribers == 0 {
		f.idleSince = time.Now()
	}
}
