package desk_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

// ownTeam stands in a history for the workspace of the installation, which is another one in each world.
const ownTeam = "OWN"

// person is somebody who writes in a history. An ordinary channel has people of our own workspace only.
type person struct {
	user, name string
	own        bool
	isAgent    bool // the profile tells the email of the world's agent
}

var cast = []person{
	{user: "UCAROL", name: "Carol"},
	{user: "UDAVE", name: "Dave"},
	{user: "UBOB", name: "Bob", own: true, isAgent: true},
	{user: "UTIM", name: "Tim", own: true},
}

// story writes a random history of a channel: what Slack tells of it, in the order in which it happened.
type story struct {
	t       *rapid.T
	connect bool
	at      int64 // microseconds
	events  []desk.SlackEvent
	said    []*saying
}

// saying is a message as it stands at some point of the story.
type saying struct {
	desk.SlackEvent
	replies, gone bool
}

func (s *story) chance(n int, what string) bool { return rapid.IntRange(1, n).Draw(s.t, what) == 1 }

// tick lets some time pass, seldom within the same second, and gives it as Slack writes it.
func (s *story) tick() string {
	s.at += rapid.Int64Range(900_000, 30_000_000).Draw(s.t, "pause")
	return fmt.Sprintf("%d.%06d", s.at/1e6, s.at%1e6)
}

// tell adds an event, or not: some never reach us, in whatever order the others come.
func (s *story) tell(ev desk.SlackEvent) { s.events = append(s.events, ev) }

func writeStory(t *rapid.T, connect bool) []desk.SlackEvent {
	s := &story{t: t, connect: connect, at: 1_800_000_000_000_000}
	s.post(nil)
	for range rapid.IntRange(3, 16).Draw(t, "steps") {
		live := slices.DeleteFunc(slices.Clone(s.said), func(m *saying) bool { return m.gone })
		var m *saying
		if len(live) > 0 {
			m = rapid.SampledFrom(live).Draw(t, "message")
		}
		switch step := rapid.IntRange(0, 11).Draw(t, "step"); {
		case m == nil || step == 0:
			s.post(nil)
		case step < 5:
			s.post(s.root(rapid.SampledFrom(s.said).Draw(t, "reply to")))
		case step < 7:
			s.edit(m)
		case step == 7:
			s.unfurl(m)
		case step == 8:
			s.remove(m)
		case step == 9:
			s.fetched(m)
		default:
			s.react(m)
		}
	}
	return s.events
}

func (s *story) root(m *saying) *saying {
	for _, r := range s.said {
		if r.TS == m.ThreadTS {
			return r
		}
	}
	return m
}

// author draws who writes, and how much the event tells of them.
func (s *story) author(ev *desk.SlackEvent) {
	if s.chance(5, "an app writes") {
		ev.Author = desk.Author{TeamID: ownTeam, TeamKnown: true, BotID: "B7", AppID: "A7", BotName: "Jira"}
		return
	}
	p := rapid.SampledFrom(cast).Draw(s.t, "who")
	ev.PersonPosted = true
	ev.Author = desk.Author{UserID: p.user, TeamID: "TGLOBEX", TeamKnown: true, IsExternal: true}
	if p.own || !s.connect {
		ev.Author.TeamID, ev.Author.IsExternal = ownTeam, false
	}
	if s.chance(4, "team is not told") {
		ev.Author.TeamID, ev.Author.TeamKnown, ev.Author.IsExternal = "", false, false
	}
	if s.chance(2, "name is told") {
		ev.Author.Name = p.name
	}
}

func (s *story) post(root *saying) {
	ts := s.tick()
	ev := desk.SlackEvent{Kind: desk.Posted, TS: ts, ThreadTS: ts, ThreadKnown: true, EventTS: ts, Body: "said at " + ts}
	s.author(&ev)
	if root != nil {
		ev.ThreadTS, root.replies = root.TS, true
		if s.chance(4, "broadcast") {
			ev.Subtype = "thread_broadcast"
		}
	}
	s.files(&ev)
	s.said = append(s.said, &saying{SlackEvent: ev})
	if !s.chance(12, "the post is never told") {
		s.tell(ev)
	}
}

func (s *story) files(ev *desk.SlackEvent) {
	ev.Files = nil
	for i := range rapid.IntRange(-3, 2).Draw(s.t, "files") {
		f := desk.SlackFile{SlackID: fmt.Sprintf("F%d", i), State: ochre.AttachmentPending}
		if !s.connect {
			f.State, f.Name, f.URL = ochre.AttachmentAvailable, fmt.Sprintf("%d.txt", i), "https://files.slack.com/x"
		}
		ev.Files = append(ev.Files, f)
	}
}

// edit changes what a message says. Slack does not always mark it as edited; the mark has whole seconds only.
func (s *story) edit(m *saying) {
	ts := s.tick()
	m.Kind, m.EventTS, m.Body, m.ChangedContent = desk.Edited, ts, "edited at "+ts, true
	if !s.chance(4, "no mark") {
		m.EditTS = ts[:len(ts)-6] + "000000"
	}
	s.files(&m.SlackEvent)
	s.tell(m.SlackEvent)
	m.ChangedContent = false
}

// unfurl tells of a message whose content is as it was.
func (s *story) unfurl(m *saying) {
	m.Kind, m.EventTS = desk.Edited, s.tick()
	s.tell(m.SlackEvent)
}

// fetched is the message as a look-up of Slack's history shows it.
func (s *story) fetched(m *saying) {
	ev := m.SlackEvent
	ev.Kind, ev.EventTS = desk.Posted, ev.TS
	if ev.EditTS != "" || ev.Body == "said at "+ev.TS {
		s.tell(ev)
	}
}

func (s *story) remove(m *saying) {
	m.gone = true
	ev := desk.SlackEvent{Kind: desk.Deleted, TS: m.TS, ThreadTS: m.ThreadTS, ThreadKnown: true, EventTS: s.tick(), Tombstone: m.replies}
	if s.chance(2, "thread is not told") {
		ev.ThreadTS, ev.ThreadKnown = ev.TS, false
	}
	s.tell(ev)
}

func (s *story) react(m *saying) {
	ev := desk.SlackEvent{
		Kind: rapid.SampledFrom([]desk.SlackEventKind{desk.ReactionAdded, desk.ReactionRemoved}).Draw(s.t, "reaction"), TS: m.TS, ThreadTS: m.TS, EventTS: s.tick(),
		Emoji: rapid.SampledFrom([]string{"eyes", "+1"}).Draw(s.t, "emoji"), Author: desk.Author{UserID: rapid.SampledFrom(cast).Draw(s.t, "who reacts").user},
	}
	if s.chance(4, "time is not told") {
		ev.EventTS = ev.TS
	}
	s.tell(ev)
}
