package desk_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// change runs SQL on the outbox's tenant, which is $1.
func (b *outbox) change(sql string) {
	b.t.Helper()
	if _, err := b.sql.Exec(b.t.Context(), sql, b.Tenant.ID.String()); err != nil {
		b.t.Fatal(err)
	}
}

const (
	disconnect = "UPDATE slack_installations SET connected = false WHERE tenant_id = $1"
	reconnect  = "UPDATE slack_installations SET connected = true WHERE tenant_id = $1"
	unlink     = "UPDATE channel_links SET state = 'UNLINKED' WHERE tenant_id = $1"
)

func TestDisconnectedWhileQueued(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	m := b.reply("hello")
	b.change(disconnect)
	if o := b.take(desk.StepWait); !o.NextAt.After(b.now()) {
		t.Errorf("next at %s", o.NextAt)
	}
	if m := b.at(m, ochre.DeliveryQueued); m.ErrorCode == nil || *m.ErrorCode != "INSTALLATION_DISCONNECTED" {
		t.Errorf("code %v", m.ErrorCode)
	}
	b.change(reconnect)
	b.sent(9)
	if m := b.at(m, ochre.DeliverySent); m.ErrorCode != nil {
		t.Errorf("sent, with code %s", *m.ErrorCode)
	}
}

func TestUnlinkedWhileQueued(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	m := b.reply("hello")
	b.change(unlink)
	b.take(desk.StepDone)
	if m := b.at(m, ochre.DeliveryFailed); *m.ErrorCode != "CHANNEL_UNLINKED" {
		t.Errorf("code %s", *m.ErrorCode)
	}
	b.idle()
	_, _, err := b.desk.Reply(t.Context(), b.By(b.Agent), desk.ReplyInput{ConversationID: global(b.c), Body: "more"})
	refused(t, "a reply", err, ochre.CodeChannelUnlinked, "input.conversationId")
	_, err = b.desk.RetryDelivery(t.Context(), b.By(b.Agent), m.GlobalID())
	refused(t, "a retry", err, ochre.CodeChannelUnlinked, "input.messageId")
}

func TestRetryDelivery(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	p := b.By(b.Agent)
	retry := func(what string, m *ochre.Message, want ochre.Code) {
		t.Helper()
		_, err := b.desk.RetryDelivery(t.Context(), p, m.GlobalID())
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		refused(t, what, err, want, "input.messageId")
	}
	retry("the customer's", b.message(1), ochre.CodeNotRetryable)
	retry("of another tenant", newOutbox(t).reply("theirs"), ochre.CodeNotFound)
	m := b.reply("hello")
	retry("queued", m, ochre.CodeNotRetryable)
	o := b.take(desk.StepPost)
	retry("sending", m, ochre.CodeNotRetryable)
	b.must(b.desk.ReplyUnclear(t.Context(), o, "timeout", ""))
	retry("unconfirmed, and looked for", m, "")
	if n := len(b.items()); n != 1 {
		t.Errorf("%d items, want no second one", n)
	}
	b.absent()
	b.advance(desk.SettleTime)
	b.absent()
	b.must(b.desk.ReplyRefused(t.Context(), b.take(desk.StepPost), "is_archived", ""))
	retry("failed", m, "")
	_, _, err := b.desk.ReplyLooked(t.Context(), b.take(desk.StepLook), []string{ts(9)}) // it looks first, and there it is
	b.must(err)
	retry("sent", m, ochre.CodeNotRetryable)
	b.remove(m)
	b.must(b.desk.ChangeTaken(t.Context(), b.take(desk.StepDelete)))
	retry("deleted", m, ochre.CodeNotRetryable)

	// A dead letter leaves a reply where it was.
	m = b.reply("again")
	b.must(b.Store.FailItem(t.Context(), b.claim, b.take(desk.StepPost).Item.ID, "panic", b.now(), true))
	b.idle()
	b.at(m, ochre.DeliverySending)
	retry("given up", m, "")
	b.take(desk.StepLook)

	// A look-up that never succeeds lets the channel go on, and sends nothing.
	m = b.reply("third")
	for i := 0; len(b.items()) > 1; i++ {
		o := b.take(desk.StepLook)
		if _, err := b.desk.LookFailed(t.Context(), o, "fatal_error", "", b.now()); err != nil {
			t.Fatal(err)
		}
		if len(b.items()) > 1 {
			b.must(b.Store.FailItem(t.Context(), b.claim, o.Item.ID, "fatal_error", b.now(), false))
		}
		if i > 20 {
			t.Fatal("the channel is held up")
		}
	}
	b.sent(20)
	b.at(m, ochre.DeliverySent)
}

func TestIfUnchangedSince(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	now := func() *ochre.EventCursor {
		t.Helper()
		at, err := b.Store.LogPosition(t.Context(), b.Tenant.ID)
		b.must(err)
		return ptr(b.desk.Cursors.Encode(b.Tenant.ID, at.Seq))
	}
	answer := func(since *ochre.EventCursor) error {
		_, _, err := b.desk.Reply(t.Context(), b.By(b.Agent), desk.ReplyInput{ConversationID: global(b.c), Body: "and", IfUnchangedSince: since})
		return err
	}
	since := now()
	m := b.reply("hello")
	if err := answer(since); err != nil {
		t.Errorf("after one's own reply: %v", err)
	}
	b.sent(9)
	b.live([]desk.SlackEvent{{Kind: desk.ReactionAdded, TS: ts(1), ThreadTS: ts(1), EventTS: ts(10), Emoji: "eyes", Author: desk.Author{UserID: "UDAVE"}}})
	if err := answer(since); err != nil {
		t.Errorf("after a delivery and a reaction: %v", err)
	}
	_, _, err := b.desk.Reply(t.Context(), b.By(b.Admin), desk.ReplyInput{ConversationID: global(b.c), Body: "from me too"})
	b.must(err)
	refused(t, "after another agent's reply", answer(since), ochre.CodeConversationMovedOn, "input.ifUnchangedSince")

	since = now()
	edit := b.says("UDAVE", "TGLOBEX", 1, 0)
	edit.Kind, edit.EventTS, edit.EditTS, edit.Body, edit.ChangedContent = desk.Edited, ts(11), ts(11), "better", true
	b.live([]desk.SlackEvent{edit})
	refused(t, "after a customer's edit", answer(since), ochre.CodeConversationMovedOn, "input.ifUnchangedSince")

	since = now()
	edit.Kind, edit.EventTS, edit.ChangedContent = desk.Edited, ts(12), false
	b.live([]desk.SlackEvent{edit})
	if err := answer(since); err != nil {
		t.Errorf("after an unfurl: %v", err)
	}
	b.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(1), ThreadTS: ts(1), EventTS: ts(13)}})
	refused(t, "after a deletion", answer(since), ochre.CodeConversationMovedOn, "input.ifUnchangedSince")
	since = now()
	b.live([]desk.SlackEvent{b.says("UDAVE", "TGLOBEX", 14, 1)})
	refused(t, "after a customer's message", answer(since), ochre.CodeConversationMovedOn, "input.ifUnchangedSince")

	ahead := b.desk.Cursors.Encode(b.Tenant.ID, 1<<40)
	if err := answer(&ahead); ochre.CodeOf(err) != ochre.CodeInvalidCursor {
		t.Errorf("from the future: %v", err)
	}
	theirs := b.desk.Cursors.Encode(ochre.NewID(), 1)
	if err := answer(&theirs); ochre.CodeOf(err) != ochre.CodeInvalidCursor {
		t.Errorf("of another tenant: %v", err)
	}
	b.at(m, ochre.DeliverySent)
}

func TestReplyOnceAtOnce(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	begin := make(chan struct{})
	ids := make([]ochre.ID, 10)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			<-begin
			m, _, err := b.desk.Reply(t.Context(), b.By(b.Agent), desk.ReplyInput{ConversationID: global(b.c), Body: "once", IdempotencyKey: ptr("key")})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = m.ID
		})
	}
	close(begin)
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("replies %s and %s", ids[0], id)
		}
	}
	b.takeOver()
	if n := len(b.items()); n != 1 {
		t.Errorf("%d posts", n)
	}
	_, _, err := b.desk.Reply(t.Context(), b.By(b.Agent), desk.ReplyInput{ConversationID: global(b.c), Body: "twice", IdempotencyKey: ptr("key")})
	refused(t, "another text", err, ochre.CodeIdempotencyConflict, "input.idempotencyKey")
}

// TestBothSidesAtOnce lets agents answer, edit and delete while the customer writes in the same thread, Slack tells of our own posts and of their deletion, and the sender
// hears the answers: all in any order, and without waiting for one another in a circle.
func TestBothSidesAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	s, sql := fixture.Open(t, url), connectSQL(t, url)
	d := &door{newChannel(t, s, sql, true)}
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 1, 0)})
	b := &outbox{door: d, c: d.conversation(1)}
	for round := range 15 {
		at := 10 * (round + 1)
		m := b.reply("hello")
		lane := func(i int) string { return fixture.Unique("lane") + ts(at+i) }
		evs := []desk.SlackEvent{
			b.says("UDAVE", "TGLOBEX", at, 1), b.says("UTIM", ownTeam, at+1, 1), b.echo(m, at+2), b.says("UEVE", "", at+3, 1),
			{Kind: desk.Deleted, TS: ts(at + 2), ThreadTS: ts(at + 2), EventTS: ts(at + 9)},
		}
		applications := make([]func(), len(evs))
		for i, ev := range evs {
			key := lane(i)
			b.enqueue(evs[i:i+1], func(desk.SlackEvent) string { return key })
			r := desk.Receipt{Claim: b.claimed(store.QueueJob, key), Link: b.link, Installation: b.Installation}
			items, err := b.Store.Items(t.Context(), r.Claim, 1)
			b.must(err)
			r.Item = items[0]
			applications[i] = func() {
				if _, err := b.desk.Receive(t.Context(), r, b.here(ev)); err != nil {
					t.Errorf("%s: %v", ev.Kind, err)
				}
			}
		}
		item := b.items()[0]
		var all sync.WaitGroup
		begin := make(chan struct{})
		for _, f := range append(applications,
			func() {
				o, err := b.desk.TakeOutbound(t.Context(), b.claim, item)
				if err == nil && o.Step == desk.StepPost { // else it was deleted, or the echo was here
					_, err = b.desk.ReplySent(t.Context(), o, ts(at+2))
				}
				if err != nil {
					t.Errorf("send: %v", err)
				}
			},
			func() {
				if _, _, err := b.desk.Reply(t.Context(), b.By(b.Admin), desk.ReplyInput{ConversationID: global(b.c), Body: "me too"}); err != nil {
					t.Errorf("reply: %v", err)
				}
			},
			func() {
				var e *ochre.Error
				if _, err := b.desk.DeleteReply(t.Context(), b.By(b.Agent), m.GlobalID()); err != nil && (!errors.As(err, &e) || e.Code != ochre.CodeNotEditable) {
					t.Errorf("delete: %v", err)
				}
			},
		) {
			all.Go(func() { <-begin; f() })
		}
		close(begin)
		all.Wait()
		if m := b.at(m, ochre.DeliverySent); m.DeletedAt == nil {
			t.Fatal("deleted on both sides, and not here")
		}
		for post := 0; len(b.items()) > 0; { // all that is left, so that the next round begins alone
			o, err := b.desk.TakeOutbound(t.Context(), b.claim, b.items()[0])
			b.must(err)
			switch o.Step {
			case desk.StepPost:
				post++
				_, err = b.desk.ReplySent(t.Context(), o, ts(at+3+post))
			case desk.StepDouble:
				err = b.desk.DoubleDeleted(t.Context(), o)
			case desk.StepDelete:
				err = b.desk.ChangeTaken(t.Context(), o)
			case desk.StepDone:
			default:
				t.Fatalf("the step is %s", o.Step)
			}
			b.must(err)
		}
		b.advance(time.Second)
	}
	b.contiguous()
	s.Close()
	noDeadlocks(t, sql)
}

// TestSentAndDeletedAtOnce has Slack's answer to a post and the event of its deletion come at one time, before either is known.
func TestSentAndDeletedAtOnce(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	for round := range 25 {
		at := 10 + round
		m := b.reply("hello")
		post := b.take(desk.StepPost)
		gone := desk.SlackEvent{Kind: desk.Deleted, TS: ts(at), ThreadTS: ts(at), EventTS: ts(at + 1)}
		key := fixture.Unique("lane")
		b.enqueue([]desk.SlackEvent{gone}, func(desk.SlackEvent) string { return key })
		claim := b.claimed(store.QueueJob, key)
		items, err := b.Store.Items(t.Context(), claim, 1)
		b.must(err)
		begin := make(chan struct{})
		var both sync.WaitGroup
		both.Go(func() {
			<-begin
			if _, err := b.desk.ReplySent(t.Context(), post, ts(at)); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			<-begin
			if _, err := b.desk.Receive(t.Context(), desk.Receipt{Claim: claim, Item: items[0], Link: b.link, Installation: b.Installation}, gone); err != nil {
				t.Error(err)
			}
		})
		close(begin)
		both.Wait()
		if m := b.at(m, ochre.DeliverySent); m.DeletedAt == nil {
			t.Fatalf("round %d: deleted in Slack, and not here", round)
		}
		b.advance(time.Second)
	}
}
