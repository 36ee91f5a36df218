package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// How long a connection may be idle, and how long a node that is told to end may take.
const (
	idleLimit  = 2 * time.Minute
	drainLimit = 9 * time.Second // SIGTERM to exit is 10 s
)

// Run serves on a listener until ctx ends, then drains: it takes no new connections, /readyz says so on those that are left, sockets
// are closed with 1012, requests at work finish. What is not done within 9 s is cut. nil means that ctx ended and all went well.
func Run(ctx context.Context, l net.Listener, s *Server, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.headerLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what strangers do to connections
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	log.Info("draining")
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(limit) }()
	err := srv.Shutdown(limit)
	err = errors.Join(err, <-drained)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain: %w", err), srv.Close())
	}
	if serving := <-failed; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}
