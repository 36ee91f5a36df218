package slacksim

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// owns tells whether the caller may edit the message: the same person, or the same
// app's bot.
func (c *call) owns(m *message) bool {
	return m.User == c.who.ID && m.User != ""
}

// updateMessage is chat.update.
func (c *call) updateMessage() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	m, err := c.message(ch, c.args["ts"])
	if err != nil {
		return nil, err
	}
	if !c.owns(m) || m.Subtype == "channel_join" {
		return nil, fail("cant_update_message")
	}
	text, hasText := c.args["text"]
	if utf8.RuneCountInString(text) > maxUpdateText {
		return nil, fail("msg_too_long")
	}
	changed := *m
	changed.Attachments, changed.Blocks, changed.OwnBlocks = nil, nil, false
	if _, err := c.fillContent(&changed); err != nil {
		return nil, err
	}
	if m.OwnBlocks && changed.OwnBlocks && hasRichText(m.Blocks) && !hasRichText(changed.Blocks) {
		return nil, fail("block_mismatch")
	}
	if c.args["attachments"] == "" && c.args["blocks"] == "" && hasText {
		changed.Attachments = m.Attachments
	}
	c.fillText(&changed, text)
	changed.Edited = &edit{User: c.who.ID, TS: timestamp(c.now().UnixMicro() / 1e6 * 1e6)}
	changed.Sent = c.args.sent()
	before := *m
	*m = changed
	c.world.saveMessage(m)
	c.emitChanged(ch, m, func(v viewer) any { return c.render(ch, &before, v) })
	return object{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": c.render(ch, m, c.viewer())}, nil
}

func hasRichText(blocks json.RawMessage) bool {
	var heads []anyBlock
	_ = json.Unmarshal(blocks, &heads) // checked when it was stored
	return slices.ContainsFunc(heads, func(b anyBlock) bool { return b.Type == "rich_text" })
}

// deleteMessage is chat.delete. An admin's own token may delete others' messages of
// their workspace, as in Slack.
func (c *call) deleteMessage() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	m, err := c.message(ch, c.args["ts"])
	if err != nil {
		return nil, err
	}
	admin := c.who.IsAdmin && m.Team == c.who.TeamID
	if !c.owns(m) && !admin {
		return nil, fail("cant_delete_message")
	}
	if c.switches.KeepUsernamePosts && m.Username != "" {
		return nil, fail("cant_delete_message")
	}
	c.remove(ch, m)
	return object{"channel": ch.ID, "ts": m.TS}, nil
}

// remove deletes a message, or makes it a tombstone if it has replies. A tombstone
// goes when its last reply does.
func (s *Server) remove(ch *channel, m *message) {
	if len(ch.log.threads[m.TS]) > 0 {
		before := *m
		*m = message{Channel: m.Channel, TS: m.TS, Team: m.Team, Text: "This message was deleted.", Tombstone: true}
		s.world.saveMessage(m)
		s.emitChanged(ch, m, func(v viewer) any {
			if s.switches.TombstonePrevious == "empty_list" {
				return []object{}
			}
			return s.render(ch, &before, v)
		})
		return
	}
	ch.log.remove(m)
	s.world.dropMessage(m)
	s.emitDeleted(ch, m)
	if root := ch.log.byTS[m.ThreadTS]; root != nil && root.Tombstone && len(ch.log.threads[root.TS]) == 0 {
		ch.log.remove(root)
		s.world.dropMessage(root)
		s.emitDeleted(ch, root)
	}
}
