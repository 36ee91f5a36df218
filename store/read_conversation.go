package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ochrehq/ochre"
)

// Conversation reads one conversation.
func (q queries) Conversation(ctx context.Context, tenant, id ochre.ID) (*ochre.Conversation, error) {
	var c ochre.Conversation
	return one(&c, q.db.WithContext(ctx).Raw("SELECT * FROM conversations WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&c))
}

// ConversationsByID reads conversations.
func (q queries) ConversationsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Conversation, error) {
	return byID(ctx, q, "conversations", tenant, ids, func(c *ochre.Conversation) ochre.ID { return c.ID })
}

// ConversationByNumber reads the conversation with a number.
func (q queries) ConversationByNumber(ctx context.Context, tenant ochre.ID, number int) (*ochre.Conversation, error) {
	var c ochre.Conversation
	return one(&c, q.db.WithContext(ctx).Raw("SELECT * FROM conversations WHERE tenant_id = ? AND number = ?::bigint", tenant, number).Scan(&c))
}

// ConversationBySlackMessage reads the conversation that has a message of Slack. slackTeamID is the workspace of the installation that
// watches the channel. Links that ended count; of several links of one channel the newest does.
func (q queries) ConversationBySlackMessage(ctx context.Context, tenant ochre.ID, slackTeamID, slackChannelID, slackTS string) (*ochre.Conversation, error) {
	var c ochre.Conversation
	return one(&c, q.db.WithContext(ctx).Raw(`WITH l AS (
			SELECT id, created_at FROM channel_links WHERE tenant_id = ? AND slack_team_id = ? AND slack_channel_id = ?
		), found AS (
			SELECT m.conversation_id, l.created_at FROM l
			JOIN message_parts p ON p.tenant_id = ? AND p.link_id = l.id AND p.slack_ts = ?
			JOIN messages m ON m.tenant_id = p.tenant_id AND m.id = p.message_id
			WHERE m.conversation_id IS NOT NULL
			UNION ALL
			SELECT t.conversation_id, l.created_at FROM l
			JOIN threads t ON t.tenant_id = ? AND t.link_id = l.id AND t.thread_ts = ?
			WHERE t.conversation_id IS NOT NULL
		)
		SELECT c.* FROM conversations c WHERE c.tenant_id = ? AND c.id = (SELECT conversation_id FROM found ORDER BY created_at DESC LIMIT 1)`,
		tenant, Text(slackTeamID), Text(slackChannelID), tenant, Text(slackTS), tenant, Text(slackTS), tenant).Scan(&c))
}

// ConversationFilter tells which conversations are meant. All that is set must hold; of Status, any. A Status without values means none.
type ConversationFilter struct {
	Status         []ochre.ConversationStatus
	WaitingOn      *ochre.Side
	AssigneeID     *ochre.ID
	Unassigned     *bool
	OrganizationID *ochre.ID
	LinkID         *ochre.ID
	EndUserID      *ochre.ID
}

// ConversationSort is what conversations can be ordered by.
type ConversationSort string

// The orders of conversations. With ByWaitingSince those that wait for nobody come last in either direction.
const (
	ByLastActivity ConversationSort = "LAST_ACTIVITY_AT"
	ByCreated      ConversationSort = "CREATED_AT"
	ByWaitingSince ConversationSort = "WAITING_SINCE"
)

// ConversationPage reads a page of conversations. Ties go by id in the same direction.
func (q queries) ConversationPage(ctx context.Context, tenant ochre.ID, f ConversationFilter, by ConversationSort, desc bool, p Page) (*Slice[*ochre.Conversation], error) {
	l := &list[ochre.Conversation]{order: conversationOrder(by, desc), sql: "SELECT * FROM conversations WHERE tenant_id = ?", args: []any{tenant}}
	switch {
	case len(f.Status) == 1: // an index gives these in order, of several it can't
		l.and("status = ?", string(f.Status[0]))
	case f.Status != nil:
		l.and("status = ANY(?::text[])", textArray(f.Status))
	}
	if f.WaitingOn != nil {
		l.and("waiting_on = ?", string(*f.WaitingOn))
	}
	if f.AssigneeID != nil {
		l.and("assignee_id = ?", *f.AssigneeID)
	}
	if f.Unassigned != nil {
		l.and("(assignee_id IS NULL) = ?", *f.Unassigned)
	}
	if f.OrganizationID != nil {
		l.and("organization_id = ?", *f.OrganizationID)
	}
	if f.LinkID != nil {
		l.and("link_id = ?", *f.LinkID)
	}
	if f.EndUserID != nil {
		l.and("end_user_id = ?", *f.EndUserID)
	}
	return page(ctx, q, tenant, l, p)
}

func conversationOrder(by ConversationSort, desc bool) order[*ochre.Conversation] {
	o := order[*ochre.Conversation]{list: fmt.Sprintf("conversations %s %t", by, desc), kind: keyTime, desc: desc}
	switch by {
	case ByCreated:
		o.key, o.at = "created_at", func(c *ochre.Conversation) position { return position{timeKey(c.CreatedAt), c.ID} }
	case ByWaitingSince:
		never := int64(neverUp)
		o.key = "COALESCE(waiting_since, 'infinity'::timestamptz)"
		if desc {
			never, o.key = neverDown, "COALESCE(waiting_since, '-infinity'::timestamptz)"
		}
		o.at = func(c *ochre.Conversation) position {
			if c.WaitingSince == nil {
				return position{strconv.FormatInt(never, 10), c.ID}
			}
			return position{timeKey(*c.WaitingSince), c.ID}
		}
	default:
		o.key, o.at = "last_activity_at", func(c *ochre.Conversation) position { return position{timeKey(c.LastActivityAt), c.ID} }
	}
	return o
}

// textArray writes values of an enum as one argument for ANY(?::text[]).
func textArray[S ~string](values []S) string {
	text := "{"
	for i, v := range values {
		if i > 0 {
			text += ","
		}
		text += string(v)
	}
	return text + "}"
}
