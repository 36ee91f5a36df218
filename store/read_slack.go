package store

import (
	"context"
	"strings"

	"github.com/ochrehq/ochre"
)

// InstallationsByID reads installations.
func (q queries) InstallationsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.SlackInstallation, error) {
	return byID(ctx, q, "slack_installations", tenant, ids, func(i *ochre.SlackInstallation) ochre.ID { return i.ID })
}

// Installations reads all installations of a tenant, oldest first.
func (q queries) Installations(ctx context.Context, tenant ochre.ID) ([]*ochre.SlackInstallation, error) {
	return rows[ochre.SlackInstallation](ctx, q, "SELECT * FROM slack_installations WHERE tenant_id = ? ORDER BY installed_at, id", tenant)
}

// SlackChannelsByID reads channels.
func (q queries) SlackChannelsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.SlackChannel, error) {
	return byID(ctx, q, "slack_channels", tenant, ids, func(c *ochre.SlackChannel) ochre.ID { return c.ID })
}

// SlackChannelPage reads a page of the channels that an installation can see now, by name: no archived ones, and no private ones that the
// bot is not in. query is a part of the name, in any case, or a whole Slack channel id; "" for all.
func (q queries) SlackChannelPage(ctx context.Context, tenant, installation ochre.ID, query string, p Page) (*Slice[*ochre.SlackChannel], error) {
	l := &list[ochre.SlackChannel]{
		order: order[*ochre.SlackChannel]{
			list: "slackChannels " + installation.String(), key: "name", kind: keyText,
			at: func(c *ochre.SlackChannel) position { return position{c.Name, c.ID} },
		},
		sql:  "SELECT * FROM slack_channels WHERE tenant_id = ? AND installation_id = ? AND NOT is_archived AND (is_bot_member OR NOT is_private)",
		args: []any{tenant, installation},
	}
	if query != "" {
		l.and("(name ILIKE ? OR slack_channel_id = ?)", containing(query), Text(query))
	}
	return page(ctx, q, tenant, l, p)
}

// LinksByID reads channel links, the UNLINKED ones too.
func (q queries) LinksByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.ChannelLink, error) {
	return byID(ctx, q, "channel_links", tenant, ids, func(l *ochre.ChannelLink) ochre.ID { return l.ID })
}

// LiveLinks reads the links that watch channels, by Slack's channel ids.
func (q queries) LiveLinks(ctx context.Context, tenant ochre.ID, slackChannelIDs []string) (map[string]*ochre.ChannelLink, error) {
	if len(slackChannelIDs) == 0 {
		return map[string]*ochre.ChannelLink{}, nil
	}
	return keyed(ctx, q, func(l *ochre.ChannelLink) string { return l.SlackChannelID },
		"SELECT * FROM channel_links WHERE tenant_id = ? AND slack_channel_id IN ? AND state <> 'UNLINKED'", tenant, slackChannelIDs)
}

// LinkPage reads a page of links, oldest first, with the UNLINKED ones or without.
func (q queries) LinkPage(ctx context.Context, tenant ochre.ID, unlinked bool, p Page) (*Slice[*ochre.ChannelLink], error) {
	l := &list[ochre.ChannelLink]{
		order: order[*ochre.ChannelLink]{
			list: "channelLinks", key: "created_at", kind: keyTime,
			at: func(l *ochre.ChannelLink) position { return position{timeKey(l.CreatedAt), l.ID} },
		},
		sql: "SELECT * FROM channel_links WHERE tenant_id = ?", args: []any{tenant},
	}
	if !unlinked {
		l.and("state <> 'UNLINKED'")
	}
	return page(ctx, q, tenant, l, p)
}

// SlackPlace is where a message is in Slack.
type SlackPlace struct {
	ID             ochre.ID // of the message or conversation
	TeamURL        string   // https://NAME.slack.com/
	SlackChannelID string
	ThreadTS       string
	SlackTS        string
}

// Permalink is the address of the message, in the form that chat.getPermalink gives; "" where the workspace's address is not known.
func (p *SlackPlace) Permalink() string {
	if p.TeamURL == "" {
		return ""
	}
	url := p.TeamURL + "archives/" + p.SlackChannelID + "/p" + strings.ReplaceAll(p.SlackTS, ".", "")
	if p.SlackTS != p.ThreadTS {
		url += "?thread_ts=" + p.ThreadTS + "&cid=" + p.SlackChannelID
	}
	return url
}

// MessagePlaces reads where messages are in Slack. Those that are not there yet are missing from the result.
func (q queries) MessagePlaces(ctx context.Context, tenant ochre.ID, messages []ochre.ID) (map[ochre.ID]*SlackPlace, error) {
	return keyed(ctx, q, func(p *SlackPlace) ochre.ID { return p.ID }, `SELECT m.id, i.team_url, l.slack_channel_id, t.thread_ts, p.slack_ts
		FROM messages m
		JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.part = 0
		JOIN threads t ON t.tenant_id = m.tenant_id AND t.id = m.thread_id
		JOIN channel_links l ON l.tenant_id = m.tenant_id AND l.id = m.link_id
		JOIN slack_installations i ON i.tenant_id = l.tenant_id AND i.id = l.installation_id
		WHERE m.tenant_id = ? AND m.id = ANY(?::uuid[]) AND p.slack_ts IS NOT NULL`, tenant, array(messages))
}

// ConversationPlaces reads where the root messages of conversations are in Slack.
func (q queries) ConversationPlaces(ctx context.Context, tenant ochre.ID, conversations []ochre.ID) (map[ochre.ID]*SlackPlace, error) {
	return keyed(ctx, q, func(p *SlackPlace) ochre.ID { return p.ID }, `SELECT DISTINCT ON (t.conversation_id)
			t.conversation_id AS id, i.team_url, l.slack_channel_id, t.thread_ts, t.thread_ts AS slack_ts
		FROM threads t
		JOIN channel_links l ON l.tenant_id = t.tenant_id AND l.id = t.link_id
		JOIN slack_installations i ON i.tenant_id = l.tenant_id AND i.id = l.installation_id
		WHERE t.tenant_id = ? AND t.conversation_id = ANY(?::uuid[]) ORDER BY t.conversation_id, t.thread_ts`, tenant, array(conversations))
}
