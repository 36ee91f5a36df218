package ochre

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// The interfaces and unions of the GraphQL schema, to which gqlgen binds by name, with their marker methods and the global ids.
type (
	// Node is whatever has a global id.
	Node interface{ IsNode() }
	// TimelineEntry is a Message, a Note or an Activity.
	TimelineEntry interface {
		Node
		IsTimelineEntry()
		// EntryPosition orders entries of a conversation; ties go by id.
		EntryPosition() int64
	}
	// Actor is who did something.
	Actor interface{ IsActor() }
	// MessageAuthor is who wrote a message.
	MessageAuthor interface{ IsMessageAuthor() }
	// InboxEvent is one event of a subscription.
	InboxEvent interface{ IsInboxEvent() }
)

// GlobalID returns the id as clients see it.
func (a *Agent) GlobalID() string             { return a.ID.Global(KindAgent) }
func (t *Teammate) GlobalID() string          { return t.ID.Global(KindTeammate) }
func (o *Organization) GlobalID() string      { return o.ID.Global(KindOrganization) }
func (u *EndUser) GlobalID() string           { return u.ID.Global(KindEndUser) }
func (i *SlackInstallation) GlobalID() string { return i.ID.Global(KindSlackInstallation) }
func (c *SlackChannel) GlobalID() string      { return c.ID.Global(KindSlackChannel) }
func (l *ChannelLink) GlobalID() string       { return l.ID.Global(KindChannelLink) }
func (c *Conversation) GlobalID() string      { return c.ID.Global(KindConversation) }
func (m *Message) GlobalID() string           { return m.ID.Global(KindMessage) }
func (n *Note) GlobalID() string              { return n.ID.Global(KindNote) }
func (a *Activity) GlobalID() string          { return a.ID.Global(KindActivity) }
func (a *Attachment) GlobalID() string        { return a.ID.Global(KindAttachment) }

// EntryPosition orders entries of a conversation.
func (m *Message) EntryPosition() int64  { return m.Position }
func (n *Note) EntryPosition() int64     { return n.Position }
func (a *Activity) EntryPosition() int64 { return a.Position }

func (*Agent) IsNode()             {}
func (*Teammate) IsNode()          {}
func (*Organization) IsNode()      {}
func (*EndUser) IsNode()           {}
func (*SlackInstallation) IsNode() {}
func (*SlackChannel) IsNode()      {}
func (*ChannelLink) IsNode()       {}
func (*Conversation) IsNode()      {}
func (*Message) IsNode()           {}
func (*Note) IsNode()              {}
func (*Activity) IsNode()          {}
func (*Attachment) IsNode()        {}

func (*Message) IsTimelineEntry()  {}
func (*Note) IsTimelineEntry()     {}
func (*Activity) IsTimelineEntry() {}

func (*EndUser) IsActor()    {}
func (*Agent) IsActor()      {}
func (*Teammate) IsActor()   {}
func (*SlackApp) IsActor()   {}
func (*Automation) IsActor() {}

func (*EndUser) IsMessageAuthor()    {}
func (*Agent) IsMessageAuthor()      {}
func (*Teammate) IsMessageAuthor()   {}
func (*SlackApp) IsMessageAuthor()   {}
func (*Automation) IsMessageAuthor() {}

func (*ConversationCreated) IsInboxEvent()      {}
func (*ConversationChanged) IsInboxEvent()      {}
func (*TimelineEntryAdded) IsInboxEvent()       {}
func (*TimelineEntryChanged) IsInboxEvent()     {}
func (*ObjectRemoved) IsInboxEvent()            {}
func (*ChannelLinkChanged) IsInboxEvent()       {}
func (*SlackInstallationChanged) IsInboxEvent() {}
func (*SlackChannelChanged) IsInboxEvent()      {}
func (*CaughtUp) IsInboxEvent()                 {}
func (*Gap) IsInboxEvent()                      {}

// Strings is a list of text kept as a JSON array in one column.
type Strings []string

// Scan implements sql.Scanner.
func (s *Strings) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = nil
		return nil
	case string:
		return json.Unmarshal([]byte(v), s)
	case []byte:
		return json.Unmarshal(v, s)
	}
	return fmt.Errorf("scan %T into a list of strings", src)
}

// Value implements driver.Valuer.
func (s Strings) Value() (driver.Value, error) {
	if s == nil {
		return "[]", nil
	}
	b, err := json.Marshal([]string(s))
	return string(b), err
}
