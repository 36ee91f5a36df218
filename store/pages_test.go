package store_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

func ptr[T any](v T) *T { return &v }

// walk reads a list page by page in one direction and gives it in the list's order.
func walk[T any](t *testing.T, size int, backward bool, read func(store.Page) (*store.Slice[T], error)) []T {
	t.Helper()
	var all []T
	p := store.Page{First: &size}
	if backward {
		p = store.Page{Last: &size}
	}
	for range 100 {
		s, err := read(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Nodes) != len(s.Cursors) || len(s.Nodes) > size {
			t.Fatalf("a page of %d has %d nodes and %d cursors", size, len(s.Nodes), len(s.Cursors))
		}
		more := s.HasNext
		if backward {
			all, more = append(slices.Clone(s.Nodes), all...), s.HasPrevious
		} else {
			all = append(all, s.Nodes...)
		}
		if s.HasNext && backward || s.HasPrevious && !backward {
			t.Error("a page tells of the side it was not asked for")
		}
		if !more {
			return all
		}
		p.After, p.Before = &s.Cursors[len(s.Cursors)-1], nil
		if backward {
			p.After, p.Before = nil, &s.Cursors[0]
		}
	}
	t.Fatal("the list does not end")
	return nil
}

// both walks a list in both directions in pages of several sizes, and compares the ids.
func both[T ochre.Node](t *testing.T, want []ochre.ID, id func(T) ochre.ID, read func(store.Page) (*store.Slice[T], error)) {
	t.Helper()
	for _, size := range []int{1, 2, 3, store.MaxPage} {
		for _, backward := range []bool{false, true} {
			got := make([]ochre.ID, 0, len(want))
			for _, n := range walk(t, size, backward, read) {
				got = append(got, id(n))
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d, backward %t: got\n%v, want\n%v", size, backward, got, want)
			}
		}
	}
}

func conversationID(c *ochre.Conversation) ochre.ID { return c.ID }

// order compares by a key and then by the id.
func order(a, b int64, aID, bID ochre.ID) int { return cmp.Or(cmp.Compare(a, b), byID(aID, bID)) }

func byID(a, b ochre.ID) int { return slices.Compare(a[:], b[:]) }

func TestConversationPagesInEveryOrder(t *testing.T) {
	t.Parallel()
	w := world(t)
	fixture.New(t, w.Store).Conversation(fixture.Noon) // a stranger's
	all := make([]*ochre.Conversation, 0, 9)
	for i := range 9 { // three of each time, and three that wait for nobody
		at := fixture.Noon.Add(time.Duration(i/3) * time.Hour)
		all = append(all, w.Conversation(fixture.Noon.Add(time.Duration(i)*time.Minute), func(c *ochre.Conversation) {
			c.CreatedAt, c.LastActivityAt, c.WaitingSince = at, at.Add(time.Microsecond), &at
			if i%3 == 1 {
				c.WaitingOn, c.WaitingSince = nil, nil
			}
		}))
	}
	keys := map[store.ConversationSort]func(c *ochre.Conversation, desc bool) int64{
		store.ByCreated:      func(c *ochre.Conversation, _ bool) int64 { return c.CreatedAt.UnixMicro() },
		store.ByLastActivity: func(c *ochre.Conversation, _ bool) int64 { return c.LastActivityAt.UnixMicro() },
		store.ByWaitingSince: func(c *ochre.Conversation, desc bool) int64 {
			switch {
			case c.WaitingSince != nil:
				return c.WaitingSince.UnixMicro()
			case desc:
				return -1
			}
			return 1 << 62
		},
	}
	for by, key := range keys {
		for _, desc := range []bool{false, true} {
			t.Run(fmt.Sprint(by, desc), func(t *testing.T) {
				t.Parallel()
				sorted := slices.SortedFunc(slices.Values(all), func(a, b *ochre.Conversation) int {
					if desc {
						a, b = b, a
					}
					return order(key(a, desc), key(b, desc), a.ID, b.ID)
				})
				want := make([]ochre.ID, len(sorted))
				for i, c := range sorted {
					want[i] = c.ID
				}
				both(t, want, conversationID, func(p store.Page) (*store.Slice[*ochre.Conversation], error) {
					return w.Store.ConversationPage(t.Context(), w.Tenant.ID, store.ConversationFilter{}, by, desc, p)
				})
			})
		}
	}
}

func TestPageBounds(t *testing.T) {
	t.Parallel()
	w := world(t)
	var all []*ochre.Conversation
	for i := range 30 {
		all = append(all, w.Conversation(fixture.Noon.Add(time.Duration(i)*time.Second)))
	}
	read := func(p store.Page) *store.Slice[*ochre.Conversation] {
		s, err := w.Store.ConversationPage(t.Context(), w.Tenant.ID, store.ConversationFilter{}, store.ByCreated, false, p)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := read(store.Page{})
	if len(plain.Nodes) != store.DefaultPage || !plain.HasNext || plain.Nodes[0].ID != all[0].ID {
		t.Errorf("the default page has %d entries, next %t", len(plain.Nodes), plain.HasNext)
	}
	cursors := read(store.Page{First: ptr(30)}).Cursors
	for name, c := range map[string]struct {
		page        store.Page
		from, to    int
		next, prior bool
	}{
		"between, from the front": {store.Page{First: ptr(2), After: &cursors[4], Before: &cursors[9]}, 5, 7, true, false},
		"between, from the back":  {store.Page{Last: ptr(2), After: &cursors[4], Before: &cursors[9]}, 7, 9, false, true},
		"before alone goes back":  {store.Page{Before: &cursors[27]}, 2, 27, false, true},
		"up to the end":           {store.Page{First: ptr(100), After: &cursors[27]}, 28, 30, false, false},
		"behind the end":          {store.Page{After: &cursors[29]}, 30, 30, false, false},
	} {
		s := read(c.page)
		if !slices.EqualFunc(s.Nodes, all[c.from:c.to], func(a, b *ochre.Conversation) bool { return a.ID == b.ID }) || s.HasNext != c.next || s.HasPrevious != c.prior {
			t.Errorf("%s: %d entries, next %t, previous %t", name, len(s.Nodes), s.HasNext, s.HasPrevious)
		}
	}
}

func TestBadPages(t *testing.T) {
	t.Parallel()
	w := world(t)
	other := fixture.New(t, w.Store)
	ctx, tenant := t.Context(), w.Tenant.ID
	c := w.Conversation(fixture.Noon)
	conversations := func(p store.Page) error {
		_, err := w.Store.ConversationPage(ctx, tenant, store.ConversationFilter{}, store.ByCreated, false, p)
		return err
	}
	first := ptr(1)
	good := func(s *store.Slice[*ochre.Conversation], err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return s.Cursors[0]
	}
	mine := good(w.Store.ConversationPage(ctx, tenant, store.ConversationFilter{}, store.ByCreated, false, store.Page{First: first}))
	if err := conversations(store.Page{After: &mine}); err != nil {
		t.Fatalf("a good cursor: %v", err)
	}
	agents, err := w.Store.AgentPage(ctx, tenant, store.Page{First: first})
	if err != nil {
		t.Fatal(err)
	}
	otherConversation := other.Conversation(fixture.Noon)
	timeline, err := w.Store.Timeline(ctx, other.Tenant.ID, otherConversation.ID, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(mine)
	raw[3] ^= 1
	for name, cursor := range map[string]string{
		"empty":               "",
		"not base64":          "!!" + mine,
		"padded":              mine + "=",
		"cut":                 mine[:len(mine)-4],
		"cut to nothing much": mine[:8],
		"one bit changed":     base64.RawURLEncoding.EncodeToString(raw),
		"another order":       good(w.Store.ConversationPage(ctx, tenant, store.ConversationFilter{}, store.ByLastActivity, false, store.Page{First: first})),
		"another direction":   good(w.Store.ConversationPage(ctx, tenant, store.ConversationFilter{}, store.ByCreated, true, store.Page{First: first})),
		"another tenant's":    good(w.Store.ConversationPage(ctx, other.Tenant.ID, store.ConversationFilter{}, store.ByCreated, false, store.Page{First: first})),
		"another list's":      agents.Cursors[0],
		"a timeline's":        timeline.Cursors[0],
	} {
		for _, p := range []store.Page{{After: &cursor}, {Before: &cursor}} {
			if got := ochre.CodeOf(conversations(p)); got != ochre.CodeInvalidCursor {
				t.Errorf("a cursor that is %s: %q", name, got)
			}
		}
		if _, err := w.Store.Timeline(ctx, tenant, c.ID, store.Page{After: &cursor}); ochre.CodeOf(err) != ochre.CodeInvalidCursor {
			t.Errorf("a timeline's cursor that is %s: %v", name, err)
		}
	}
	for name, p := range map[string]store.Page{
		"first 0": {First: ptr(0)}, "first -1": {First: ptr(-1)}, "first 101": {First: ptr(101)},
		"last 0": {Last: ptr(0)}, "last 101": {Last: ptr(101)}, "first with last": {First: ptr(1), Last: ptr(1)},
	} {
		if got := ochre.CodeOf(conversations(p)); got != ochre.CodeBadUserInput {
			t.Errorf("%s: %q", name, got)
		}
	}
}
