package ochre

import (
	"slices"
	"time"
)

// SlackInstallation is our app in one Slack workspace. A workspace belongs to one tenant only.
type SlackInstallation struct {
	TenantID           ID
	ID                 ID
	SlackTeamID        string
	TeamName           string
	TeamURL            string // https://NAME.slack.com/, for permalinks
	AppID              string
	BotUserID          string
	BotID              string
	Scopes             Strings
	TokenSealed        []byte // the bot token, encrypted; see internal/secret
	Connected          bool
	DisconnectedReason *string // Slack's word for it: app_uninstalled, token_revoked, account_inactive, invalid_auth
	InstalledAt        time.Time
	ChannelsRefreshed  *time.Time
}

// SlackChannel is a channel that an installation can see, as conversations.list or an event last told.
type SlackChannel struct {
	TenantID       ID
	ID             ID
	InstallationID ID
	SlackChannelID string
	Name           string
	IsPrivate      bool
	IsSlackConnect bool // is_ext_shared
	IsBotMember    bool
	IsArchived     bool
	UpdatedAt      time.Time
}

// ChannelLinkState is the life of a link.
type ChannelLinkState string

// The states of a link. UNLINKED is final; the history stays.
const (
	LinkWatching     ChannelLinkState = "WATCHING"
	LinkPaused       ChannelLinkState = "PAUSED"
	LinkDisconnected ChannelLinkState = "DISCONNECTED"
	LinkUnlinked     ChannelLinkState = "UNLINKED"
)

// ChannelLink is a watched Slack channel. A Slack Connect channel is linked to an organization, an ordinary one need not be.
// A tenant has at most one link of a channel that is not UNLINKED. PausedBefore is what Resume and a re-install return to.
type ChannelLink struct {
	TenantID         ID
	ID               ID
	InstallationID   ID
	SlackTeamID      string
	SlackChannelID   string
	SlackChannelName string
	IsSlackConnect   bool
	OrganizationID   *ID
	State            ChannelLinkState
	PausedBefore     bool // PAUSED when it was DISCONNECTED: a re-install returns to PAUSED
	DroppedEvents    int64
	LastEventAt      *time.Time
	CreatedAt        time.Time
}

// AttachmentState is where a file stands. PENDING: Slack named it only by its id and files.info was not asked yet.
type AttachmentState string

// The states of a file.
const (
	AttachmentPending   AttachmentState = "PENDING"
	AttachmentAvailable AttachmentState = "AVAILABLE"
	AttachmentDenied    AttachmentState = "DENIED"
	AttachmentDeleted   AttachmentState = "DELETED"
)

// Attachment is a file of a message. SlackURL is Slack's own address of the bytes, read with the bot token only and never shown.
type Attachment struct {
	TenantID    ID
	ID          ID
	MessageID   ID
	SlackFileID string
	Ordinal     int
	State       AttachmentState
	Name        *string
	MimeType    *string
	Size        *int64
	SlackURL    *string
}

// Reaction is how often one emoji stands on a message. Emoji is Slack's name without colons.
type Reaction struct {
	Emoji       string
	Count       int
	ReactedByUs bool
}

// NeededScopes are the bot scopes without which some part of Ochre does not work.
var NeededScopes = Strings{
	"channels:read", "channels:history", "channels:join", "groups:read", "groups:history", "chat:write", "chat:write.customize",
	"users:read", "users:read.email", "team:read", "files:read", "reactions:read",
}

// MissingScopes are the needed scopes that were not granted, in the order of NeededScopes.
func (i *SlackInstallation) MissingScopes() []string {
	missing := []string{}
	for _, s := range NeededScopes {
		if !slices.Contains(i.Scopes, s) {
			missing = append(missing, s)
		}
	}
	return missing
}
