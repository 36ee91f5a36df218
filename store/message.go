package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// messageSQL reads messages with their first part, which is where a message stands in Slack.
const messageSQL = `SELECT m.*, p.slack_ts, p.delivery_state, p.attempts, p.error_code, p.error_message, p.next_attempt_at
	FROM messages m LEFT JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.part = 0 `

// Rows are locked FOR NO KEY UPDATE everywhere here: a foreign key takes KEY SHARE of the row that it names, which FOR UPDATE keeps waiting. An agent's
// reply, which names the thread that a customer's message holds, would so wait for it out of order, and the two for one another.

// Message reads one message.
func (q queries) Message(ctx context.Context, tenant, id ochre.ID) (*ochre.Message, error) {
	var m ochre.Message
	return one(&m, q.db.WithContext(ctx).Raw(messageSQL+"WHERE m.tenant_id = ? AND m.id = ?", tenant, id).Scan(&m))
}

// LockMessage reads one message and locks it until the commit.
func (tx *Tx) LockMessage(ctx context.Context, id ochre.ID) (*ochre.Message, error) {
	var m ochre.Message
	return one(&m, tx.db.WithContext(ctx).Raw(messageSQL+"WHERE m.tenant_id = ? AND m.id = ? FOR NO KEY UPDATE OF m", tx.Tenant, id).Scan(&m))
}

// LockMessageAt reads the message that a link has at a Slack ts and locks it until the commit.
func (tx *Tx) LockMessageAt(ctx context.Context, link ochre.ID, slackTS string) (*ochre.Message, error) {
	var m ochre.Message
	return one(&m, tx.db.WithContext(ctx).Raw(messageSQL+"WHERE p.tenant_id = ? AND p.link_id = ? AND p.slack_ts = ? FOR NO KEY UPDATE OF m", tx.Tenant, link, slackTS).Scan(&m))
}

// LockSlackTS makes transactions about one Slack message wait for one another, also while no row of it exists.
func (tx *Tx) LockSlackTS(ctx context.Context, link ochre.ID, slackTS string) error {
	return tx.db.WithContext(ctx).Exec("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", link.String()+slackTS).Error
}

// InsertMessage stores a new message with its first part.
func (tx *Tx) InsertMessage(ctx context.Context, m *ochre.Message) error {
	m.TenantID = tx.Tenant
	err := tx.db.WithContext(ctx).Exec(`WITH m AS (
		INSERT INTO messages (tenant_id, id, thread_id, link_id, conversation_id, version, position, direction, author_kind, identity_id, agent_id,
			app_name, slack_app_id, body, original, edit_ts, created_at, queued_at, edited_at, deleted_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING tenant_id, id, link_id)
		INSERT INTO message_parts (tenant_id, message_id, part, kind, link_id, slack_ts, delivery_state) SELECT tenant_id, id, 0, 'TEXT', link_id, ?, ? FROM m`,
		m.TenantID, m.ID, m.ThreadID, m.LinkID, m.ConversationID, m.Version, m.Position, string(m.Direction), string(m.AuthorKind), m.IdentityID, m.AgentID,
		m.AppName, m.SlackAppID, m.Body, m.Original, m.EditTS, m.CreatedAt, m.QueuedAt, m.EditedAt, m.DeletedAt, m.SlackTS, m.DeliveryState).Error
	if err != nil {
		return fmt.Errorf("insert a message: %w", err)
	}
	return nil
}

// UpdateMessage writes all of a locked message but its part, as a new version.
func (tx *Tx) UpdateMessage(ctx context.Context, m *ochre.Message) error {
	m.Version++
	err := tx.db.WithContext(ctx).Exec(`UPDATE messages SET conversation_id = ?, version = ?, position = ?, direction = ?, author_kind = ?, identity_id = ?, agent_id = ?,
			app_name = ?, slack_app_id = ?, body = ?, original = ?, edit_ts = ?, created_at = ?, edited_at = ?, deleted_at = ?,
			pending_kind = ?, pending_state = ?, pending_error = ?, pending_body = ? WHERE tenant_id = ? AND id = ?`,
		m.ConversationID, m.Version, m.Position, string(m.Direction), string(m.AuthorKind), m.IdentityID, m.AgentID,
		m.AppName, m.SlackAppID, m.Body, m.Original, m.EditTS, m.CreatedAt, m.EditedAt, m.DeletedAt,
		m.PendingKind, m.PendingState, m.PendingError, m.PendingBody, tx.Tenant, m.ID).Error
	if err != nil {
		return fmt.Errorf("update a message: %w", err)
	}
	return nil
}

// Part is where one part of an outbound message stands; see table message_parts.
type Part struct {
	MessageID     ochre.ID
	Part          int
	LinkID        ochre.ID
	SlackTS       *string
	DeliveryState ochre.DeliveryState
	AttemptID     *ochre.ID
	Attempts      int
	AttemptEnded  *time.Time
	LookedUp      int
	ErrorCode     *string
	ErrorMessage  *string
	NextAttemptAt *time.Time
}

// LockPart reads the first part of one of our messages and locks it.
func (tx *Tx) LockPart(ctx context.Context, message ochre.ID) (*Part, error) {
	var p Part
	return one(&p, tx.db.WithContext(ctx).Raw(`SELECT * FROM message_parts WHERE tenant_id = ? AND message_id = ? AND part = 0 AND delivery_state IS NOT NULL FOR NO KEY UPDATE`,
		tx.Tenant, message).Scan(&p))
}

// UpdatePart writes a locked part.
func (tx *Tx) UpdatePart(ctx context.Context, p *Part) error {
	err := tx.db.WithContext(ctx).Exec(`UPDATE message_parts SET slack_ts = ?, delivery_state = ?, attempt_id = ?, attempts = ?, attempt_ended = ?, looked_up = ?,
			error_code = ?, error_message = ?, next_attempt_at = ? WHERE tenant_id = ? AND message_id = ? AND part = ?`,
		p.SlackTS, string(p.DeliveryState), p.AttemptID, p.Attempts, p.AttemptEnded, p.LookedUp, p.ErrorCode, p.ErrorMessage, p.NextAttemptAt,
		tx.Tenant, p.MessageID, p.Part).Error
	if err != nil {
		return fmt.Errorf("update a message's part: %w", err)
	}
	return nil
}

// Bury keeps that a Slack message was deleted. It gives the time of the deletion that counts, which is the first of all that were told.
func (tx *Tx) Bury(ctx context.Context, link ochre.ID, slackTS, deletedTS string) (string, error) {
	var ts string
	err := tx.db.WithContext(ctx).Raw(`INSERT INTO tombstones (tenant_id, link_id, slack_ts, deleted_ts) VALUES (?, ?, ?, ?)
		ON CONFLICT (tenant_id, link_id, slack_ts) DO UPDATE SET deleted_ts = LEAST(tombstones.deleted_ts, excluded.deleted_ts) RETURNING deleted_ts`,
		tx.Tenant, link, slackTS, deletedTS).Scan(&ts).Error
	return ts, err
}

// Tombstone gives the Slack time at which a message was deleted, "" if it was not.
func (q queries) Tombstone(ctx context.Context, tenant, link ochre.ID, slackTS string) (string, error) {
	var ts string
	err := q.db.WithContext(ctx).Raw("SELECT deleted_ts FROM tombstones WHERE tenant_id = ? AND link_id = ? AND slack_ts = ?", tenant, link, slackTS).Scan(&ts).Error
	return ts, err
}

// React keeps that someone put or took an emoji. It tells whether that was news: an older event than the one known changes nothing. Of two at one time
// the taking counts.
func (tx *Tx) React(ctx context.Context, link ochre.ID, slackTS, emoji, slackUser, eventTS string, present bool) (bool, error) {
	res := tx.db.WithContext(ctx).Exec(`INSERT INTO reactions AS r (tenant_id, link_id, slack_ts, emoji, slack_user_id, event_ts, present) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, link_id, slack_ts, emoji, slack_user_id) DO UPDATE SET event_ts = excluded.event_ts, present = excluded.present
		WHERE (r.event_ts, NOT r.present) < (excluded.event_ts, NOT excluded.present)`, tx.Tenant, link, slackTS, emoji, slackUser, eventTS, present)
	return res.RowsAffected > 0, res.Error
}

// SetAttachments replaces the files of a message by those given, keeping the ids of the ones it already has. Files must come with new ids.
func (tx *Tx) SetAttachments(ctx context.Context, message ochre.ID, files []ochre.Attachment) error {
	keep := []string{""}
	for i, f := range files {
		keep = append(keep, f.SlackFileID)
		err := tx.db.WithContext(ctx).Exec(`INSERT INTO attachments AS a (tenant_id, id, message_id, slack_file_id, ordinal, state, name, mime_type, size, slack_url)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, message_id, slack_file_id) DO UPDATE SET ordinal = excluded.ordinal,
			state = CASE WHEN excluded.state = 'PENDING' THEN a.state ELSE excluded.state END, name = COALESCE(excluded.name, a.name),
			mime_type = COALESCE(excluded.mime_type, a.mime_type), size = COALESCE(excluded.size, a.size), slack_url = COALESCE(excluded.slack_url, a.slack_url)`,
			tx.Tenant, f.ID, message, f.SlackFileID, i, string(f.State), f.Name, f.MimeType, f.Size, f.SlackURL).Error
		if err != nil {
			return fmt.Errorf("store a file: %w", err)
		}
	}
	return tx.db.WithContext(ctx).Exec("DELETE FROM attachments WHERE tenant_id = ? AND message_id = ? AND slack_file_id NOT IN ?", tx.Tenant, message, keep).Error
}

// Attachments reads the files of a message in their order.
func (q queries) Attachments(ctx context.Context, tenant, message ochre.ID) ([]ochre.Attachment, error) {
	var as []ochre.Attachment
	err := q.db.WithContext(ctx).Raw("SELECT * FROM attachments WHERE tenant_id = ? AND message_id = ? ORDER BY ordinal", tenant, message).Scan(&as).Error
	return as, err
}

// UpdateAttachment writes what became known of a file.
func (tx *Tx) UpdateAttachment(ctx context.Context, a *ochre.Attachment) error {
	return tx.db.WithContext(ctx).Exec(`UPDATE attachments SET state = ?, name = ?, mime_type = ?, size = ?, slack_url = ? WHERE tenant_id = ? AND id = ?`,
		string(a.State), a.Name, a.MimeType, a.Size, a.SlackURL, tx.Tenant, a.ID).Error
}

// InsertActivity stores an activity.
func (tx *Tx) InsertActivity(ctx context.Context, a *ochre.Activity) error {
	a.TenantID = tx.Tenant
	err := tx.db.WithContext(ctx).Exec(`INSERT INTO activities (tenant_id, id, conversation_id, version, position, kind, actor_kind, actor_id, "from", "to", created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, a.TenantID, a.ID, a.ConversationID, a.Version, a.Position, string(a.Kind), string(a.ActorKind), a.ActorID, a.From, a.To, a.CreatedAt).Error
	if err != nil {
		return fmt.Errorf("insert an activity: %w", err)
	}
	return nil
}

// HasPost tells whether a message waits in the outbound queue to be posted.
func (q queries) HasPost(ctx context.Context, tenant, message ochre.ID) (bool, error) {
	var waits bool
	err := q.db.WithContext(ctx).Raw("SELECT EXISTS (SELECT FROM lane_items WHERE tenant_id = ? AND message_id = ? AND kind = 'POST' AND dead_at IS NULL)", tenant, message).Scan(&waits).Error
	return waits, err
}
