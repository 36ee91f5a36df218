package live_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

func TestMain(m *testing.M) { testenv.Main(m, func() error { return goleak.Find() }) }

// patience bounds what a test waits for, on a machine that may be very busy.
const patience = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// place is a tenant's world and the keys under which nodes sign its cursors.
type place struct {
	*fixture.World
	t       testing.TB
	url     string
	cursors *live.Cursors
}

func newPlace(t testing.TB) *place {
	t.Helper()
	return placeIn(t, testenv.SharedDatabase(t))
}

func placeIn(t testing.TB, databaseURL string) *place {
	t.Helper()
	p := &place{World: fixture.New(t, fixture.Open(t, databaseURL)), t: t, url: databaseURL}
	epoch, err := p.Store.LogEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.cursors = live.NewCursors(keys(t, "the secret"), epoch)
	return p
}

func keys(t testing.TB, secrets ...string) *secret.Keys {
	t.Helper()
	for i, s := range secrets {
		secrets[i] = strings.Repeat(s, 1+secret.MinLength/len(s))
	}
	k, err := secret.New(secrets[0], secrets[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// node is one of several over the same database and Redis.
type node struct {
	place *place
	store *store.Store
	bus   *live.RedisBus // nil without Redis
	hub   atomic.Pointer[live.Hub]
	stop  context.CancelFunc // ends the hub
	ended chan struct{}      // closed when the hub has ended
	tell  func(tenant ochre.ID, events []ochre.Event)
	wrap  func(live.Bus) live.Bus
	rdb   *redis.Client
}

// options of a node.
type options struct {
	redis  string                  // URL; "" for none
	wrap   func(live.Bus) live.Bus // puts faults on the bus
	tell   func(told) told         // puts faults between a commit and its publishing
	asleep bool                    // its hub does not run before the test says so
}

type told = func(tenant ochre.ID, events []ochre.Event)

// node starts a node, which ends with the test.
func (p *place) node(o options) *node {
	p.t.Helper()
	n := &node{place: p, wrap: o.wrap}
	n.tell = func(tenant ochre.ID, events []ochre.Event) { n.hub.Load().Publish(tenant, events) }
	if o.tell != nil {
		n.tell = o.tell(n.tell)
	}
	s, err := store.Open(p.t.Context(), p.url, store.Options{MaxConns: 12, Committed: func(tenant ochre.ID, events []ochre.Event) { n.tell(tenant, events) }})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(s.Close)
	n.store = s
	if o.redis != "" {
		n.rdb = client(p.t, o.redis)
	}
	n.renew()
	if !o.asleep {
		n.run()
	}
	p.t.Cleanup(func() { n.end() })
	return n
}

func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// start gives the node a new hub, and runs it.
func (n *node) start() {
	n.renew()
	n.run()
}

func (n *node) renew() {
	var bus live.Bus
	log := slog.New(slog.NewTextHandler(n.place.t.Output(), nil))
	if n.rdb != nil {
		n.bus = live.NewRedisBus(n.rdb, log)
		bus = n.bus
		if n.wrap != nil {
			bus = n.wrap(bus)
		}
	}
	n.hub.Store(live.NewHub(n.store, n.place.cursors, bus, log))
}

func (n *node) run() {
	ctx, stop := context.WithCancel(context.WithoutCancel(n.place.t.Context()))
	ended := make(chan struct{})
	n.stop, n.ended = stop, ended
	go func() {
		defer close(ended)
		n.hub.Load().Run(ctx)
	}()
}

// end stops the node's hub.
func (n *node) end() {
	if n.stop == nil {
		return
	}
	n.stop()
	<-n.ended
}

// write logs that conversations changed, in one transaction.
func (n *node) write(conversations ...*ochre.Conversation) {
	n.place.t.Helper()
	if err := n.change(conversations...); err != nil {
		n.place.t.Fatal(err)
	}
}

func (n *node) change(conversations ...*ochre.Conversation) error {
	return n.store.Tx(n.place.t.Context(), n.place.Tenant.ID, time.Now(), func(tx *store.Tx) error {
		for _, c := range conversations {
			tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID})
		}
		return nil
	})
}

// name describes an event by its type and seq: "ConversationChanged 3".
func (p *place) name(ev ochre.InboxEvent) string {
	p.t.Helper()
	if ev == nil {
		return "nothing"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T %d", ev, p.seq(ev)), "*ochre.")
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("never came: %s", what)
		case <-again.C:
		}
	}
}

// screen is a subscription that a test reads event by event.
type screen struct {
	t      testing.TB
	place  *place
	events <-chan ochre.InboxEvent
	close  context.CancelFunc
}

// open subscribes as an agent. after is the seq to go on behind; negative: from now on.
func (n *node) open(conversation *ochre.Conversation, after int64) *screen {
	n.place.t.Helper()
	var cursor *ochre.EventCursor
	if after >= 0 {
		c := n.place.cursors.Encode(n.place.Tenant.ID, after)
		cursor = &c
	}
	s, err := n.subscribe(conversation, cursor)
	if err != nil {
		n.place.t.Fatal(err)
	}
	return s
}

func (n *node) subscribe(conversation *ochre.Conversation, after *ochre.EventCursor) (*screen, error) {
	var id *ochre.ID
	if conversation != nil {
		id = &conversation.ID
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(n.place.t.Context()))
	events, err := n.hub.Load().Subscribe(ctx, n.place.By(n.place.Agent), id, after)
	if err != nil {
		cancel()
		return nil, err
	}
	n.place.t.Cleanup(cancel)
	return &screen{t: n.place.t, place: n.place, events: events, close: cancel}, nil
}

// next waits for the next event.
func (s *screen) next() ochre.InboxEvent {
	s.t.Helper()
	select {
	case ev, ok := <-s.events:
		if !ok {
			s.t.Fatal("the subscription ended")
		}
		return ev
	case <-time.After(patience):
		s.t.Fatal("no event comes")
	}
	return nil
}

// nothing looks whether there is an event now, which there should not be.
func (s *screen) nothing() {
	s.t.Helper()
	select {
	case ev, ok := <-s.events:
		s.t.Errorf("there is %s (%t)", s.place.name(ev), ok)
	default:
	}
}

// expect waits for events by their names.
func (s *screen) expect(names ...string) {
	s.t.Helper()
	for i, want := range names {
		if got := s.place.name(s.next()); got != want {
			s.t.Fatalf("event %d is %s, want %s", i, got, want)
		}
	}
}

// head gives what all events have.
func head(ev ochre.InboxEvent) ochre.EventHead {
	switch e := ev.(type) {
	case *ochre.ConversationCreated:
		return e.EventHead
	case *ochre.ConversationChanged:
		return e.EventHead
	case *ochre.TimelineEntryAdded:
		return e.EventHead
	case *ochre.TimelineEntryChanged:
		return e.EventHead
	case *ochre.ObjectRemoved:
		return e.EventHead
	case *ochre.ChannelLinkChanged:
		return e.EventHead
	case *ochre.SlackInstallationChanged:
		return e.EventHead
	case *ochre.SlackChannelChanged:
		return e.EventHead
	case *ochre.CaughtUp:
		return e.EventHead
	case *ochre.Gap:
		return e.EventHead
	}
	return ochre.EventHead{}
}

// seq is where an event's cursor stands.
func (p *place) seq(ev ochre.InboxEvent) int64 {
	p.t.Helper()
	return p.seqOf(head(ev).Cursor)
}

func (p *place) seqOf(cursor ochre.EventCursor) int64 {
	p.t.Helper()
	seq, current, err := p.cursors.Decode(p.Tenant.ID, cursor)
	if err != nil || !current {
		p.t.Errorf("cursor %q: %t, %v", cursor, current, err)
	}
	return seq
}

// seqs is the log as it should be seen.
func (p *place) seqs(conversation *ochre.Conversation, after int64) []int64 {
	p.t.Helper()
	var id *ochre.ID
	if conversation != nil {
		id = &conversation.ID
	}
	events, err := p.Store.EventsAfter(p.t.Context(), p.Tenant.ID, id, after, 1e6)
	if err != nil {
		p.t.Fatal(err)
	}
	var seqs []int64
	for _, e := range events {
		seqs = append(seqs, e.Seq)
	}
	if !slices.IsSorted(seqs) {
		p.t.Errorf("the log is not in order: %v", seqs)
	}
	return seqs
}
