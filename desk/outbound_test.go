package desk_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/store"
)

// outbox is a door with a conversation at ts 1, whose replies a worker takes to Slack: the test itself.
type outbox struct {
	*door
	c     *ochre.Conversation
	claim store.Claim
}

func newOutbox(t *testing.T) *outbox {
	t.Helper()
	d := newDoor(t, true)
	d.live([]desk.SlackEvent{d.says("UDAVE", "TGLOBEX", 1, 0)})
	return &outbox{door: d, c: d.conversation(1)}
}

// reply writes an answer and claims the channel's lane.
func (b *outbox) reply(body string) *ochre.Message {
	b.t.Helper()
	m, _, err := b.desk.Reply(b.t.Context(), b.By(b.Agent), desk.ReplyInput{ConversationID: global(b.c), Body: body})
	if err != nil {
		b.t.Fatal(err)
	}
	b.takeOver()
	return m
}

// takeOver gives the lane to another worker, as when the lease of the one before has ended.
func (b *outbox) takeOver() {
	b.t.Helper()
	b.claim = b.claimed(store.QueueOutbound, "channel:"+b.link.ID.String())
}

// items are what waits in the lane.
func (b *outbox) items() []store.Item {
	b.t.Helper()
	items, err := b.Store.Items(b.t.Context(), b.claim, 100)
	if err != nil {
		b.t.Fatal(err)
	}
	return items
}

// take takes the first item of the lane into hand, and checks what is to do with it.
func (b *outbox) take(want desk.Step) *desk.Outgoing {
	b.t.Helper()
	items := b.items()
	if len(items) == 0 {
		b.t.Fatalf("nothing to do, want %s", want)
	}
	o, err := b.desk.TakeOutbound(b.t.Context(), b.claim, items[0])
	if err != nil {
		b.t.Fatal(err)
	}
	if o.Step != want {
		b.t.Fatalf("the step is %s, want %s", o.Step, want)
	}
	return o
}

// idle checks that nothing is left to do.
func (b *outbox) idle() {
	b.t.Helper()
	for _, it := range b.items() {
		b.t.Errorf("%s is left to do", it.Kind)
	}
}

// at checks where a reply stands, and gives it.
func (b *outbox) at(m *ochre.Message, want ochre.DeliveryState) *ochre.Message {
	b.t.Helper()
	got, err := b.Store.Message(b.t.Context(), b.Tenant.ID, m.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	if *got.DeliveryState != want {
		b.t.Fatalf("the delivery is %s, want %s", *got.DeliveryState, want)
	}
	return got
}

func (b *outbox) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// sent posts what is to be posted, at a ts.
func (b *outbox) sent(at int) {
	b.t.Helper()
	_, err := b.desk.ReplySent(b.t.Context(), b.take(desk.StepPost), ts(at))
	b.must(err)
}

// absent looks without finding.
func (b *outbox) absent() time.Time {
	b.t.Helper()
	_, next, err := b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), nil)
	b.must(err)
	return next
}

// echo is our own post of a message as Slack tells of it.
func (b *outbox) echo(m *ochre.Message, at int) desk.SlackEvent {
	ev := b.says("UBOT", ownTeam, at, 1)
	ev.PersonPosted, ev.Echo, ev.MessageID = false, true, m.GlobalID()
	return ev
}

// pending checks what change of a message is pending; "" for none.
func (b *outbox) pending(m *ochre.Message, want string) {
	b.t.Helper()
	got, err := b.Store.Message(b.t.Context(), b.Tenant.ID, m.ID)
	b.must(err)
	text := ""
	if p := got.PendingChange(); p != nil {
		text = fmt.Sprintf("%s %s", p.Kind, p.State)
		if p.ErrorCode != nil {
			text += " " + *p.ErrorCode
		}
	}
	if text != want {
		b.t.Errorf("pending is %q, want %q", text, want)
	}
}

func (b *outbox) edit(m *ochre.Message, body string) {
	b.t.Helper()
	_, err := b.desk.EditReply(b.t.Context(), b.By(b.Agent), m.GlobalID(), body)
	b.must(err)
}

func (b *outbox) remove(m *ochre.Message) {
	b.t.Helper()
	_, err := b.desk.DeleteReply(b.t.Context(), b.By(b.Agent), m.GlobalID())
	b.must(err)
}

func TestReplyIsSent(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	m := b.reply("hello")
	if m = b.at(m, ochre.DeliveryQueued); m.Position < ochre.QueuedPosition(time.Unix(0, 0)) {
		t.Error("a queued reply does not stand after all sent ones")
	}
	b.stands("we answered", 1, ochre.StatusOpen, ochre.SideCustomer)
	o := b.take(desk.StepPost)
	if o.ThreadTS != ts(1) || o.Body != "hello" || o.Agent.ID != b.Agent.ID || o.Link.ID != b.link.ID {
		t.Errorf("%+v", o)
	}
	b.at(m, ochre.DeliverySending)
	out, err := b.desk.ReplySent(t.Context(), o, ts(9))
	b.must(err)
	m = b.at(m, ochre.DeliverySent)
	if out != desk.OutcomeConfirmed || *m.SlackTS != ts(9) || m.Position != (1_800_000_009)*1e6 || m.Attempts != 1 {
		t.Errorf("%s: %+v", out, m)
	}
	b.idle()
	b.live([]desk.SlackEvent{b.echo(m, 9)})
	if got := b.at(m, ochre.DeliverySent); got.Version != m.Version {
		t.Error("our own echo changed the message")
	}
}

func TestUnclearEnds(t *testing.T) {
	t.Parallel()
	// Each begins with a reply that was posted and whose end nobody knows.
	for name, f := range map[string]func(*outbox, *ochre.Message){
		"absent twice": func(b *outbox, m *ochre.Message) {
			if next := b.absent(); !next.Equal(b.now().Add(desk.SettleTime)) {
				b.t.Errorf("looked again at %s, want after the settle time", next)
			}
			b.advance(desk.SettleTime - time.Microsecond)
			b.take(desk.StepWait)
			b.at(m, ochre.DeliveryUnconfirmed)
			b.advance(time.Microsecond)
			b.absent()
			b.at(m, ochre.DeliveryQueued)
			b.sent(50)
			if m := b.at(m, ochre.DeliverySent); m.Attempts != 2 {
				b.t.Errorf("%d attempts", m.Attempts)
			}
			b.idle()
		},
		"absent once, long after": func(b *outbox, m *ochre.Message) {
			b.advance(time.Hour) // nobody came by: the first look-up is not believed by itself
			next := b.absent()
			b.at(m, ochre.DeliveryUnconfirmed)
			b.advance(max(next.Sub(b.now()), 0)) // after a crash the end is when it was found
			b.absent()
			b.at(m, ochre.DeliveryQueued)
		},
		"found at once": func(b *outbox, m *ochre.Message) {
			_, _, err := b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), []string{ts(9)})
			b.must(err)
			b.at(m, ochre.DeliverySent)
			b.idle()
		},
		"found at last": func(b *outbox, m *ochre.Message) {
			b.absent()
			b.advance(desk.SettleTime)
			_, _, err := b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), []string{ts(9)})
			b.must(err)
			b.at(m, ochre.DeliverySent)
			b.idle()
		},
		"an echo comes": func(b *outbox, m *ochre.Message) {
			b.live([]desk.SlackEvent{b.echo(m, 9)})
			b.at(m, ochre.DeliverySent)
			b.take(desk.StepDone)
			b.idle()
		},
		"an echo comes during the look-up": func(b *outbox, m *ochre.Message) {
			o := b.take(desk.StepLook)
			b.live([]desk.SlackEvent{b.echo(m, 9)})
			_, _, err := b.desk.ReplyLooked(b.t.Context(), o, nil)
			b.must(err)
			if _, err := b.desk.LookFailed(b.t.Context(), o, "timeout", "", b.now()); err != nil {
				b.t.Error(err)
			}
			if m := b.at(m, ochre.DeliverySent); m.ErrorCode != nil {
				b.t.Errorf("sent, with error %s", *m.ErrorCode)
			}
			b.take(desk.StepDone)
			b.idle()
		},
		"an echo comes when it waits to be sent again": func(b *outbox, m *ochre.Message) {
			b.absent()
			b.advance(desk.SettleTime)
			b.absent()
			b.live([]desk.SlackEvent{b.echo(m, 9)})
			b.take(desk.StepDone)
			b.at(m, ochre.DeliverySent)
			b.idle()
		},
		"nobody can look": func(b *outbox, m *ochre.Message) {
			for i := 0; ; i++ {
				o := b.take(desk.StepLook)
				gaveUp, err := b.desk.LookFailed(b.t.Context(), o, "fatal_error", "", b.now().Add(time.Second))
				b.must(err)
				if gaveUp {
					break
				}
				b.must(b.Store.FailItem(b.t.Context(), b.claim, o.Item.ID, "fatal_error", b.now(), false))
				b.advance(time.Minute)
				if i > 20 {
					b.t.Fatal("it is looked for for ever")
				}
			}
			b.at(m, ochre.DeliveryUnconfirmed)
			b.idle()

			// A change of it does not hold up the channel, and is made once it is known where the message is.
			b.edit(m, "changed")
			b.take(desk.StepDone)
			b.idle()
			b.pending(m, "EDIT QUEUED")
			_, err := b.desk.RetryDelivery(b.t.Context(), b.By(b.Agent), m.GlobalID())
			b.must(err)
			_, _, err = b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), []string{ts(9)})
			b.must(err)
			if o := b.take(desk.StepEdit); o.SlackTS != ts(9) || o.Body != "changed" {
				b.t.Errorf("edit %s to %q", o.SlackTS, o.Body)
			}
		},
	} {
		for how, end := range map[string]func(*outbox){
			"crash": func(b *outbox) {
				o := b.take(desk.StepPost)
				b.takeOver()
				if _, err := b.desk.ReplySent(b.t.Context(), o, ts(9)); !errors.Is(err, store.ErrLeaseLost) {
					b.t.Errorf("who lost the lane wrote: %v", err)
				}
				if err := b.desk.ReplyDeferred(b.t.Context(), o, "ratelimited", "", b.now()); !errors.Is(err, store.ErrLeaseLost) {
					b.t.Errorf("who lost the lane wrote: %v", err)
				}
			},
			"lost answer": func(b *outbox) {
				b.must(b.desk.ReplyUnclear(b.t.Context(), b.take(desk.StepPost), "timeout", "no answer"))
			},
		} {
			t.Run(how+"/"+name, func(t *testing.T) {
				t.Parallel()
				b := newOutbox(t)
				m := b.reply("hello")
				end(b)
				f(b, m)
			})
		}
	}
}

func TestEchoBeforeAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*outbox, *desk.Outgoing) error{
		"sent": func(b *outbox, o *desk.Outgoing) error {
			_, err := b.desk.ReplySent(b.t.Context(), o, ts(9))
			return err
		},
		"refused": func(b *outbox, o *desk.Outgoing) error { return b.desk.ReplyRefused(b.t.Context(), o, "internal", "") },
		"unclear": func(b *outbox, o *desk.Outgoing) error { return b.desk.ReplyUnclear(b.t.Context(), o, "timeout", "") },
		"deferred": func(b *outbox, o *desk.Outgoing) error {
			return b.desk.ReplyDeferred(b.t.Context(), o, "ratelimited", "", b.now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOutbox(t)
			m := b.reply("hello")
			o := b.take(desk.StepPost)
			b.live([]desk.SlackEvent{b.echo(m, 9)})
			b.at(m, ochre.DeliverySent)
			b.must(answer(b, o))
			if m := b.at(m, ochre.DeliverySent); *m.SlackTS != ts(9) || m.ErrorCode != nil {
				t.Errorf("%s, %v", *m.SlackTS, m.ErrorCode)
			}
			if len(b.items()) > 0 {
				b.take(desk.StepDone)
			}
			b.idle()
		})
	}
}

func TestDoubles(t *testing.T) {
	t.Parallel()
	for name, learn := range map[string]func(*outbox, *ochre.Message){
		"the earlier first": func(b *outbox, m *ochre.Message) {
			b.live([]desk.SlackEvent{b.echo(m, 8)})
			_, err := b.desk.ReplySent(b.t.Context(), &desk.Outgoing{Claim: b.claim, Item: b.items()[0], Link: b.link}, ts(9))
			b.must(err)
		},
		"the later first": func(b *outbox, m *ochre.Message) {
			_, err := b.desk.ReplySent(b.t.Context(), &desk.Outgoing{Claim: b.claim, Item: b.items()[0], Link: b.link}, ts(9))
			b.must(err)
			b.live([]desk.SlackEvent{b.echo(m, 8)})
		},
		"both by echoes": func(b *outbox, m *ochre.Message) {
			b.live([]desk.SlackEvent{b.echo(m, 9), b.echo(m, 8)})
			b.take(desk.StepDone)
		},
		"both by a search": func(b *outbox, m *ochre.Message) {
			b.takeOver()
			_, _, err := b.desk.ReplyLooked(b.t.Context(), b.take(desk.StepLook), []string{ts(8), ts(9)})
			b.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOutbox(t)
			m := b.reply("hello")
			b.take(desk.StepPost)
			learn(b, m)
			if m := b.at(m, ochre.DeliverySent); *m.SlackTS != ts(8) {
				t.Errorf("the reply is at %s, want the earlier place", *m.SlackTS)
			}
			o := b.take(desk.StepDouble)
			if o.SlackTS != ts(9) {
				t.Errorf("%s is deleted, want the later one", o.SlackTS)
			}
			b.must(b.desk.DoubleDeleted(t.Context(), o))
			b.live([]desk.SlackEvent{{Kind: desk.Deleted, TS: ts(9), ThreadTS: ts(9), EventTS: ts(20)}})
			if m := b.at(m, ochre.DeliverySent); m.DeletedAt != nil {
				t.Error("the double's deletion deleted the reply")
			}
			b.idle()
		})
	}
}

// TestMetadataIsCopied has others post with the metadata of our message, which everyone can read.
func TestMetadataIsCopied(t *testing.T) {
	t.Parallel()
	b := newOutbox(t)
	m := b.reply("hello")
	b.take(desk.StepPost)
	person, app := b.says("UDAVE", "TGLOBEX", 8, 1), b.appSays(9, 1)
	person.MessageID, app.MessageID = m.GlobalID(), m.GlobalID()
	foreign := newOutbox(t).reply("theirs")
	ours := b.echo(foreign, 10) // an id of another tenant
	b.live([]desk.SlackEvent{person, app, ours})
	b.at(m, ochre.DeliverySending)
	b.is("a person's copy", 8, ochre.AuthorEndUser, inbound)
	b.is("an app's copy", 9, ochre.AuthorApp, inbound)
}
