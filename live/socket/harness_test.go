package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; what is awaited comes much sooner.
const patience = 10 * time.Second

const (
	initGood = `{"type":"connection_init","payload":{"authorization":"Bearer good"}}`
	ack      = `{"type":"connection_ack"}`
)

// fixture is a Server behind a real HTTP server.
type fixture struct {
	*Server
	exec   *fakeExecutor
	auth   *fakeAuth
	closed chan int // close codes, as Metrics hears of them
	http   *httptest.Server
	conns  chan *stickyConn // of serveSticky, in the order they were accepted
}

// serve starts a Server with o, over a fake Executor unless o has one.
func serve(t *testing.T, o Options) *fixture {
	t.Helper()
	f := newFixture(t, o)
	f.http.Start()
	return f
}

// serveSticky is serve with connections that can be stuck.
func serveSticky(t *testing.T, o Options) *fixture {
	t.Helper()
	f := newFixture(t, o)
	f.conns = make(chan *stickyConn, 10)
	f.http.Listener = stickyListener{f.http.Listener, f.conns}
	f.http.Start()
	return f
}

// newFixture is serve before the HTTP server runs.
func newFixture(t *testing.T, o Options) *fixture {
	t.Helper()
	f := &fixture{exec: newFakeExecutor(), auth: &fakeAuth{checked: make(chan struct{}, 100)}, closed: make(chan int, 1000)}
	if o.Executor == nil {
		o.Executor = f.exec
	}
	o.Auth = f.auth
	o.Logger = slog.New(slog.DiscardHandler)
	o.Metrics.Closed = func(_ string, code int) { f.closed <- code }
	f.Server = New(o)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", f.ServeWS)
	mux.HandleFunc("/sse", f.ServeSSE)
	f.http = httptest.NewUnstartedServer(mux)
	// Time-outs as a production server has them; neither transport may fall to them.
	f.http.Config.ReadTimeout, f.http.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Drain(ctx); err != nil {
			t.Errorf("drain at the end: %v", err)
		}
		f.http.Close()
		if n := f.exec.running.Load(); n != 0 {
			t.Errorf("%d streams were never closed", n)
		}
	})
	return f
}

// client is a WebSocket of coder/websocket.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (f *fixture) dial(t *testing.T, header http.Header) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, f.http.URL+"/ws", &websocket.DialOptions{Subprotocols: []string{subprotocol}, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t, ws}
}

// connect is dial with an acknowledged connection.
func (f *fixture) connect(t *testing.T) *client {
	t.Helper()
	c := f.dial(t, nil)
	c.send(initGood)
	c.expect(ack)
	return c
}

func (c *client) send(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		c.write(websocket.MessageText, m)
	}
}

func (c *client) write(typ websocket.MessageType, m string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, typ, []byte(m)); err != nil {
		c.t.Fatalf("send %.60s: %v", m, err)
	}
}

func (c *client) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	return string(b), err
}

func (c *client) expect(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		got, err := c.read()
		if err != nil {
			c.t.Fatalf("want %s, got %v", want, err)
		}
		if got != want {
			c.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func (c *client) expectClose(code int, reason string) {
	c.t.Helper()
	got, err := c.read()
	if err == nil {
		c.t.Fatalf("want close %d, got message %.200s", code, got)
	}
	var ce websocket.CloseError
	if !errors.As(err, &ce) || int(ce.Code) != code || ce.Reason != reason {
		c.t.Fatalf("want close %d %q, got %v", code, reason, err)
	}
}

// rawClient speaks WebSocket over TCP by hand, so that it can be rude.
type rawClient struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dialRaw connects with a small receive buffer, so that the kernel takes little for a client that does not read.
func (f *fixture) dialRaw(t *testing.T) *rawClient {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	conn, err := d.Dial("tcp", f.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", subprotocol)
	c := &rawClient{t, conn, bufio.NewReaderSize(conn, 16)}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v %v", resp, err)
	}
	c.frame(frameText, initGood)
	if op, payload := c.next(); op != frameText || payload != ack {
		t.Fatalf("got %#x %s", op, payload)
	}
	return c
}

// frame sends one masked frame (the mask is 0).
func (c *rawClient) frame(first byte, payload string) {
	c.t.Helper()
	if err := c.tryFrame(first, payload); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) tryFrame(first byte, payload string) error {
	h := []byte{first}
	if len(payload) < 126 {
		h = append(h, 0x80|byte(len(payload)))
	} else {
		h = binary.BigEndian.AppendUint16(append(h, 0x80|126), uint16(len(payload)))
	}
	_, err := c.Write(append(append(h, 0, 0, 0, 0), payload...))
	return err
}

// next reads one frame; 0 is the end of the connection.
func (c *rawClient) next() (first byte, payload string) {
	var h [2]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return 0, err.Error()
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var b [2]byte
		_, _ = io.ReadFull(c.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, _ = io.ReadFull(c.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(c.r, p); err != nil {
		return 0, err.Error()
	}
	return h[0], string(p)
}

// lastClose reads to the end of the connection and gives the code of the close frame before it; 0 is none.
func (c *rawClient) lastClose() int {
	_ = c.SetDeadline(time.Now().Add(patience))
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(1 << 20)
	for {
		switch first, payload := c.next(); first {
		case 0:
			return 0
		case frameClose:
			return int(payload[0])<<8 | int(payload[1])
		}
	}
}

// await waits for a value of ch.
func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func subscribe(id, query string) string {
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":{"query":%q}}`, id, query)
}

func next(id, payload string) string {
	return fmt.Sprintf(`{"id":%q,"type":"next","payload":%s}`, id, payload)
}

func complete(id string) string { return fmt.Sprintf(`{"id":%q,"type":"complete"}`, id) }

func errorMessage(id, text, code string) string {
	return fmt.Sprintf(`{"id":%q,"type":"error","payload":[{"message":%q,"extensions":{"code":%q}}]}`, id, text, code)
}
