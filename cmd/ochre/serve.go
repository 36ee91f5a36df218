package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

type serveCommand struct {
	Migrate bool `help:"Bring the database's schema up to date first."`
}

// Run implements the command.
func (s *serveCommand) Run(ctx context.Context, out *streams) error {
	c, err := configFromEnv()
	if err != nil {
		return err
	}
	log := newLogger(out.err)
	if s.Migrate {
		if err := migrate(ctx, c.DatabaseURL, log); err != nil && ctx.Err() == nil {
			return err
		}
	}
	err = serve(ctx, c, log)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to end before it began
	}
	return err
}

func serve(ctx context.Context, c config, log *slog.Logger) error {
	n, err := newNode(ctx, c, log)
	if err != nil {
		return err
	}
	l, err := listen(ctx, c.Addr)
	if err == nil && c.MetricsAddr != "" {
		if n.metrics, err = listen(ctx, c.MetricsAddr); err != nil {
			_ = l.Close()
		}
	}
	if err != nil {
		n.shut()
		return err
	}
	return n.run(ctx, l)
}

// newLogger writes JSON lines from logLevel upwards.
func newLogger(w io.Writer) *slog.Logger {
	level, _ := logLevel() // was checked before
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
