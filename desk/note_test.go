package desk_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	var seq int64
	n, after, err := o.desk.AddNote(ctx, p, desk.AddNoteInput{ConversationID: global(c), Body: "psst\x00"})
	if err != nil {
		t.Fatal(err)
	}
	o.changed(c, after)
	o.told(&seq, &o.Agent.ID, ochre.EventEntryAdded, ochre.EventConversationChanged)
	if n.Body != "psst\uFFFD" || n.Version != 1 || n.AuthorID != o.Agent.ID || n.Position != o.now().UnixMicro() {
		t.Errorf("the note is %+v", n)
	}

	o.advance(time.Second)
	edited, err := o.desk.EditNote(ctx, p, n.GlobalID(), "hush")
	if err != nil || edited.Version != 2 || edited.Body != "hush" || edited.EditedAt == nil || !edited.EditedAt.Equal(o.now()) {
		t.Errorf("edited: %+v, %v", edited, err)
	}
	o.told(&seq, &o.Agent.ID, ochre.EventEntryChanged)
	if same, err := o.desk.EditNote(ctx, p, n.GlobalID(), "hush"); err != nil || same.Version != 2 {
		t.Errorf("edited to the same: %+v, %v", same, err)
	}
	o.told(&seq, nil)

	if err := o.desk.DeleteNote(ctx, p, n.GlobalID()); err != nil {
		t.Fatal(err)
	}
	evs, _ := o.events(seq)
	o.told(&seq, &o.Agent.ID, ochre.EventObjectRemoved, ochre.EventConversationChanged)
	if len(evs) > 0 && (evs[0].ObjectKind != ochre.KindNote || *evs[0].ObjectID != n.ID || *evs[0].ConversationID != c.ID) {
		t.Errorf("removed: %+v", evs[0])
	}
	if got := o.Reload(c); !got.LastActivityAt.Equal(fixture.Noon) {
		t.Errorf("with its only note gone, the last activity is at %s", got.LastActivityAt)
	}
	refused(t, "delete again", o.desk.DeleteNote(ctx, p, n.GlobalID()), ochre.CodeNotFound, "input.noteId")
}

func TestNoteRefusals(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	own, _, err := o.desk.AddNote(ctx, p, desk.AddNoteInput{ConversationID: global(c), Body: strings.Repeat("🎈", 40_000)})
	if err != nil {
		t.Fatal(err)
	}
	adas, _, err := o.desk.AddNote(ctx, o.By(o.Admin), desk.AddNoteInput{ConversationID: global(c), Body: "by an admin"})
	if err != nil {
		t.Fatal(err)
	}
	_, seq := o.events(0)
	for body, code := range map[string]ochre.Code{
		"": ochre.CodeBodyEmpty, " \n\t\u00a0": ochre.CodeBodyEmpty, "\u200b\ufeff\u2060 \a": ochre.CodeBodyEmpty, strings.Repeat("🎈", 40_001): ochre.CodeBodyTooLong,
	} {
		_, _, err := o.desk.AddNote(ctx, p, desk.AddNoteInput{ConversationID: global(c), Body: body})
		refused(t, "add", err, code, "input.body")
		_, err = o.desk.EditNote(ctx, p, own.GlobalID(), body)
		refused(t, "edit", err, code, "input.body")
	}
	_, err = o.desk.EditNote(ctx, p, adas.GlobalID(), "mine now")
	refused(t, "edit another's", err, ochre.CodeNotEditable, "input.noteId")
	refused(t, "delete another's", o.desk.DeleteNote(ctx, p, adas.GlobalID()), ochre.CodeNotEditable, "input.noteId")

	stranger := fixture.New(t, o.Store)
	for _, id := range []string{own.GlobalID(), ochre.NewID().Global(ochre.KindNote), c.ID.Global(ochre.KindNote), "note"} {
		_, err := o.desk.EditNote(ctx, stranger.By(stranger.Admin), id, "x")
		refused(t, "a stranger edits", err, ochre.CodeNotFound, "input.noteId")
		refused(t, "a stranger deletes", o.desk.DeleteNote(ctx, stranger.By(stranger.Admin), id), ochre.CodeNotFound, "input.noteId")
	}
	_, _, err = o.desk.AddNote(ctx, stranger.By(stranger.Admin), desk.AddNoteInput{ConversationID: global(c), Body: "x"})
	refused(t, "a stranger adds", err, ochre.CodeNotFound, "input.conversationId")
	o.told(&seq, nil)

	if _, err := o.desk.EditNote(ctx, o.By(o.Admin), own.GlobalID(), "an admin may"); err != nil {
		t.Error(err)
	}
	if err := o.desk.DeleteNote(ctx, o.By(o.Admin), own.GlobalID()); err != nil {
		t.Error(err)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	in := desk.AddNoteInput{ConversationID: global(c), Body: "once", IdempotencyKey: ptr("k")}

	const callers = 8
	notes := make([]*ochre.Note, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			n, got, err := o.desk.AddNote(ctx, p, in)
			if err != nil || got.ID != c.ID {
				t.Errorf("caller %d: %v, %v", i, got, err)
				return
			}
			notes[i] = n
		})
	}
	all.Wait()
	for _, n := range notes {
		if n == nil || n.ID != notes[0].ID {
			t.Fatalf("not one note: %v", notes)
		}
	}
	if s, err := o.Store.Timeline(ctx, o.Tenant.ID, c.ID, store.Page{}); err != nil || len(s.Nodes) != 2 {
		t.Errorf("the timeline has %d entries, %v; want the root and one note", len(s.Nodes), err)
	}

	other := in
	other.Body = "twice"
	_, _, err := o.desk.AddNote(ctx, p, other)
	refused(t, "another input", err, ochre.CodeIdempotencyConflict, "input.idempotencyKey")
	byAda, _, err := o.desk.AddNote(ctx, o.By(o.Admin), other)
	if err != nil || byAda.ID == notes[0].ID {
		t.Errorf("another agent's key: %v, %v", byAda, err)
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "a\x00b"} {
		bad := in
		bad.IdempotencyKey = &key
		_, _, err := o.desk.AddNote(ctx, p, bad)
		refused(t, "a bad key", err, ochre.CodeInvalid, "input.idempotencyKey")
	}

	// A refusal takes the key back.
	late := desk.AddNoteInput{ConversationID: ochre.NewID().Global(ochre.KindConversation), Body: "x", IdempotencyKey: ptr("late")}
	_, _, err = o.desk.AddNote(ctx, p, late)
	refused(t, "an unknown conversation", err, ochre.CodeNotFound, "input.conversationId")
	late.ConversationID = global(c)
	if _, _, err := o.desk.AddNote(ctx, p, late); err != nil {
		t.Errorf("the key after a refusal: %v", err)
	}
	if err := o.desk.DeleteNote(ctx, p, notes[0].GlobalID()); err != nil {
		t.Fatal(err)
	}
	_, _, err = o.desk.AddNote(ctx, p, in)
	refused(t, "the note is gone", err, ochre.CodeNotFound, "input.idempotencyKey")
}

func TestTrimKeys(t *testing.T) {
	t.Parallel()
	o := newOffice(t, testenv.Database(t)) // its own, since keys of all tenants are trimmed
	ctx, p := t.Context(), o.By(o.Agent)
	c := o.Conversation(fixture.Noon)
	add := func() ochre.ID {
		n, _, err := o.desk.AddNote(ctx, p, desk.AddNoteInput{ConversationID: global(c), Body: "once", IdempotencyKey: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		return n.ID
	}
	first := add()
	for _, step := range []struct {
		before time.Time
		gone   int64
	}{{o.now(), 0}, {o.now().Add(time.Microsecond), 1}} {
		if gone, err := o.Store.TrimKeys(ctx, step.before, 10); err != nil || gone != step.gone {
			t.Errorf("trimmed %d, %v, want %d", gone, err, step.gone)
		}
		if again := add(); (again == first) != (step.gone == 0) {
			t.Errorf("after %d keys went: note %s, the first was %s", step.gone, again, first)
		}
	}
}
