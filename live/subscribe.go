package live

import (
	"context"
	"errors"
	"time"

	"github.com/ochrehq/ochre"
)

// Subscribe gives a tenant's events, or those of one conversation, in order, each once: those after the cursor, CaughtUp, then live. Where events
// can't be told any more a Gap comes instead. The channel ends with ctx, or when an event could not be read: the subscriber then comes back
// with its last cursor. A subscriber who does not read is not waited for: it is behind by itself, and reads the log when it goes on.
// Errors: INVALID_CURSOR.
func (h *Hub) Subscribe(ctx context.Context, p ochre.Principal, conversation *ochre.ID, after *ochre.EventCursor) (<-chan ochre.InboxEvent, error) {
	s := &subscription{hub: h, tenant: p.TenantID, conversation: conversation, out: make(chan ochre.InboxEvent)}
	seq, current := int64(0), true
	if after != nil {
		var err error
		if seq, current, err = h.Cursors.Decode(p.TenantID, *after); err != nil {
			return nil, err
		}
	}
	f, at, err := h.attach(ctx, p.TenantID)
	if err != nil {
		return nil, err
	}
	s.feed = f
	switch {
	case after == nil:
		s.pos = at.Seq
	case !current:
		s.gap = &ochre.Gap{MissedFrom: *after, Reason: "The event log was restored from a backup since then."}
		s.pos = at.Seq
	case seq > at.Seq:
		h.detach(f)
		return nil, InvalidCursor()
	case seq < at.Oldest-1:
		s.gap = &ochre.Gap{MissedFrom: *after, Reason: "These events are older than the log keeps."}
		s.pos = at.Seq
	default:
		s.pos = seq
	}
	s.caughtUp = at.Seq
	go func() {
		defer h.detach(f)
		defer close(s.out)
		if err := s.run(ctx); err != nil && ctx.Err() == nil {
			h.Log.Warn("a subscription ended early; its client comes back", "tenant", p.TenantID, "error", err)
		}
	}()
	return s.out, nil
}

type subscription struct {
	hub          *Hub
	feed         *feed
	tenant       ochre.ID
	conversation *ochre.ID
	out          chan ochre.InboxEvent
	pos          int64 // everything up to here was told
	caughtUp     int64 // CaughtUp comes when pos is here
	gap          *ochre.Gap
}

func (s *subscription) run(ctx context.Context) error {
	told := false
	for {
		if s.gap != nil {
			s.gap.EventHead = s.headAt(s.pos, time.Now())
			if err := s.send(ctx, s.gap); err != nil {
				return err
			}
			s.gap, told, s.caughtUp = nil, false, s.pos
		}
		if !told && s.pos >= s.caughtUp {
			if err := s.send(ctx, &ochre.CaughtUp{EventHead: s.headAt(s.pos, time.Now())}); err != nil {
				return err
			}
			told = true
		}
		head, changed := s.feed.position()
		if s.pos >= head {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
			}
			continue
		}
		if err := s.advance(ctx, told); err != nil {
			return err
		}
	}
}

// advance tells what comes next: from the ring, or from the log where the ring does not reach back so far. Before CaughtUp it stops there.
func (s *subscription) advance(ctx context.Context, told bool) error {
	entries, ok := s.feed.after(s.pos)
	if !ok {
		return s.replay(ctx)
	}
	for _, e := range entries {
		if !told && e.event.Seq > s.caughtUp {
			return nil
		}
		if s.wants(e.event) {
			ev, err := e.load(ctx, s.hub)
			if err != nil {
				return err
			}
			if err := s.send(ctx, ev); err != nil {
				return err
			}
		}
		s.pos = e.event.Seq
	}
	return nil
}

// replay tells a stretch of the log.
func (s *subscription) replay(ctx context.Context) error {
	upto, _ := s.feed.position()
	if s.pos < s.caughtUp {
		upto = min(upto, s.caughtUp)
	}
	events, err := s.hub.Store.EventsAfter(ctx, s.tenant, s.conversation, s.pos, readAtOnce)
	if err != nil {
		return err
	}
	at, err := s.hub.Store.LogPosition(ctx, s.tenant)
	if err != nil {
		return err
	}
	if s.pos < at.Oldest-1 {
		s.gap = &ochre.Gap{MissedFrom: s.hub.Cursors.Encode(s.tenant, s.pos), Reason: "These events are older than the log keeps."}
		s.pos = at.Seq
		return nil
	}
	for _, e := range events {
		if e.Seq > upto {
			s.pos = upto
			return nil
		}
		ev, err := s.hub.load(ctx, e)
		if err != nil {
			return err
		}
		if err := s.send(ctx, ev); err != nil {
			return err
		}
		s.pos = e.Seq
	}
	if len(events) < readAtOnce {
		s.pos = max(s.pos, upto)
	}
	return nil
}

func (s *subscription) wants(e ochre.Event) bool {
	return s.conversation == nil || e.ConversationID != nil && *e.ConversationID == *s.conversation
}

func (s *subscription) send(ctx context.Context, ev ochre.InboxEvent) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.out <- ev:
		return nil
	}
}

func (s *subscription) headAt(seq int64, at time.Time) ochre.EventHead {
	return ochre.EventHead{Cursor: s.hub.Cursors.Encode(s.tenant, seq), At: at.UTC()}
}

// load reads the objects of an event: they are at least as new as it. What is gone is told as removed.
func (h *Hub) load(ctx context.Context, e ochre.Event) (ochre.InboxEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	head := ochre.EventHead{Cursor: h.Cursors.Encode(e.TenantID, e.Seq), At: e.At}
	ev, err := h.loadObjects(ctx, e, head)
	if errors.Is(err, ochre.ErrNotFound) {
		return &ochre.ObjectRemoved{EventHead: head, RemovedID: removedID(e)}, nil
	}
	return ev, err
}

func removedID(e ochre.Event) string {
	if e.ObjectID != nil {
		return e.ObjectID.Global(e.ObjectKind)
	}
	if e.ConversationID != nil {
		return e.ConversationID.Global(ochre.KindConversation)
	}
	return ""
}

func (h *Hub) loadObjects(ctx context.Context, e ochre.Event, head ochre.EventHead) (ochre.InboxEvent, error) {
	switch e.Type {
	case ochre.EventLinkChanged:
		l, err := h.Store.ChannelLink(ctx, e.TenantID, *e.ObjectID)
		return &ochre.ChannelLinkChanged{EventHead: head, ChannelLink: l}, err
	case ochre.EventInstallationChanged:
		i, err := h.Store.SlackInstallation(ctx, e.TenantID, *e.ObjectID)
		return &ochre.SlackInstallationChanged{EventHead: head, Installation: i}, err
	case ochre.EventSlackChannelChanged:
		c, err := h.Store.SlackChannel(ctx, e.TenantID, *e.ObjectID)
		return &ochre.SlackChannelChanged{EventHead: head, SlackChannel: c}, err
	case ochre.EventObjectRemoved:
		return nil, ochre.ErrNotFound
	}
	c, err := h.Store.Conversation(ctx, e.TenantID, *e.ConversationID)
	if err != nil {
		return nil, err
	}
	switch e.Type {
	case ochre.EventConversationCreated:
		return &ochre.ConversationCreated{EventHead: head, Conversation: c}, nil
	case ochre.EventConversationChanged:
		return &ochre.ConversationChanged{EventHead: head, Conversation: c}, nil
	}
	entry, err := h.Store.TimelineEntry(ctx, e.TenantID, e.ObjectKind, *e.ObjectID)
	if err != nil {
		return nil, err
	}
	if e.Type == ochre.EventEntryAdded {
		return &ochre.TimelineEntryAdded{EventHead: head, Conversation: c, Entry: entry}, nil
	}
	return &ochre.TimelineEntryChanged{EventHead: head, Conversation: c, Entry: entry}, nil
}
