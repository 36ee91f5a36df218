package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ochrehq/ochre"
)

// Times of the bus. A frozen Redis gives no error, so the bus listens for its own beat.
const (
	beatInterval = time.Second
	beatSilence  = 3 * time.Second
	busQueue     = 4096             // transactions that wait to be published; what does not fit is found in the log
	busStale     = 2 * lookInterval // what waited longer has been found in the log by everybody
)

const (
	eventPrefix = "ochre:events:"
	beatPrefix  = "ochre:beat:"
)

// RedisBus carries events by Redis PUBLISH. Redis may be lost at any time, also at start: the bus says so once and joins when it comes.
type RedisBus struct {
	client *redis.Client
	log    *slog.Logger
	beat   string // a channel of this node's own
	queue  chan published
	up     atomic.Bool

	mu       sync.Mutex
	followed map[ochre.ID]bool
	wishes   chan struct{} // the set of followed tenants changed
}

type published struct {
	tenant ochre.ID
	events []ochre.Event
	at     time.Time
}

// NewRedisBus makes a bus of a client. The client stays the caller's; whatever its time-outs are, the bus has its own.
func NewRedisBus(c *redis.Client, log *slog.Logger) *RedisBus {
	return &RedisBus{
		client: c.WithTimeout(beatInterval), log: log, beat: beatPrefix + ochre.NewID().String(),
		queue: make(chan published, busQueue), followed: map[ochre.ID]bool{}, wishes: make(chan struct{}, 1),
	}
}

// Up tells whether Redis answered lately.
func (b *RedisBus) Up() bool { return b.up.Load() }

// Publish hands events to the publisher. It never blocks.
func (b *RedisBus) Publish(tenant ochre.ID, events []ochre.Event) {
	select {
	case b.queue <- published{tenant, events, time.Now()}:
	default:
	}
}

// Follow asks for a tenant's events.
func (b *RedisBus) Follow(tenant ochre.ID) { b.wish(tenant, true) }

// Unfollow ends it.
func (b *RedisBus) Unfollow(tenant ochre.ID) { b.wish(tenant, false) }

func (b *RedisBus) wish(tenant ochre.ID, follow bool) {
	b.mu.Lock()
	if follow {
		b.followed[tenant] = true
	} else {
		delete(b.followed, tenant)
	}
	b.mu.Unlock()
	select {
	case b.wishes <- struct{}{}:
	default:
	}
}

func (b *RedisBus) channels() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]bool{b.beat: true}
	for t := range b.followed {
		all[eventPrefix+t.String()] = true
	}
	return all
}

// Run publishes and receives until ctx ends. It builds its subscription anew whenever Redis falls silent.
func (b *RedisBus) Run(ctx context.Context, receive func(ochre.ID, []ochre.Event)) {
	var publisher sync.WaitGroup
	defer publisher.Wait()
	publisher.Go(func() { b.publish(ctx) })
	for ctx.Err() == nil {
		b.listen(ctx, receive)
		if b.up.Swap(false) && ctx.Err() == nil {
			b.log.Warn("redis is silent; live updates go on by reading the log")
		}
		wait(ctx, beatInterval/2)
	}
}

// publish sends what is queued and the node's own beat.
func (b *RedisBus) publish(ctx context.Context) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	b.send(ctx, b.beat, []byte("1"))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.send(ctx, b.beat, []byte("1"))
		case p := <-b.queue:
			if time.Since(p.at) > busStale {
				continue
			}
			body, err := json.Marshal(p.events)
			if err != nil {
				b.log.Error("events could not be encoded", "error", err)
				continue
			}
			b.send(ctx, eventPrefix+p.tenant.String(), body)
		}
	}
}

// send publishes once. A failure is no news: the silence of the beat tells, and the log has the events.
func (b *RedisBus) send(ctx context.Context, channel string, body []byte) {
	ctx, cancel := context.WithTimeout(ctx, beatInterval)
	defer cancel()
	_ = b.client.Publish(ctx, channel, body).Err()
}

// listen receives until the beat is not heard for beatSilence.
func (b *RedisBus) listen(ctx context.Context, receive func(ochre.ID, []ochre.Event)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	have := b.channels()
	sub := b.client.Subscribe(ctx, keys(have)...)
	defer func() { _ = sub.Close() }()
	messages := sub.ChannelWithSubscriptions(redis.WithChannelSize(1024), redis.WithChannelHealthCheckInterval(0))
	silence := time.NewTimer(beatSilence)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-silence.C:
			return
		case <-b.wishes:
			if !b.adjust(ctx, sub, have) {
				return
			}
		case m, ok := <-messages:
			if !ok {
				return
			}
			if b.heard(m, receive) {
				silence.Reset(beatSilence)
			}
		}
	}
}

// heard takes a message, and tells whether it was the beat.
func (b *RedisBus) heard(message any, receive func(ochre.ID, []ochre.Event)) bool {
	switch m := message.(type) {
	case *redis.Subscription:
		if tenant, err := ochre.ParseUUID(strings.TrimPrefix(m.Channel, eventPrefix)); err == nil && m.Kind == "subscribe" {
			receive(tenant, nil)
		}
	case *redis.Message:
		if m.Channel != b.beat {
			b.deliver(m, receive)
			return false
		}
		if !b.up.Swap(true) {
			b.log.Info("redis is there")
		}
		return true
	}
	return false
}

func (b *RedisBus) deliver(m *redis.Message, receive func(ochre.ID, []ochre.Event)) {
	tenant, err := ochre.ParseUUID(strings.TrimPrefix(m.Channel, eventPrefix))
	if err != nil {
		return
	}
	var events []ochre.Event
	if err := json.Unmarshal([]byte(m.Payload), &events); err != nil {
		b.log.Warn("a message on the bus could not be read; the log has its events", "error", err)
		return
	}
	for _, e := range events {
		if e.TenantID != tenant {
			return // nobody but Ochre writes here; what does not fit is not believed
		}
	}
	if len(events) > 0 {
		receive(tenant, events)
	}
}

// adjust brings the subscription to what is wished. False: Redis did not take it.
func (b *RedisBus) adjust(ctx context.Context, sub *redis.PubSub, have map[string]bool) bool {
	want := b.channels()
	ctx, cancel := context.WithTimeout(ctx, beatSilence)
	defer cancel()
	for c := range want {
		if !have[c] {
			if sub.Subscribe(ctx, c) != nil {
				return false
			}
			have[c] = true
		}
	}
	for c := range have {
		if !want[c] {
			if sub.Unsubscribe(ctx, c) != nil {
				return false
			}
			delete(have, c)
		}
	}
	return true
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
