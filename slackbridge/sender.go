package slackbridge

import (
	"context"
	"log/slog"
	"time"

	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fault"
	"github.com/ochrehq/ochre/slackbridge/richtext"
	"github.com/ochrehq/ochre/store"
)

// Times of the sender. A call ends well before the lane's lease does.
const (
	SendTimeout = 20 * time.Second
	SendLease   = 60 * time.Second
	// DefaultPace is the time between two posts into one channel: Slack takes about one a second.
	DefaultPace = time.Second
	// giveUpSending is after how many attempts that surely sent nothing a reply fails; with the back-off that is more than an hour.
	giveUpSending = 20
	// tooLong is the code of a text that Slack would cut, split or refuse.
	tooLong = "MSG_TOO_LONG"
	// backAgain is how long after a new install a reply may go into its channel by itself.
	backAgain = 10 * time.Minute
)

// Sender takes outbound items to Slack, each channel's in order.
type Sender struct {
	Desk   *desk.Desk
	Client *Client
	Pace   time.Duration
	Log    *slog.Logger
	Count  func(event string) // sent, refused, deferred, unclear, found, double …; for metrics, may be nil
}

// Handle does what is next for one item; see store.Runner.
func (s *Sender) Handle(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
	for {
		o, err := s.Desk.TakeOutbound(ctx, c, it)
		if err != nil {
			return store.Verdict{Err: err, RetryAfter: store.Backoff(it.Attempts)}
		}
		again, v := s.step(ctx, o)
		if !again {
			return v
		}
	}
}

// step takes one step. again tells that the item has a next step at once.
func (s *Sender) step(ctx context.Context, o *desk.Outgoing) (again bool, v store.Verdict) {
	switch o.Step {
	case desk.StepPost:
		return s.post(ctx, o)
	case desk.StepLook:
		return s.look(ctx, o)
	case desk.StepEdit, desk.StepDelete:
		return false, s.change(ctx, o)
	case desk.StepDouble:
		return false, s.double(ctx, o)
	case desk.StepWait:
		return false, s.wait(o.NextAt)
	}
	return false, store.Verdict{}
}

func (s *Sender) wait(next time.Time) store.Verdict {
	return store.Verdict{Wait: true, RetryAfter: max(next.Sub(s.Desk.Now()), 0)}
}

// post sends the message once. Whatever comes of it is written; what is unclear is looked for.
func (s *Sender) post(ctx context.Context, o *desk.Outgoing) (again bool, v store.Verdict) {
	fault.Hit(fault.AfterClaim)
	text := richtext.FromMarkdown(o.Body)
	if text.TooLong() {
		s.count("refused")
		return false, s.written(s.Desk.ReplyRefused(ctx, o, tooLong, "Slack takes messages of less than 4,000 characters, and counts &, < and > several times: shorten or split the reply."))
	}
	sctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	p := Post{
		Channel: o.Link.SlackChannelID, ThreadTS: o.ThreadTS, Text: text.Text, Blocks: text.Blocks, Username: o.Agent.Name, MessageID: o.Message.GlobalID(),
	}
	if o.Agent.AvatarURL != nil {
		p.IconURL = *o.Agent.AvatarURL
	}
	ts, err := s.Client.PostMessage(sctx, o.Installation, p)
	if OutcomeOf(err).Code == "not_in_channel" && s.comesBack(sctx, o) {
		ts, err = s.Client.PostMessage(sctx, o.Installation, p)
	}
	fault.Hit(fault.AfterPost)
	switch out := OutcomeOf(err); out.Kind {
	case OK:
		s.count("sent")
		seen, err := s.Desk.ReplySent(ctx, o, ts)
		s.countDouble(seen)
		if v := s.written(err); v.Err != nil {
			return false, v
		}
		return false, store.Verdict{RetryAfter: s.Pace}
	case Permanent:
		s.count("refused")
		return false, s.written(s.Desk.ReplyRefused(ctx, o, out.Code, out.Message()))
	case Unclear:
		s.count("unclear")
		s.Log.Warn("a reply's end is unclear; it is looked for", "message", o.Message.GlobalID(), "code", out.Code, "error", err)
		v := s.written(s.Desk.ReplyUnclear(ctx, o, out.Code, out.Message()))
		return v.Err == nil, v
	default:
		return false, s.deferred(ctx, o, out)
	}
}

// comesBack goes into the channel of a reply whose workspace was connected again a moment ago, and tells whether that went well: what waited for the
// workspace may be faster than Channels.Enter. At any other time the bot is not in the channel because somebody put it out, and it stays out.
func (s *Sender) comesBack(ctx context.Context, o *desk.Outgoing) bool {
	installed := o.Installation.InstalledAt
	if !o.Link.CreatedAt.Before(installed) || s.Desk.Now().Sub(installed) > backAgain {
		return false
	}
	return s.Client.JoinChannel(ctx, o.Installation, o.Link.SlackChannelID) == nil
}

// deferred puts off a reply that was surely not sent.
func (s *Sender) deferred(ctx context.Context, o *desk.Outgoing, out Outcome) store.Verdict {
	if out.Kind == NotSent && o.Message.Attempts >= giveUpSending {
		s.count("refused")
		return s.written(s.Desk.ReplyRefused(ctx, o, out.Code, out.Message()))
	}
	s.count("deferred")
	next := s.Desk.Now().Add(s.delay(out, o.Message.Attempts))
	if v := s.written(s.Desk.ReplyDeferred(ctx, o, out.Code, out.Message(), next)); v.Err != nil {
		return v
	}
	return s.wait(next)
}

// delay is how long to wait after an outcome that another try may better.
func (s *Sender) delay(out Outcome, attempts int) time.Duration {
	switch out.Kind {
	case RateLimited:
		return out.RetryAfter
	case Disconnected:
		return 30 * time.Second
	}
	return store.Backoff(attempts)
}

// look looks for a message that Slack may have.
func (s *Sender) look(ctx context.Context, o *desk.Outgoing) (again bool, v store.Verdict) {
	sctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	since := o.Message.CreatedAt
	if o.Message.QueuedAt != nil {
		since = *o.Message.QueuedAt
	}
	found, err := s.Client.FindByMessageID(sctx, o.Installation, o.Link.SlackChannelID, o.ThreadTS, o.Message.GlobalID(), since)
	out := OutcomeOf(err)
	if out.Kind == Permanent && (out.Code == "thread_not_found" || out.Code == "message_not_found") {
		found, out.Kind = nil, OK // what it would be in is gone, and it too
	}
	if out.Kind != OK {
		return false, s.lookFailed(ctx, o, out, err)
	}
	seen, next, err := s.Desk.ReplyLooked(ctx, o, found)
	if err != nil {
		return false, s.written(err)
	}
	if len(found) > 0 {
		s.count("found")
		s.countDouble(seen)
		return false, store.Verdict{RetryAfter: s.Pace}
	}
	v = s.wait(next)
	return v.RetryAfter == 0, v
}

func (s *Sender) lookFailed(ctx context.Context, o *desk.Outgoing, out Outcome, cause error) store.Verdict {
	wait := s.delay(out, o.Item.Attempts)
	gaveUp, err := s.Desk.LookFailed(ctx, o, out.Code, out.Message(), s.Desk.Now().Add(wait))
	switch {
	case err != nil:
		return s.written(err)
	case gaveUp:
		s.count("unconfirmed")
		return store.Verdict{}
	case out.Kind == RateLimited || out.Kind == Disconnected:
		return store.Verdict{Wait: true, RetryAfter: wait}
	}
	return store.Verdict{Err: cause, RetryAfter: wait}
}

// change takes an edit or deletion to Slack. Both can be done again without harm.
func (s *Sender) change(ctx context.Context, o *desk.Outgoing) store.Verdict {
	sctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	var err error
	if o.Step == desk.StepDelete {
		err = s.Client.DeleteMessage(sctx, o.Installation, o.Link.SlackChannelID, o.SlackTS)
	} else {
		text := richtext.FromMarkdown(o.Body)
		if text.TooLong() {
			return s.written(s.Desk.ChangeRefused(ctx, o, tooLong))
		}
		err = s.Client.UpdateMessage(sctx, o.Installation, o.Link.SlackChannelID, o.SlackTS, text.Text, text.Blocks)
	}
	out := OutcomeOf(err)
	gone := o.Step == desk.StepDelete && out.Kind == Permanent && out.Code == "message_not_found"
	switch {
	case out.Kind == OK || gone:
		s.count("changed")
		return s.written(s.Desk.ChangeTaken(ctx, o))
	case out.Kind == Permanent, o.Item.Attempts >= giveUpSending:
		s.count("change_refused")
		return s.written(s.Desk.ChangeRefused(ctx, o, out.Code))
	case out.Kind == RateLimited || out.Kind == Disconnected:
		return store.Verdict{Wait: true, RetryAfter: s.delay(out, o.Item.Attempts)}
	}
	return store.Verdict{Err: err, RetryAfter: s.delay(out, o.Item.Attempts)}
}

// double deletes the later of two posts of one reply.
func (s *Sender) double(ctx context.Context, o *desk.Outgoing) store.Verdict {
	sctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	err := s.Client.DeleteMessage(sctx, o.Installation, o.Link.SlackChannelID, o.SlackTS)
	switch out := OutcomeOf(err); out.Kind {
	case OK, Permanent:
		if err != nil && out.Code != "message_not_found" {
			s.Log.Error("a second post of one reply could not be deleted", "message", o.Message.GlobalID(), "ts", o.SlackTS, "code", out.Code)
		}
		return s.written(s.Desk.DoubleDeleted(ctx, o))
	default:
		return store.Verdict{Err: err, RetryAfter: s.delay(out, o.Item.Attempts)}
	}
}

// written gives the verdict on having written an outcome: what could not be written is tried again from what the database knows.
func (s *Sender) written(err error) store.Verdict {
	if err != nil {
		return store.Verdict{Err: err, RetryAfter: time.Second}
	}
	return store.Verdict{}
}

func (s *Sender) countDouble(o desk.Outcome) {
	if o == desk.OutcomeDouble {
		s.count("double")
	}
}

func (s *Sender) count(event string) {
	if s.Count != nil {
		s.Count(event)
	}
}

// Runner gives the runner of the outbound queue.
func (s *Sender) Runner(st *store.Store, workers int) *store.Runner {
	return &store.Runner{
		Store: st, Queue: store.QueueOutbound, Workers: workers, Lease: SendLease, Poll: 250 * time.Millisecond, Now: s.Desk.Now, Handle: s.Handle, Log: s.Log,
	}
}
