package slackbridge

import (
	"strings"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge/richtext"
)

// LinkContext is where an event is applied: a link, and the installation that it belongs to.
type LinkContext struct {
	Link      ochre.ChannelLink
	TeamID    string // of the installation's workspace
	BotUserID string
	BotID     string
	AppID     string
}

// Translate says what an event of a linked channel means, or why it means nothing (a word for metrics and for the event's outcome). It is a pure function; names
// may be nil.
func Translate(env Envelope, lc LinkContext, names richtext.Names) (desk.SlackEvent, string) {
	r := env.route()
	switch {
	case r.drop != "":
		return desk.SlackEvent{}, r.drop
	case r.workspace:
		return desk.SlackEvent{}, "workspace_event"
	}
	t := translator{lc: lc, names: names}
	e := &env.Event
	switch {
	case e.Type == "reaction_added":
		return t.reaction(e, desk.ReactionAdded)
	case e.Type == "reaction_removed":
		return t.reaction(e, desk.ReactionRemoved)
	case e.Subtype == "message_changed":
		return t.changed(e)
	case e.Subtype == "message_deleted":
		return t.deleted(e)
	}
	return t.posted(&e.slackMessage, firstTS(e.EventTS, e.TS))
}

// TranslateMessage says what a message means that was read from a history: one that was edited as an edit, a tombstone as a deletion.
func TranslateMessage(raw []byte, lc LinkContext, names richtext.Names) (desk.SlackEvent, string) {
	m := decodeMessage(raw)
	if m == nil {
		return desk.SlackEvent{}, "unreadable"
	}
	t := translator{lc: lc, names: names}
	return t.found(m)
}

type translator struct {
	lc    LinkContext
	names richtext.Names
}

// found translates a message that is shown as it now is, without an event of its own.
func (t *translator) found(m *slackMessage) (desk.SlackEvent, string) {
	if m.Subtype == "tombstone" {
		return t.buried(m, &slackMessage{}, m.TS)
	}
	if reason := refuseSubtype(m.Subtype); reason != "" {
		return desk.SlackEvent{}, reason
	}
	ev, drop := t.posted(m, m.TS)
	if drop == "" && ev.EditTS != "" {
		ev.Kind, ev.EventTS, ev.ChangedContent = desk.Edited, ev.EditTS, true
	}
	return ev, drop
}

// posted translates a message and its thread's root, if Slack sent that along.
func (t *translator) posted(m *slackMessage, eventTS string) (desk.SlackEvent, string) {
	ev, drop := t.message(m, eventTS)
	if drop != "" || len(m.Root) == 0 {
		return ev, drop
	}
	root := decodeMessage(m.Root)
	if root == nil || root.TS != ev.ThreadTS || root.TS == ev.TS || root.User == "" && root.BotID == "" {
		return ev, ""
	}
	root.Root = nil
	if rootEvent, drop := t.found(root); drop == "" {
		ev.Root = &rootEvent
	}
	return ev, ""
}

// message translates what every message has.
func (t *translator) message(m *slackMessage, eventTS string) (desk.SlackEvent, string) {
	ts := validTS(m.TS)
	if ts == "" {
		return desk.SlackEvent{}, "bad_ts"
	}
	src := m.source()
	ev := desk.SlackEvent{
		Kind: desk.Posted, TS: ts, ThreadTS: firstTS(m.ThreadTS, ts), ThreadKnown: true, EventTS: firstTS(eventTS, ts), EditTS: validTS(m.Edited.TS),
		Subtype: m.Subtype, ParentUserID: clean(m.ParentUserID), Body: clean(richtext.ToMarkdown(src, t.names)), Original: m.original(), Files: m.files(),
		UnknownMentions: t.unknown(richtext.Mentions(src)),
	}
	ev.Author = t.author(m)
	ev.Echo = t.isOurs(m)
	ev.PersonPosted = m.User != "" && m.User != slackbot && !ev.Echo
	if m.Metadata.EventType == MetadataType {
		ev.MessageID = clean(m.Metadata.EventPayload.MessageID)
	}
	return ev, ""
}

// changed translates message_changed. Slack sends it for an edit, but also when a link got its preview or a thread another reply, and instead of
// message_deleted where replies remain. Slack has sent it without the ts of its message.
func (t *translator) changed(e *InnerEvent) (desk.SlackEvent, string) {
	m, before := decodeMessage(e.Changed), decodeMessage(e.Previous)
	known := before != nil
	if !known {
		before = &slackMessage{}
	}
	m.TS, m.ThreadTS = firstTS(m.TS, before.TS), firstTS(m.ThreadTS, before.ThreadTS)
	eventTS := firstTS(e.EventTS, e.TS)
	if m.Subtype == "tombstone" {
		return t.buried(m, before, eventTS)
	}
	ev, drop := t.posted(m, eventTS)
	if drop != "" {
		return ev, drop
	}
	ev.Kind = desk.Edited
	ev.ChangedContent = !known || !sameContent(m, before)
	return ev, ""
}

// buried translates a root of which only a tombstone is left.
func (t *translator) buried(m, before *slackMessage, eventTS string) (desk.SlackEvent, string) {
	ts := firstTS(m.TS, before.TS)
	if ts == "" {
		return desk.SlackEvent{}, "bad_ts"
	}
	return desk.SlackEvent{
		Kind: desk.Deleted, TS: ts, ThreadTS: firstTS(m.ThreadTS, before.ThreadTS, ts), ThreadKnown: true, EventTS: firstTS(eventTS, ts), Tombstone: true,
		Author: t.author(before), Echo: t.isOurs(before),
	}, ""
}

// deleted translates message_deleted, whose previous_message may be missing.
func (t *translator) deleted(e *InnerEvent) (desk.SlackEvent, string) {
	before := decodeMessage(e.Previous)
	known := before != nil && validTS(before.TS) != ""
	if before == nil {
		before = &slackMessage{}
	}
	ts := firstTS(e.DeletedTS, before.TS)
	if ts == "" {
		return desk.SlackEvent{}, "bad_ts"
	}
	thread := firstTS(before.ThreadTS, e.ThreadTS)
	return desk.SlackEvent{
		Kind: desk.Deleted, TS: ts, ThreadTS: firstTS(thread, ts), ThreadKnown: known || thread != "", EventTS: firstTS(e.EventTS, e.TS, ts),
		Author: t.author(before), Echo: t.isOurs(before),
	}, ""
}

func (t *translator) reaction(e *InnerEvent, kind desk.SlackEventKind) (desk.SlackEvent, string) {
	ts := validTS(e.Item.TS)
	switch {
	case ts == "":
		return desk.SlackEvent{}, "bad_ts"
	case e.Reaction == "" || e.User == "":
		return desk.SlackEvent{}, "incomplete_reaction"
	}
	return desk.SlackEvent{
		Kind: kind, TS: ts, ThreadTS: ts, EventTS: firstTS(e.EventTS, ts), Emoji: clean(e.Reaction), Author: desk.Author{UserID: clean(e.User)}, Echo: e.User == t.lc.BotUserID,
	}, ""
}

// isOurs tells whether this installation's bot posted a message. Its app alone does not tell: people post through apps too, and the other company may use the same app.
func (t *translator) isOurs(m *slackMessage) bool {
	if m.User != "" {
		return m.User == t.lc.BotUserID
	}
	bot := firstOf(m.BotID, m.BotProfile.ID)
	return bot != "" && bot == t.lc.BotID
}

// author gives what a message says of who wrote it.
func (t *translator) author(m *slackMessage) desk.Author {
	team := firstOf(m.UserTeam, m.SourceTeam, m.UserProfile.Team)
	if m.User == "" {
		team = firstOf(team, m.BotProfile.TeamID)
	}
	team = clean(firstOf(team, m.Team)) // team is where it was posted; whose it is, only if nothing else tells
	a := desk.Author{
		TeamID: team, TeamKnown: team != "", IsExternal: team != "" && team != t.lc.TeamID, UserID: clean(m.User),
		Name:  clean(firstOf(m.UserProfile.RealName, m.UserProfile.DisplayName, m.UserProfile.Name)),
		AppID: clean(firstOf(m.AppID, m.BotProfile.AppID)), BotID: clean(firstOf(m.BotID, m.BotProfile.ID)), BotName: clean(firstOf(m.Username, m.BotProfile.Name)),
	}
	if m.User == slackbot && a.BotName == "" {
		a.BotName = "Slackbot"
	}
	if strings.HasPrefix(m.UserProfile.Image72, "https://") {
		a.AvatarURL = clean(m.UserProfile.Image72)
	}
	return a
}

// unknown gives those of some users whose names are not known.
func (t *translator) unknown(users []string) []string {
	var ids []string
	for _, id := range users {
		if t.names == nil || t.names.User(id) == "" {
			ids = append(ids, clean(id))
		}
	}
	return ids
}
