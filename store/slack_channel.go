package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
)

// SlackChannel reads a channel.
func (q queries) SlackChannel(ctx context.Context, tenant, id ochre.ID) (*ochre.SlackChannel, error) {
	var c ochre.SlackChannel
	return one(&c, q.db.WithContext(ctx).Raw("SELECT * FROM slack_channels WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&c))
}

// SlackChannelBySlackID reads a channel by Slack's id, as one installation sees it.
func (q queries) SlackChannelBySlackID(ctx context.Context, tenant, installation ochre.ID, slackChannelID string) (*ochre.SlackChannel, error) {
	var c ochre.SlackChannel
	return one(&c, q.db.WithContext(ctx).Raw("SELECT * FROM slack_channels WHERE tenant_id = ? AND installation_id = ? AND slack_channel_id = ?",
		tenant, installation, slackChannelID).Scan(&c))
}

// ChannelsToEnter reads the public channels of an installation that are linked and that the bot is not in.
func (q queries) ChannelsToEnter(ctx context.Context, tenant, installation ochre.ID) ([]ochre.SlackChannel, error) {
	var cs []ochre.SlackChannel
	err := q.db.WithContext(ctx).Raw(`SELECT c.* FROM slack_channels c JOIN channel_links l ON l.tenant_id = c.tenant_id AND l.installation_id = c.installation_id
			AND l.slack_channel_id = c.slack_channel_id AND l.state IN ('WATCHING', 'PAUSED')
		WHERE c.tenant_id = ? AND c.installation_id = ? AND NOT c.is_bot_member AND NOT c.is_private AND NOT c.is_archived ORDER BY c.id`,
		tenant, installation).Scan(&cs).Error
	return cs, err
}

// ChannelStamp is when a channel's row was last written.
type ChannelStamp struct {
	SlackChannelID string
	UpdatedAt      time.Time
}

// ChannelStamps reads which channels of an installation are stored.
func (q queries) ChannelStamps(ctx context.Context, tenant, installation ochre.ID) ([]ChannelStamp, error) {
	var cs []ChannelStamp
	err := q.db.WithContext(ctx).Raw("SELECT slack_channel_id, updated_at FROM slack_channels WHERE tenant_id = ? AND installation_id = ?",
		tenant, installation).Scan(&cs).Error
	return cs, err
}

// PutSlackChannels stores channels of an installation as they are now, at most some hundreds at once, and gives the rows that are new or
// changed. UpdatedAt of each is when Slack was asked: a row of which Slack was asked later stays. Rows are locked in the order of Slack's ids.
func (tx *Tx) PutSlackChannels(ctx context.Context, installation ochre.ID, channels []ochre.SlackChannel) ([]ochre.SlackChannel, error) {
	if len(channels) == 0 {
		return nil, nil
	}
	channels = slices.Clone(channels)
	slices.SortFunc(channels, func(a, b ochre.SlackChannel) int { return strings.Compare(a.SlackChannelID, b.SlackChannelID) })
	channels = slices.CompactFunc(channels, func(a, b ochre.SlackChannel) bool { return a.SlackChannelID == b.SlackChannelID })
	var sql strings.Builder
	sql.WriteString(`INSERT INTO slack_channels AS c (tenant_id, id, installation_id, slack_channel_id, name, is_private, is_slack_connect, is_bot_member, is_archived, updated_at) VALUES `)
	args := make([]any, 0, 10*len(channels))
	for i, c := range channels {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
		args = append(args, tx.Tenant, ochre.NewIDAt(tx.now), installation, c.SlackChannelID, c.Name, c.IsPrivate, c.IsSlackConnect, c.IsBotMember, c.IsArchived, c.UpdatedAt)
	}
	sql.WriteString(` ON CONFLICT (tenant_id, installation_id, slack_channel_id) DO UPDATE SET name = EXCLUDED.name, is_private = EXCLUDED.is_private,
			is_slack_connect = EXCLUDED.is_slack_connect, is_bot_member = EXCLUDED.is_bot_member, is_archived = EXCLUDED.is_archived, updated_at = EXCLUDED.updated_at
		WHERE c.updated_at <= EXCLUDED.updated_at AND (c.name, c.is_private, c.is_slack_connect, c.is_bot_member, c.is_archived)
			<> (EXCLUDED.name, EXCLUDED.is_private, EXCLUDED.is_slack_connect, EXCLUDED.is_bot_member, EXCLUDED.is_archived)
		RETURNING *`)
	var changed []ochre.SlackChannel
	if err := tx.db.WithContext(ctx).Raw(sql.String(), args...).Scan(&changed).Error; err != nil {
		return nil, fmt.Errorf("put slack channels: %w", err)
	}
	return changed, nil
}

// DeleteSlackChannels removes channels of an installation of which Slack was last asked no later than before, and gives the ids of the rows that
// went. One with a live link is kept.
func (tx *Tx) DeleteSlackChannels(ctx context.Context, installation ochre.ID, slackChannelIDs []string, before time.Time) ([]ochre.ID, error) {
	if len(slackChannelIDs) == 0 {
		return nil, nil
	}
	var ids []ochre.ID
	err := tx.db.WithContext(ctx).Raw(`WITH gone AS (
			SELECT tenant_id, id FROM slack_channels c WHERE tenant_id = ? AND installation_id = ? AND slack_channel_id IN ? AND updated_at <= ?
				AND NOT EXISTS (SELECT FROM channel_links l WHERE l.tenant_id = c.tenant_id AND l.installation_id = c.installation_id
					AND l.slack_channel_id = c.slack_channel_id AND l.state <> 'UNLINKED')
			ORDER BY slack_channel_id FOR UPDATE
		) DELETE FROM slack_channels c USING gone WHERE c.tenant_id = gone.tenant_id AND c.id = gone.id RETURNING c.id`,
		tx.Tenant, installation, slackChannelIDs, before).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("delete slack channels: %w", err)
	}
	return ids, nil
}

// LeaveSlackChannels notes that the bot is not in channels of an installation of which Slack was last asked no later than before. It gives the
// ids of those where it was.
func (tx *Tx) LeaveSlackChannels(ctx context.Context, installation ochre.ID, slackChannelIDs []string, before time.Time) ([]ochre.ID, error) {
	if len(slackChannelIDs) == 0 {
		return nil, nil
	}
	var ids []ochre.ID
	err := tx.db.WithContext(ctx).Raw(`WITH was_in AS (
			SELECT tenant_id, id FROM slack_channels WHERE tenant_id = ? AND installation_id = ? AND slack_channel_id IN ? AND updated_at <= ? AND is_bot_member
			ORDER BY slack_channel_id FOR UPDATE
		) UPDATE slack_channels c SET is_bot_member = false, updated_at = ? FROM was_in w WHERE c.tenant_id = w.tenant_id AND c.id = w.id RETURNING c.id`,
		tx.Tenant, installation, slackChannelIDs, before, before).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("leave slack channels: %w", err)
	}
	return ids, nil
}

// RenameSlackChannelID gives a channel its new Slack id (event channel_id_changed), in every installation of the tenant, and gives the ids of the
// rows. A row that already has the new id stands, and the old one goes.
func (tx *Tx) RenameSlackChannelID(ctx context.Context, oldID, newID string) ([]ochre.ID, error) {
	db := tx.db.WithContext(ctx)
	err := db.Exec(`DELETE FROM slack_channels c WHERE tenant_id = ? AND slack_channel_id = ? AND EXISTS (
		SELECT FROM slack_channels n WHERE n.tenant_id = c.tenant_id AND n.installation_id = c.installation_id AND n.slack_channel_id = ?)`, tx.Tenant, oldID, newID).Error
	if err != nil {
		return nil, fmt.Errorf("rename a slack channel's id: %w", err)
	}
	var ids []ochre.ID
	err = db.Raw("UPDATE slack_channels SET slack_channel_id = ? WHERE tenant_id = ? AND slack_channel_id = ? RETURNING id", newID, tx.Tenant, oldID).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("rename a slack channel's id: %w", err)
	}
	return ids, nil
}
