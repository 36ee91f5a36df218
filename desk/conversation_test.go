package desk_test

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// happened checks the newest activity of a conversation.
func (o *office) happened(c *ochre.Conversation, kind ochre.ActivityKind, actor *ochre.Agent, from, to *string) {
	o.t.Helper()
	as := o.activities(c)
	if len(as) == 0 {
		o.t.Errorf("no activity, want %s", kind)
		return
	}
	a := as[len(as)-1]
	actorKind, actorID := ochre.AuthorAutomation, (*ochre.ID)(nil)
	if actor != nil {
		actorKind, actorID = ochre.AuthorAgent, &actor.ID
	}
	if a.Kind != kind || a.ActorKind != actorKind || !reflect.DeepEqual(a.ActorID, actorID) || !reflect.DeepEqual(a.From, from) || !reflect.DeepEqual(a.To, to) {
		o.t.Errorf("the newest activity is %+v, want %s", a, kind)
	}
	if a.Position != o.now().UnixMicro() || !a.CreatedAt.Equal(o.now()) || a.Version != 1 {
		o.t.Errorf("the activity is at %d, %s, version %d", a.Position, a.CreatedAt, a.Version)
	}
}

// changed checks that a conversation is one version further than before, and as the method gave it.
func (o *office) changed(before, got *ochre.Conversation) {
	o.t.Helper()
	stored := o.Reload(before)
	if got.Version != before.Version+1 || stored.Version != got.Version || stored.Status != got.Status || !stored.LastActivityAt.Equal(o.now()) {
		o.t.Errorf("version %d -> %d, stored %d with %s at %s", before.Version, got.Version, stored.Version, stored.Status, stored.LastActivityAt)
	}
}

func TestCloseAndReopen(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	var seq int64

	closed, err := o.desk.CloseConversation(ctx, p, global(c))
	if err != nil {
		t.Fatal(err)
	}
	o.changed(c, closed)
	o.happened(c, ochre.ActivityClosed, o.Agent, ptr("OPEN"), ptr("CLOSED"))
	o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
	if s := o.Reload(c); s.WaitingOn != nil || s.WaitingSince != nil || s.BaseStatus != ochre.StatusClosed || !s.StatusAt.Equal(o.now()) {
		t.Errorf("closed: %+v", s)
	}

	o.advance(time.Minute)
	again, err := o.desk.CloseConversation(ctx, p, global(c))
	if err != nil || again.Version != closed.Version {
		t.Errorf("closed again: %+v, %v", again, err)
	}
	o.told(&seq, nil)

	opened, err := o.desk.ReopenConversation(ctx, p, global(c))
	if err != nil {
		t.Fatal(err)
	}
	o.changed(closed, opened)
	o.happened(c, ochre.ActivityReopened, o.Agent, ptr("CLOSED"), ptr("OPEN"))
	o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
	if s := o.Reload(c); s.WaitingOn == nil || *s.WaitingOn != ochre.SideUs || s.WaitingSince == nil || !s.WaitingSince.Equal(fixture.Noon) {
		t.Errorf("opened again, waiting on %v since %v", s.WaitingOn, s.WaitingSince)
	}
	if _, err := o.desk.ReopenConversation(ctx, p, global(c)); err != nil {
		t.Error(err)
	}
	o.told(&seq, nil)
}

// TestCloseUnderAFastClock closes a conversation whose newest message is, by Slack's clock, still to come.
func TestCloseUnderAFastClock(t *testing.T) {
	t.Parallel()
	o := open(t)
	at := o.now().Add(3 * time.Second)
	c := o.Conversation(at)
	closed, err := o.desk.CloseConversation(t.Context(), o.By(o.Agent), global(c))
	if err != nil || closed.Status != ochre.StatusClosed || closed.StatusAt.Before(at) {
		t.Errorf("closed: %+v, %v", closed, err)
	}
}

func TestAssign(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	var seq int64
	bob, ada := o.Agent.GlobalID(), o.Admin.GlobalID()
	for _, step := range []struct {
		to       *string
		kind     ochre.ActivityKind // "": nothing happens
		from, is *string
	}{
		{nil, "", nil, nil},
		{&bob, ochre.ActivityAssigned, nil, &bob},
		{&bob, "", nil, &bob},
		{&ada, ochre.ActivityAssigned, &bob, &ada},
		{nil, ochre.ActivityUnassigned, &ada, nil},
	} {
		o.advance(time.Second)
		before := o.Reload(c)
		got, err := o.desk.AssignConversation(ctx, p, global(c), step.to)
		if err != nil {
			t.Fatal(err)
		}
		if step.kind == "" {
			o.told(&seq, nil)
			continue
		}
		o.changed(before, got)
		o.happened(c, step.kind, o.Agent, step.from, step.is)
		o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
	}
	if _, err := o.desk.DeactivateAgent(ctx, o.By(o.Admin), bob); err != nil {
		t.Fatal(err)
	}
	_, err := o.desk.AssignConversation(ctx, p, global(c), &bob)
	refused(t, "to a deactivated agent", err, ochre.CodeAgentInactive, "input.assigneeId")
}

func TestPriority(t *testing.T) {
	t.Parallel()
	o := open(t)
	c := o.Conversation(fixture.Noon)
	var seq int64
	for range 2 {
		if _, err := o.desk.SetConversationPriority(t.Context(), o.By(o.Agent), global(c), ochre.PriorityUrgent); err != nil {
			t.Fatal(err)
		}
	}
	o.happened(c, ochre.ActivityPriorityChanged, o.Agent, ptr("NORMAL"), ptr("URGENT"))
	o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
}

func TestSnooze(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	var seq int64
	_, err := o.desk.SnoozeConversation(ctx, p, global(c), o.now())
	refused(t, "until now", err, ochre.CodeTimeInPast, "input.until")
	_, err = o.desk.SnoozeConversation(ctx, p, global(c), time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC))
	refused(t, "for ever", err, ochre.CodeInvalid, "input.until")
	o.told(&seq, nil)

	until := o.now().Add(time.Hour)
	before := o.Reload(c)
	got, err := o.desk.SnoozeConversation(ctx, p, global(c), until)
	if err != nil {
		t.Fatal(err)
	}
	o.changed(before, got)
	o.happened(c, ochre.ActivitySnoozed, o.Agent, ptr("OPEN"), ptr("2026-11-23T14:00:00.000000Z"))
	o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
	if s := o.Reload(c); s.SnoozedUntil == nil || !s.SnoozedUntil.Equal(until) || s.WaitingOn == nil {
		t.Errorf("snoozed: %+v", s)
	}
	if _, err := o.desk.SnoozeConversation(ctx, p, global(c), until); err != nil {
		t.Error(err)
	}
	o.told(&seq, nil)

	o.advance(time.Second)
	if _, err := o.desk.SnoozeConversation(ctx, p, global(c), until.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	o.happened(c, ochre.ActivitySnoozed, o.Agent, ptr("SNOOZED"), ptr("2026-11-23T15:00:00.000000Z"))

	o.advance(time.Second)
	if _, err := o.desk.ReopenConversation(ctx, p, global(c)); err != nil {
		t.Error(err)
	}
	o.happened(c, ochre.ActivityReopened, o.Agent, ptr("SNOOZED"), ptr("OPEN"))
	if s := o.Reload(c); s.SnoozedUntil != nil {
		t.Errorf("opened, but snoozed until %s", s.SnoozedUntil)
	}
}

func TestWakeDue(t *testing.T) {
	t.Parallel()
	o := newOffice(t, testenv.Database(t)) // its own, since WakeDue looks at all tenants
	stranger := fixture.New(t, o.Store)
	ctx := t.Context()
	snooze := func(w *fixture.World, at, until time.Time) *ochre.Conversation {
		return w.Conversation(at, func(c *ochre.Conversation) {
			c.SetStatus(ochre.StatusSnoozed, at)
			c.SnoozedUntil = &until
		})
	}
	due := snooze(o.World, fixture.Noon, o.now())
	foreign := snooze(stranger, fixture.Noon, o.now().Add(-time.Minute))
	later := snooze(o.World, fixture.Noon.Add(time.Second), o.now().Add(time.Microsecond))
	held := snooze(o.World, fixture.Noon.Add(2*time.Second), o.now())

	// One is in somebody else's hands: it is left for the next time, and not waited for.
	o.Write(func(tx *store.Tx) error {
		if _, err := tx.LockConversation(ctx, held.ID); err != nil {
			return err
		}
		n, err := o.desk.WakeDue(ctx)
		if err != nil || n != 2 {
			t.Errorf("woke %d, %v; want 2", n, err)
		}
		return nil
	})
	o.happened(due, ochre.ActivityWoken, nil, ptr("SNOOZED"), ptr("OPEN"))
	var seq int64
	o.told(&seq, nil, ochre.EventEntryAdded, ochre.EventConversationChanged)
	for c, want := range map[*ochre.Conversation]ochre.ConversationStatus{due: ochre.StatusOpen, later: ochre.StatusSnoozed, held: ochre.StatusSnoozed} {
		if got := o.Reload(c); got.Status != want || (got.SnoozedUntil == nil) != (want == ochre.StatusOpen) {
			t.Errorf("%s until %v, want %s", got.Status, got.SnoozedUntil, want)
		}
	}
	if got := stranger.Reload(foreign); got.Status != ochre.StatusOpen {
		t.Errorf("another tenant's is %s", got.Status)
	}

	// Two nodes at once wake each conversation once.
	o.advance(time.Minute)
	woken := make([]int, 2)
	var nodes sync.WaitGroup
	for i := range woken {
		nodes.Go(func() {
			n, err := o.desk.WakeDue(ctx)
			if err != nil {
				t.Error(err)
			}
			woken[i] = n
		})
	}
	nodes.Wait()
	if woken[0]+woken[1] != 2 || len(o.activities(later)) != 1 || len(o.activities(held)) != 1 {
		t.Errorf("two nodes woke %v, with %d and %d activities", woken, len(o.activities(later)), len(o.activities(held)))
	}
}

// TestConversationsOfStrangers tries each method with ids that mean nothing to the caller. What is said is the same for each.
func TestConversationsOfStrangers(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	stranger := fixture.New(t, o.Store)
	foreign := stranger.Conversation(fixture.Noon)
	own := o.Conversation(fixture.Noon)
	never := ochre.NewID()
	for _, id := range []string{foreign.GlobalID(), never.Global(ochre.KindConversation), "conv_", "", own.ID.Global(ochre.KindNote), "\x00"} {
		for name, try := range map[string]func() error{
			"assign":   func() error { _, err := o.desk.AssignConversation(ctx, p, id, nil); return err },
			"close":    func() error { _, err := o.desk.CloseConversation(ctx, p, id); return err },
			"reopen":   func() error { _, err := o.desk.ReopenConversation(ctx, p, id); return err },
			"snooze":   func() error { _, err := o.desk.SnoozeConversation(ctx, p, id, o.now().Add(time.Hour)); return err },
			"priority": func() error { _, err := o.desk.SetConversationPriority(ctx, p, id, ochre.PriorityLow); return err },
		} {
			err := try()
			refused(t, name+" "+id, err, ochre.CodeNotFound, "input.conversationId")
			if err == nil || err.Error() != ochre.NotFound("conversationId").Error() {
				t.Errorf("%s %s tells more than others: %v", name, id, err)
			}
		}
	}
	for _, id := range []string{stranger.Agent.GlobalID(), never.Global(ochre.KindAgent), "x"} {
		_, err := o.desk.AssignConversation(ctx, p, global(own), &id)
		refused(t, "assign to "+id, err, ochre.CodeNotFound, "input.assigneeId")
	}
	if got := stranger.Reload(foreign); got.Version != foreign.Version {
		t.Error("a stranger changed a conversation")
	}
}
