// Package socket carries GraphQL operations to browsers and programs that stay: graphql-transport-ws over WebSocket
// (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md) and the "distinct connections" mode of GraphQL over
// Server-Sent Events (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md).
//
// A slow client hurts only itself: each socket has one reader, one writer and one bounded queue. The reader never waits
// for the writer, no write outlives its deadline, and who does not keep up is closed with 1013 and resumes by cursor.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// Operation is one GraphQL request as a client sent it. Variables and Extensions are a JSON object, or nil.
type Operation struct {
	Query         string
	OperationName string
	Variables     json.RawMessage
	Extensions    json.RawMessage
	// ReadOnly refuses a mutation with ErrReadOnly: the request came by GET, which may change nothing.
	ReadOnly bool
}

// ErrReadOnly is wrapped by the error that Start returns for a mutation in a ReadOnly operation.
var ErrReadOnly = errors.New("a mutation needs POST")

// ErrSlowConsumer is what Stream.Next returns when its reader fell too far behind to be served without a gap. The
// socket is closed with 1013; the client comes back with its cursor.
var ErrSlowConsumer = errors.New("slow consumer")

// Executor runs operations. Start may take as long as it needs; it is never called from a socket's reader.
// Errors mean that execution never began: they go to the client as they are, so they must be presented already.
type Executor interface {
	Start(ctx context.Context, op Operation) (Stream, []*gqlerror.Error)
}

// Stream is the results of one operation: one for a query or mutation, any number for a subscription.
//
// Next blocks until a result is there and returns it as an encoded ExecutionResult that nobody changes afterwards: the
// same bytes may be on their way to many sockets. io.EOF ends the stream, a gqlerror.List is a request error (an
// operation that failed before its first result), ErrSlowConsumer and ErrInterrupted close the connection. The context is Start's, or
// one derived from it. Close releases the stream; it is called once, after the last Next has returned.
//
// Single tells whether there is one result at most, which begins to be made when Next is called: a query or a mutation. A socket calls
// Next of a few such streams at a time.
type Stream interface {
	Next(ctx context.Context) (payload []byte, err error)
	Single() bool
	Close()
}

// Authenticator decides who is behind a connection.
//
// Connect gets connection_init's payload (a JSON object, or nil) and returns the context, derived from the given one,
// that operations run under. The HTTP request may have been authenticated already, by its cookie: then the context says so.
// Check asks whether that context's principal is still welcome. An error closes the connection: with 1013 ("Try again
// later") from Connect and not at all from Check if its code is UNAVAILABLE, since nobody could tell, else with 4403.
type Authenticator interface {
	Connect(ctx context.Context, r *http.Request, initPayload json.RawMessage) (context.Context, error)
	Check(ctx context.Context) error
}

// Server serves both transports. Its methods may be called at once from any goroutine.
type Server struct {
	o Options

	mu       sync.Mutex
	draining bool
	conns    map[conn]struct{}
	idle     chan struct{} // closed once draining and the last connection is gone
}

// conn is a live connection of either transport.
type conn interface {
	// drain tells the client to come back elsewhere and ends the connection soon.
	drain()
	// kill ends the connection without another word.
	kill()
}

// New returns a Server. It panics without an Executor or Authenticator: both are wiring, not input.
func New(o Options) *Server {
	if o.Executor == nil || o.Auth == nil {
		panic("socket: Options.Executor and Options.Auth are required")
	}
	return &Server{o: o.withDefaults(), conns: map[conn]struct{}{}, idle: make(chan struct{})}
}

// Drain refuses new connections (503), closes the WebSockets with 1012 "Service restart", ends event streams without
// `complete` (so that their clients reconnect), and waits. When ctx ends first, what is left is cut and ctx's error returned.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		if len(s.conns) == 0 {
			close(s.idle)
		}
	}
	conns := s.snapshot()
	s.mu.Unlock()
	for _, c := range conns {
		c.drain()
	}
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	conns = s.snapshot()
	s.mu.Unlock()
	for _, c := range conns {
		c.kill()
	}
	return ctx.Err()
}

// Len is the number of open connections.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) snapshot() []conn {
	conns := make([]conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// welcome asks Check. Where nobody can tell within CheckInterval, the answer is yes until the next time.
func (s *Server) welcome(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, s.o.CheckInterval)
	defer cancel()
	err := s.o.Auth.Check(ctx)
	return err == nil || ochre.CodeOf(err) == ochre.CodeUnavailable || ctx.Err() != nil
}

// full answers 503 and says so when the node takes no further connection.
func (s *Server) full(w http.ResponseWriter) bool {
	s.mu.Lock()
	full := s.draining || s.o.MaxConnections > 0 && len(s.conns) >= s.o.MaxConnections
	s.mu.Unlock()
	if full {
		refuseConnection(w)
	}
	return full
}

// add registers c, or says that the node became full or began to drain meanwhile.
func (s *Server) add(c conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || s.o.MaxConnections > 0 && len(s.conns) >= s.o.MaxConnections {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.draining && len(s.conns) == 0 {
		close(s.idle)
	}
}
