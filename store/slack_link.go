package store

import (
	"context"
	"fmt"

	"github.com/ochrehq/ochre"
)

// LinksLive is the index that keeps a tenant to one link of a channel that is not UNLINKED, for IsUnique.
const LinksLive = "channel_links_live"

// ChannelLink reads a link.
func (q queries) ChannelLink(ctx context.Context, tenant, id ochre.ID) (*ochre.ChannelLink, error) {
	var l ochre.ChannelLink
	return one(&l, q.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&l))
}

// LiveLink reads the tenant's link of a Slack channel that is not UNLINKED; there is at most one.
func (q queries) LiveLink(ctx context.Context, tenant ochre.ID, slackChannelID string) (*ochre.ChannelLink, error) {
	var l ochre.ChannelLink
	return one(&l, q.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE tenant_id = ? AND slack_channel_id = ? AND state <> 'UNLINKED'",
		tenant, slackChannelID).Scan(&l))
}

// LinksOfChannel reads the links of a Slack channel that are not UNLINKED, of whatever tenant: each tenant may watch its own side of a Slack
// Connect channel. It is for the events door only.
func (q queries) LinksOfChannel(ctx context.Context, slackChannelID string) ([]ochre.ChannelLink, error) {
	var ls []ochre.ChannelLink
	err := q.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE slack_channel_id = ? AND state <> 'UNLINKED' ORDER BY id", slackChannelID).Scan(&ls).Error
	return ls, err
}

// LockLink reads a link and locks it until the commit.
func (tx *Tx) LockLink(ctx context.Context, id ochre.ID) (*ochre.ChannelLink, error) {
	var l ochre.ChannelLink
	return one(&l, tx.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&l))
}

// LockLiveLink is LiveLink with the row locked until the commit.
func (tx *Tx) LockLiveLink(ctx context.Context, slackChannelID string) (*ochre.ChannelLink, error) {
	var l ochre.ChannelLink
	return one(&l, tx.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE tenant_id = ? AND slack_channel_id = ? AND state <> 'UNLINKED' FOR NO KEY UPDATE",
		tx.Tenant, slackChannelID).Scan(&l))
}

// LockLiveLinks locks the links of an installation that are not UNLINKED, in the order of their ids.
func (tx *Tx) LockLiveLinks(ctx context.Context, installation ochre.ID) ([]ochre.ChannelLink, error) {
	var ls []ochre.ChannelLink
	err := tx.db.WithContext(ctx).Raw("SELECT * FROM channel_links WHERE tenant_id = ? AND installation_id = ? AND state <> 'UNLINKED' ORDER BY id FOR NO KEY UPDATE",
		tx.Tenant, installation).Scan(&ls).Error
	return ls, err
}

// LockLinksOfChannels locks the links of an installation to some Slack channels that are not UNLINKED, in the order of their ids.
func (tx *Tx) LockLinksOfChannels(ctx context.Context, installation ochre.ID, slackChannelIDs []string) ([]ochre.ChannelLink, error) {
	var ls []ochre.ChannelLink
	if len(slackChannelIDs) == 0 {
		return nil, nil
	}
	err := tx.db.WithContext(ctx).Raw(`SELECT * FROM channel_links WHERE tenant_id = ? AND installation_id = ? AND slack_channel_id IN ? AND state <> 'UNLINKED'
		ORDER BY id FOR NO KEY UPDATE`, tx.Tenant, installation, slackChannelIDs).Scan(&ls).Error
	return ls, err
}

// InsertLink stores a new link. IsUnique(err, LinksLive) if the tenant has a live one of the channel.
func (tx *Tx) InsertLink(ctx context.Context, l *ochre.ChannelLink) error {
	l.TenantID = tx.Tenant
	return tx.db.WithContext(ctx).Create(l).Error
}

// UpdateLink writes what an admin or Slack changes of a locked link; the counters of its events are left alone.
func (tx *Tx) UpdateLink(ctx context.Context, l *ochre.ChannelLink) error {
	err := tx.db.WithContext(ctx).Exec(`UPDATE channel_links SET slack_channel_id = ?, slack_channel_name = ?, is_slack_connect = ?, organization_id = ?, state = ?, paused_before = ?
		WHERE tenant_id = ? AND id = ?`, l.SlackChannelID, l.SlackChannelName, l.IsSlackConnect, l.OrganizationID, l.State, l.PausedBefore, tx.Tenant, l.ID).Error
	if err != nil {
		return fmt.Errorf("update a channel link: %w", err)
	}
	return nil
}

// MoveConversations gives up to limit conversations of a link its organization, in the order of their ids, and gives the ids of those that
// had another one.
func (tx *Tx) MoveConversations(ctx context.Context, link ochre.ID, organization *ochre.ID, limit int) ([]ochre.ID, error) {
	var ids []ochre.ID
	err := tx.db.WithContext(ctx).Raw(`WITH c AS (
			SELECT id FROM conversations WHERE tenant_id = ? AND link_id = ? AND organization_id IS DISTINCT FROM ?::uuid ORDER BY id LIMIT ? FOR NO KEY UPDATE
		) UPDATE conversations v SET organization_id = ?::uuid, version = version + 1 FROM c WHERE v.tenant_id = ? AND v.id = c.id RETURNING v.id`,
		tx.Tenant, link, organization, limit, organization, tx.Tenant).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("move conversations to another organization: %w", err)
	}
	return ids, nil
}

// HasOrganization tells whether the tenant has an organization.
func (q queries) HasOrganization(ctx context.Context, tenant, id ochre.ID) (bool, error) {
	var has bool
	err := q.db.WithContext(ctx).Raw("SELECT EXISTS (SELECT FROM organizations WHERE tenant_id = ? AND id = ?)", tenant, id).Scan(&has).Error
	return has, err
}
