package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// ServeSSE serves one operation as an event stream: `next` events, then `complete`. The request must be authenticated
// already; its context is what the operation runs under and what Authenticator.Check is asked about.
//
// A request that is no GraphQL request gets its HTTP status (400, 405, 406, 413, 415) as requestFrom says, a mutation by
// GET 405. Errors of the GraphQL document come in a `next` event of an accepted stream, as the protocol demands: a
// browser's EventSource shows nobody the body of a 400. A stream that ends without `complete` was cut (restart, access
// or source lost, slow reader), and its client is to reconnect.
func (s *Server) ServeSSE(w http.ResponseWriter, r *http.Request) {
	op, refusal := s.requestFrom(w, r)
	if refusal != nil {
		refusal.write(w)
		return
	}
	if s.full(w) {
		return
	}
	e := &eventStream{srv: s, w: w, rc: http.NewResponseController(w)}
	e.ctx, e.cancel = context.WithCancel(r.Context())
	defer e.cancel()
	if !s.add(e) {
		refuseConnection(w)
		return
	}
	defer s.remove(e)
	s.o.Metrics.Opened("sse")
	defer s.o.Metrics.Closed("sse", 0)
	s.o.Metrics.Operation("sse", 1)
	defer s.o.Metrics.Operation("sse", -1)
	e.serve(op)
}

// eventStream is one response. Its handler writes; a second goroutine waits for results, so at most two are held.
type eventStream struct {
	srv    *Server
	w      http.ResponseWriter
	rc     *http.ResponseController
	ctx    context.Context
	cancel context.CancelFunc
}

func (e *eventStream) drain() { e.cancel() }
func (e *eventStream) kill()  { e.cancel() }

// result is what Stream.Next returned.
type result struct {
	payload []byte
	err     error
}

func (e *eventStream) serve(op Operation) {
	stream, errs := e.start(op)
	if len(errs) > 0 && errors.Is(errs[0], ErrReadOnly) {
		(&refusal{http.StatusMethodNotAllowed, "A mutation needs POST.", "POST"}).write(e.w)
		return
	}
	results := make(chan result)
	pulled := make(chan struct{})
	if len(errs) > 0 {
		close(pulled)
	} else {
		go func() {
			defer close(pulled)
			e.pull(stream, results)
		}()
	}
	defer func() {
		e.cancel()
		<-pulled
	}()
	if !e.open() {
		return
	}
	if len(errs) > 0 {
		e.refuse(errs)
		return
	}
	stop := e.srv.o.Revoked(e.ctx, e.cancel)
	defer stop()
	e.deliver(results)
}

// start calls the Executor.
func (e *eventStream) start(op Operation) (stream Stream, errs []*gqlerror.Error) {
	defer func() {
		if p := recover(); p != nil {
			stream, errs = nil, e.panicked(p)
		}
	}()
	return e.srv.o.Executor.Start(e.ctx, op)
}

// pull hands results over, the last of them an error, until the stream ends or the response does.
func (e *eventStream) pull(stream Stream, results chan<- result) {
	var last result
	defer func() {
		if p := recover(); p != nil {
			last.err = gqlerror.List(e.panicked(p))
		}
		select {
		case results <- last:
		case <-e.ctx.Done():
		}
		stream.Close()
	}()
	for {
		payload, err := stream.Next(e.ctx)
		if err != nil {
			last.err = err
			return
		}
		select {
		case results <- result{payload: payload}:
		case <-e.ctx.Done():
			last.err = e.ctx.Err()
			return
		}
	}
}

func (e *eventStream) panicked(p any) []*gqlerror.Error {
	e.srv.o.Logger.Error("socket: panic", "doing", "operation", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return present(ochre.Errorf(ochre.CodeInternal, "internal error"))
}

// open sends the header and a first comment, so that proxies and clients see at once that the stream is there.
func (e *eventStream) open() bool {
	// The server's time-out is for responses that end; each write below has its own.
	if e.rc.SetWriteDeadline(time.Time{}) != nil {
		newRefusal(http.StatusInternalServerError, "This connection can't stream.").write(e.w)
		return false
	}
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
	return e.write([]byte(":\n\n"))
}

// deliver writes results and heartbeats until one side ends.
func (e *eventStream) deliver(results <-chan result) {
	heartbeat := time.NewTicker(e.srv.o.Heartbeat)
	defer heartbeat.Stop()
	check := time.NewTicker(e.srv.o.CheckInterval)
	defer check.Stop()
	for ok := true; ok; {
		select {
		case <-e.ctx.Done():
			return
		case res := <-results:
			ok = e.result(res)
		case <-heartbeat.C:
			ok = e.write([]byte(":\n\n"))
		case <-check.C:
			ok = e.srv.welcome(e.ctx)
		}
	}
}

// result writes one result, and is false after the last.
func (e *eventStream) result(res result) bool {
	switch {
	case res.err == nil:
		return e.write(nextEvent(res.payload))
	case errors.Is(res.err, io.EOF):
		e.write([]byte("event: complete\ndata:\n\n"))
	case errors.Is(res.err, ErrSlowConsumer), errors.Is(res.err, ErrInterrupted), e.ctx.Err() != nil:
	default:
		e.refuse(present(res.err))
	}
	return false
}

// refuse ends the stream with errors that kept the operation from running.
func (e *eventStream) refuse(errs []*gqlerror.Error) {
	payload := append(append([]byte(`{"errors":`), encodeErrors(errs)...), '}')
	e.write(append(nextEvent(payload), "event: complete\ndata:\n\n"...))
}

// write sends p now, within WriteTimeout.
func (e *eventStream) write(p []byte) bool {
	if e.rc.SetWriteDeadline(time.Now().Add(e.srv.o.WriteTimeout)) != nil {
		return false
	}
	if _, err := e.w.Write(p); err != nil {
		return false
	}
	if e.rc.Flush() != nil {
		return false
	}
	e.srv.o.Metrics.Sent("sse", len(p))
	// HTTP/2 resets a stream whose deadline passes while nothing is written.
	return e.rc.SetWriteDeadline(time.Time{}) == nil
}

// nextEvent is the event for an ExecutionResult. A line break between two tokens of its JSON starts a further data line.
func nextEvent(payload []byte) []byte {
	b := make([]byte, 0, len(payload)+32)
	b = append(b, "event: next\n"...)
	for len(payload) > 0 {
		line := payload
		if i := bytes.IndexAny(payload, "\r\n"); i >= 0 {
			line, payload = payload[:i], payload[i+1:]
		} else {
			payload = nil
		}
		if len(line) > 0 {
			b = append(append(append(b, "data: "...), line...), '\n')
		}
	}
	return append(b, '\n')
}
