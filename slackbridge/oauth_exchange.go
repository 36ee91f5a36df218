package slackbridge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/slack-go/slack"

	"github.com/ochrehq/ochre/desk"
)

// errOrgInstall refuses an installation into a whole Enterprise organization: its token is for many workspaces, or none yet.
var errOrgInstall = errors.New("installed for a whole organization")

// grant is Slack's answer to a code.
type grant struct {
	AccessToken         string `json:"access_token"`
	TokenType           string `json:"token_type"`
	Scope               string `json:"scope"`
	BotUserID           string `json:"bot_user_id"`
	AppID               string `json:"app_id"`
	IsEnterpriseInstall bool   `json:"is_enterprise_install"`
	Team                *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"team"` // null for a whole organization
}

// exchange turns a code of Slack's into a workspace's token, and asks with it who we are there. Errors: errOrgInstall, or an *Outcome.
// (oauth.v2.access, auth.test)
func (c *Client) exchange(ctx context.Context, clientID, clientSecret, code, redirectURI string) (*desk.NewInstallation, error) {
	var g grant
	err := c.attempt(ctx, func(ctx context.Context) error {
		req, err := c.request(ctx, "oauth.v2.access", url.Values{"code": {code}, "redirect_uri": {redirectURI}})
		if err != nil {
			return err
		}
		req.SetBasicAuth(clientID, clientSecret)
		return c.send(req, &g)
	})
	switch {
	case err != nil:
		return nil, err
	case g.IsEnterpriseInstall || g.Team == nil:
		return nil, errOrgInstall
	case g.AccessToken == "" || g.BotUserID == "" || g.Team.ID == "":
		return nil, &Outcome{Kind: Unclear, Code: "bad_answer", Err: errors.New("the answer of oauth.v2.access has no bot token, bot user or workspace")}
	}
	var who *slack.AuthTestResponse
	err = c.attempt(ctx, func(ctx context.Context) error {
		var err error
		who, err = c.slackGo(g.AccessToken).AuthTestContext(ctx)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case who.TeamID != g.Team.ID || who.UserID != g.BotUserID:
		return nil, &Outcome{Kind: Unclear, Code: "bad_answer", Err: fmt.Errorf("the token is of %s in %s, not of %s in %s", who.UserID, who.TeamID, g.BotUserID, g.Team.ID)}
	}
	return &desk.NewInstallation{
		SlackTeamID: g.Team.ID, TeamName: firstOf(g.Team.Name, who.Team, g.Team.ID), TeamURL: workspaceURL(who.URL), AppID: g.AppID, BotUserID: g.BotUserID, BotID: who.BotID,
		Scopes: strings.FieldsFunc(g.Scope, func(r rune) bool { return r == ',' || r == ' ' }), Token: g.AccessToken,
	}, nil
}

// workspaceURL keeps an address that permalinks can be made of, with a slash at its end.
func workspaceURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return strings.TrimRight(address, "/") + "/"
}
