package socket

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// kernelSlack is what the kernel takes at most for a test's socket, besides the server's send buffer: the client's
// small receive buffer, and segments on the way.
const kernelSlack = 128 << 10

// TestClientStopsReading: with the default sizes at most 1 MiB is made for a client that does not read, it is gone within
// WriteTimeout and CloseGrace, and the kernel keeps the close frame for it.
func TestClientStopsReading(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		subscriptions int
		size          int
	}{
		{"one subscription", 1, 1500},
		{"300 subscriptions", 300, 1500},
		{"large results", 3, 60_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, Options{WriteTimeout: 300 * time.Millisecond, CloseGrace: 200 * time.Millisecond, PingInterval: time.Minute})
			c := f.dialRaw(t)
			for i := range tc.subscriptions {
				c.frame(frameText, subscribe(fmt.Sprint(i), fmt.Sprintf("flood %d", tc.size)))
			}
			start := time.Now()
			if code := await(t, f.closed, "the end"); code != codeTryLater {
				t.Errorf("counted as %d", code)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if got := f.exec.produced.Load(); got > 1<<20+kernelSlack {
				t.Errorf("%d bytes were made for it", got)
			}
			if code := c.lastClose(); code != codeTryLater {
				t.Errorf("the client sees %d", code)
			}
		})
	}
}

// TestClientStopsReadingInALargeMessage: a message that no buffer holds can be finished within the grace only; a
// client that reads again by then learns the code.
func TestClientStopsReadingInALargeMessage(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{WriteTimeout: 100 * time.Millisecond, CloseGrace: patience})
	c := f.dialRaw(t)
	c.frame(frameText, subscribe("1", "flood 8000000"))
	waitClosing(t, f)
	if code := c.lastClose(); code != codeTryLater {
		t.Errorf("the client sees %d", code)
	}
	c.Close()
	if code := await(t, f.closed, "the end"); code != codeTryLater {
		t.Errorf("counted as %d", code)
	}
}

func (f *fixture) onlySession() *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot()[0].(*session)
}

// waitClosing waits until the one session of f has begun to close.
func waitClosing(t *testing.T, f *fixture) {
	t.Helper()
	s := f.onlySession()
	s.mu.Lock()
	ctx := s.ctx
	s.mu.Unlock()
	await(t, ctx.Done(), "the close")
}

// TestReadsAreNotBlockedByWrites: while the writer is stuck, messages and pings of the client still count.
func TestReadsAreNotBlockedByWrites(t *testing.T) {
	t.Parallel()
	f := serveSticky(t, Options{WriteTimeout: time.Minute, CloseGrace: 50 * time.Millisecond})
	c := f.dialRaw(t)
	(<-f.conns).stuck.Store(true)
	c.frame(frameText, subscribe("1", "flood 100000"))
	waitStuck(t, f)
	for range 20 {
		c.frame(framePing, "hello")
	}
	c.frame(frameText, complete("1"))
	await(t, f.exec.stopped, "stop")
	c.frame(frameText, subscribe("2", "hang"))
	c.frame(frameText, complete("2"))
	await(t, f.exec.stopped, "stop")
	c.frame(frameText, `{"type":"connection_init"}`)
	if code := await(t, f.closed, "the end"); code != codeSecondInit {
		t.Errorf("counted as %d", code)
	}
}

// waitStuck waits until the one session of f holds all that it may and its writer makes no progress.
func waitStuck(t *testing.T, f *fixture) {
	t.Helper()
	s := f.onlySession()
	full := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.held > s.srv.o.MaxQueue/2
	}
	for deadline := time.Now().Add(patience); !full(); {
		if time.Now().After(deadline) {
			t.Fatal("the queue never filled")
		}
		runtime.Gosched()
	}
}

// TestControlFlood: who asks for answers and does not read them is slow too.
func TestControlFlood(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		first   byte
		payload func(i int) string
	}{
		{"pings", framePing, func(int) string { return long[:125] }},
		{"ping messages", frameText, func(int) string { return `{"type":"ping","payload":{"a":"` + long + `"}}` }},
		{"refused operations", frameText, func(i int) string { return subscribe(fmt.Sprint(long[:200], i), "refused") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := serveSticky(t, Options{CloseGrace: 200 * time.Millisecond, WriteTimeout: time.Minute, PingInterval: time.Minute})
			c := f.dialRaw(t)
			(<-f.conns).stuck.Store(true)
			for i := 0; c.tryFrame(tc.first, tc.payload(i)) == nil && len(f.closed) == 0; i++ {
			}
			if code := await(t, f.closed, "the end"); code != codeTryLater {
				t.Errorf("counted as %d", code)
			}
		})
	}
}

// TestSlowButSteady: a client that reads slower than results are made gets all of them, in order.
func TestSlowButSteady(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxQueue: 4 << 10, SendBuffer: 4 << 10})
	c := f.dialRaw(t)
	c.frame(frameText, subscribe("1", "count 5000"))
	for i := range 5000 {
		for {
			first, payload := c.next()
			if first == framePing {
				c.frame(framePong, payload)
				continue
			}
			if want := next("1", fmt.Sprintf(`{"data":{"i":%d}}`, i)); first != frameText || payload != want {
				t.Fatalf("got %#x %s, want %s", first, payload, want)
			}
			break
		}
	}
	if _, payload := c.next(); payload != complete("1") {
		t.Errorf("got %s", payload)
	}
}

// TestManySubscriptionsOfASteadyClient: so do many at once through a small queue, none is closed for the burst.
func TestManySubscriptionsOfASteadyClient(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxQueue: 32 << 10, SendBuffer: 4 << 10, PingInterval: time.Minute})
	c := f.dialRaw(t)
	for i := range 20 {
		c.frame(frameText, subscribe(fmt.Sprint(i), "count 200"))
	}
	for done, results := 0, 0; done < 20; {
		first, payload := c.next()
		switch {
		case first != frameText:
			t.Fatalf("got %#x %q", first, payload)
		case strings.Contains(payload, `"type":"next"`):
			results++
		default:
			if done++; done == 20 && results != 20*200 {
				t.Errorf("%d results", results)
			}
		}
	}
}

// TestTwoLargeResultsAtOnce: a result that finds no room waits for it.
func TestTwoLargeResultsAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxQueue: 64 << 10})
	c := f.dialRaw(t)
	for id := range 2 {
		c.frame(frameText, subscribe(fmt.Sprint(id), "gate"))
		await(t, f.exec.started, "start")
	}
	for range 2 {
		f.exec.gate <- `{"data":"` + strings.Repeat("x", 1<<20) + `"}`
	}
	for range 2 {
		if first, payload := c.next(); first != frameText || len(payload) < 1<<20 {
			t.Fatalf("got %#x, %d bytes", first, len(payload))
		}
	}
}

// TestQueriesTakeTurns: of many queries at once a few are made at a time, and all their large results reach a client that reads.
func TestQueriesTakeTurns(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxQueue: 64 << 10, MaxSingles: 3})
	c := f.dialRaw(t)
	for id := range 30 {
		c.frame(frameText, subscribe(fmt.Sprint(id), "query"))
		await(t, f.exec.started, "start")
	}
	for range 3 {
		await(t, f.exec.deaf, "Next")
	}
	s := f.onlySession()
	s.mu.Lock()
	if s.singles != 3 || s.running != 30 {
		t.Errorf("%d of %d are at work", s.singles, s.running)
	}
	s.mu.Unlock()
	go func() {
		for i := range 30 {
			if i >= 3 {
				<-f.exec.deaf
			}
			f.exec.gate <- `{"data":"` + strings.Repeat("x", 100<<10) + `"}`
		}
	}()
	for done, results := 0, 0; done < 30; {
		first, payload := c.next()
		switch {
		case first != frameText:
			t.Fatalf("got %#x %q", first, payload)
		case strings.Contains(payload, `"type":"next"`):
			results++
		default:
			if done++; done == 30 && results != 30 {
				t.Errorf("%d results", results)
			}
		}
	}
}

// TestQueriesOfAClientThatIsGone: those that wait for their turn end with the connection.
func TestQueriesOfAClientThatIsGone(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxSingles: 1})
	c := f.dialRaw(t)
	for id := range 5 {
		c.frame(frameText, subscribe(fmt.Sprint(id), "query"))
	}
	await(t, f.exec.deaf, "Next")
	c.frame(frameText, complete("3"))
	c.Close()
	await(t, f.closed, "the end")
	if n := f.exec.running.Load(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

// TestCompleteDropsWhatIsQueued: results that wait when the client completes are not sent any more.
func TestCompleteDropsWhatIsQueued(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{WriteTimeout: time.Minute, PingInterval: time.Minute})
	c := f.dialRaw(t)
	c.frame(frameText, subscribe("1", "flood 10000"))
	waitStuck(t, f)
	c.frame(frameText, complete("1"))
	await(t, f.exec.stopped, "stop")
	c.frame(frameText, `{"type":"ping"}`)
	got := int64(0)
	for {
		first, payload := c.next()
		if first != frameText {
			t.Fatalf("got %#x %q", first, payload)
		}
		if payload == `{"type":"pong"}` {
			break
		}
		got += int64(len(payload))
	}
	if dropped := f.exec.produced.Load() - got; dropped < 30_000 {
		t.Errorf("only %d bytes were dropped", dropped)
	}
}

// TestLargeResults: results larger than the queue reach a client that reads, also several at once.
func TestLargeResults(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{MaxQueue: 64 << 10})
	c := f.connect(t)
	c.send(subscribe("1", "gate"))
	want := next("1", `{"data":"`+strings.Repeat("x", 3<<20)+`"}`)
	go func() {
		for range 3 {
			f.exec.gate <- want[len(`{"id":"1","type":"next","payload":`) : len(want)-1]
		}
	}()
	for range 3 {
		if got, err := c.read(); err != nil || got != want {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
}

// TestNoPong: a client that does not answer pings is closed within two intervals, whatever else it does.
func TestNoPong(t *testing.T) {
	t.Parallel()
	const interval = 200 * time.Millisecond
	f := serve(t, Options{PingInterval: interval, CloseGrace: time.Minute})
	start := time.Now()
	c := f.dialRaw(t)
	c.frame(frameText, subscribe("1", "hang"))
	if first, _ := c.next(); first != framePing {
		t.Fatalf("got %#x", first)
	}
	c.frame(frameText, `{"type":"pong"}`) // the protocol's pong is another thing
	if code := await(t, f.closed, "the end"); code != codeTryLater {
		t.Errorf("counted as %d", code)
	}
	if took := time.Since(start); took < interval || took > 2*interval+interval/2 {
		t.Errorf("took %v", took)
	}
	if code := c.lastClose(); code != codeTryLater {
		t.Errorf("the client sees %d", code)
	}
}

// TestPong: a client that answers stays.
func TestPong(t *testing.T) {
	t.Parallel()
	f := serve(t, Options{PingInterval: 50 * time.Millisecond})
	c := f.dialRaw(t)
	for range 10 {
		first, payload := c.next()
		if first != framePing {
			t.Fatalf("got %#x %q", first, payload)
		}
		c.frame(framePong, payload)
	}
	c.frame(frameText, `{"type":"ping"}`)
	if _, payload := c.next(); payload != `{"type":"pong"}` {
		t.Errorf("got %q", payload)
	}
}

// TestFragmentedMessage: a message in several frames, with a ping between, is one message.
func TestFragmentedMessage(t *testing.T) {
	t.Parallel()
	c := serve(t, Options{}).dialRaw(t)
	c.frame(0x01, `{"type":`)
	c.frame(framePing, "between")
	c.frame(0x80, `"ping"}`)
	if first, payload := c.next(); first != framePong || payload != "between" {
		t.Fatalf("got %#x %q", first, payload)
	}
	if first, payload := c.next(); first != frameText || payload != `{"type":"pong"}` {
		t.Fatalf("got %#x %q", first, payload)
	}
}

// TestTooBigMessageThenClose: behind a message that is too big the client's close frame is still found, so that the
// connection ends at once and not with the grace.
func TestTooBigMessageThenClose(t *testing.T) {
	t.Parallel()
	c := serve(t, Options{CloseGrace: time.Minute}).dialRaw(t)
	part := strings.Repeat("x", 60_000)
	c.frame(0x01, part)
	for range 20 {
		c.frame(0x00, part)
	}
	c.frame(0x80, part)
	if first, payload := c.next(); first != frameClose || payload != "\x03\xf1Message too big" {
		t.Fatalf("got %#x %q", first, payload)
	}
	c.frame(frameClose, "\x03\xf1")
	if first, _ := c.next(); first != 0 {
		t.Errorf("got %#x", first)
	}
}

// TestSlowReaderHurtsOnlyItself: another socket of the same server is served while one is stuck.
func TestSlowReaderHurtsOnlyItself(t *testing.T) {
	t.Parallel()
	f := serveSticky(t, Options{WriteTimeout: time.Minute, CloseGrace: 50 * time.Millisecond})
	stuck := f.dialRaw(t)
	(<-f.conns).stuck.Store(true)
	stuck.frame(frameText, subscribe("1", "flood 100000"))
	waitStuck(t, f)
	c := f.connect(t)
	for range 100 {
		c.send(subscribe("1", "count 1"))
		c.expect(next("1", `{"data":{"i":0}}`), complete("1"))
	}
	c.ws.Close(websocket.StatusNormalClosure, "")
}
