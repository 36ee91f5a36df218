package live

import (
	"slices"
	"sync"
	"time"

	"github.com/ochrehq/ochre"
)

// Sizes of a feed.
const (
	ringSize  = 1024 // a tenant's newest events that a node keeps: who is not further behind needs no look into the log
	sharedNow = 64   // of these, the newest whose objects are kept too: those that live subscribers ask for at the same time
)

// feed is the newest part of one tenant's log on this node, in order and without holes up to head.
type feed struct {
	tenant  ochre.ID
	filling chan struct{} // full while somebody reads the log for this feed

	mu      sync.Mutex
	started bool                  // head means something
	head    int64                 // newest seq that was emitted
	ring    []*entry              // seq head-len+1 … head
	early   map[int64]ochre.Event // came before their turn, at most ringSize ahead of it
	newest  int64                 // greatest seq that came
	changed chan struct{}         // closed when head moves
	holeAt  time.Time             // since when something between head and newest is missing; zero: nothing is

	subscribers int
	idleSince   time.Time
}

func newFeed(tenant ochre.ID) *feed {
	return &feed{tenant: tenant, filling: make(chan struct{}, 1), early: map[int64]ochre.Event{}, changed: make(chan struct{})}
}

// start sets where the log stood when the feed began, the first time.
func (f *feed) start(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.started {
		f.started = true
		f.skipTo(seq)
	}
}

// skip makes the feed go on behind a seq, without what is before it: that can't be read any more, or is too much to keep.
func (f *feed) skip(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.head {
		f.skipTo(seq)
	}
}

// skipTo is skip with f.mu held.
func (f *feed) skipTo(seq int64) {
	f.head, f.ring = seq, nil
	for early := range f.early {
		if early <= seq {
			delete(f.early, early)
		}
	}
	f.emitReady()
	f.wake()
}

// offer takes events in any order, any number of times. opened tells that there is a hole now where there was none before; holeAt is its name.
func (f *feed) offer(now time.Time, events ...ochre.Event) (opened bool, holeAt time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := f.head
	for _, e := range events {
		f.newest = max(f.newest, e.Seq)
		switch {
		case !f.started:
			if len(f.early) < ringSize {
				f.early[e.Seq] = e
			}
		case e.Seq == f.head+1:
			f.emit(e)
			f.emitReady()
		case e.Seq > f.head && e.Seq <= f.head+ringSize: // what is further ahead is read from the log
			f.early[e.Seq] = e
		}
	}
	if !f.started {
		return false, time.Time{}
	}
	if f.head > from {
		f.wake()
	}
	switch {
	case f.newest <= f.head:
		f.holeAt = time.Time{}
	case f.holeAt.IsZero():
		f.holeAt = now
		return true, now
	}
	return false, f.holeAt
}

// emitReady moves head over what came before its turn. f.mu is held.
func (f *feed) emitReady() {
	for {
		e, ok := f.early[f.head+1]
		if !ok {
			return
		}
		f.emit(e)
	}
}

func (f *feed) emit(e ochre.Event) {
	for _, other := range f.ring[max(0, len(f.ring)-sharedNow):] {
		if e.ObjectID != nil && other.event.ObjectID != nil && *e.ObjectID == *other.event.ObjectID {
			other.unshare() // what was read of it is out of date: it may even be gone
		}
	}
	if len(f.ring) == ringSize {
		f.ring = slices.Delete(f.ring, 0, 1)
	}
	f.ring = append(f.ring, &entry{event: e})
	if n := len(f.ring); n > sharedNow {
		f.ring[n-1-sharedNow].unshare()
	}
	f.head = e.Seq
	delete(f.early, e.Seq)
}

// wake tells who waits that head moved. f.mu is held.
func (f *feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// hasHole tells whether the hole that offer named is still open.
func (f *feed) hasHole(at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !at.IsZero() && f.holeAt.Equal(at)
}

// position gives head and a channel that is closed when it moves.
func (f *feed) position() (int64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head, f.changed
}

func (f *feed) isStarted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started
}

// after gives at most limit of the ring's entries behind a seq; false where the ring does not reach back so far.
func (f *feed) after(seq int64, limit int) ([]*entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int(f.head - seq)
	if n <= 0 {
		return nil, true
	}
	if n > len(f.ring) {
		return nil, false
	}
	return slices.Clone(f.ring[len(f.ring)-n:][:min(n, limit)]), true
}
