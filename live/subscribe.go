package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/store"
)

const (
	loadAtOnce = 20                     // events whose objects are read at once, and so all that is held for a subscriber who does not read
	retryAfter = 250 * time.Millisecond // a read that failed is tried again after
)

// Reasons of a Gap, for people.
const (
	reasonEpoch   = "The event log was restored from a backup since then."
	reasonTrimmed = "These events are older than the log keeps."
)

// errCut ends a subscription whose node can't read the log any more.
var errCut = errors.New("the node can't serve subscriptions now")

// Subscribe gives a tenant's events, or those of one conversation, in order, each once: those after the cursor, CaughtUp, then live. Where events
// can't be told any more a Gap comes instead, then CaughtUp. A subscriber who does not read is not waited for: it is behind by itself, and reads
// the log when it goes on.
//
// The channel ends with ctx. It ends earlier where the log can't be read for blindAfter or the hub ends; socket.Interrupt has then been called,
// so that the client comes back with its last cursor. Nobody may change the events: subscribers share them. Errors: INVALID_CURSOR.
func (h *Hub) Subscribe(ctx context.Context, p ochre.Principal, conversation *ochre.ID, after *ochre.EventCursor) (<-chan ochre.InboxEvent, error) {
	seq, current := int64(0), true
	if after != nil {
		var err error
		if seq, current, err = h.Cursors.Decode(p.TenantID, *after); err != nil {
			return nil, err
		}
	}
	f, at, cut, err := h.attach(ctx, p.TenantID)
	if err != nil {
		return nil, fmt.Errorf("attach to the event log: %w", err)
	}
	s := &subscription{hub: h, feed: f, cut: cut, tenant: p.TenantID, conversation: conversation, out: make(chan ochre.InboxEvent), pos: at.Seq}
	switch {
	case after == nil:
	case !current:
		s.gap = &ochre.Gap{MissedFrom: *after, Reason: reasonEpoch}
	case seq > at.Seq:
		h.detach(f)
		return nil, InvalidCursor()
	case seq < at.Oldest-1:
		s.gap = &ochre.Gap{MissedFrom: *after, Reason: reasonTrimmed}
	default:
		s.pos = seq
	}
	s.caughtUp = at.Seq
	go func() {
		defer h.detach(f)
		defer close(s.out)
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errCut) { // of which the hub has told
			h.Log.Warn("a subscription ended early; its client comes back", "tenant", p.TenantID, "error", err)
		}
		socket.Interrupt(ctx)
	}()
	return s.out, nil
}

type subscription struct {
	hub          *Hub
	feed         *feed
	cut          <-chan struct{}
	tenant       ochre.ID
	conversation *ochre.ID
	out          chan ochre.InboxEvent
	pos          int64 // everything up to here was told
	caughtUp     int64 // CaughtUp comes when pos is here
	told         bool  // CaughtUp has come
	gap          *ochre.Gap
}

// run tells until ctx or the hub ends, or until nothing could be read for blindAfter.
func (s *subscription) run(ctx context.Context) error {
	var failing time.Time
	for {
		err := s.step(ctx)
		switch {
		case err == nil:
			failing = time.Time{}
			continue
		case ctx.Err() != nil || errors.Is(err, errCut):
			return err
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > blindAfter:
			return err
		}
		if !wait(ctx, retryAfter) {
			return ctx.Err()
		}
	}
}

// step tells what comes next, or waits for it.
func (s *subscription) step(ctx context.Context) error {
	if s.gap != nil {
		s.gap.EventHead = s.headAt(s.pos)
		if err := s.send(ctx, s.gap); err != nil {
			return err
		}
		s.gap, s.told, s.caughtUp = nil, false, s.pos
	}
	if !s.told && s.pos >= s.caughtUp {
		if err := s.send(ctx, &ochre.CaughtUp{EventHead: s.headAt(s.pos)}); err != nil {
			return err
		}
		s.told = true
	}
	head, changed := s.feed.position()
	if s.pos < head {
		return s.advance(ctx)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.cut:
		return errCut
	case <-changed:
		return nil
	}
}

// advance tells a stretch of the ring, or of the log where the ring does not reach back so far. Before CaughtUp it stops there.
func (s *subscription) advance(ctx context.Context) error {
	entries, ok := s.feed.after(s.pos, loadAtOnce)
	if !ok {
		return s.replay(ctx)
	}
	upto := s.pos
	var wanted []*entry
	for _, e := range entries {
		if !s.told && e.event.Seq > s.caughtUp {
			break
		}
		upto = e.event.Seq
		if s.wants(e.event) {
			wanted = append(wanted, e)
		}
	}
	events, err := s.hub.loadEntries(ctx, s.tenant, wanted)
	if err != nil {
		return err
	}
	for i, e := range wanted {
		if err := s.send(ctx, events[i]); err != nil {
			return err
		}
		s.pos = e.event.Seq
	}
	s.pos = upto
	return nil
}

// replay tells a stretch of the log.
func (s *subscription) replay(ctx context.Context) error {
	upto, _ := s.feed.position() // what the log has at least: a stretch without events of a conversation ends here
	if !s.told {
		upto = min(upto, s.caughtUp)
	}
	events, at, err := s.readLog(ctx)
	if err != nil {
		return err
	}
	if s.pos < at.Oldest-1 {
		s.gap = &ochre.Gap{MissedFrom: s.hub.Cursors.Encode(s.tenant, s.pos), Reason: reasonTrimmed}
		s.pos = at.Seq
		return nil
	}
	if n := len(events); n == readAtOnce {
		upto = min(upto, events[n-1].Seq)
	}
	var wanted []ochre.Event
	for _, e := range events {
		if e.Seq <= upto && s.wants(e) {
			wanted = append(wanted, e)
		}
	}
	for len(wanted) > 0 {
		n := min(len(wanted), loadAtOnce)
		if err := s.tell(ctx, wanted[:n]); err != nil {
			return err
		}
		wanted = wanted[n:]
	}
	s.pos = upto
	return nil
}

// readLog reads events behind pos, and then where the log stands: were some of them trimmed before they were read, this shows it.
func (s *subscription) readLog(ctx context.Context) ([]ochre.Event, *store.LogPosition, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	events, err := s.hub.Store.EventsAfter(ctx, s.tenant, s.conversation, s.pos, readAtOnce)
	if err != nil {
		return nil, nil, err
	}
	at, err := s.hub.Store.LogPosition(ctx, s.tenant)
	return events, at, err
}

// tell reads the objects of events of the log, and sends them.
func (s *subscription) tell(ctx context.Context, events []ochre.Event) error {
	loaded, err := s.hub.load(ctx, s.tenant, events)
	if err != nil {
		return err
	}
	for i, e := range events {
		if err := s.send(ctx, loaded[i]); err != nil {
			return err
		}
		s.pos = e.Seq
	}
	return nil
}

// wants tells whether an event is the subscriber's. A type that this version does not know came from a newer one, which runs beside it for a while.
func (s *subscription) wants(e ochre.Event) bool {
	_, known := objectKinds[e.Type]
	return known && (s.conversation == nil || e.ConversationID != nil && *e.ConversationID == *s.conversation)
}

func (s *subscription) send(ctx context.Context, ev ochre.InboxEvent) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.cut:
		return errCut
	case s.out <- ev:
		return nil
	}
}

// headAt is what CaughtUp and Gap carry.
func (s *subscription) headAt(seq int64) ochre.EventHead {
	return ochre.EventHead{Cursor: s.hub.Cursors.Encode(s.tenant, seq), At: time.Now().UTC()}
}
