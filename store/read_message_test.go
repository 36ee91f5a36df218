package store_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

func TestTimeline(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx := t.Context()
	c := w.Conversation(fixture.Noon)
	elsewhere := w.Conversation(fixture.Noon.Add(time.Second))
	type entry struct {
		position int64
		id       ochre.ID
	}
	root, err := w.Store.Timeline(ctx, w.Tenant.ID, c.ID, store.Page{})
	if err != nil || len(root.Nodes) != 1 {
		t.Fatal(root, err)
	}
	all := []entry{{fixture.Noon.UnixMicro(), root.Nodes[0].(*ochre.Message).ID}}
	for i := range 4 { // a message, a note and an activity at each of four times
		at := fixture.Noon.Add(time.Duration(i+1) * time.Minute)
		m := w.Message(c, at)
		n := &ochre.Note{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: at.UnixMicro(), AuthorID: w.Agent.ID, Body: "psst", CreatedAt: at}
		a := &ochre.Activity{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: at.UnixMicro(), Kind: ochre.ActivityClosed, ActorKind: ochre.AuthorAgent, CreatedAt: at}
		stranger := *n
		stranger.ID, stranger.ConversationID = ochre.NewID(), elsewhere.ID
		w.Write(func(tx *store.Tx) error {
			return errors.Join(tx.InsertNote(ctx, n), tx.InsertActivity(ctx, a), tx.InsertNote(ctx, &stranger))
		})
		all = append(all, entry{m.Position, m.ID}, entry{n.Position, n.ID}, entry{a.Position, a.ID})
	}
	slices.SortFunc(all, func(a, b entry) int { return order(a.position, b.position, a.id, b.id) })
	want := make([]ochre.ID, len(all))
	for i, e := range all {
		want[i] = e.id
	}
	both(t, want, func(e ochre.TimelineEntry) ochre.ID {
		switch e := e.(type) {
		case *ochre.Message:
			return e.ID
		case *ochre.Note:
			return e.ID
		case *ochre.Activity:
			return e.ID
		}
		return ochre.ID{}
	}, func(p store.Page) (*store.Slice[ochre.TimelineEntry], error) {
		return w.Store.Timeline(ctx, w.Tenant.ID, c.ID, p)
	})
	other := fixture.New(t, w.Store)
	if s, err := w.Store.Timeline(ctx, other.Tenant.ID, c.ID, store.Page{}); err != nil || len(s.Nodes) != 0 {
		t.Errorf("a stranger sees %v, %v", s, err)
	}
}

func TestMessageWithItsPart(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx := t.Context()
	c := w.Conversation(fixture.Noon)
	queued := ochre.DeliveryQueued
	m := w.Message(c, fixture.Noon.Add(time.Minute), func(m *ochre.Message) {
		m.Direction, m.AuthorKind, m.AgentID, m.IdentityID = ochre.DirectionOutbound, ochre.AuthorAgent, &w.Agent.ID, nil
		m.SlackTS, m.DeliveryState, m.QueuedAt = nil, &queued, &m.CreatedAt
		m.Original = []byte(`{"text":"\u0000"}`)
	})
	next := fixture.Noon.Add(time.Hour)
	w.Write(func(tx *store.Tx) error {
		p, err := tx.LockPart(ctx, m.ID)
		if err != nil {
			return err
		}
		p.DeliveryState, p.Attempts, p.NextAttemptAt, p.ErrorCode, p.ErrorMessage = ochre.DeliveryUnconfirmed, 2, &next, ptr("timeout"), ptr("no answer")
		return tx.UpdatePart(ctx, p)
	})
	got, err := w.Store.TimelineEntry(ctx, w.Tenant.ID, ochre.KindMessage, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := *m
	unconfirmed := ochre.DeliveryUnconfirmed
	want.DeliveryState, want.Attempts, want.NextAttemptAt, want.ErrorCode, want.ErrorMessage = &unconfirmed, 2, &next, ptr("timeout"), ptr("no answer")
	if diff := cmp.Diff(got, ochre.TimelineEntry(&want)); diff != "" { // which compares times by what they mean
		t.Error(diff)
	}
	if _, err := w.Store.TimelineEntry(ctx, w.Tenant.ID, ochre.KindConversation, c.ID); !errors.Is(err, ochre.ErrNotFound) {
		t.Errorf("a conversation as an entry: %v", err)
	}
}

func TestReactionsAttachmentsAndPlaces(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx, tenant := t.Context(), w.Tenant.ID
	c := w.Conversation(fixture.Noon)
	reply := w.Message(c, fixture.Noon.Add(time.Minute))
	deleted := w.Message(c, fixture.Noon.Add(2*time.Minute), func(m *ochre.Message) { m.Body, m.DeletedAt = "", &m.CreatedAt })
	w.Write(func(tx *store.Tx) error {
		var all error
		for _, r := range []struct {
			m              *ochre.Message
			emoji, who, at string
			added          bool
		}{
			{reply, "tada", "U1", "3.000000", true}, {reply, "tada", "UBOT", "4.000000", true},
			{reply, "eyes", "U1", "2.000000", true}, {reply, "smile", "U1", "1.000000", false},
			{deleted, "tada", "U1", "3.000000", true},
		} {
			_, err := tx.React(ctx, w.Link.ID, *r.m.SlackTS, r.emoji, r.who, r.at, r.added)
			all = errors.Join(all, err)
		}
		for _, m := range []*ochre.Message{reply, deleted} {
			all = errors.Join(all, tx.SetAttachments(ctx, m.ID, []ochre.Attachment{
				{ID: ochre.NewID(), SlackFileID: "F2", State: ochre.AttachmentPending},
				{ID: ochre.NewID(), SlackFileID: "F1", State: ochre.AttachmentAvailable, Name: ptr("a.png")},
			}))
		}
		return all
	})
	ids := []ochre.ID{reply.ID, deleted.ID}
	reactions, err := w.Store.ReactionsOf(ctx, tenant, ids)
	want := map[ochre.ID][]*ochre.Reaction{reply.ID: {{Emoji: "eyes", Count: 1}, {Emoji: "tada", Count: 2, ReactedByUs: true}}}
	if err != nil || !reflect.DeepEqual(reactions, want) {
		t.Errorf("reactions: %v, %v", reactions, err)
	}
	files, err := w.Store.AttachmentsOf(ctx, tenant, ids)
	if err != nil || len(files[reply.ID]) != 2 || files[reply.ID][0].SlackFileID != "F2" || files[deleted.ID] != nil {
		t.Errorf("files: %v, %v", files, err)
	}
	places, err := w.Store.MessagePlaces(ctx, tenant, ids)
	if err != nil {
		t.Fatal(err)
	}
	channel := w.Link.SlackChannelID
	if got, want := places[reply.ID].Permalink(), "https://acme.slack.com/archives/"+channel+"/p1795435260000000?thread_ts=1795435200.000000&cid="+channel; got != want {
		t.Errorf("the reply is at %s, want %s", got, want)
	}
	roots, err := w.Store.ConversationPlaces(ctx, tenant, []ochre.ID{c.ID})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := roots[c.ID].Permalink(), "https://acme.slack.com/archives/"+channel+"/p1795435200000000"; got != want {
		t.Errorf("the root is at %s, want %s", got, want)
	}
}

func TestConversationBySlackMessage(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx, tenant := t.Context(), w.Tenant.ID
	c := w.Conversation(fixture.Noon)
	reply := w.Message(c, fixture.Noon.Add(time.Minute))
	unknownRoot := fixture.Noon.Add(time.Hour)
	w.Conversation(unknownRoot)
	ended := *w.Link
	ended.State = ochre.LinkUnlinked
	w.Write(func(tx *store.Tx) error { return tx.UpdateLink(ctx, &ended) })
	team, channel := w.Link.SlackTeamID, w.Link.SlackChannelID
	for name, ts := range map[string]string{"root": fixture.SlackTS(fixture.Noon), "reply": *reply.SlackTS} {
		if got, err := w.Store.ConversationBySlackMessage(ctx, tenant, team, channel, ts); err != nil || got.ID != c.ID {
			t.Errorf("by its %s: %v, %v", name, got, err)
		}
	}
	other := fixture.New(t, w.Store)
	for name, by := range map[string]func() (*ochre.Conversation, error){
		"another team": func() (*ochre.Conversation, error) {
			return w.Store.ConversationBySlackMessage(ctx, tenant, "T", channel, *reply.SlackTS)
		},
		"another channel": func() (*ochre.Conversation, error) {
			return w.Store.ConversationBySlackMessage(ctx, tenant, team, "C", *reply.SlackTS)
		},
		"another ts": func() (*ochre.Conversation, error) {
			return w.Store.ConversationBySlackMessage(ctx, tenant, team, channel, "1.000000")
		},
		"a NUL": func() (*ochre.Conversation, error) {
			return w.Store.ConversationBySlackMessage(ctx, tenant, team, channel, "\x00")
		},
		"another tenant": func() (*ochre.Conversation, error) {
			return w.Store.ConversationBySlackMessage(ctx, other.Tenant.ID, team, channel, *reply.SlackTS)
		},
		"another tenant's number": func() (*ochre.Conversation, error) {
			return w.Store.ConversationByNumber(ctx, other.Tenant.ID, c.Number)
		},
		"a great number": func() (*ochre.Conversation, error) { return w.Store.ConversationByNumber(ctx, tenant, 1<<60) },
	} {
		if _, err := by(); !errors.Is(err, ochre.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := w.Store.ConversationByNumber(ctx, tenant, c.Number); err != nil || got.ID != c.ID {
		t.Errorf("by its number: %v, %v", got, err)
	}
}

// TestNodesOfStrangers reads one of every kind of thing as its tenant, and as another.
func TestNodesOfStrangers(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx := t.Context()
	c := w.Conversation(fixture.Noon)
	m := w.Message(c, fixture.Noon.Add(time.Minute))
	mate := &ochre.Teammate{ID: ochre.NewID(), Name: "Mate", CreatedAt: fixture.Noon}
	n := &ochre.Note{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: 1, AuthorID: w.Agent.ID, Body: "psst", CreatedAt: fixture.Noon}
	a := &ochre.Activity{ID: ochre.NewID(), ConversationID: c.ID, Version: 1, Position: 1, Kind: ochre.ActivityClosed, ActorKind: ochre.AuthorAgent, CreatedAt: fixture.Noon}
	file := ochre.Attachment{ID: ochre.NewID(), SlackFileID: "F1", State: ochre.AttachmentPending}
	channel := ochre.SlackChannel{ID: ochre.NewID(), InstallationID: w.Installation.ID, SlackChannelID: "C1", Name: "x", UpdatedAt: fixture.Noon}
	w.Write(func(tx *store.Tx) error {
		put, err := tx.PutSlackChannels(ctx, w.Installation.ID, []ochre.SlackChannel{channel})
		if err == nil {
			channel.ID = put[0].ID
		}
		return errors.Join(err, tx.InsertTeammate(ctx, mate), tx.InsertNote(ctx, n), tx.InsertActivity(ctx, a), tx.SetAttachments(ctx, m.ID, []ochre.Attachment{file}))
	})
	refs := []store.Ref{
		{Kind: ochre.KindAgent, ID: w.Agent.ID}, {Kind: ochre.KindTeammate, ID: mate.ID}, {Kind: ochre.KindOrganization, ID: w.Organization.ID},
		{Kind: ochre.KindEndUser, ID: w.Customer.ID}, {Kind: ochre.KindSlackInstallation, ID: w.Installation.ID}, {Kind: ochre.KindSlackChannel, ID: channel.ID},
		{Kind: ochre.KindChannelLink, ID: w.Link.ID}, {Kind: ochre.KindConversation, ID: c.ID}, {Kind: ochre.KindMessage, ID: m.ID},
		{Kind: ochre.KindNote, ID: n.ID}, {Kind: ochre.KindActivity, ID: a.ID}, {Kind: ochre.KindAttachment, ID: file.ID},
	}
	own, err := w.Store.Nodes(ctx, w.Tenant.ID, refs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refs {
		g, ok := own[r].(interface{ GlobalID() string })
		if !ok || g.GlobalID() != r.ID.Global(r.Kind) {
			t.Errorf("%s: %v", r.ID.Global(r.Kind), own[r])
		}
	}
	other := fixture.New(t, w.Store)
	if foreign, err := w.Store.Nodes(ctx, other.Tenant.ID, refs); err != nil || len(foreign) != 0 {
		t.Errorf("a stranger sees %v, %v", foreign, err)
	}
	swapped := []store.Ref{{Kind: ochre.KindAgent, ID: c.ID}, {Kind: "", ID: c.ID}, {Kind: ochre.KindNote}}
	if found, err := w.Store.Nodes(ctx, w.Tenant.ID, swapped); err != nil || len(found) != 0 {
		t.Errorf("ids of another kind: %v, %v", found, err)
	}
}
