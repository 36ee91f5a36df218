package socket

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// maxSendBuffer is asked of the kernel for a socket that is being closed; it gives what net.core.wmem_max allows.
const maxSendBuffer = 1 << 20

// wire is the connection that coder/websocket sees. That library reads, checks and answers frames here; whatever it
// writes (a pong, a close frame: always one whole control frame) joins the session's queue. So a read never waits for
// a client that does not read, and one goroutine does all the writing. It also can't write messages by itself: its
// writes close the connection in mid-frame when their time is over, and then no close code can follow.
type wire struct {
	net.Conn
	s *session
}

func (w wire) Write(p []byte) (int, error) {
	w.s.control(append([]byte(nil), p...))
	return len(p), nil
}

// Close ends reading only: what is queued is still written, and the session closes the connection.
func (w wire) Close() error { return w.SetReadDeadline(time.Unix(1, 0)) }

// upgrade is a ResponseWriter whose Hijack gives the session its connection, and coder/websocket a wire to it.
type upgrade struct {
	http.ResponseWriter
	s *session
}

func (u upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.s.conn = c
	setSendBuffer(c, u.s.srv.o.SendBuffer)
	w := wire{c, u.s}
	rw.Writer.Reset(w)
	return w, rw, nil
}

// setSendBuffer sets the kernel's send buffer below c, if there is one. Raising it wakes a blocked write.
func setSendBuffer(c net.Conn, n int) {
	for {
		switch t := c.(type) {
		case interface{ SetWriteBuffer(int) error }:
			_ = t.SetWriteBuffer(n) // a hint: without it the kernel's own bound holds
			return
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return
		}
	}
}
