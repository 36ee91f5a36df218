package ochre

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ConversationStatus is OPEN, SNOOZED (until a time or a customer's message) or CLOSED.
type ConversationStatus string

// The statuses.
const (
	StatusOpen    ConversationStatus = "OPEN"
	StatusSnoozed ConversationStatus = "SNOOZED"
	StatusClosed  ConversationStatus = "CLOSED"
)

// Side is one of the two sides of a conversation.
type Side string

// The sides.
const (
	SideUs       Side = "US"
	SideCustomer Side = "CUSTOMER"
)

// Priority orders work.
type Priority string

// The priorities; a new conversation is NORMAL.
const (
	PriorityUrgent Priority = "URGENT"
	PriorityHigh   Priority = "HIGH"
	PriorityNormal Priority = "NORMAL"
	PriorityLow    Priority = "LOW"
)

// Source is where conversations come from.
type Source string

// SourceSlack is the only source so far.
const SourceSlack Source = "SLACK"

// Conversation is a Slack top-level message and its thread. Title, Preview, WaitingOn, WaitingSince and LastActivityAt are derived
// from its messages. BaseStatus is what a hand or a timer last set, at StatusAt: Status is OPEN while a customer's message after StatusAt stands,
// else BaseStatus, until BaseSnoozedUntil if that is SNOOZED. Version grows by each change.
type Conversation struct {
	TenantID         ID
	ID               ID
	Version          int
	Number           int
	Title            string
	Preview          string
	Status           ConversationStatus
	BaseStatus       ConversationStatus
	StatusAt         time.Time
	SnoozedUntil     *time.Time
	BaseSnoozedUntil *time.Time
	Priority         Priority
	WaitingOn        *Side
	WaitingSince     *time.Time
	AssigneeID       *ID
	OrganizationID   *ID
	EndUserID        *ID
	LinkID           ID
	CreatedAt        time.Time
	LastActivityAt   time.Time
}

// SetStatus sets the status by hand or by a timer, at a time.
func (c *Conversation) SetStatus(s ConversationStatus, at time.Time) {
	c.Status, c.BaseStatus, c.StatusAt = s, s, at
	if s != StatusSnoozed {
		c.SnoozedUntil = nil
	}
	c.BaseSnoozedUntil = c.SnoozedUntil
}

// Source tells where the conversation comes from.
func (c *Conversation) Source() Source { return SourceSlack }

// Thread is a Slack thread inside a link. ConversationID is nil while nothing in it opened a conversation (only apps posted).
// RootKnown tells whether the root message came or was fetched.
type Thread struct {
	TenantID       ID
	ID             ID
	LinkID         ID
	ThreadTS       string
	ConversationID *ID
	RootKnown      bool
}

// MessageDirection tells which side wrote a message.
type MessageDirection string

// The directions.
const (
	DirectionInbound  MessageDirection = "INBOUND"
	DirectionOutbound MessageDirection = "OUTBOUND"
)

// AuthorKind tells what an author is in this message; the same Slack identity may be an agent here and an end user there.
type AuthorKind string

// The kinds of author.
const (
	AuthorUnknown    AuthorKind = "UNKNOWN"
	AuthorEndUser    AuthorKind = "END_USER"
	AuthorAgent      AuthorKind = "AGENT"
	AuthorTeammate   AuthorKind = "TEAMMATE"
	AuthorApp        AuthorKind = "APP"
	AuthorAutomation AuthorKind = "AUTOMATION"
)

// DeliveryState is where an outbound message stands on its way to Slack.
type DeliveryState string

// The states of a delivery. UNCONFIRMED: Slack's answer was lost and the message was not found yet.
const (
	DeliveryQueued      DeliveryState = "QUEUED"
	DeliverySending     DeliveryState = "SENDING"
	DeliveryUnconfirmed DeliveryState = "UNCONFIRMED"
	DeliverySent        DeliveryState = "SENT"
	DeliveryFailed      DeliveryState = "FAILED"
)

// Delivery is where an outbound message stands. ErrorCode is Slack's error code or one of ours (MSG_TOO_LONG, CANCELLED …).
type Delivery struct {
	State         DeliveryState
	Attempts      int
	ErrorCode     *string
	ErrorMessage  *string
	NextAttemptAt *time.Time
}

// PendingChangeKind is an EDIT or a DELETE of ours.
type PendingChangeKind string

// The kinds of pending change.
const (
	PendingEdit   PendingChangeKind = "EDIT"
	PendingDelete PendingChangeKind = "DELETE"
)

// PendingChange is an edit or deletion of ours that Slack has not taken yet (QUEUED, SENDING) or refused (FAILED).
type PendingChange struct {
	Kind      PendingChangeKind
	State     DeliveryState
	ErrorCode *string
}

// Message is something both sides see. Position orders the timeline: the Slack ts in microseconds once known, before that
// QueuedPosition. EditTS is the Slack time of the edit that stands, "" for none. The fields from SlackTS on come from its first
// part (table message_parts). Body is Markdown; Rendered source stays in Original so that names found later can be put in.
type Message struct {
	TenantID       ID
	ID             ID
	ThreadID       ID
	LinkID         ID
	ConversationID *ID
	Version        int
	Position       int64
	Direction      MessageDirection
	AuthorKind     AuthorKind
	IdentityID     *ID
	AgentID        *ID
	AppName        *string
	SlackAppID     *string
	Body           string
	Original       []byte // JSON {"text","blocks","attachments","files"} as Slack sent it; nil for what was written in Ochre
	EditTS         string
	CreatedAt      time.Time
	QueuedAt       *time.Time
	EditedAt       *time.Time
	DeletedAt      *time.Time

	PendingKind  *PendingChangeKind
	PendingState *DeliveryState
	PendingError *string
	PendingBody  *string

	SlackTS       *string
	DeliveryState *DeliveryState
	Attempts      int
	ErrorCode     *string
	ErrorMessage  *string
	NextAttemptAt *time.Time
}

// Delivery gives where the message stands on its way to Slack; nil for what came from there.
func (m *Message) Delivery() *Delivery {
	if m.DeliveryState == nil {
		return nil
	}
	return &Delivery{
		State: *m.DeliveryState, Attempts: m.Attempts, ErrorCode: m.ErrorCode, ErrorMessage: m.ErrorMessage, NextAttemptAt: m.NextAttemptAt,
	}
}

// PendingChange gives an edit or deletion of ours that Slack has not taken yet or refused; nil for none.
func (m *Message) PendingChange() *PendingChange {
	if m.PendingKind == nil || m.PendingState == nil {
		return nil
	}
	return &PendingChange{Kind: *m.PendingKind, State: *m.PendingState, ErrorCode: m.PendingError}
}

// Stands tells whether the message counts for the preview and whose turn it is: not deleted, and not refused by Slack.
func (m *Message) Stands() bool {
	return m.DeletedAt == nil && (m.DeliveryState == nil || *m.DeliveryState != DeliveryFailed)
}

// Note is seen by agents only, ever. It has no way to Slack.
type Note struct {
	TenantID       ID
	ID             ID
	ConversationID ID
	Version        int
	Position       int64
	AuthorID       ID
	Body           string
	CreatedAt      time.Time
	EditedAt       *time.Time
}

// ActivityKind is what happened to the conversation itself.
type ActivityKind string

// The kinds of activity.
const (
	ActivityCreated         ActivityKind = "CREATED"
	ActivityAssigned        ActivityKind = "ASSIGNED"
	ActivityUnassigned      ActivityKind = "UNASSIGNED"
	ActivityClosed          ActivityKind = "CLOSED"
	ActivityReopened        ActivityKind = "REOPENED"
	ActivitySnoozed         ActivityKind = "SNOOZED"
	ActivityWoken           ActivityKind = "WOKEN"
	ActivityPriorityChanged ActivityKind = "PRIORITY_CHANGED"
)

// Activity is a change of the conversation itself. From and To are the values before and after, as the API prints them.
type Activity struct {
	TenantID       ID
	ID             ID
	ConversationID ID
	Version        int
	Position       int64
	Kind           ActivityKind
	ActorKind      AuthorKind
	ActorID        *ID // an agent's or an end user's id, as ActorKind says
	From           *string
	To             *string
	CreatedAt      time.Time
}

// QueuedPosition is where a message without a Slack ts stands: after all sent ones, by queue time.
func QueuedPosition(t time.Time) int64 { return 1<<62 + t.UnixMicro() }

// PositionOf turns a Slack ts ("1700000000.000100") into microseconds since 1970, which is also its place in the timeline.
// A ts that Slack would not print is refused.
func PositionOf(slackTS string) (int64, error) {
	sec, frac, ok := strings.Cut(slackTS, ".")
	if !ok || len(frac) != 6 || len(sec) == 0 || len(sec) > 11 {
		return 0, fmt.Errorf("slack ts %q is not of the form seconds.microseconds", slackTS)
	}
	for _, c := range sec + frac {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("slack ts %q is not of the form seconds.microseconds", slackTS)
		}
	}
	n, err := strconv.ParseInt(sec+frac, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("slack ts %q: %w", slackTS, err)
	}
	return n, nil
}

// TimeOf turns a Slack ts into a time.
func TimeOf(slackTS string) (time.Time, error) {
	us, err := PositionOf(slackTS)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(us).UTC(), nil
}
