package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ochrehq/ochre/store"
)

// How long a command waits at start for its database, and for one answer of it.
const (
	databaseWait = 30 * time.Second
	pingLimit    = 5 * time.Second
)

type migrateCommand struct{}

// Run implements the command.
func (migrateCommand) Run(ctx context.Context, out *streams) error {
	u, err := databaseURL()
	if err != nil {
		return err
	}
	if err := migrate(ctx, u, newLogger(out.err)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.out, "The schema is up to date.")
	return err
}

func databaseURL() (string, error) {
	u := os.Getenv("DATABASE_URL")
	if u == "" {
		return "", usageError{errors.New("not set: DATABASE_URL")}
	}
	return u, checkURL("DATABASE_URL", u, databaseSchemes)
}

// migrate waits for the database and brings its schema up to date. A schema that is newer than this program is refused and left as it is.
func migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	s, err := openStore(ctx, databaseURL, store.Options{MaxConns: 2}, log)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckSchema(ctx); err != nil && !errors.Is(err, store.ErrSchemaOlder) {
		return err
	}
	return store.Migrate(ctx, databaseURL)
}

// openStore opens the database and waits until it answers.
func openStore(ctx context.Context, databaseURL string, o store.Options, log *slog.Logger) (*store.Store, error) {
	s, err := store.Open(ctx, databaseURL, o)
	if err != nil {
		return nil, err
	}
	if err := waitForDatabase(ctx, s.Ping, hostOf(databaseURL), log); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// waitForDatabase waits with back-off until the database answers. Its error names the host and never the password.
func waitForDatabase(ctx context.Context, ping func(context.Context) error, host string, log *slog.Logger) error {
	over, cancel := context.WithTimeout(ctx, databaseWait)
	defer cancel()
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 4*time.Second) {
		err := answers(over, ping)
		switch {
		case err == nil:
			return nil
		case store.IsRefused(err):
			return fmt.Errorf("the database at %s refuses the user, the password or the database's name", host)
		case over.Err() == nil:
			log.Warn("the database does not answer; waiting", "host", host, "again_in", wait.String(), "reason", whyNot(err))
		}
		select {
		case <-over.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("no database at %s within %s: %s", host, databaseWait, whyNot(err))
		case <-time.After(wait):
		}
	}
}

func answers(ctx context.Context, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	return ping(ctx)
}

// whyNot says in one line why a connection failed. The driver's errors name the user and the database, and never the password.
func whyNot(err error) string {
	var network *net.OpError
	switch {
	case errors.As(err, &network):
		return network.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// hostOf names the host or the socket's folder of a database URL.
func hostOf(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "?"
	}
	if u.Host != "" {
		return u.Host
	}
	if h := u.Query().Get("host"); h != "" {
		return h
	}
	return "the default host"
}
