package socket

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

const subprotocol = "graphql-transport-ws"

// ServeWS upgrades the request and serves graphql-transport-ws until the connection is over. It answers 403 to a foreign
// Origin, 400 to a client that does not offer the subprotocol, 426 to a request that is no upgrade, and 503 while the
// node is full or draining.
func (s *Server) ServeWS(w http.ResponseWriter, r *http.Request) {
	if !s.originAllowed(r) {
		http.Error(w, "This origin may not open a WebSocket here.", http.StatusForbidden)
		return
	}
	if !offers(r, subprotocol) {
		http.Error(w, "The WebSocket subprotocol must be "+subprotocol+".", http.StatusBadRequest)
		return
	}
	if s.full(w) {
		return
	}
	c := newSession(s, r)
	defer c.cancel()
	ws, err := websocket.Accept(upgrade{w, c}, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // the origin was checked above
		OnPongReceived:     func(context.Context, []byte) { c.ponged() },
	})
	if err != nil {
		return // answered by Accept
	}
	ws.SetReadLimit(-1) // read has its own, whose close frame can still be sent
	c.start(ws)
	if s.add(c) {
		defer s.remove(c)
	} else {
		c.drain()
	}
	c.serve()
}

// originAllowed says whether the page that the request comes from, if any, may use this server.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" { // "null" is a sandboxed page
		return false
	}
	return strings.EqualFold(u.Host, r.Host) ||
		slices.ContainsFunc(s.o.Origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) })
}

// offers says whether the client offers the subprotocol.
func offers(r *http.Request, protocol string) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(p) == protocol {
				return true
			}
		}
	}
	return false
}

// refuseConnection answers for a node that takes no further connection.
func refuseConnection(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "This node takes no further connections now.", http.StatusServiceUnavailable)
}
