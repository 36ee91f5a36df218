package socket

import (
	"context"
	"time"

	"github.com/ochrehq/ochre"
)

// connectionInit begins to authenticate. s.mu is held.
func (s *session) connectionInit(m message) {
	if s.initialised {
		s.fail(codeSecondInit, "Too many initialisation requests")
		return
	}
	s.initialised = true
	s.init.Reset(s.srv.o.InitTimeout) // now for Connect
	ctx := s.ctx
	s.done.Go(func() { s.connect(ctx, m.payload) })
}

// connect authenticates and acknowledges.
func (s *session) connect(ctx context.Context, payload []byte) {
	defer s.recovered("connect")
	authed, err := s.srv.o.Auth.Connect(ctx, s.r, payload)
	if err != nil {
		if ochre.CodeOf(err) == ochre.CodeUnavailable {
			s.close(codeTryLater, "Try again later")
		} else {
			s.close(codeForbidden, "Forbidden")
		}
		return
	}
	s.unwatch = s.srv.o.Revoked(authed, func() { s.close(codeForbidden, "Forbidden") })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.init.Stop()
	s.ctx, s.acked = authed, true
	s.check = time.AfterFunc(s.srv.o.CheckInterval, s.checkAuth)
	s.push(textFrame(nil, []byte(`{"type":"connection_ack"}`), nil, ""))
}

// checkAuth is run by the check timer.
func (s *session) checkAuth() {
	defer s.recovered("check")
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return
	}
	ctx := s.ctx
	s.done.Add(1) // before serve waits: it does so only once closing
	s.mu.Unlock()
	defer s.done.Done()
	if !s.srv.welcome(ctx) {
		s.close(codeForbidden, "Forbidden")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.check.Reset(s.srv.o.CheckInterval)
	}
}

// initTimeout is run by the init timer: no connection_init came, or Connect does not end.
func (s *session) initTimeout() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.acked:
	case s.initialised:
		s.fail(codeTryLater, "Try again later")
	default:
		s.fail(codeInitTimeout, "Connection initialisation timeout")
	}
}
