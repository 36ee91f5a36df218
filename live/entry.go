package live

import (
	"context"
	"sync"

	"github.com/ochrehq/ochre"
)

// entry is an event of the ring. Subscribers that come for its objects at the same time share what one of them reads; nobody may change it.
type entry struct {
	event ochre.Event

	mu      sync.Mutex
	alone   bool // nothing is shared any more: who wants the objects reads them
	loaded  ochre.InboxEvent
	loading chan struct{} // closed when the one who reads is done, one way or the other; nil: nobody reads
}

// claim gives what is loaded, or what to wait for. If it gives neither, the caller is to read the objects, and must call settle.
func (e *entry) claim() (ochre.InboxEvent, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded != nil || e.loading != nil {
		return e.loaded, e.loading
	}
	if !e.alone {
		e.loading = make(chan struct{})
	}
	return nil, nil
}

// settle ends a claim. A nil event means that the reading failed: another may try.
func (e *entry) settle(ev ochre.InboxEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loading != nil {
		close(e.loading)
		e.loading = nil
	}
	if !e.alone {
		e.loaded = ev
	}
}

func (e *entry) unshare() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.alone, e.loaded = true, nil
}

// loadEntries gives the entries' events with their objects: those that others have read or are reading, and the rest read at once.
func (h *Hub) loadEntries(ctx context.Context, tenant ochre.ID, entries []*entry) ([]ochre.InboxEvent, error) {
	out := make([]ochre.InboxEvent, len(entries))
	for {
		var mine []int
		var theirs <-chan struct{}
		for i, e := range entries {
			if out[i] != nil {
				continue
			}
			switch ev, wait := e.claim(); {
			case ev != nil:
				out[i] = ev
			case wait != nil:
				theirs = wait
			default:
				mine = append(mine, i)
			}
		}
		if err := h.loadClaimed(ctx, tenant, entries, mine, out); err != nil {
			return nil, err
		}
		if theirs == nil {
			return out, nil
		}
		select {
		case <-theirs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// loadClaimed reads the objects of those entries that were claimed, and settles them whatever happens.
func (h *Hub) loadClaimed(ctx context.Context, tenant ochre.ID, entries []*entry, claimed []int, out []ochre.InboxEvent) error {
	if len(claimed) == 0 {
		return nil
	}
	defer func() {
		for _, i := range claimed {
			entries[i].settle(out[i])
		}
	}()
	events := make([]ochre.Event, len(claimed))
	for n, i := range claimed {
		events[n] = entries[i].event
	}
	loaded, err := h.load(ctx, tenant, events)
	if err != nil {
		return err
	}
	for n, i := range claimed {
		out[i] = loaded[n]
	}
	return nil
}
