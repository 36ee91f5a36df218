package live_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

// someday is later than anything in the log.
var someday = fixture.Noon.AddDate(100, 0, 0)

func TestSubscribe(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	c := p.Conversation(fixture.Noon)

	empty, whole := n.open(nil, -1), n.open(nil, 0)
	empty.expect("CaughtUp 0")
	whole.expect("CaughtUp 0")
	n.write(c)
	n.write(c)
	empty.expect("ConversationChanged 1", "ConversationChanged 2")
	whole.expect("ConversationChanged 1", "ConversationChanged 2")
	for after, want := range map[int64][]string{
		-1: {"CaughtUp 2"}, 0: {"ConversationChanged 1", "ConversationChanged 2", "CaughtUp 2"}, 1: {"ConversationChanged 2", "CaughtUp 2"}, 2: {"CaughtUp 2"},
	} {
		s := n.open(nil, after)
		s.expect(want...)
		s.nothing()
	}
}

// TestSubscribeToConversation: only its events, from the ring and from the log, while others' come in between.
func TestSubscribeToConversation(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	writer := p.node(options{})
	ours, others := p.Conversation(fixture.Noon), p.Conversation(fixture.Noon.Add(time.Second))
	for i := range 500 { // more than are read at once
		if writer.write(others); i%2 == 0 {
			writer.write(ours)
		}
	}
	fresh, kept := p.node(options{}), p.node(options{}) // the one's ring is empty, the other's has all that comes
	keeper := kept.open(nil, 0)
	for {
		if _, ok := keeper.next().(*ochre.CaughtUp); ok {
			break
		}
	}
	for name, n := range map[string]*node{"log": fresh, "ring": kept} {
		for _, after := range []int64{0, 2, 3, 300, 748, 749, 750} {
			s := n.open(ours, after)
			for _, seq := range p.seqs(ours, after) {
				if got := p.name(s.next()); got != fmt.Sprint("ConversationChanged ", seq) {
					t.Fatalf("%s after %d: %s, want %d", name, after, got, seq)
				}
			}
			s.expect("CaughtUp 750")
			s.close()
		}
	}
	live := writer.open(ours, 749)
	live.expect("CaughtUp 750")
	writer.write(others, ours)
	writer.write(others)
	writer.write(ours)
	live.expect("ConversationChanged 752", "ConversationChanged 754")
	live.nothing()
}

// TestCaughtUpStaysInPlace: it tells where the log stood at the beginning, however much comes while the replay is read.
func TestCaughtUpStaysInPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	fill(t, n, 990)
	replayed := n.open(nil, 0) // out of the log, since the feed begins here
	fromRing := n.open(nil, 950)
	fill(t, n, 110)
	fromRing.expect("ObjectRemoved 951")
	more := n.open(nil, 1050)
	fill(t, n, 100)
	for name, tc := range map[string]struct {
		s              *screen
		next, caughtUp int64
	}{"log": {replayed, 1, 990}, "log and ring": {fromRing, 952, 990}, "ring": {more, 1051, 1100}} {
		for seq := tc.next; seq <= tc.caughtUp; seq++ {
			if got := p.name(tc.s.next()); got != fmt.Sprint("ObjectRemoved ", seq) {
				t.Fatalf("%s: %s, want %d", name, got, seq)
			}
		}
		tc.s.expect(fmt.Sprint("CaughtUp ", tc.caughtUp), fmt.Sprint("ObjectRemoved ", tc.caughtUp+1))
	}
}

func TestBadCursorsAreRefused(t *testing.T) {
	t.Parallel()
	p, other := newPlace(t), newPlace(t)
	n := p.node(options{})
	n.write(p.Conversation(fixture.Noon))
	for name, cursor := range map[string]ochre.EventCursor{
		"garbage": "garbage", "future": p.cursors.Encode(p.Tenant.ID, 2), "another tenant's": other.cursors.Encode(other.Tenant.ID, 0),
	} {
		var refused *ochre.Error
		if _, err := n.subscribe(nil, &cursor); !errors.As(err, &refused) || refused.Code != ochre.CodeInvalidCursor {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGapAtStart: what can't be replayed is told, then come CaughtUp with the same cursor and what is new.
func TestGapAtStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	c := p.Conversation(fixture.Noon)
	for range 5 {
		n.write(c)
	}
	if gone, err := p.Store.TrimLog(t.Context(), p.Tenant.ID, someday, 3); err != nil || gone != 3 {
		t.Fatal(gone, err)
	}
	elsewhere := live.NewCursors(keys(t, "the secret"), "of another time")
	for name, tc := range map[string]struct {
		after ochre.EventCursor
		want  []string
	}{
		"trimmed":               {p.cursors.Encode(p.Tenant.ID, 0), []string{"Gap 5", "CaughtUp 5"}},
		"one missing":           {p.cursors.Encode(p.Tenant.ID, 2), []string{"Gap 5", "CaughtUp 5"}},
		"none missing":          {p.cursors.Encode(p.Tenant.ID, 3), []string{"ConversationChanged 4", "ConversationChanged 5", "CaughtUp 5"}},
		"another epoch":         {elsewhere.Encode(p.Tenant.ID, 4), []string{"Gap 5", "CaughtUp 5"}},
		"another epoch, future": {elsewhere.Encode(p.Tenant.ID, 99), []string{"Gap 5", "CaughtUp 5"}},
	} {
		s, err := n.subscribe(nil, &tc.after)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range tc.want {
			ev := s.next()
			if got := p.name(ev); got != want {
				t.Errorf("%s: event %d is %s, want %s", name, i, got, want)
			}
			if gap, ok := ev.(*ochre.Gap); ok && (gap.MissedFrom != tc.after || gap.Reason == "" || gap.At.IsZero()) {
				t.Errorf("%s: %+v", name, gap)
			}
		}
		defer s.expect("ConversationChanged 6")
	}
	n.write(c)
}

// TestGapUnderway: the log is trimmed before a subscriber who does not read has seen it.
func TestGapUnderway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	writer, n := p.node(options{}), p.node(options{})
	c := p.Conversation(fixture.Noon)
	fill(t, writer, 1000)
	slow := n.open(nil, 0)
	slow.expect("ObjectRemoved 1") // it holds what it has read of the log, and no more
	if gone, err := p.Store.TrimLog(t.Context(), p.Tenant.ID, someday, 999); err != nil || gone != 999 {
		t.Fatal(gone, err)
	}
	last := int64(1)
	for {
		ev := slow.next()
		gap, ok := ev.(*ochre.Gap)
		if !ok {
			if seq := p.seq(ev); seq != last+1 || seq > 500 {
				t.Fatalf("%s after %d", p.name(ev), last)
			}
			last++
			continue
		}
		if p.seqOf(gap.MissedFrom) != last || p.seq(gap) != 1000 {
			t.Errorf("after %d: a gap from %d to %d", last, p.seqOf(gap.MissedFrom), p.seq(gap))
		}
		break
	}
	slow.expect("CaughtUp 1000")
	writer.write(c)
	slow.expect("ConversationChanged 1001")
	slow.nothing()
}

// TestEmptiedLog: a node that lags behind what is there at all tells of the gap and goes on.
func TestEmptiedLog(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.Conversation(fixture.Noon)
	n := p.node(options{asleep: true})
	s := n.open(nil, -1)
	s.expect("CaughtUp 0")
	p.Write(func(tx *store.Tx) error {
		for range 3 {
			tx.Log(ochre.Event{Type: ochre.EventObjectRemoved, ObjectKind: ochre.KindNote, ObjectID: new(ochre.NewID())})
		}
		return nil
	})
	if gone, err := p.Store.TrimLog(t.Context(), p.Tenant.ID, someday, 9); err != nil || gone != 3 {
		t.Fatal(gone, err)
	}
	n.run()
	s.expect("Gap 3", "CaughtUp 3")
	n.write(c)
	s.expect("ConversationChanged 4")
}

// fill writes many events, each of which is its own in the log.
func fill(t testing.TB, n *node, count int) {
	t.Helper()
	err := n.store.Tx(t.Context(), n.place.Tenant.ID, fixture.Noon, func(tx *store.Tx) error {
		for range count {
			id := ochre.NewID()
			tx.Log(ochre.Event{Type: ochre.EventObjectRemoved, ObjectKind: ochre.KindNote, ObjectID: &id})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEventsOfEveryType: each type of event with its object; an object that is gone, or not to be seen any more, is told as removed.
func TestEventsOfEveryType(t *testing.T) {
	t.Parallel()
	p := placeIn(t, testenv.Database(t))
	n := p.node(options{})
	c := p.Conversation(fixture.Noon)
	note := &ochre.Note{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: 1, AuthorID: p.Agent.ID, Body: "so", CreatedAt: fixture.Noon}
	gone := *note
	gone.ID = ochre.NewID()
	nobody := ochre.NewID()
	log := func(typ ochre.EventType, kind ochre.Kind, id *ochre.ID, in *ochre.ID) {
		p.Write(func(tx *store.Tx) error {
			tx.Log(ochre.Event{Type: typ, ConversationID: in, ObjectKind: kind, ObjectID: id})
			return nil
		})
	}
	p.Write(func(tx *store.Tx) error {
		return errors.Join(tx.InsertNote(t.Context(), note), tx.InsertNote(t.Context(), &gone))
	})
	p.Write(func(tx *store.Tx) error { return tx.DeleteNote(t.Context(), gone.ID) })
	log(ochre.EventConversationCreated, "", nil, &c.ID)
	log(ochre.EventConversationChanged, "", nil, &c.ID)
	log(ochre.EventEntryAdded, ochre.KindNote, &note.ID, &c.ID)
	log(ochre.EventEntryChanged, ochre.KindNote, &note.ID, &c.ID)
	log(ochre.EventEntryAdded, ochre.KindNote, &gone.ID, &c.ID)
	log(ochre.EventObjectRemoved, ochre.KindNote, &note.ID, &c.ID) // it is there still: it may not be seen
	log(ochre.EventLinkChanged, ochre.KindChannelLink, &p.Link.ID, nil)
	log(ochre.EventInstallationChanged, ochre.KindSlackInstallation, &p.Installation.ID, nil)
	log(ochre.EventSlackChannelChanged, ochre.KindSlackChannel, &nobody, nil)
	log(ochre.EventConversationChanged, "", nil, &nobody)
	log("OF_A_LATER_VERSION", "thing", &nobody, &c.ID)
	log(ochre.EventEntryAdded, ochre.KindNote, nil, nil) // of no use to anybody, but no reason to fall over
	log(ochre.EventConversationChanged, "", nil, &c.ID)

	want := []string{
		"ConversationCreated 1", "ConversationChanged 2", "TimelineEntryAdded 3", "TimelineEntryChanged 4", "ObjectRemoved 5", "ObjectRemoved 6", "ChannelLinkChanged 7",
		"SlackInstallationChanged 8", "ObjectRemoved 9", "ObjectRemoved 10", "ObjectRemoved 12", "ConversationChanged 13", "CaughtUp 13",
	}
	removed := map[int64]string{5: gone.GlobalID(), 6: note.GlobalID(), 9: nobody.Global(ochre.KindSlackChannel), 10: nobody.Global(ochre.KindConversation)}
	s := n.open(nil, 0)
	for i, name := range want {
		ev := s.next()
		if got := p.name(ev); got != name {
			t.Fatalf("event %d is %s, want %s", i, got, name)
		}
		switch e := ev.(type) {
		case *ochre.ConversationCreated:
			same(t, e.Conversation.ID, c.ID)
		case *ochre.ConversationChanged:
			same(t, e.Conversation.ID, c.ID)
		case *ochre.TimelineEntryAdded:
			same(t, e.Conversation.ID, c.ID)
			same(t, e.Entry.(*ochre.Note).Body, "so")
		case *ochre.TimelineEntryChanged:
			same(t, e.Entry.(*ochre.Note).ID, note.ID)
		case *ochre.ObjectRemoved:
			same(t, e.RemovedID, removed[p.seq(e)])
		case *ochre.ChannelLinkChanged:
			same(t, e.ChannelLink.ID, p.Link.ID)
		case *ochre.SlackInstallationChanged:
			same(t, e.Installation.ID, p.Installation.ID)
		}
		if at := head(ev).At; at.IsZero() || at.Location() != time.UTC {
			t.Errorf("%s was at %s", name, at)
		}
	}
}

func same[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestObjectsAreNew: a replay from the ring shows objects at least as new as the event, and never one that was deleted.
func TestObjectsAreNew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	c := p.Conversation(fixture.Noon)
	note := &ochre.Note{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: 1, AuthorID: p.Agent.ID, Body: "secret", CreatedAt: fixture.Noon}
	change := func(typ ochre.EventType, f func(tx *store.Tx) error) {
		err := n.store.Tx(t.Context(), p.Tenant.ID, fixture.Noon, func(tx *store.Tx) error {
			tx.Log(ochre.Event{Type: typ, ConversationID: &c.ID, ObjectKind: ochre.KindNote, ObjectID: &note.ID})
			return f(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	watching := n.open(nil, 0)
	watching.expect("CaughtUp 0")
	change(ochre.EventEntryAdded, func(tx *store.Tx) error { return tx.InsertNote(t.Context(), note) })
	watching.expect("TimelineEntryAdded 1") // which keeps it in the ring
	again := n.open(nil, 0)
	again.expect("TimelineEntryAdded 1", "CaughtUp 1")
	note.Body, note.Version = "edited", 2
	change(ochre.EventEntryChanged, func(tx *store.Tx) error { return tx.UpdateNote(t.Context(), note) })
	if e, ok := n.open(nil, 1).next().(*ochre.TimelineEntryChanged); !ok || e.Entry.(*ochre.Note).Body != "edited" {
		t.Errorf("after the edit: %+v", e)
	}
	if e, ok := n.open(nil, 0).next().(*ochre.TimelineEntryAdded); !ok || e.Entry.(*ochre.Note).Body != "edited" {
		t.Errorf("replayed after the edit: %+v", e)
	}
	change(ochre.EventObjectRemoved, func(tx *store.Tx) error { return tx.DeleteNote(t.Context(), note.ID) })
	n.open(nil, 0).expect("ObjectRemoved 1", "ObjectRemoved 2", "ObjectRemoved 3", "CaughtUp 3")
}

// TestSlowSubscriber: who does not read holds up nobody, and later goes on where it was, out of the log.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	c := p.Conversation(fixture.Noon)
	slow, quick := n.open(nil, -1), n.open(nil, -1)
	slow.expect("CaughtUp 0")
	quick.expect("CaughtUp 0")
	const events = 3000 // more than the ring has
	for i := range events / 3 {
		n.write(c)
		fill(t, n, 2)
		for j := range 3 {
			if seq := p.seq(quick.next()); seq != int64(3*i+j+1) {
				t.Fatalf("the quick one sees %d", seq)
			}
		}
	}
	for i := range events {
		if seq := p.seq(slow.next()); seq != int64(i+1) {
			t.Fatalf("the slow one sees %d, want %d", seq, i+1)
		}
	}
	n.write(c)
	slow.expect("ConversationChanged 3001")
}
