package desk

import "github.com/ochrehq/ochre"

// SlackEventKind is what a Slack event says happened to a message.
type SlackEventKind string

// The kinds of Slack event. Posted and Edited carry the whole message; Deleted and the reactions name it only.
const (
	Posted          SlackEventKind = "POSTED"
	Edited          SlackEventKind = "EDITED"
	Deleted         SlackEventKind = "DELETED"
	ReactionAdded   SlackEventKind = "REACTION_ADDED"
	ReactionRemoved SlackEventKind = "REACTION_REMOVED"
)

// SlackEvent is one event of a watched channel, as the bridge read it: what Slack said, without any decision that needs to know more than the
// event and the installation. All texts are valid UTF-8 without NUL, and each ts has the form that ochre.PositionOf reads, or is empty where
// that is said.
type SlackEvent struct {
	Kind        SlackEventKind
	TS          string // of the message that is meant, also by an edit, a deletion or a reaction
	ThreadTS    string // of the root of its thread; TS for a root, and where ThreadKnown is false
	ThreadKnown bool   // whether the event tells the thread: a reaction or a bare deletion does not
	EventTS     string // Slack's time of this event; TS where Slack gave none
	EditTS      string // Slack's time of the last edit by its author, "" if it was never edited

	Subtype      string // of the message itself, "" for a plain one: file_share, thread_broadcast, me_message, bot_message
	PersonPosted bool   // Author.UserID is who wrote it, whatever app they used; false for an app's or workflow's message without a person
	ParentUserID string // the Slack user who wrote the root; on replies only, and not always
	Author       Author // of the message; of a reaction, who put or took it

	Body            string   // Markdown
	Original        []byte   // JSON {"text","blocks","attachments","files"} as Slack sent them, to render Body again when more names are known
	UnknownMentions []string // Slack users whom Body mentions by their id, because their name was not known
	Files           []SlackFile
	Emoji           string // of a reaction: Slack's name of it without colons, with its skin tone

	// Echo tells that this installation's own bot posted the message: its user, or its bot_id where there is no user.
	Echo bool
	// MessageID is the global id of a message of ours, from the metadata that we put on each of our posts. Everyone who sees
	// the post can copy it: it means something only where the tenant has that message, and proves nothing about who posted.
	MessageID string
	// ChangedContent tells of an Edited whether text, blocks or files differ from the former content, or that is not known.
	ChangedContent bool
	// Tombstone tells of a Deleted that Slack left a placeholder, because the message is the root of replies that stay.
	Tombstone bool
	// Root is the thread's root as Slack put it into a reply that was also sent to the channel. Nil for most events.
	Root *SlackEvent
}

// Author is who wrote a message, as far as the event itself says. Any field may be empty.
type Author struct {
	TeamID     string // the author's workspace, "" if the event does not tell
	TeamKnown  bool
	IsExternal bool // TeamKnown, and it is not the installation's workspace
	UserID     string
	Name       string
	AvatarURL  string // https only
	AppID      string // of the app that posted, also for a person
	BotID      string
	BotName    string
}

// SlackFile is a file of a message. In a Connect channel Slack tells only its id: then State is PENDING and the rest empty.
type SlackFile struct {
	SlackID  string
	Name     string
	MimeType string
	Size     *int64
	URL      string // Slack's own address of the bytes, for the bot token only
	State    ochre.AttachmentState
}
