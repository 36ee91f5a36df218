package slacksim

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	deliveryWorkers = 16
	// maxPending bounds the events that wait for the app, retries included; what comes
	// above it is dropped, and shown as dropped.
	maxPending = 10_000
	// keptAttempts is how many attempts GET /control/deliveries remembers.
	keptAttempts = 1000
	// reorderWait is how long a held event waits for one that may pass it.
	reorderWait = 2 * time.Second
)

var slackRetryDelays = []time.Duration{500 * time.Millisecond, time.Minute, 5 * time.Minute}

var errTooManyRedirects = errors.New("too many redirects")

// delivery is one event on its way to the app.
type delivery struct {
	eventID, kind, channel string
	body                   []byte
	wait                   time.Duration // before the first attempt
	attempt                int           // retries so far
	reason                 string        // why there is a retry
	sentAt                 string        // timestamp of the first signature
	skipFirst              bool          // a fault: the first attempt gets lost
	then                   []*delivery   // go after this one's first attempt
}

// attempt is one try, as GET /control/deliveries shows it.
type attempt struct {
	EventID string  `json:"eventId"`
	Type    string  `json:"type"`
	Channel string  `json:"channel,omitempty"`
	Retry   int     `json:"retry"`
	Reason  string  `json:"reason,omitempty"` // of the retry
	At      string  `json:"at"`
	Millis  float64 `json:"ms"`
	Status  int     `json:"status,omitempty"`
	Outcome string  `json:"outcome"` // ok, dropped, no_url, or Slack's reason for a retry
	Body    string  `json:"body,omitempty"`
}

// deliverer posts events to the app: a fixed number of workers, a bounded number of
// waiting events, retries by timers. It promises no order, as Slack doesn't.
type deliverer struct {
	sim     *Server
	delays  []time.Duration
	client  *http.Client
	queue   chan *delivery
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	pending  int
	timers   map[*delivery]*time.Timer
	held     []*delivery // by a reorder fault, until another event passes
	attempts []attempt
	idle     []chan struct{}
}

func newDeliverer(sim *Server, delays []time.Duration, limit time.Duration) *deliverer {
	if delays == nil {
		delays = slackRetryDelays
	}
	if limit <= 0 {
		limit = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &deliverer{
		sim: sim, delays: delays, ctx: ctx, cancel: cancel,
		queue:  make(chan *delivery, maxPending),
		timers: map[*delivery]*time.Timer{},
		client: &http.Client{
			Timeout:   limit,
			Transport: &http.Transport{MaxIdleConnsPerHost: deliveryWorkers, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(_ *http.Request, via []*http.Request) error {
				if len(via) > 2 {
					return errTooManyRedirects
				}
				return nil
			},
		},
	}
	for range deliveryWorkers {
		d.workers.Add(1)
		go d.work()
	}
	return d
}

// enqueue takes a new event. Faults for events happen here. Those in next are sent
// once the event was tried.
func (d *deliverer) enqueue(item *delivery, next ...*delivery) {
	copies := []*delivery{item}
	hold := false
	if f := d.sim.faults.takeEvent(item.kind, item.channel); f != nil {
		switch f.Kind {
		case "double":
			twin := *item
			copies = append(copies, &twin)
		case "drop":
			d.record(item, attempt{Outcome: "dropped"})
			if len(next) > 0 {
				d.enqueue(next[0], next[1:]...)
			}
			return
		case "drop_first":
			item.skipFirst = true
		case "delay":
			item.wait += f.delay()
		case "reorder":
			hold = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.pending+len(copies)+len(next) > maxPending {
		for _, one := range append(copies, next...) {
			d.recordLocked(one, attempt{Outcome: "dropped"})
		}
		return
	}
	item.then = next
	d.pending += len(copies) + len(next)
	for _, one := range copies {
		if hold {
			d.held = append(d.held, one)
			d.timers[one] = time.AfterFunc(reorderWait, func() { d.release(one) })
			continue
		}
		one.then, d.held = append(one.then, d.held...), nil
		for _, freed := range one.then {
			d.stopTimer(freed)
		}
		d.schedule(one, one.wait)
	}
}

// release lets a held event go though none passed it.
func (d *deliverer) release(item *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, held := range d.held {
		if held == item {
			d.held = append(d.held[:i:i], d.held[i+1:]...)
			d.stopTimer(item)
			d.schedule(item, 0)
			return
		}
	}
}

func (d *deliverer) stopTimer(item *delivery) {
	if timer := d.timers[item]; timer != nil {
		timer.Stop()
		delete(d.timers, item)
	}
}

// schedule queues the item, now or later. The queue has room for all that is
// pending, so it never blocks. d.mu is held.
func (d *deliverer) schedule(item *delivery, wait time.Duration) {
	if d.closed {
		d.finish()
		return
	}
	if wait <= 0 {
		d.queue <- item
		return
	}
	d.timers[item] = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timers[item] != nil {
			delete(d.timers, item)
			d.queue <- item
		}
	})
}

// finish counts one pending event out. d.mu is held.
func (d *deliverer) finish() {
	d.pending--
	if d.pending == 0 {
		for _, ch := range d.idle {
			close(ch)
		}
		d.idle = nil
	}
}

func (d *deliverer) work() {
	defer d.workers.Done()
	for {
		select {
		case <-d.ctx.Done():
			return
		case item := <-d.queue:
			d.deliver(item)
		}
	}
}

func (d *deliverer) deliver(item *delivery) {
	start := time.Now()
	status, outcome, again := d.post(item)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recordLocked(item, attempt{
		Status: status, Outcome: outcome, Millis: float64(time.Since(start).Microseconds()) / 1000,
	})
	for _, next := range item.then {
		d.schedule(next, 0)
	}
	item.then = nil
	if again && item.attempt < len(d.delays) {
		wait := d.delays[item.attempt]
		item.attempt++
		item.reason = outcome
		d.schedule(item, wait)
		return
	}
	d.finish()
}

func (d *deliverer) record(item *delivery, a attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recordLocked(item, a)
}

func (d *deliverer) recordLocked(item *delivery, a attempt) {
	a.EventID, a.Type, a.Channel, a.Retry, a.Reason = item.eventID, item.kind, item.channel, item.attempt, item.reason
	a.At, a.Body = d.sim.now().UTC().Format(time.RFC3339Nano), string(item.body)
	if len(d.attempts) >= keptAttempts {
		d.attempts = append(d.attempts[:0], d.attempts[keptAttempts/10:]...)
	}
	d.attempts = append(d.attempts, a)
	if a.Outcome != "ok" {
		d.sim.log.Info("event not delivered", "event", a.EventID, "type", a.Type, "retry", a.Retry, "status", a.Status, "outcome", a.Outcome)
	}
}

// recent returns the remembered attempts, oldest first, and how many events wait.
func (d *deliverer) recent() ([]attempt, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]attempt{}, d.attempts...), d.pending
}

// whenIdle is closed once no event waits, retries included.
func (d *deliverer) whenIdle() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := make(chan struct{})
	if d.pending == 0 {
		close(ch)
	} else {
		d.idle = append(d.idle, ch)
	}
	return ch
}

func (d *deliverer) close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	for item := range d.timers {
		d.stopTimer(item)
	}
	d.mu.Unlock()
	d.cancel()
	ended := make(chan struct{})
	go func() {
		d.workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		d.client.CloseIdleConnections()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
