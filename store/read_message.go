package store

import (
	"context"

	"github.com/ochrehq/ochre"
)

// MessagesByID reads messages with where they stand in Slack.
func (q queries) MessagesByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Message, error) {
	return keyed(ctx, q, func(m *ochre.Message) ochre.ID { return m.ID }, messageSQL+"WHERE m.tenant_id = ? AND m.id = ANY(?::uuid[])", tenant, array(ids))
}

// NotesByID reads notes.
func (q queries) NotesByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Note, error) {
	return byID(ctx, q, "notes", tenant, ids, func(n *ochre.Note) ochre.ID { return n.ID })
}

// ActivitiesByID reads activities.
func (q queries) ActivitiesByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Activity, error) {
	return byID(ctx, q, "activities", tenant, ids, func(a *ochre.Activity) ochre.ID { return a.ID })
}

// attachmentSQL reads files. Those of a deleted message are gone with it.
const attachmentSQL = `SELECT a.* FROM attachments a JOIN messages m ON m.tenant_id = a.tenant_id AND m.id = a.message_id AND m.deleted_at IS NULL `

// AttachmentsByID reads files.
func (q queries) AttachmentsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Attachment, error) {
	return keyed(ctx, q, func(a *ochre.Attachment) ochre.ID { return a.ID }, attachmentSQL+"WHERE a.tenant_id = ? AND a.id = ANY(?::uuid[])", tenant, array(ids))
}

// AttachmentsOf reads the files of messages, in each message's order.
func (q queries) AttachmentsOf(ctx context.Context, tenant ochre.ID, messages []ochre.ID) (map[ochre.ID][]*ochre.Attachment, error) {
	return grouped(ctx, q, func(a *ochre.Attachment) ochre.ID { return a.MessageID },
		attachmentSQL+"WHERE a.tenant_id = ? AND a.message_id = ANY(?::uuid[]) ORDER BY a.ordinal, a.id", tenant, array(messages))
}

// ReactionsOf reads the emoji on messages, each with how many people put it, in the order in which they came. Those of a deleted message
// are gone with it.
func (q queries) ReactionsOf(ctx context.Context, tenant ochre.ID, messages []ochre.ID) (map[ochre.ID][]*ochre.Reaction, error) {
	type row struct {
		MessageID ochre.ID
		ochre.Reaction
	}
	found, err := rows[row](ctx, q, `SELECT m.id AS message_id, r.emoji, count(*) AS count, bool_or(r.slack_user_id = i.bot_user_id) AS reacted_by_us
		FROM messages m
		JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.part = 0
		JOIN reactions r ON r.tenant_id = p.tenant_id AND r.link_id = p.link_id AND r.slack_ts = p.slack_ts AND r.present
		JOIN channel_links l ON l.tenant_id = p.tenant_id AND l.id = p.link_id
		JOIN slack_installations i ON i.tenant_id = l.tenant_id AND i.id = l.installation_id
		WHERE m.tenant_id = ? AND m.id = ANY(?::uuid[]) AND m.deleted_at IS NULL
		GROUP BY m.id, r.emoji ORDER BY m.id, min(r.event_ts), r.emoji`, tenant, array(messages))
	if err != nil {
		return nil, err
	}
	of := make(map[ochre.ID][]*ochre.Reaction, len(messages))
	for _, r := range found {
		of[r.MessageID] = append(of[r.MessageID], &r.Reaction)
	}
	return of, nil
}
