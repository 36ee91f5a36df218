package live

import (
	"context"
	"sync"
	"time"

	"github.com/ochrehq/ochre"
)

// ringSize is how many of a tenant's newest events a node keeps: who is not further behind is served without the database.
const ringSize = 1024

// entry is an event of the ring, with its objects once somebody asked for them: they are read once for all subscribers of the node.
type entry struct {
	event ochre.Event

	mu     sync.Mutex
	loaded ochre.InboxEvent
}

// feed is the newest part of one tenant's log on this node, in order and without holes up to head.
type feed struct {
	tenant ochre.ID

	mu      sync.Mutex
	head    int64                 // newest seq that was emitted
	ring    []*entry              // seq head-len+1 … head
	early   map[int64]ochre.Event // came before their turn
	changed chan struct{}         // closed when head moves
	holeAt  time.Time             // since when something before the earliest of early is missing; zero: nothing is

	subscribers int
	idleSince   time.Time
}

func newFeed(tenant ochre.ID) *feed {
	return &feed{tenant: tenant, early: map[int64]ochre.Event{}, changed: make(chan struct{})}
}

// start sets where the log stood when the feed began.
func (f *feed) start(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.head {
		f.head = seq
		f.ring = nil
	}
	f.emitReady()
}

// offer takes events in any order, any number of times. It tells whether there is a hole now.
func (f *feed) offer(now time.Time, events ...ochre.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		if e.Seq > f.head && len(f.early) < ringSize { // what does not fit is read from the log
			f.early[e.Seq] = e
		}
	}
	f.emitReady()
	switch {
	case len(f.early) == 0:
		f.holeAt = time.Time{}
	case f.holeAt.IsZero():
		f.holeAt = now
	}
	return len(f.early) > 0
}

// emitReady moves head over what has come. f.mu is held.
func (f *feed) emitReady() {
	moved := false
	for {
		e, ok := f.early[f.head+1]
		if !ok {
			break
		}
		delete(f.early, e.Seq)
		if len(f.ring) == ringSize {
			copy(f.ring, f.ring[1:])
			f.ring = f.ring[:ringSize-1]
		}
		f.ring = append(f.ring, &entry{event: e})
		f.head = e.Seq
		moved = true
	}
	for seq := range f.early { // a start may have passed some
		if seq <= f.head {
			delete(f.early, seq)
		}
	}
	if moved {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

// position gives head and a channel that is closed when it moves.
func (f *feed) position() (int64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head, f.changed
}

// after gives the ring's entries behind a seq; false where the ring does not reach back so far.
func (f *feed) after(seq int64) ([]*entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.head - seq
	if n <= 0 {
		return nil, true
	}
	if n > int64(len(f.ring)) {
		return nil, false
	}
	return append([]*entry(nil), f.ring[int64(len(f.ring))-n:]...), true
}

// load gives the event with its objects, read once.
func (e *entry) load(ctx context.Context, h *Hub) (ochre.InboxEvent, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded == nil {
		ev, err := h.load(ctx, e.event)
		if err != nil {
			return nil, err
		}
		e.loaded = ev
	}
	return e.loaded, nil
}
