package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// LockThread gives the thread of a link at a Slack ts, made if it is new, and locks it until the commit.
func (tx *Tx) LockThread(ctx context.Context, link ochre.ID, threadTS string) (*ochre.Thread, error) {
	var t ochre.Thread
	read := func() (*ochre.Thread, error) {
		return one(&t, tx.db.WithContext(ctx).Raw("SELECT * FROM threads WHERE tenant_id = ? AND link_id = ? AND thread_ts = ? FOR NO KEY UPDATE", tx.Tenant, link, threadTS).Scan(&t))
	}
	got, err := read()
	if !errors.Is(err, ochre.ErrNotFound) {
		return got, err
	}
	err = tx.db.WithContext(ctx).Exec(`INSERT INTO threads (tenant_id, id, link_id, thread_ts, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, link_id, thread_ts) DO NOTHING`, tx.Tenant, ochre.NewIDAt(tx.now), link, threadTS, tx.now).Error
	if err != nil {
		return nil, fmt.Errorf("make a thread: %w", err)
	}
	return read()
}

// LockThreadByID reads a thread and locks it.
func (tx *Tx) LockThreadByID(ctx context.Context, id ochre.ID) (*ochre.Thread, error) {
	var t ochre.Thread
	return one(&t, tx.db.WithContext(ctx).Raw("SELECT * FROM threads WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&t))
}

// ThreadOf reads the thread of a conversation.
func (q queries) ThreadOf(ctx context.Context, tenant, conversation ochre.ID) (*ochre.Thread, error) {
	var t ochre.Thread
	return one(&t, q.db.WithContext(ctx).Raw("SELECT * FROM threads WHERE tenant_id = ? AND conversation_id = ? ORDER BY thread_ts LIMIT 1", tenant, conversation).Scan(&t))
}

// UpdateThread writes a locked thread.
func (tx *Tx) UpdateThread(ctx context.Context, t *ochre.Thread) error {
	return tx.db.WithContext(ctx).Exec("UPDATE threads SET conversation_id = ?, root_known = ? WHERE tenant_id = ? AND id = ?", t.ConversationID, t.RootKnown, tx.Tenant, t.ID).Error
}

// AdoptMessages gives the messages of a thread that just opened to its conversation, and tells which they are.
func (tx *Tx) AdoptMessages(ctx context.Context, thread, conversation ochre.ID) ([]ochre.ID, error) {
	var ids []ochre.ID
	err := tx.db.WithContext(ctx).Raw(`UPDATE messages SET conversation_id = ? WHERE tenant_id = ? AND thread_id = ? AND conversation_id IS NULL RETURNING id`,
		conversation, tx.Tenant, thread).Scan(&ids).Error
	return ids, err
}

// ThreadMessages reads the messages of a thread in the order of the timeline, and locks them.
func (tx *Tx) ThreadMessages(ctx context.Context, thread ochre.ID) ([]ochre.Message, error) {
	var ms []ochre.Message
	err := tx.db.WithContext(ctx).Raw(messageSQL+"WHERE m.tenant_id = ? AND m.thread_id = ? ORDER BY m.position, m.id FOR NO KEY UPDATE OF m", tx.Tenant, thread).Scan(&ms).Error
	return ms, err
}

// NextNumber takes a tenant's next conversation number, in a transaction of its own so that nobody waits for it long. Numbers may have gaps.
func (s *Store) NextNumber(ctx context.Context, tenant ochre.ID) (int, error) {
	var n int
	err := s.db.WithContext(ctx).Raw("UPDATE number_counters SET number = number + 1 WHERE tenant_id = ? RETURNING number", tenant).Scan(&n).Error
	if err == nil && n == 0 {
		err = fmt.Errorf("tenant %s has no counter", tenant)
	}
	return n, err
}

// LockConversation reads a conversation and locks it until the commit.
func (tx *Tx) LockConversation(ctx context.Context, id ochre.ID) (*ochre.Conversation, error) {
	var c ochre.Conversation
	return one(&c, tx.db.WithContext(ctx).Raw("SELECT * FROM conversations WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&c))
}

// InsertConversation stores a new conversation.
func (tx *Tx) InsertConversation(ctx context.Context, c *ochre.Conversation) error {
	c.TenantID = tx.Tenant
	if err := tx.db.WithContext(ctx).Create(c).Error; err != nil {
		return fmt.Errorf("insert a conversation: %w", err)
	}
	return nil
}

// UpdateConversation writes a locked conversation as a new version.
func (tx *Tx) UpdateConversation(ctx context.Context, c *ochre.Conversation) error {
	c.Version++
	err := tx.db.WithContext(ctx).Exec(`UPDATE conversations SET version = ?, title = ?, preview = ?, status = ?, base_status = ?, status_at = ?, snoozed_until = ?, base_snoozed_until = ?, priority = ?,
			waiting_on = ?, waiting_since = ?, assignee_id = ?, organization_id = ?, end_user_id = ?, last_activity_at = ? WHERE tenant_id = ? AND id = ?`,
		c.Version, c.Title, c.Preview, string(c.Status), string(c.BaseStatus), c.StatusAt, c.SnoozedUntil, c.BaseSnoozedUntil, string(c.Priority),
		c.WaitingOn, c.WaitingSince, c.AssigneeID, c.OrganizationID, c.EndUserID, c.LastActivityAt, tx.Tenant, c.ID).Error
	if err != nil {
		return fmt.Errorf("update a conversation: %w", err)
	}
	return nil
}

// Outline is what a conversation's title, preview, status and turn are derived from. All of it is a function of its messages as a set.
// Positions are microseconds; those of messages that are not in Slack yet are past ochre.QueuedPosition's offset.
type Outline struct {
	Root           *ochre.Message // the thread's root; nil while not known
	RootDeleted    bool           // the root was deleted, also where it was never seen
	First          *ochre.Message // the first message there is
	Newest         *ochre.Message // the newest that stands; apps' messages count
	NewestCustomer int64          // position of the newest standing message of the customer's people; 0: none
	NewestSide     *ochre.Side    // who wrote the newest standing message of people
	SideSince      *time.Time     // since when: the first of that side after the other side's last
	EndUserID      *ochre.ID      // who began it: the first end user in it
	LastAt         time.Time      // time of the newest message
}

// Outline reads what a thread's conversation is derived from.
func (tx *Tx) Outline(ctx context.Context, t *ochre.Thread) (*Outline, error) {
	var o Outline
	db := tx.db.WithContext(ctx)
	pick := func(where, order string) (*ochre.Message, error) {
		var m ochre.Message
		got, err := one(&m, db.Raw(messageSQL+"WHERE m.tenant_id = ? AND m.thread_id = ? AND "+where+" ORDER BY "+order+" LIMIT 1", tx.Tenant, t.ID).Scan(&m))
		if err != nil && !errors.Is(err, ochre.ErrNotFound) {
			return nil, err
		}
		return got, nil
	}
	const stands = "m.deleted_at IS NULL AND p.delivery_state IS DISTINCT FROM 'FAILED'"
	var err error
	if o.First, err = pick("true", "m.position, m.id"); err != nil {
		return nil, err
	}
	if o.First != nil && o.First.SlackTS != nil && *o.First.SlackTS == t.ThreadTS {
		o.Root = o.First
	}
	grave, err := tx.Tombstone(ctx, tx.Tenant, t.LinkID, t.ThreadTS)
	if err != nil {
		return nil, err
	}
	o.RootDeleted = grave != ""
	if o.Newest, err = pick(stands, "m.position DESC, m.id DESC"); err != nil {
		return nil, err
	}
	var row struct {
		NewestCustomer *int64
		NewestUs       *int64
		EndUserID      *ochre.ID
		LastAt         *time.Time
	}
	err = db.Raw(`SELECT max(m.position) FILTER (WHERE m.direction = 'INBOUND' AND m.author_kind <> 'APP' AND `+stands+`) AS newest_customer,
			max(m.position) FILTER (WHERE m.direction = 'OUTBOUND' AND m.author_kind <> 'APP' AND `+stands+`) AS newest_us,
			(array_agg(i.end_user_id ORDER BY m.position, m.id) FILTER (WHERE m.author_kind = 'END_USER' AND i.end_user_id IS NOT NULL))[1] AS end_user_id,
			max(m.created_at) AS last_at
		FROM messages m LEFT JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.part = 0
		LEFT JOIN slack_identities i ON i.tenant_id = m.tenant_id AND i.id = m.identity_id
		WHERE m.tenant_id = ? AND m.thread_id = ?`, tx.Tenant, t.ID).Scan(&row).Error
	if err != nil {
		return nil, fmt.Errorf("outline a thread: %w", err)
	}
	o.EndUserID = row.EndUserID
	if row.LastAt != nil {
		o.LastAt = *row.LastAt
	}
	return &o, tx.turn(ctx, t, &o, row.NewestCustomer, row.NewestUs)
}

// turn sets whose message is the newest of people and since when that side wrote.
func (tx *Tx) turn(ctx context.Context, t *ochre.Thread, o *Outline, customer, us *int64) error {
	if customer != nil {
		o.NewestCustomer = *customer
	}
	if customer == nil && us == nil {
		return nil
	}
	side, direction, other := ochre.SideCustomer, ochre.DirectionInbound, us
	if customer == nil || us != nil && *us > *customer {
		side, direction, other = ochre.SideUs, ochre.DirectionOutbound, customer
	}
	after := int64(-1)
	if other != nil {
		after = *other
	}
	var since *time.Time
	err := tx.db.WithContext(ctx).Raw(`SELECT min(m.created_at) FROM messages m LEFT JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.part = 0
		WHERE m.tenant_id = ? AND m.thread_id = ? AND m.position > ? AND m.direction = ? AND m.author_kind <> 'APP' AND m.deleted_at IS NULL
		AND p.delivery_state IS DISTINCT FROM 'FAILED'`, tx.Tenant, t.ID, after, string(direction)).Scan(&since).Error
	o.NewestSide, o.SideSince = &side, since
	return err
}

// ThreadTSOf gives the ts of the thread in which a known message of a link stands.
func (q queries) ThreadTSOf(ctx context.Context, tenant, link ochre.ID, slackTS string) (string, error) {
	var ts string
	got, err := one(&ts, q.db.WithContext(ctx).Raw(`SELECT t.thread_ts FROM message_parts p JOIN messages m ON m.tenant_id = p.tenant_id AND m.id = p.message_id
		JOIN threads t ON t.tenant_id = m.tenant_id AND t.id = m.thread_id WHERE p.tenant_id = ? AND p.link_id = ? AND p.slack_ts = ?`, tenant, link, slackTS).Scan(&ts))
	if err != nil {
		return "", err
	}
	return *got, nil
}

// IdentityAt gives who wrote the message that a link has at a Slack ts; nil where that is not known.
func (q queries) IdentityAt(ctx context.Context, tenant, link ochre.ID, slackTS string) (*ochre.ID, error) {
	var row struct{ IdentityID *ochre.ID }
	err := q.db.WithContext(ctx).Raw(`SELECT m.identity_id FROM message_parts p JOIN messages m ON m.tenant_id = p.tenant_id AND m.id = p.message_id
		WHERE p.tenant_id = ? AND p.link_id = ? AND p.slack_ts = ?`, tenant, link, slackTS).Scan(&row).Error
	return row.IdentityID, err
}

// Thread reads a thread.
func (q queries) Thread(ctx context.Context, tenant, id ochre.ID) (*ochre.Thread, error) {
	var t ochre.Thread
	return one(&t, q.db.WithContext(ctx).Raw("SELECT * FROM threads WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&t))
}

// SlackEvent reads the body of a stored event as it was signed, and the link it is for.
func (q queries) SlackEvent(ctx context.Context, tenant, id ochre.ID) (link ochre.ID, body []byte, err error) {
	var row struct {
		LinkID ochre.ID
		Body   []byte
	}
	_, err = one(&row, q.db.WithContext(ctx).Raw("SELECT link_id, body FROM slack_events WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&row))
	return row.LinkID, row.Body, err
}

// SlackChannelName gives the name of a Slack channel as any installation of the tenant sees it; "" where none does.
func (q queries) SlackChannelName(ctx context.Context, tenant ochre.ID, slackChannelID string) (string, error) {
	var name string
	err := q.db.WithContext(ctx).Raw("SELECT name FROM slack_channels WHERE tenant_id = ? AND slack_channel_id = ? LIMIT 1", tenant, slackChannelID).Scan(&name).Error
	return name, err
}
