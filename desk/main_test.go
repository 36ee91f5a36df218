package desk_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

func TestMain(m *testing.M) { testenv.Main(m, func() error { return goleak.Find() }) }

// clock is a clock that the test sets.
type clock struct {
	sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.Lock()
	defer c.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.Lock()
	defer c.Unlock()
	c.at = c.at.Add(d)
}

// office is a desk, its clock (an hour past fixture.Noon), and a tenant whose world it changes.
type office struct {
	*fixture.World
	*clock
	t    *testing.T
	desk *desk.Desk
}

func newOffice(t *testing.T, databaseURL string) *office {
	t.Helper()
	return officeIn(t, fixture.Open(t, databaseURL))
}

func officeIn(t *testing.T, s *store.Store) *office {
	t.Helper()
	o := &office{World: fixture.New(t, s), clock: &clock{at: fixture.Noon.Add(time.Hour)}, t: t}
	keys, err := secret.New(strings.Repeat("test", 8))
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := o.Store.LogEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.desk = &desk.Desk{Store: o.Store, Cursors: live.NewCursors(keys, epoch), Keys: keys, PublicURL: "http://ochre.test", Now: o.now}
	return o
}

// open is an office in the database that all tests share.
func open(t *testing.T) *office {
	t.Helper()
	return newOffice(t, testenv.SharedDatabase(t))
}

// events gives the tenant's log after a position, and where it stands now.
func (o *office) events(after int64) ([]ochre.Event, int64) {
	o.t.Helper()
	evs, err := o.Store.EventsAfter(o.t.Context(), o.Tenant.ID, nil, after, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	return evs, after + int64(len(evs))
}

// told checks that the log has grown by exactly these types of event, and that the agent caused each.
func (o *office) told(seq *int64, by *ochre.ID, want ...ochre.EventType) {
	o.t.Helper()
	evs, now := o.events(*seq)
	*seq = now
	got := make([]ochre.EventType, 0, len(evs))
	for _, e := range evs {
		got = append(got, e.Type)
		if (e.ActorID == nil) != (by == nil) || by != nil && *e.ActorID != *by {
			o.t.Errorf("event %s was caused by %v, want %v", e.Type, e.ActorID, by)
		}
	}
	if len(got) != len(want) {
		o.t.Errorf("told %v, want %v", got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			o.t.Errorf("told %v, want %v", got, want)
			return
		}
	}
}

// activities gives the activities of a conversation, oldest first.
func (o *office) activities(c *ochre.Conversation) []*ochre.Activity {
	o.t.Helper()
	s, err := o.Store.Timeline(o.t.Context(), o.Tenant.ID, c.ID, store.Page{First: ptr(store.MaxPage)})
	if err != nil {
		o.t.Fatal(err)
	}
	var as []*ochre.Activity
	for _, e := range s.Nodes {
		if a, ok := e.(*ochre.Activity); ok {
			as = append(as, a)
		}
	}
	return as
}

// refused checks that err is an expected failure with this code at this path.
func refused(t *testing.T, what string, err error, code ochre.Code, path string) {
	t.Helper()
	e, ok := err.(*ochre.Error) //nolint:errorlint // it must be one itself
	if !ok || e.Code != code || strings.Join(e.Path, ".") != path {
		t.Errorf("%s: %v, want %s at %s", what, err, code, path)
	}
}

func ptr[T any](v T) *T { return &v }

func global(c *ochre.Conversation) string { return c.GlobalID() }
