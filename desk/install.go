package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/store"
)

// stateLife is how long a walk through Slack's pages may take.
const stateLife = 10 * time.Minute

// maxReturnTo bounds the path to come back to, in bytes.
const maxReturnTo = 2048

// TokenContext is the context under which a workspace's bot token is sealed, so that it can't be put to another workspace's use.
func TokenContext(slackTeamID string) string { return "slack token " + slackTeamID }

// StartSlackInstall begins the walk that connects a workspace, and gives the page of ours that it begins with: single use, 10 minutes, bound to the
// first browser that opens it. returnTo is where the walk ends: a path of our own, "/" unless given. Errors: INVALID.
func (d *Desk) StartSlackInstall(ctx context.Context, p ochre.Principal, returnTo *string) (string, error) {
	path := "/"
	if returnTo != nil {
		path = *returnTo
	}
	if !isLocalPath(path) {
		return "", ochre.Refuse(ochre.CodeInvalid, "returnTo", "Give a path of Ochre's own pages, beginning with one slash, such as /settings.")
	}
	state, hash := secret.Token()
	err := d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		return tx.InsertOAuthState(ctx, &store.OAuthState{
			Hash: hash, AgentID: p.AgentID, ReturnTo: path, CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(stateLife),
		})
	})
	if err != nil {
		return "", err
	}
	return d.PublicURL + "/slack/install?state=" + url.QueryEscape(state), nil
}

// isLocalPath refuses whatever a browser might take for another site: browsers read a backslash as a slash and skip tabs and line breaks.
func isLocalPath(path string) bool {
	if len(path) > maxReturnTo || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsRune(path, '\\') {
		return false
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }) {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}

// Install is a walk that came back from Slack.
type Install struct {
	TenantID ochre.ID
	AgentID  ochre.ID
	ReturnTo string
}

// refuseState is what whoever holds a state that can't be used is told.
func refuseState(text string) error {
	return ochre.Errorf(ochre.CodeInvalid, "%s Start again from Ochre's settings.", text)
}

// OpenInstall binds a walk to the browser that opened its page, which is known by the text of its cookie. It may be opened again by that
// browser only. Errors: INVALID, with a message for a person.
func (d *Desk) OpenInstall(ctx context.Context, state, browser string) error {
	hash := secret.Hash(state)
	err := d.Store.BindOAuthState(ctx, hash, secret.Hash(browser), d.Now())
	if errors.Is(err, ochre.ErrNotFound) {
		return d.whyNot(ctx, hash, browser)
	}
	return err
}

// TakeInstall uses up a walk, once, for the browser it is bound to. Another browser's attempt does not use it up. Errors: INVALID, with a message
// for a person.
func (d *Desk) TakeInstall(ctx context.Context, state, browser string) (*Install, error) {
	hash := secret.Hash(state)
	err := d.Store.UseOAuthState(ctx, hash, secret.Hash(browser), d.Now())
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, d.whyNot(ctx, hash, browser)
	}
	if err != nil {
		return nil, err
	}
	o, err := d.Store.OAuthState(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read the state of an install: %w", err)
	}
	p, err := d.Store.AgentPrincipal(ctx, o.TenantID, o.AgentID)
	if errors.Is(err, ochre.ErrNotFound) || err == nil && p.Role != ochre.RoleAdmin {
		return nil, refuseState("Whoever began this may not connect Slack any more.")
	}
	if err != nil {
		return nil, err
	}
	return &Install{TenantID: o.TenantID, AgentID: o.AgentID, ReturnTo: o.ReturnTo}, nil
}

// whyNot tells why a state could not be used.
func (d *Desk) whyNot(ctx context.Context, hash []byte, browser string) error {
	o, err := d.Store.OAuthState(ctx, hash)
	switch {
	case errors.Is(err, ochre.ErrNotFound):
		return refuseState("Ochre did not make this link, or it is long gone.")
	case err != nil:
		return err
	case o.UsedAt != nil:
		return refuseState("This link was used already.")
	case !o.ExpiresAt.After(d.Now()):
		return refuseState("This link is older than 10 minutes.")
	case !bytes.Equal(o.BrowserHash, secret.Hash(browser)):
		return refuseState("This link was opened in another browser, or your browser did not keep Ochre's cookie.")
	}
	return refuseState("This link can't be used.")
}
