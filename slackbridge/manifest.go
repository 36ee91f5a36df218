package slackbridge

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/ochrehq/ochre"
)

// The paths of our own that Slack knows.
const (
	EventsPath   = "/slack/events"
	InstallPath  = "/slack/install"
	CallbackPath = "/slack/oauth/callback"
)

// botEvents are the events that Ochre subscribes to. app_mention is not among them: it would repeat messages under another event id.
var botEvents = []string{
	"message.channels", "message.groups", "reaction_added", "reaction_removed", "member_joined_channel", "member_left_channel",
	"channel_created", "channel_rename", "group_rename", "channel_archive", "channel_unarchive", "group_archive", "group_unarchive",
	"channel_deleted", "group_deleted", "channel_left", "group_left", "channel_shared", "channel_unshared", "channel_id_changed",
	"app_uninstalled", "tokens_revoked",
}

// manifest is Slack's app manifest (docs.slack.dev/reference/app-manifest), as far as Ochre needs it.
type manifest struct {
	Metadata struct {
		MajorVersion int `json:"major_version"`
		MinorVersion int `json:"minor_version"`
	} `json:"_metadata"`
	DisplayInformation struct {
		Name            string `json:"name"`
		Description     string `json:"description"`
		BackgroundColor string `json:"background_color"`
	} `json:"display_information"`
	Features struct {
		BotUser struct {
			DisplayName  string `json:"display_name"`
			AlwaysOnline bool   `json:"always_online"`
		} `json:"bot_user"`
		AppHome struct {
			HomeTab          bool `json:"home_tab_enabled"`
			MessagesTab      bool `json:"messages_tab_enabled"`
			MessagesReadOnly bool `json:"messages_tab_read_only_enabled"`
		} `json:"app_home"`
	} `json:"features"`
	OAuthConfig struct {
		RedirectURLs []string `json:"redirect_urls"`
		Scopes       struct {
			Bot []string `json:"bot"`
		} `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		EventSubscriptions struct {
			RequestURL string   `json:"request_url"`
			BotEvents  []string `json:"bot_events"`
		} `json:"event_subscriptions"`
		Interactivity struct {
			IsEnabled bool `json:"is_enabled"`
		} `json:"interactivity"`
		OrgDeployEnabled     bool `json:"org_deploy_enabled"`
		SocketModeEnabled    bool `json:"socket_mode_enabled"`
		TokenRotationEnabled bool `json:"token_rotation_enabled"`
	} `json:"settings"`
}

// Manifest gives the app manifest of an Ochre at publicURL, as JSON to paste into "Create an app from a manifest" on api.slack.com/apps. It refuses
// an address that is not an absolute http or https one. Slack itself takes https only.
func Manifest(publicURL string) ([]byte, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("the public URL must look like https://ochre.example.com")
	}
	base := strings.TrimRight(publicURL, "/")
	var m manifest
	m.Metadata.MajorVersion, m.Metadata.MinorVersion = 1, 1
	m.DisplayInformation.Name = "Ochre"
	m.DisplayInformation.Description = "Answer your customers' Slack channels from one inbox"
	m.DisplayInformation.BackgroundColor = "#7a4a1e"
	m.Features.BotUser.DisplayName, m.Features.BotUser.AlwaysOnline = "Ochre", true
	m.Features.AppHome.MessagesReadOnly = true
	m.OAuthConfig.RedirectURLs = []string{base + CallbackPath}
	m.OAuthConfig.Scopes.Bot = ochre.NeededScopes
	m.Settings.EventSubscriptions.RequestURL = base + EventsPath
	m.Settings.EventSubscriptions.BotEvents = botEvents
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}
