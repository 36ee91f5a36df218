package socket

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// revoker is an Options.Revoked.
type revoker struct {
	mu    sync.Mutex
	funcs map[int]func()
	n     int
}

func (r *revoker) watch(_ context.Context, revoke func()) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.funcs == nil {
		r.funcs = map[int]func(){}
	}
	r.n++
	n := r.n
	r.funcs[n] = revoke
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.funcs, n)
	}
}

func (r *revoker) revokeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.funcs {
		f()
	}
}

func (r *revoker) watched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.funcs)
}

var long = strings.Repeat("x", 300)

// stickyConn is a server's connection whose writes block once it is stuck, as they do when a client does not read.
// Real clients that do not read also lose packets in their kernel, which then answers late: not for tests that go on.
type stickyConn struct {
	net.Conn
	stuck atomic.Bool
	over  chan struct{} // closed by Close and when a write deadline passes
	once  sync.Once
}

func (c *stickyConn) Write(p []byte) (int, error) {
	if c.stuck.Load() {
		<-c.over
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *stickyConn) SetWriteDeadline(t time.Time) error {
	if c.stuck.Load() {
		time.AfterFunc(time.Until(t), c.end)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *stickyConn) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *stickyConn) end() { c.once.Do(func() { close(c.over) }) }

type stickyListener struct {
	net.Listener
	conns chan *stickyConn
}

func (l stickyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &stickyConn{Conn: c, over: make(chan struct{})}
	l.conns <- s
	return s, nil
}
