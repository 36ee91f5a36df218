package socket

import (
	"context"
	"log/slog"
	"time"
)

// Options says how a Server behaves. A zero duration or number means its default.
type Options struct {
	Executor Executor
	Auth     Authenticator

	// Origins are the foreign web origins ("https://inbox.example.com") whose pages may open a WebSocket. The request's own
	// host is always allowed, and so is a request without Origin: that is a program, which has no cookie to abuse.
	Origins []string

	// Revoked, if set, is called once per connection after authentication. It keeps revoke and calls it when the
	// principal of ctx loses access: the connection then ends at once (4403) instead of at the next Check. stop ends that.
	Revoked func(ctx context.Context, revoke func()) (stop func())

	InitTimeout   time.Duration // from accept to connection_init, and again to the end of Connect; 5 s
	CheckInterval time.Duration // between two Checks; 30 s
	PingInterval  time.Duration // between two pings; a missing pong is noticed at the next: 4 s
	WriteTimeout  time.Duration // a client that takes nothing for so long is slow; 5 s
	CloseGrace    time.Duration // from a close frame to the end of the TCP connection; 3 s
	Heartbeat     time.Duration // between two comments of an event stream; 12 s

	MaxMessage       int64 // bytes of one incoming message or request body; 1 MiB
	MaxSubscriptions int   // running operations of one socket; 500
	MaxSingles       int   // queries and mutations of one socket that are made at a time, the others wait; 4
	// MaxQueue is how many bytes may wait for one socket; 768 KiB. With the kernel's send buffer (SendBuffer, which Linux
	// doubles) at most 1 MiB is held for a client that stops reading.
	MaxQueue       int
	SendBuffer     int // SO_SNDBUF of a WebSocket; 128 KiB
	MaxConnections int // connections of this node; 0: no limit

	Metrics Metrics
	Logger  *slog.Logger // slog.Default() if nil
}

// Metrics is told what happens. Any function may be nil; they are called from many goroutines and must not block.
type Metrics struct {
	Opened    func(transport string)           // "ws" or "sse"
	Closed    func(transport string, code int) // the close code sent or received; 1006 if there was none
	Operation func(transport string, delta int)
	Sent      func(transport string, bytes int)
}

func (o Options) withDefaults() Options {
	def(&o.InitTimeout, 5*time.Second)
	def(&o.CheckInterval, 30*time.Second)
	def(&o.PingInterval, 4*time.Second)
	def(&o.WriteTimeout, 5*time.Second)
	def(&o.CloseGrace, 3*time.Second)
	def(&o.Heartbeat, 12*time.Second)
	def(&o.MaxMessage, 1<<20)
	def(&o.MaxSubscriptions, 500)
	def(&o.MaxSingles, 4)
	def(&o.MaxQueue, 768<<10)
	def(&o.SendBuffer, 128<<10)
	if o.Revoked == nil {
		o.Revoked = func(context.Context, func()) func() { return func() {} }
	}
	if o.Metrics.Opened == nil {
		o.Metrics.Opened = func(string) {}
	}
	if o.Metrics.Closed == nil {
		o.Metrics.Closed = func(string, int) {}
	}
	if o.Metrics.Operation == nil {
		o.Metrics.Operation = func(string, int) {}
	}
	if o.Metrics.Sent == nil {
		o.Metrics.Sent = func(string, int) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// def sets *p to v if it is zero.
func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
