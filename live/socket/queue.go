package socket

import (
	"net"
	"time"
)

const (
	frameOverhead = 64       // bytes that a queued frame costs besides its own
	maxBatch      = 32 << 10 // bytes of queued frames joined into one write
)

// frame is one WebSocket frame: header and envelope of this socket, payload shared with others, closing text.
type frame struct {
	op   *operation // whose result it is; nil for control frames and protocol messages
	head []byte
	body []byte
	tail string
}

func (f frame) size() int { return len(f.head) + len(f.body) + len(f.tail) }
func (f frame) cost() int { return f.size() + frameOverhead }

// textFrame is a text frame whose payload is head, body and tail.
func textFrame(op *operation, head, body []byte, tail string) frame {
	h := append(textHeader(len(head)+len(body)+len(tail), len(head)), head...)
	return frame{op, h, body, tail}
}

// fits says whether there is room for f. A message larger than the whole queue fits into a nearly empty one. s.mu is held.
func (s *session) fits(f frame) bool {
	limit := s.srv.o.MaxQueue
	return s.held+f.cost() <= limit || s.held <= limit/8
}

// push queues a frame that nobody may wait for. A queue without room for it ends the session: its client asks for
// more than it reads. s.mu is held.
func (s *session) push(f frame) {
	if s.closing {
		return
	}
	if !s.fits(f) {
		s.closeLocked(codeTryLater, "Slow consumer", s.srv.o.CloseGrace)
		return
	}
	s.held += f.cost()
	s.queue = append(s.queue, f)
	s.wakeWriter()
}

// pushResult queues a result, and waits for room if there is none. Those of queries and mutations all may wait: their number
// is limited. Of subscriptions' results one at a time may, a second that finds no room ends the session, so that little is held
// beyond the queue. The result of a stopped operation is dropped.
func (s *session) pushResult(f frame, single bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for single && !f.op.stopped && !s.fits(f) {
		s.room.Wait()
	}
	if !s.fits(f) && !s.waiting {
		s.waiting = true
		for !f.op.stopped && !s.fits(f) {
			s.room.Wait()
		}
		s.waiting = false
	}
	if !f.op.stopped {
		s.push(f)
	}
}

// awaitRoom waits until the queue is at most half full, so that a burst is made as fast as its client reads it. It is
// false once the operation is over.
func (s *session) awaitRoom(op *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !op.stopped && s.held > s.srv.o.MaxQueue/2 {
		s.room.Wait()
	}
	return !op.stopped
}

// take gives the next frames to write and their cost. Results of stopped operations are left out. s.mu is held.
func (s *session) take() (bufs net.Buffers, size, cost int) {
	n := 0
	for _, f := range s.queue {
		if size > 0 && size+f.size() > maxBatch {
			break
		}
		n++
		if f.op != nil && f.op.stopped {
			s.held -= f.cost()
			continue
		}
		size, cost = size+f.size(), cost+f.cost()
		bufs = append(bufs, f.head)
		if len(f.body) > 0 {
			bufs = append(bufs, f.body)
		}
		if f.tail != "" {
			bufs = append(bufs, []byte(f.tail))
		}
	}
	clear(s.queue[:n])
	s.queue = s.queue[n:]
	return bufs, size, cost
}

func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default: // already woken
	}
}

// write is the session's only writer. It ends after the close frame, or when the connection breaks.
func (s *session) write() {
	defer close(s.written)
	ping := time.NewTicker(s.srv.o.PingInterval)
	defer ping.Stop()
	for s.flush() {
		select {
		case <-s.wake:
		case <-ping.C:
			s.ping()
		}
	}
}

// flush writes what is queued, and at last the close frame. It is false when nothing more is to be written.
func (s *session) flush() bool {
	for {
		s.mu.Lock()
		bufs, size, cost := s.take()
		if size == 0 { // all of it, if anything was queued, was of stopped operations
			closing, last := s.closing, s.last
			s.mu.Unlock()
			if closing && last != nil {
				_, _ = s.conn.Write(last) // under the deadline that closeLocked set; the connection ends either way
			}
			return !closing
		}
		if !s.closing {
			s.stall.Reset(s.srv.o.WriteTimeout)
		}
		s.mu.Unlock()

		_, err := bufs.WriteTo(s.conn)

		s.mu.Lock()
		s.stall.Stop()
		s.held -= cost
		s.room.Broadcast()
		if err != nil {
			s.closeLocked(codeNoStatus, "", 0)
		}
		s.mu.Unlock()
		if err != nil {
			return false
		}
		s.srv.o.Metrics.Sent("ws", size)
	}
}

// ping sends a ping, unless the last one is unanswered: then nobody reads at the other end.
func (s *session) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinged {
		s.closeLocked(codeTryLater, "No pong", 0)
		return
	}
	s.pinged = true
	s.push(frame{head: []byte{framePing, 0}})
}

// ponged notes that the peer answered a ping.
func (s *session) ponged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinged = false
}
