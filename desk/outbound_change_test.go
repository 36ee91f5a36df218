package desk_test

import (
	"testing"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

func TestChangeOfReply(t *testing.T) {
	t.Parallel()
	edited := func(b *outbox, m *ochre.Message, state ochre.DeliveryState) {
		b.t.Helper()
		if m := b.at(m, state); m.Body != "changed" || m.PendingKind != nil {
			b.t.Errorf("%q, pending %v", m.Body, m.PendingKind)
		}
	}
	deleted := func(b *outbox, m *ochre.Message, state ochre.DeliveryState) {
		b.t.Helper()
		if m := b.at(m, state); m.DeletedAt == nil || m.Body != "" || m.PendingKind != nil {
			b.t.Errorf("%q, deleted %v, pending %v", m.Body, m.DeletedAt, m.PendingKind)
		}
	}
	for name, f := range map[string]func(*outbox, *ochre.Message){
		"edit queued": func(b *outbox, m *ochre.Message) {
			b.edit(m, "changed")
			edited(b, m, ochre.DeliveryQueued)
			if o := b.take(desk.StepPost); o.Body != "changed" {
				b.t.Errorf("posts %q", o.Body)
			}
		},
		"delete queued": func(b *outbox, m *ochre.Message) {
			b.remove(m)
			deleted(b, m, ochre.DeliveryFailed)
			if c := b.at(m, ochre.DeliveryFailed).ErrorCode; *c != "CANCELLED" {
				b.t.Errorf("code %s", *c)
			}
			b.take(desk.StepDone)
			b.idle()
			b.stands("nothing of ours stands", 1, ochre.StatusOpen, ochre.SideUs)
		},
		"edit sending": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.edit(m, "changed")
			b.pending(m, "EDIT QUEUED")
			_, err := b.desk.ReplySent(b.t.Context(), o, ts(9))
			b.must(err)
			o = b.take(desk.StepEdit)
			b.pending(m, "EDIT SENDING")
			b.must(b.desk.ChangeTaken(b.t.Context(), o))
			edited(b, m, ochre.DeliverySent)
		},
		"edit sending, not sent": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.edit(m, "older")
			b.must(b.desk.ReplyDeferred(b.t.Context(), o, "ratelimited", "", b.now()))
			b.edit(m, "changed")
			edited(b, m, ochre.DeliveryQueued)
			if o := b.take(desk.StepPost); o.Body != "changed" {
				b.t.Errorf("posts %q", o.Body)
			}
		},
		"edit sending, then sent again": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.edit(m, "changed")
			b.must(b.desk.ReplyDeferred(b.t.Context(), o, "ratelimited", "", b.now()))
			if o := b.take(desk.StepPost); o.Body != "changed" {
				b.t.Errorf("posts %q", o.Body)
			}
			edited(b, m, ochre.DeliverySending)
		},
		"delete sending": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.remove(m)
			b.pending(m, "DELETE QUEUED")
			_, err := b.desk.ReplySent(b.t.Context(), o, ts(9))
			b.must(err)
			b.must(b.desk.ChangeTaken(b.t.Context(), b.take(desk.StepDelete)))
			deleted(b, m, ochre.DeliverySent)
		},
		"delete sending, not sent": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.remove(m)
			b.must(b.desk.ReplyDeferred(b.t.Context(), o, "ratelimited", "", b.now()))
			b.take(desk.StepDone) // it is not posted only to be deleted
			deleted(b, m, ochre.DeliveryFailed)
		},
		"delete sending, refused": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepPost)
			b.remove(m)
			b.must(b.desk.ReplyRefused(b.t.Context(), o, "msg_too_long", ""))
			b.take(desk.StepDone)
			deleted(b, m, ochre.DeliveryFailed)
		},
		"delete unconfirmed": func(b *outbox, m *ochre.Message) {
			b.must(b.desk.ReplyUnclear(b.t.Context(), b.take(desk.StepPost), "timeout", ""))
			b.remove(m)
			_, _, err := b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), []string{ts(9)})
			b.must(err)
			b.must(b.desk.ChangeTaken(b.t.Context(), b.take(desk.StepDelete)))
			deleted(b, m, ochre.DeliverySent)
		},
		"delete unconfirmed, absent": func(b *outbox, m *ochre.Message) {
			b.must(b.desk.ReplyUnclear(b.t.Context(), b.take(desk.StepPost), "timeout", ""))
			b.remove(m)
			b.absent()
			b.advance(desk.SettleTime)
			b.absent()
			b.take(desk.StepDone)
			deleted(b, m, ochre.DeliveryFailed)
		},
		"deleted here, and late in Slack": func(b *outbox, m *ochre.Message) {
			b.remove(m)
			b.take(desk.StepDone)
			b.live([]desk.SlackEvent{b.echo(m, 9)})
			if o := b.take(desk.StepDouble); o.SlackTS != ts(9) {
				b.t.Errorf("%s is deleted in Slack", o.SlackTS)
			}
			deleted(b, m, ochre.DeliverySent)
		},
		"edit sent, refused": func(b *outbox, m *ochre.Message) {
			b.sent(9)
			b.edit(m, "changed")
			b.must(b.desk.ChangeRefused(b.t.Context(), b.take(desk.StepEdit), "edit_window_closed"))
			b.pending(m, "EDIT FAILED edit_window_closed")
			if m := b.at(m, ochre.DeliverySent); m.Body != "hello" {
				b.t.Errorf("body %q", m.Body)
			}
		},
		"newer edit on the way": func(b *outbox, m *ochre.Message) {
			b.sent(9)
			b.edit(m, "older")
			o := b.take(desk.StepEdit)
			b.edit(m, "changed")
			b.must(b.desk.ChangeTaken(b.t.Context(), o))
			b.pending(m, "EDIT QUEUED")
			if m := b.at(m, ochre.DeliverySent); m.Body != "older" {
				b.t.Errorf("body %q, want what Slack shows", m.Body)
			}
			b.must(b.desk.ChangeTaken(b.t.Context(), b.take(desk.StepEdit)))
			edited(b, m, ochre.DeliverySent)
		},
		"newer edit, the older refused": func(b *outbox, m *ochre.Message) {
			b.sent(9)
			b.edit(m, "older")
			o := b.take(desk.StepEdit)
			b.edit(m, "changed")
			b.must(b.desk.ChangeRefused(b.t.Context(), o, "msg_too_long"))
			b.pending(m, "EDIT QUEUED")
			b.must(b.desk.ChangeTaken(b.t.Context(), b.take(desk.StepEdit)))
			edited(b, m, ochre.DeliverySent)
		},
		"deleted while an edit is on its way": func(b *outbox, m *ochre.Message) {
			b.sent(9)
			b.edit(m, "older")
			o := b.take(desk.StepEdit)
			b.remove(m)
			b.must(b.desk.ChangeTaken(b.t.Context(), o))
			b.pending(m, "DELETE QUEUED")
			b.must(b.desk.ChangeTaken(b.t.Context(), b.take(desk.StepDelete)))
			deleted(b, m, ochre.DeliverySent)
			b.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(9), ThreadTS: ts(9), EventTS: ts(20)}})
		},
		"edit failed": func(b *outbox, m *ochre.Message) {
			b.must(b.desk.ReplyRefused(b.t.Context(), b.take(desk.StepPost), "msg_too_long", ""))
			b.stands("nothing of ours stands", 1, ochre.StatusOpen, ochre.SideUs)
			b.edit(m, "changed")
			edited(b, m, ochre.DeliveryFailed)
			_, err := b.desk.RetryDelivery(b.t.Context(), b.By(b.Agent), m.GlobalID())
			b.must(err)
			b.at(m, ochre.DeliveryQueued)
			b.absent() // it looks first
			if o := b.take(desk.StepPost); o.Body != "changed" {
				b.t.Errorf("posts %q", o.Body)
			}
		},
		"deleted by Slack while an edit waits": func(b *outbox, m *ochre.Message) {
			b.sent(9)
			b.edit(m, "changed")
			b.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(9), ThreadTS: ts(9), EventTS: ts(20)}})
			b.take(desk.StepDone)
			deleted(b, m, ochre.DeliverySent)
		},
		"deleted in Slack before we knew": func(b *outbox, m *ochre.Message) {
			b.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(9), ThreadTS: ts(9), EventTS: ts(20)}})
			b.sent(9)
			deleted(b, m, ochre.DeliverySent)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOutbox(t)
			f(b, b.reply("hello"))
			// What is left of changes behind has nothing to do.
			for items := b.items(); len(items) > 0 && (items[0].Kind == desk.ItemEdit || items[0].Kind == desk.ItemDelete); items = b.items() {
				b.take(desk.StepDone)
			}
		})
	}
}
