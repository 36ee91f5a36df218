package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ochrehq/ochre/slacksim"
)

type slacksimCommand struct {
	Addr      hostPort `default:"127.0.0.1:8081" help:"Where to listen." placeholder:"HOST:PORT"`
	EventsURL string   `name:"events-url" help:"Where to send events, such as http://127.0.0.1:8080/slack/events." placeholder:"URL"`
	DataDir   string   `name:"data-dir" help:"Where to keep the world; left out: in memory." placeholder:"DIR"`
	FastRetry bool     `name:"fast-retry" help:"Retry deliveries within seconds instead of minutes."`
}

// Run implements the command.
func (s *slacksimCommand) Run(ctx context.Context, out *streams) error {
	if s.EventsURL != "" {
		if err := checkURL("--events-url", s.EventsURL, webSchemes); err != nil {
			return usageError{err}
		}
	}
	l, err := listen(ctx, string(s.Addr))
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the server closes it too
	log := slog.New(slog.NewTextHandler(out.err, nil))
	c := slacksim.Config{EventsURL: s.EventsURL, DataDir: s.DataDir, Logger: log, BaseURL: "http://" + reachable(l.Addr())}
	if s.FastRetry {
		c.RetryDelays = []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second}
	}
	sim, err := slacksim.New(c)
	if err != nil {
		return err
	}
	// Pages that are open end with ctx.
	srv := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	log.Info("slack simulator", "url", c.BaseURL)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := srv.Shutdown(limit); err != nil {
		_ = srv.Close() // who still asks after that was warned by ctx
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return sim.Close(last)
}
