package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/ochrehq/ochre/store"
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
		if err := migrate(ctx, c.DatabaseURL, log); err != nil {
			return err
		}
	}
	n, err := newNode(ctx, c, log)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		n.shut()
		return fmt.Errorf("listen on %s: %w", c.Addr, err)
	}
	return n.run(ctx, l)
}

// newLogger writes JSON lines. OCHRE_LOG_LEVEL is debug, info (the default), warn or error.
func newLogger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv("OCHRE_LOG_LEVEL"))); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// migrate waits for the database and brings its schema up to date.
func migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	s, err := store.Open(ctx, databaseURL, store.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := waitForDatabase(ctx, s, databaseURL, log); err != nil {
		return err
	}
	return store.Migrate(ctx, databaseURL)
}
