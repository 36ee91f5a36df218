package slackbridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fault"
	"github.com/ochrehq/ochre/store"
)

// The bounds of an Inbox. What comes above them is refused, and Slack sends it again.
const (
	inboxWriters     = 4        // batches at once: one that waits for a lock does not hold up the others
	inboxBatch       = 128      // events in one transaction
	inboxWaiting     = 1024     // events that wait for a batch
	inboxBytes       = 64 << 20 // of bodies that wait or are being written
	maxEventID       = 200      // bytes; Slack's have 13
	trafficPeriod    = time.Second
	staleConnections = 2      // more tries of a batch for which the database wasn't there
	maxTraffic       = 10_000 // links whose traffic is kept for the next look
)

// ErrInboxFull tells that more events wait than an Inbox keeps.
var ErrInboxFull = errors.New("too many events wait to be stored")

// ErrInboxClosed tells that the Inbox has ended.
var ErrInboxClosed = errors.New("the inbox is closed")

// InboxOptions configures an Inbox.
type InboxOptions struct {
	Store *store.Store
	Now   func() time.Time
	Count func(outcome string) // told once for each event and link what became of it, in lower case with underscores; must not block
	Log   *slog.Logger
}

// Inbox makes events durable. Events that come while others are being written go into one transaction; one that comes alone does not wait.
// It serves the HTTP endpoint and the socket alike.
type Inbox struct {
	InboxOptions
	waiting chan *letter
	bytes   atomic.Int64
	ended   chan struct{} // closed when Run has returned

	mu      sync.Mutex
	traffic map[ochre.ID]store.LinkTraffic // by link
}

// letter is one event on its way into the database.
type letter struct {
	ctx   context.Context // of who waits for it: nobody does after its end
	event store.InboundEvent
	done  chan error // one place, so that the writer never waits
}

// NewInbox makes an Inbox. It stores nothing until Run is called.
func NewInbox(o InboxOptions) *Inbox {
	return &Inbox{InboxOptions: o, waiting: make(chan *letter, inboxWaiting), ended: make(chan struct{}), traffic: map[ochre.ID]store.LinkTraffic{}}
}

// Add returns nil once the event is committed for every link that watches its channel, or is rightly dropped. After an error it may or may not be stored: Slack
// must send it again, and each link gets it once anyhow. It returns when ctx ends at the latest. body is what was signed; it is kept, and must not be changed.
func (b *Inbox) Add(ctx context.Context, env *Envelope, body []byte) error {
	r := env.route()
	if r.drop != "" {
		if r.drop == "app_rate_limited" {
			b.Log.Warn("Slack holds back events of a workspace: more than 30,000 in an hour", "slack_team", env.TeamID)
		}
		b.Count(r.drop)
		return nil
	}
	size := int64(len(body))
	defer b.bytes.Add(-size)
	if b.bytes.Add(size) > inboxBytes {
		b.Count("refused_full")
		return ErrInboxFull
	}
	l := &letter{ctx: ctx, event: b.inbound(env, r, body), done: make(chan error, 1)}
	select {
	case b.waiting <- l:
	default:
		b.Count("refused_full")
		return ErrInboxFull
	}
	select {
	case err := <-l.done:
		return err
	case <-ctx.Done():
		b.Count("refused_late")
		return ctx.Err()
	case <-b.ended:
		b.Count("refused_closed")
		return ErrInboxClosed
	}
}

// Waiting is how many events wait for a transaction, for metrics.
func (b *Inbox) Waiting() int { return len(b.waiting) }

// inbound makes the row of an event.
func (b *Inbox) inbound(env *Envelope, r route, body []byte) store.InboundEvent {
	e := store.InboundEvent{
		EventID: env.EventID, AppID: env.APIAppID, Body: body, ReceivedAt: b.Now().UTC().Truncate(time.Microsecond),
		SlackChannelID: env.SlackChannelID(), Lane: r.lane, Workspace: r.workspace,
	}
	if e.EventID == "" || len(e.EventID) > maxEventID {
		sum := sha256.Sum256(body)
		e.EventID = "body:" + hex.EncodeToString(sum[:16]) // the same body again is the same event
	}
	if !r.workspace {
		return e
	}
	e.SlackTeamIDs = env.Teams()
	switch env.Event.Type {
	case "member_joined_channel", "member_left_channel":
		e.BotUserID = env.Event.User // people come and go without us
	}
	return e
}

// Run stores what Add brings until ctx ends, and then what was brought before. It returns when all is written.
func (b *Inbox) Run(ctx context.Context) error {
	defer close(b.ended)
	var writers sync.WaitGroup
	for range inboxWriters {
		writers.Go(func() { b.write(ctx) })
	}
	tick := time.NewTicker(trafficPeriod)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			b.flushTraffic(ctx)
		case <-ctx.Done():
		}
	}
	writers.Wait()
	b.flushTraffic(context.WithoutCancel(ctx))
	return nil
}

// write commits batch after batch.
func (b *Inbox) write(ctx context.Context) {
	for {
		select {
		case first := <-b.waiting:
			b.commit(b.collect(first))
		case <-ctx.Done():
			select {
			case first := <-b.waiting:
				b.commit(b.collect(first))
			default:
				return
			}
		}
	}
}

// collect takes what waits besides the first letter, without waiting for more.
func (b *Inbox) collect(first *letter) []*letter {
	batch := []*letter{first}
	for len(batch) < inboxBatch {
		select {
		case l := <-b.waiting:
			batch = append(batch, l)
		default:
			return batch
		}
	}
	return batch
}

// commit stores a batch and tells each letter's sender. If the database refuses the batch, each event is tried by itself, so that one it can't
// store costs only itself; if the database isn't there, all fail at once.
func (b *Inbox) commit(batch []*letter) {
	ctx, cancel, batch := patience(batch)
	defer cancel()
	if len(batch) == 0 {
		return
	}
	err := b.store(ctx, batch)
	for range staleConnections { // ones that a restart of the database has cut are noticed only when used; storing twice stores once
		if ctx.Err() != nil || !store.IsUnavailable(err) {
			break
		}
		err = b.store(ctx, batch)
	}
	if err == nil || ctx.Err() != nil || store.IsUnavailable(err) || len(batch) == 1 {
		b.answer(batch, err)
		return
	}
	b.Log.Warn("a batch of Slack events was refused; each is tried by itself", "events", len(batch), "error", err)
	for _, l := range batch {
		err := l.ctx.Err()
		if err == nil {
			err = b.store(l.ctx, []*letter{l})
		}
		b.answer([]*letter{l}, err)
	}
}

// patience drops the letters that nobody waits for any longer and gives a context that lasts as long as anybody waits for the rest.
func patience(batch []*letter) (context.Context, context.CancelFunc, []*letter) {
	kept := batch[:0]
	var until time.Time
	bounded := true
	for _, l := range batch {
		if l.ctx.Err() != nil {
			continue
		}
		kept = append(kept, l)
		at, ok := l.ctx.Deadline()
		bounded = bounded && ok
		if at.After(until) {
			until = at
		}
	}
	if !bounded {
		until = time.Now().Add(30 * time.Second)
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	return ctx, cancel, kept
}

func (b *Inbox) store(ctx context.Context, batch []*letter) error {
	events := make([]store.InboundEvent, len(batch))
	for i, l := range batch {
		events[i] = l.event
	}
	fault.Hit(fault.BeforeInsert)
	rs, err := b.Store.AddSlackEvents(ctx, events)
	if err != nil {
		return err
	}
	fault.Hit(fault.AfterInsert)
	for i, r := range rs {
		b.count(events[i], r)
	}
	b.noteTraffic(rs)
	return nil
}

// count tells what became of an event at each link.
func (b *Inbox) count(e store.InboundEvent, r store.Reception) {
	times := func(n int, outcome string) {
		for range n {
			b.Count(outcome)
		}
	}
	times(r.Stored, "stored")
	times(r.Duplicate, "duplicate")
	times(r.Paused, "paused")
	times(r.Away, "disconnected")
	times(r.OtherApp, "other_app")
	switch {
	case r.Stored+r.Duplicate+r.Paused+r.Away+r.OtherApp > 0:
	case e.BotUserID != "":
		b.Count("member_not_us")
	case e.Workspace:
		b.Count("unknown_team")
	default:
		b.Count("unwatched")
	}
}

func (b *Inbox) answer(batch []*letter, err error) {
	if err != nil {
		outcome := "refused_database"
		if store.IsUnavailable(err) {
			outcome = "refused_unavailable"
		}
		for range batch {
			b.Count(outcome)
		}
		b.Log.Error("Slack events were not stored", "events", len(batch), "error", err)
	}
	for _, l := range batch {
		l.done <- err
	}
}
