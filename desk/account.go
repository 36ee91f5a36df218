package desk

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/store"
)

// SignInLinkLife is how long a sign-in link can be used, once.
const SignInLinkLife = 30 * time.Minute

// TokenPrefix begins the text of every API token that Ochre makes, so that one is known for what it is where it leaks.
const TokenPrefix = "ochre_"

const maxName = 200 // characters

// CreateTenant makes a company with its first admin, and gives the admin's sign-in link. The operator calls it. Errors:
// BAD_USER_INPUT, EMAIL_TAKEN.
func (d *Desk) CreateTenant(ctx context.Context, name, adminEmail string) (*ochre.Tenant, *ochre.Agent, string, error) {
	name, err := checkName(name)
	if err != nil {
		return nil, nil, "", err
	}
	now := d.Now().UTC().Truncate(time.Microsecond)
	t := &ochre.Tenant{ID: ochre.NewIDAt(now), Name: name, CreatedAt: now}
	a, err := newAgent(now, adminEmail, "", ochre.RoleAdmin)
	if err != nil {
		return nil, nil, "", err
	}
	var link string
	err = d.Store.Tx(ctx, t.ID, now, func(tx *store.Tx) error {
		if err := tx.InsertTenant(ctx, t); err != nil {
			return err
		}
		if err := insertAgent(ctx, tx, a); err != nil {
			return err
		}
		link, err = d.signInLink(ctx, tx, a.ID)
		return err
	})
	if err != nil {
		return nil, nil, "", err
	}
	return t, a, link, nil
}

// CreateAgent adds an agent to a tenant; without a name it is the part of the email before the @. The operator calls it. Errors:
// BAD_USER_INPUT, EMAIL_TAKEN.
func (d *Desk) CreateAgent(ctx context.Context, tenant ochre.ID, email, name string, role ochre.Role) (*ochre.Agent, error) {
	if role != ochre.RoleAdmin && role != ochre.RoleAgent {
		return nil, ochre.Errorf(ochre.CodeBadUserInput, "The role is ADMIN or AGENT.")
	}
	a, err := newAgent(d.Now().UTC().Truncate(time.Microsecond), email, name, role)
	if err != nil {
		return nil, err
	}
	err = d.Store.Tx(ctx, tenant, a.CreatedAt, func(tx *store.Tx) error { return insertAgent(ctx, tx, a) })
	if err != nil {
		return nil, err
	}
	return a, nil
}

// CreateToken makes an API token of an active agent. Its text is given here and nowhere else again. Errors: NOT_FOUND.
func (d *Desk) CreateToken(ctx context.Context, email, name string) (string, *ochre.APIToken, error) {
	random, _ := secret.Token()
	text := TokenPrefix + random
	t, err := d.SetToken(ctx, email, name, text)
	if err != nil {
		return "", nil, err
	}
	return text, t, nil
}

// SetToken makes a text of the operator's choice an API token of an active agent; one that is there already is valid again. It is
// for development: a token that Ochre makes is random. Errors: NOT_FOUND, BAD_USER_INPUT.
func (d *Desk) SetToken(ctx context.Context, email, name, text string) (*ochre.APIToken, error) {
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, ochre.Errorf(ochre.CodeBadUserInput, "A token is ASCII without spaces.")
	}
	a, err := d.activeAgent(ctx, email)
	if err != nil {
		return nil, err
	}
	now := d.Now().UTC().Truncate(time.Microsecond)
	t := &ochre.APIToken{ID: ochre.NewIDAt(now), AgentID: a.ID, Name: name, Hash: secret.Hash(text), CreatedAt: now}
	err = d.Store.Tx(ctx, a.TenantID, now, func(tx *store.Tx) error { return tx.PutToken(ctx, t) })
	if err != nil {
		return nil, err
	}
	return t, nil
}

// RevokeToken ends a token, given its id or its text. Requests with it are refused from then on, sockets opened with it are closed
// within seconds. Errors: NOT_FOUND.
func (d *Desk) RevokeToken(ctx context.Context, idOrText string) (*ochre.APIToken, error) {
	var id *ochre.ID
	var hash []byte
	if parsed, err := ochre.ParseUUID(idOrText); err == nil {
		id = &parsed
	} else {
		hash = secret.Hash(idOrText)
	}
	t, err := d.Store.RevokeToken(ctx, id, hash, d.Now())
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, ochre.Errorf(ochre.CodeNotFound, "There is no such token.")
	}
	return t, err
}

// SignInLink makes a one-time sign-in link of an active agent, which expires after SignInLinkLife. Errors: NOT_FOUND.
func (d *Desk) SignInLink(ctx context.Context, email string) (string, error) {
	a, err := d.activeAgent(ctx, email)
	if err != nil {
		return "", err
	}
	var link string
	err = d.Store.Tx(ctx, a.TenantID, d.Now(), func(tx *store.Tx) error {
		link, err = d.signInLink(ctx, tx, a.ID)
		return err
	})
	return link, err
}

// SignIn uses a sign-in link up, given its token, and tells who it is for. Errors: UNAUTHENTICATED for a link that is unknown, used,
// expired, or of an agent who is not active.
func (d *Desk) SignIn(ctx context.Context, token string) (*ochre.Principal, error) {
	p, err := d.Store.UseSignInLink(ctx, secret.Hash(token), d.Now())
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, ochre.Errorf(ochre.CodeUnauthenticated, "This sign-in link was used before or has expired.")
	}
	return p, err
}

func (d *Desk) signInLink(ctx context.Context, tx *store.Tx, agent ochre.ID) (string, error) {
	token, hash := secret.Token()
	if err := tx.InsertSignInLink(ctx, agent, hash, tx.Now().Add(SignInLinkLife)); err != nil {
		return "", fmt.Errorf("store a sign-in link: %w", err)
	}
	return d.PublicURL + "/signin?token=" + token, nil
}

func (d *Desk) activeAgent(ctx context.Context, email string) (*ochre.Agent, error) {
	a, err := d.Store.AnyAgentByEmail(ctx, email)
	if errors.Is(err, ochre.ErrNotFound) || err == nil && !a.Active {
		return nil, ochre.Errorf(ochre.CodeNotFound, "There is no active agent with the email %q.", email)
	}
	return a, err
}

// newAgent checks and completes what a new agent needs.
func newAgent(now time.Time, email, name string, role ochre.Role) (*ochre.Agent, error) {
	email = strings.TrimSpace(email)
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || utf8.RuneCountInString(email) > maxName {
		return nil, ochre.Errorf(ochre.CodeBadUserInput, "%q is not an email address.", email)
	}
	if name == "" {
		name = email[:strings.LastIndexByte(email, '@')]
	}
	if name, err = checkName(name); err != nil {
		return nil, err
	}
	return &ochre.Agent{ID: ochre.NewIDAt(now), Name: name, Email: email, Role: role, Active: true, CreatedAt: now}, nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsRune(name, 0) || !utf8.ValidString(name) {
		return "", ochre.Errorf(ochre.CodeBadUserInput, "A name has 1 to %d characters.", maxName)
	}
	return name, nil
}

func insertAgent(ctx context.Context, tx *store.Tx, a *ochre.Agent) error {
	err := tx.InsertAgent(ctx, a)
	if store.IsUnique(err, store.AgentsEmail) {
		return ochre.Errorf(ochre.CodeEmailTaken, "An agent with the email %q exists already.", a.Email)
	}
	if err != nil {
		return fmt.Errorf("insert an agent: %w", err)
	}
	return enqueueAgentsEverywhere(ctx, tx)
}
