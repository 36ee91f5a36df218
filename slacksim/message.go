package slacksim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// message is one stored message. What a client sent is in Sent, whole and as it was;
// Blocks, Attachments and Metadata are the client's bytes.
type message struct {
	Channel     string          `json:"channel"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"threadTs,omitempty"` // the root's ts, on replies
	Team        string          `json:"team"`               // the author's workspace
	User        string          `json:"user,omitempty"`
	BotID       string          `json:"botId,omitempty"`
	AppID       string          `json:"appId,omitempty"`
	ClientMsgID string          `json:"clientMsgId,omitempty"`
	Subtype     string          `json:"subtype,omitempty"`
	Inviter     string          `json:"inviter,omitempty"`
	Username    string          `json:"username,omitempty"`
	Icons       json.RawMessage `json:"icons,omitempty"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	OwnBlocks   bool            `json:"ownBlocks,omitempty"` // sent, not made from the text
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Files       []string        `json:"files,omitempty"`
	Edited      *edit           `json:"edited,omitempty"`
	Reactions   []reaction      `json:"reactions,omitempty"`
	Broadcast   bool            `json:"broadcast,omitempty"`
	Tombstone   bool            `json:"tombstone,omitempty"`
	ShowAt      time.Time       `json:"showAt,omitzero"` // not in history before this
	Sent        json.RawMessage `json:"sent,omitempty"`
}

type edit struct {
	User string `json:"user"`
	TS   string `json:"ts"`
}

type reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
}

func (m *message) key() string   { return m.Channel + "/" + m.TS }
func (m *message) isReply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// isBotPost tells a bot's message from a person's, which may name an app too.
func (m *message) isBotPost(w *world) bool {
	u := w.users[m.User]
	return m.BotID != "" && (u == nil || u.IsBot)
}

// messageLog holds a channel's messages in the order of their timestamps.
type messageLog struct {
	byTS    map[string]*message
	top     []*message // what history shows: roots and broadcast replies
	threads map[string][]*message
	lastUS  int64
}

// microseconds reads a timestamp; ok is false unless it has Slack's form.
func microseconds(ts string) (us int64, ok bool) {
	sec, frac, found := strings.Cut(ts, ".")
	if !found || len(frac) != 6 {
		return 0, false
	}
	s, err1 := strconv.ParseInt(sec, 10, 64)
	f, err2 := strconv.ParseInt(frac, 10, 64)
	return s*1e6 + f, err1 == nil && err2 == nil && s >= 0 && f >= 0
}

func timestamp(us int64) string { return fmt.Sprintf("%010d.%06d", us/1e6, us%1e6) }

// nextTS is the channel's next timestamp: the time, or just after the last one.
func (l *messageLog) nextTS(now time.Time) string {
	l.lastUS = max(now.UnixMicro(), l.lastUS+1)
	return timestamp(l.lastUS)
}

func (l *messageLog) insert(m *message) {
	if l.byTS == nil {
		l.byTS = map[string]*message{}
		l.threads = map[string][]*message{}
	}
	l.byTS[m.TS] = m
	if us, ok := microseconds(m.TS); ok {
		l.lastUS = max(l.lastUS, us)
	}
	if m.isReply() {
		l.threads[m.ThreadTS] = insertByTS(l.threads[m.ThreadTS], m)
	}
	if !m.isReply() || m.Broadcast {
		l.top = insertByTS(l.top, m)
	}
}

func insertByTS(list []*message, m *message) []*message {
	at := sort.Search(len(list), func(i int) bool { return list[i].TS > m.TS })
	return slices.Insert(list, at, m)
}

func (l *messageLog) remove(m *message) {
	delete(l.byTS, m.TS)
	without := func(list []*message) []*message {
		return slices.DeleteFunc(list, func(o *message) bool { return o.TS == m.TS })
	}
	if m.isReply() {
		l.threads[m.ThreadTS] = without(l.threads[m.ThreadTS])
		if len(l.threads[m.ThreadTS]) == 0 {
			delete(l.threads, m.ThreadTS)
		}
	}
	if !m.isReply() || m.Broadcast {
		l.top = without(l.top)
	}
}

// all returns every message, oldest first.
func (l *messageLog) all() []*message {
	list := slices.AppendSeq(make([]*message, 0, len(l.byTS)), maps.Values(l.byTS))
	slices.SortFunc(list, func(a, b *message) int { return strings.Compare(a.TS, b.TS) })
	return list
}

// shown drops the messages that are still hidden by a fault.
func shown(list []*message, now time.Time) []*message {
	if !slices.ContainsFunc(list, func(m *message) bool { return m.ShowAt.After(now) }) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(m *message) bool { return m.ShowAt.After(now) })
}
