// Package desk is where everything changes: each change of Ochre's state is one method of Desk, called by the Slack bridge and by the
// GraphQL resolvers. A method opens the transaction; plain functions below it take it. It knows nothing of Slack's API.
package desk

import (
	"context"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/store"
)

// Slack is what the desk needs of Slack at once, while an admin waits. The bridge implements it. Its errors are *ochre.Error.
type Slack interface {
	// Channel asks for one channel as the installation sees it. NOT_FOUND if it can't see it.
	Channel(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) (*ochre.SlackChannel, error)
	// JoinChannel makes the bot a member of a public channel. CHANNEL_NEEDS_INVITE for one it can't join by itself.
	JoinChannel(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string) error
}

// Desk makes every change. It is safe for concurrent use and keeps no state of its own.
type Desk struct {
	Store     *store.Store
	Cursors   *live.Cursors
	Keys      *secret.Keys
	Slack     Slack
	PublicURL string           // without a slash at the end
	Now       func() time.Time // the clock
}
