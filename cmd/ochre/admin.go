package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/store"
)

// withDesk runs f with a desk that can change people and tokens, but has no way to Slack.
func withDesk(ctx context.Context, out *streams, f func(*desk.Desk) error) error {
	u, err := databaseURL()
	if err != nil {
		return err
	}
	s, err := openStore(ctx, u, store.Options{MaxConns: 2}, newLogger(out.err))
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckSchema(ctx); errors.Is(err, store.ErrSchemaOlder) {
		return fmt.Errorf("%w; run `ochre migrate`", err)
	} else if err != nil {
		return err
	}
	return plain(f(&desk.Desk{Store: s, PublicURL: publicURL(), Now: time.Now}))
}

// plain shows the message of an error that is meant for people without its code.
func plain(err error) error {
	var e *ochre.Error
	if !errors.As(err, &e) || e.Err != nil {
		return err
	}
	if e.Code == ochre.CodeBadUserInput {
		return usageError{errors.New(e.Message)}
	}
	return errors.New(e.Message)
}

func publicURL() string { return strings.TrimRight(os.Getenv("OCHRE_PUBLIC_URL"), "/") }

// checkPublicURL is for commands that print a sign-in link.
func checkPublicURL() error {
	if publicURL() == "" {
		return usageError{errors.New("not set: OCHRE_PUBLIC_URL, which the sign-in link begins with")}
	}
	return checkURL("OCHRE_PUBLIC_URL", publicURL(), webSchemes)
}

type tenantCommand struct {
	Create tenantCreate `cmd:"" help:"Create a company with its first admin; prints a one-time sign-in link."`
}

type tenantCreate struct {
	Name  string `arg:"" help:"The company's name."`
	Admin string `required:"" help:"Email of its first admin." placeholder:"EMAIL"`
}

// Run implements the command.
func (t *tenantCreate) Run(ctx context.Context, out *streams) error {
	if err := checkPublicURL(); err != nil {
		return err
	}
	return withDesk(ctx, out, func(d *desk.Desk) error {
		tenant, admin, link, err := d.CreateTenant(ctx, t.Name, t.Admin)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.out, "Created %s with the admin %s.\n%s\n", tenant.Name, admin.Email, signInLine(link))
		return err
	})
}

func signInLine(link string) string {
	return fmt.Sprintf("Sign in once within %d minutes: %s", int(desk.SignInLinkLife.Minutes()), link)
}

type agentCommand struct {
	Create agentCreate `cmd:"" help:"Add an agent; prints a one-time sign-in link."`
	Signin agentSignin `cmd:"" help:"Print a new one-time sign-in link of an agent."`
}

type agentCreate struct {
	Email  string `arg:"" help:"Unique in the whole system."`
	Tenant string `required:"" help:"Email of any agent of the company." placeholder:"EMAIL"`
	Name   string `help:"Shown to customers; left out: the part of the email before the @."`
	Role   string `enum:"admin,agent" default:"agent" help:"admin or agent."`
}

// Run implements the command.
func (a *agentCreate) Run(ctx context.Context, out *streams) error {
	if err := checkPublicURL(); err != nil {
		return err
	}
	return withDesk(ctx, out, func(d *desk.Desk) error {
		colleague, err := d.Store.AnyAgentByEmail(ctx, a.Tenant)
		if errors.Is(err, ochre.ErrNotFound) {
			return fmt.Errorf("nobody has the email %s: --tenant names any agent of the company", a.Tenant)
		} else if err != nil {
			return err
		}
		made, err := d.CreateAgent(ctx, colleague.TenantID, a.Email, a.Name, ochre.Role(strings.ToUpper(a.Role)))
		if err != nil {
			return err
		}
		link, err := d.SignInLink(ctx, made.Email)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.out, "Created %s (%s).\n%s\n", made.Name, made.Email, signInLine(link))
		return err
	})
}

type agentSignin struct {
	Email string `arg:"" help:"Of an active agent."`
}

// Run implements the command.
func (a *agentSignin) Run(ctx context.Context, out *streams) error {
	if err := checkPublicURL(); err != nil {
		return err
	}
	return withDesk(ctx, out, func(d *desk.Desk) error {
		link, err := d.SignInLink(ctx, a.Email)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out.out, signInLine(link))
		return err
	})
}

type tokenCommand struct {
	Create tokenCreate `cmd:"" help:"Create an API token; prints the token alone, once."`
	Revoke tokenRevoke `cmd:"" help:"End a token at once."`
}

type tokenCreate struct {
	Agent string `required:"" help:"Email of the agent it acts as." placeholder:"EMAIL"`
	Name  string `default:"command line" help:"What it is for."`
}

// Run implements the command.
func (t *tokenCreate) Run(ctx context.Context, out *streams) error {
	return withDesk(ctx, out, func(d *desk.Desk) error {
		token, _, err := d.CreateToken(ctx, t.Agent, t.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out.out, token)
		return err
	})
}

type tokenRevoke struct {
	Token string `arg:"" help:"The token, or its id."`
}

// Run implements the command.
func (t *tokenRevoke) Run(ctx context.Context, out *streams) error {
	return withDesk(ctx, out, func(d *desk.Desk) error {
		revoked, err := d.RevokeToken(ctx, t.Token)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.out, "Revoked the token %q.\n", revoked.Name)
		return err
	})
}

type slackCommand struct {
	Manifest slackManifest `cmd:"" help:"Print the manifest to create the Slack app from."`
}

type slackManifest struct {
	URL string `required:"" help:"Public address of Ochre, such as https://ochre.example.com." placeholder:"URL"`
}

// Run implements the command.
func (s *slackManifest) Run(out *streams) error {
	if err := checkURL("--url", s.URL, webSchemes); err != nil {
		return usageError{err}
	}
	b, err := slackbridge.Manifest(strings.TrimRight(s.URL, "/"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.out, string(b))
	return err
}
