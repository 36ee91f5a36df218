package ochre

import (
	"errors"
	"io"
	"strconv"
	"time"
)

// EventType is what an event of the tenant's log tells.
type EventType string

// The types of event.
const (
	EventConversationCreated EventType = "CONVERSATION_CREATED"
	EventConversationChanged EventType = "CONVERSATION_CHANGED"
	EventEntryAdded          EventType = "ENTRY_ADDED"
	EventEntryChanged        EventType = "ENTRY_CHANGED"
	EventObjectRemoved       EventType = "OBJECT_REMOVED"
	EventLinkChanged         EventType = "LINK_CHANGED"
	EventInstallationChanged EventType = "INSTALLATION_CHANGED"
	EventSlackChannelChanged EventType = "SLACK_CHANNEL_CHANGED"
)

// Event is one row of a tenant's log: a type and ids, no content. Seq is contiguous from 1 within the tenant and follows commit order.
type Event struct {
	TenantID       ID
	Seq            int64
	Type           EventType
	ConversationID *ID
	ObjectKind     Kind // "" where the object is the conversation itself
	ObjectID       *ID
	ActorID        *ID  // the agent who caused it, nil for others
	Content        bool // a message was added, edited or deleted: more than its delivery or reactions changed
	At             time.Time
}

// EventCursor is an opaque, signed position in a tenant's event log.
type EventCursor string

// MarshalGQL writes the cursor as a JSON string.
func (c EventCursor) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(c))) }

// UnmarshalGQL reads the cursor from an input value.
func (c *EventCursor) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("an EventCursor is a string, as an event has it") // without Go's name of what came: it goes to clients
	}
	*c = EventCursor(s)
	return nil
}

// EventHead is what every event on a subscription carries.
type EventHead struct {
	Cursor EventCursor
	At     time.Time
}

// The events of a subscription. The objects are as they were read when the event was delivered.
type (
	// ConversationCreated tells of a new conversation.
	ConversationCreated struct {
		EventHead
		Conversation *Conversation
	}
	// ConversationChanged tells that something of the conversation itself changed.
	ConversationChanged struct {
		EventHead
		Conversation *Conversation
	}
	// TimelineEntryAdded tells of a new message, note or activity.
	TimelineEntryAdded struct {
		EventHead
		Conversation *Conversation
		Entry        TimelineEntry
	}
	// TimelineEntryChanged tells that a message or note changed, moved or was deleted.
	TimelineEntryChanged struct {
		EventHead
		Conversation *Conversation
		Entry        TimelineEntry
	}
	// ObjectRemoved tells that the thing of an event is gone. RemovedID is its global id.
	ObjectRemoved struct {
		EventHead
		RemovedID string
	}
	// ChannelLinkChanged tells of a new or changed link.
	ChannelLinkChanged struct {
		EventHead
		ChannelLink *ChannelLink
	}
	// SlackInstallationChanged tells of a new, changed or disconnected installation.
	SlackInstallationChanged struct {
		EventHead
		Installation *SlackInstallation
	}
	// SlackChannelChanged tells of a channel that the bot now sees, joined, left, or that changed its name.
	SlackChannelChanged struct {
		EventHead
		SlackChannel *SlackChannel
	}
	// CaughtUp ends the replay; live events follow.
	CaughtUp struct{ EventHead }
	// Gap tells that the events after MissedFrom can't be replayed.
	Gap struct {
		EventHead
		MissedFrom EventCursor
		Reason     string
	}
)
