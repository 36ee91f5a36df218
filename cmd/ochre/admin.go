package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/slacksim"
	"github.com/ochrehq/ochre/store"
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
	return u, checkURL("DATABASE_URL", u, []string{"postgres", "postgresql"})
}

// withDesk runs f with a desk that can change people and tokens, but has no way to Slack.
func withDesk(ctx context.Context, out *streams, f func(*desk.Desk) error) error {
	u, err := databaseURL()
	if err != nil {
		return err
	}
	log := newLogger(out.err)
	s, err := store.Open(ctx, u, store.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := waitForDatabase(ctx, s, u, log); err != nil {
		return err
	}
	if err := s.CheckSchema(ctx); err != nil {
		return fmt.Errorf("%w; run `ochre migrate`", err)
	}
	return plain(f(&desk.Desk{Store: s, PublicURL: strings.TrimRight(os.Getenv("OCHRE_PUBLIC_URL"), "/"), Now: time.Now}))
}

// plain shows the message of an error that is meant for people without its code.
func plain(err error) error {
	var e *ochre.Error
	if errors.As(err, &e) && e.Err == nil {
		return errors.New(e.Message)
	}
	return err
}

type tenantCommand struct {
	Create struct {
		Name  string `arg:"" help:"The company's name."`
		Admin string `required:"" help:"Email of its first admin."`
	} `cmd:"" help:"Create a company with its first admin; prints a one-time sign-in link."`
}

// Run implements the command.
func (t *tenantCommand) Run(ctx context.Context, out *streams) error {
	if os.Getenv("OCHRE_PUBLIC_URL") == "" {
		return usageError{errors.New("not set: OCHRE_PUBLIC_URL, which the sign-in link begins with")}
	}
	return withDesk(ctx, out, func(d *desk.Desk) error {
		tenant, admin, link, err := d.CreateTenant(ctx, t.Create.Name, t.Create.Admin)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.out, "Created %s with the admin %s.\nSign in once within %s: %s\n", tenant.Name, admin.Email, desk.SignInLinkLife, link)
		return err
	})
}

type agentCommand struct {
	Create struct {
		Email  string `arg:"" help:"Unique in the whole system."`
		Tenant string `required:"" help:"Email of any agent of the company."`
		Name   string `help:"Shown to customers; left out: the part of the email before the @."`
		Role   string `enum:"admin,agent" default:"agent" help:"admin or agent."`
	} `cmd:"" help:"Add an agent; prints a one-time sign-in link."`
}

// Run implements the command.
func (a *agentCommand) Run(ctx context.Context, out *streams) error {
	return withDesk(ctx, out, func(d *desk.Desk) error {
		colleague, err := d.Store.AnyAgentByEmail(ctx, a.Create.Tenant)
		if errors.Is(err, ochre.ErrNotFound) {
			return fmt.Errorf("nobody has the email %s: --tenant names any agent of the company", a.Create.Tenant)
		} else if err != nil {
			return err
		}
		made, err := d.CreateAgent(ctx, colleague.TenantID, a.Create.Email, a.Create.Name, ochre.Role(strings.ToUpper(a.Create.Role)))
		if err != nil {
			return err
		}
		link, err := d.SignInLink(ctx, made.Email)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.out, "Created %s (%s).\nSign in once within %s: %s\n", made.Name, made.Email, desk.SignInLinkLife, link)
		return err
	})
}

type tokenCommand struct {
	Create struct {
		Agent string `required:"" help:"Email of the agent it acts as."`
		Name  string `default:"command line" help:"What it is for."`
	} `cmd:"" help:"Create an API token; prints the token alone, once."`
	Revoke struct {
		Token string `arg:"" help:"The token, or its id."`
	} `cmd:"" help:"End a token at once."`
}

// Run implements the command.
func (t *tokenCommand) Run(ctx context.Context, out *streams) error {
	return withDesk(ctx, out, func(d *desk.Desk) error {
		if t.Revoke.Token != "" {
			_, err := d.RevokeToken(ctx, t.Revoke.Token)
			return err
		}
		token, _, err := d.CreateToken(ctx, t.Create.Agent, t.Create.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out.out, token)
		return err
	})
}

type slackCommand struct {
	Manifest struct {
		URL string `required:"" help:"Public address of Ochre, such as https://ochre.example.com."`
	} `cmd:"" help:"Print the manifest to create the Slack app from."`
}

// Run implements the command.
func (s *slackCommand) Run(out *streams) error {
	if err := checkURL("--url", s.Manifest.URL, []string{"http", "https"}); err != nil {
		return usageError{err}
	}
	b, err := slackbridge.Manifest(strings.TrimRight(s.Manifest.URL, "/"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.out, string(b))
	return err
}

type slacksimCommand struct {
	Addr      string `default:"127.0.0.1:8081" help:"Where to listen."`
	EventsURL string `name:"events-url" help:"Where to send events, such as http://127.0.0.1:8080/slack/events."`
	DataDir   string `name:"data-dir" help:"Where to keep the world; left out: in memory."`
	FastRetry bool   `name:"fast-retry" help:"Retry deliveries within seconds instead of minutes."`
}

// Run implements the command.
func (s *slacksimCommand) Run(ctx context.Context, out *streams) error {
	log := slog.New(slog.NewTextHandler(out.err, nil))
	c := slacksim.Config{EventsURL: s.EventsURL, DataDir: s.DataDir, Logger: log, BaseURL: "http://" + s.Addr}
	if s.FastRetry {
		c.RetryDelays = []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second}
	}
	sim, err := slacksim.New(c)
	if err != nil {
		return err
	}
	srv := &http.Server{Addr: s.Addr, Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.ListenAndServe() }()
	log.Info("slack simulator", "url", "http://"+s.Addr)
	select {
	case err := <-failed:
		return fmt.Errorf("listen on %s: %w", s.Addr, err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(limit); err != nil {
		_ = srv.Close() // live pages hold their connections
	}
	return sim.Close(limit)
}
