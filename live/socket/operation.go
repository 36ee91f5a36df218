package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// operation is a subscribe message at work.
type operation struct {
	single  bool // a query or mutation that has its turn; set and read by its own goroutine
	id      string
	request Operation
	ctx     context.Context
	cancel  context.CancelFunc
	next    []byte // envelope of its `next` messages, up to the payload
	stopped bool   // under the session's mu: completed by the client, or the session is closing
}

// errorFrame is an `error` message. The protocol sends no `complete` after it.
func errorFrame(id string, errs []*gqlerror.Error) frame {
	return textFrame(nil, append(envelope(id, "error"), `,"payload":`...), encodeErrors(errs), "}")
}

// subscribe starts an operation. s.mu is held.
func (s *session) subscribe(m message) {
	if !s.acked {
		s.fail(codeUnauthorized, "Unauthorized")
		return
	}
	request, err := parseOperation(m.payload)
	if err != nil {
		s.fail(codeBadMessage, err.Error())
		return
	}
	if s.ops[m.id] != nil {
		s.fail(codeDuplicate, fmt.Sprintf("Subscriber for %s already exists", m.id))
		return
	}
	// Operations that were completed but have not ended yet count too, at twice the limit: starting and completing
	// in a loop must not pile up goroutines.
	if limit := s.srv.o.MaxSubscriptions; len(s.ops) >= limit || s.running >= 2*limit {
		text := fmt.Sprintf("A socket may run %d operations at a time.", limit)
		s.push(errorFrame(m.id, present(ochre.Errorf(ochre.CodeTooManySubscriptions, "%s", text))))
		return
	}
	op := &operation{id: m.id, request: request, next: append(envelope(m.id, "next"), `,"payload":`...)}
	op.ctx, op.cancel = context.WithCancel(s.ctx)
	s.ops[m.id] = op
	s.running++
	s.done.Go(func() { s.run(op) })
}

// run executes an operation to its end.
func (s *session) run(op *operation) {
	s.srv.o.Metrics.Operation("ws", 1)
	defer func() {
		if p := recover(); p != nil {
			s.srv.o.Logger.Error("socket: panic", "doing", "operation", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.finish(op, errorFrame(op.id, present(ochre.Errorf(ochre.CodeInternal, "internal error"))))
		}
		op.cancel()
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
		s.srv.o.Metrics.Operation("ws", -1)
	}()
	stream, errs := s.srv.o.Executor.Start(op.ctx, op.request)
	if len(errs) > 0 {
		s.finish(op, errorFrame(op.id, errs))
		return
	}
	defer stream.Close()
	if op.single = stream.Single(); op.single {
		if !s.takeTurn(op) {
			return
		}
		defer s.endTurn()
	}
	for s.awaitRoom(op) {
		payload, err := stream.Next(op.ctx)
		switch {
		case err == nil:
			s.pushResult(textFrame(op, op.next, payload, "}"), stream.Single())
		case s.over(op):
			return
		case errors.Is(err, io.EOF):
			s.finish(op, textFrame(nil, envelope(op.id, "complete"), nil, "}"))
			return
		case errors.Is(err, ErrSlowConsumer):
			s.close(codeTryLater, "Slow consumer")
			return
		case errors.Is(err, ErrInterrupted):
			s.close(codeTryLater, "Try again later")
			return
		default:
			s.finish(op, errorFrame(op.id, present(err)))
			return
		}
	}
}

// takeTurn waits until fewer than MaxSingles queries and mutations are at work. It is false once the operation is over.
func (s *session) takeTurn(op *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !op.stopped && s.singles >= s.srv.o.MaxSingles {
		s.room.Wait()
	}
	if op.stopped {
		return false
	}
	s.singles++
	return true
}

func (s *session) endTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singles--
	s.room.Broadcast()
}

// finish sends the operation's last message, unless it is over already. From then on its id is free.
func (s *session) finish(op *operation, last frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for op.single && !op.stopped && !s.fits(last) { // another query's large result came before the end of this one
		s.room.Wait()
	}
	if op.stopped {
		return
	}
	delete(s.ops, op.id)
	s.push(last)
}

// over says whether the operation was stopped, so that the error it ended with is only the echo of that.
func (s *session) over(op *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return op.stopped
}

// stop ends an operation of s.ops without another message and frees its id. s.mu is held.
func (s *session) stop(op *operation) {
	op.stopped = true
	delete(s.ops, op.id)
	op.cancel()
	s.room.Broadcast()
}
