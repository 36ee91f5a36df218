package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// session is one WebSocket. Its reader is the HTTP handler's goroutine, its writer a second one, and each running
// operation has one; serve returns when all of them are gone.
type session struct {
	srv  *Server
	r    *http.Request
	conn net.Conn
	ws   *websocket.Conn

	wake    chan struct{} // to the writer: something is queued, or the session is closing
	written chan struct{} // closed when the writer is gone
	done    sync.WaitGroup

	mu   sync.Mutex
	room *sync.Cond // the queue shrank, an operation stopped, or the session is closing

	ctx         context.Context // what operations run under; Connect's once acked
	cancel      context.CancelFunc
	initialised bool
	acked       bool
	ops         map[string]*operation // by id, those whose end the client has not seen
	running     int                   // operations whose goroutine lives, also after the client's `complete`
	singles     int                   // queries and mutations at work

	queue   []frame
	held    int  // cost of the queue and of what is being written
	waiting bool // a result waits for room
	pinged  bool // a ping is unanswered
	closing bool
	code    int    // close code, once closing
	last    []byte // close frame, once closing; nil if there is none to send
	stall   *time.Timer
	init    *time.Timer
	check   *time.Timer

	unwatch func() // ends Options.Revoked; connect's until it is done
}

func newSession(srv *Server, r *http.Request) *session {
	s := &session{srv: srv, r: r, wake: make(chan struct{}, 1), written: make(chan struct{}), ops: map[string]*operation{}}
	s.room = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(r.Context())
	return s
}

// start begins the session on an accepted connection.
func (s *session) start(ws *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ws = ws
	s.stall = time.AfterFunc(s.srv.o.WriteTimeout, func() { s.close(codeTryLater, "Slow consumer") })
	s.stall.Stop()
	s.init = time.AfterFunc(s.srv.o.InitTimeout, s.initTimeout)
}

// serve runs the session until its connection is over.
func (s *session) serve() {
	s.srv.o.Metrics.Opened("ws")
	orphaned := context.AfterFunc(s.r.Context(), s.drain) // the HTTP server's base context ended
	defer orphaned()

	go s.write()
	s.read()
	s.mu.Lock()
	s.closeLocked(codeNoStatus, "", 0) // if nobody did
	code := s.code
	s.mu.Unlock()
	<-s.written
	s.conn.Close()
	_ = s.ws.CloseNow() // gives its buffers back
	s.done.Wait()
	if s.unwatch != nil {
		s.unwatch()
	}
	s.srv.o.Metrics.Closed("ws", code)
}

// read handles messages until the peer is gone, or the grace after a close frame of ours is over.
func (s *session) read() {
	for {
		// No deadline in the context: it would close the connection. closeLocked sets one on the connection.
		typ, r, err := s.ws.Reader(context.Background())
		if err != nil {
			s.readFailed(err)
			return
		}
		data, err := io.ReadAll(io.LimitReader(r, s.srv.o.MaxMessage+1))
		if err == nil && int64(len(data)) > s.srv.o.MaxMessage {
			s.close(codeTooBig, "Message too big")
			_, err = io.Copy(io.Discard, r) // read on: unread data would turn the close into a reset
		}
		if err != nil {
			s.readFailed(err)
			return
		}
		s.receive(typ, data)
	}
}

// readFailed closes with 1002 if the peer broke the framing. Elsewhere the connection is over, or a close frame is queued.
func (s *session) readFailed(err error) {
	var netErr net.Error
	if websocket.CloseStatus(err) == -1 && !errors.As(err, &netErr) && !errors.Is(err, io.EOF) &&
		!errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) {
		s.close(codeProtocol, "Protocol error")
		_, _ = io.Copy(io.Discard, s.conn) // until the deadline: unread data would turn the close into a reset
	}
}

// receive handles one message. It never blocks: what takes time has its own goroutine.
func (s *session) receive(typ websocket.MessageType, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	if typ != websocket.MessageText {
		s.fail(codeBadMessage, "Message is not text")
		return
	}
	if !utf8.Valid(data) {
		s.fail(codeBadText, "Message is not UTF-8")
		return
	}
	m, err := parseMessage(data)
	if err != nil {
		s.fail(codeBadMessage, err.Error())
		return
	}
	switch m.typ {
	case "connection_init":
		s.connectionInit(m)
	case "ping":
		pong := []byte(`{"type":"pong"`)
		if m.payload != nil {
			pong = append(append(pong, `,"payload":`...), m.payload...)
		}
		s.push(textFrame(nil, pong, nil, "}"))
	case "subscribe":
		s.subscribe(m)
	case "complete":
		if op := s.ops[m.id]; op != nil {
			s.stop(op)
		}
	}
}

// control takes a control frame that coder/websocket answers with.
func (s *session) control(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) > 0 && p[0] == frameClose {
		code := codeNoStatus
		if len(p) >= 4 {
			code = int(p[2])<<8 | int(p[3])
		}
		first := !s.closing
		s.closeLocked(code, "", s.srv.o.CloseGrace)
		if first {
			s.last = p
		}
		return
	}
	s.push(frame{head: p})
}

// recovered turns a panic of the code behind an interface into 1011.
func (s *session) recovered(doing string) {
	if p := recover(); p != nil {
		s.srv.o.Logger.Error("socket: panic", "doing", doing, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		s.close(codeInternal, "Internal error")
	}
}

func (s *session) drain() { s.close(codeRestart, "Service restart") }

func (s *session) kill() {
	s.drain()
	s.conn.Close()
}

// close begins to close the connection with code, if nothing else did before.
func (s *session) close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(code, reason)
}

// fail is close with s.mu held.
func (s *session) fail(code int, reason string) { s.closeLocked(code, reason, s.srv.o.CloseGrace) }

// closeLocked stops everything: what is queued is dropped, the frame being written may end, then comes the close frame,
// and within grace the connection is over. Without grace the peer's answer is not awaited. s.mu is held.
func (s *session) closeLocked(code int, reason string, grace time.Duration) {
	if s.closing {
		return
	}
	s.closing, s.code = true, code
	if code != codeNoStatus {
		s.last = closeFrame(code, reason)
	}
	for _, f := range s.queue {
		s.held -= f.cost()
	}
	s.queue = nil
	for _, op := range s.ops {
		s.stop(op)
	}
	s.stall.Stop()
	s.init.Stop()
	if s.check != nil {
		s.check.Stop()
	}
	s.cancel()
	// Room in the kernel for the rest of a frame and the close frame, so that also a client that reads again only
	// after the connection is gone learns the code.
	setSendBuffer(s.conn, maxSendBuffer)
	_ = s.conn.SetWriteDeadline(time.Now().Add(max(grace, time.Second))) // fails only on a closed connection
	_ = s.conn.SetReadDeadline(time.Now().Add(grace))
	s.room.Broadcast()
	s.wakeWriter()
}
