package slacksim

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// reach finds the channel of a call, as far as the caller may know of it.
func (c *call) reach(name string) (*channel, *apiError) {
	word := c.args[name]
	if word == "" {
		return nil, failWith("invalid_arguments", object{"response_metadata": object{"messages": []string{"[ERROR] missing required field: " + name}}})
	}
	ch := c.world.findChannel(word)
	if ch == nil || !ch.inTeam(c.who.TeamID) || ch.IsPrivate && !ch.hasMember(c.who.ID) {
		return nil, fail("channel_not_found")
	}
	return ch, nil
}

// message finds the message that ts names, by someone who may see it.
func (c *call) message(ch *channel, ts string) (*message, *apiError) {
	m := ch.log.byTS[ts]
	if m == nil || m.Tombstone {
		return nil, fail("message_not_found")
	}
	return m, nil
}

// postMessage is chat.postMessage.
func (c *call) postMessage() (object, *apiError) {
	ch, err := c.writable()
	if err != nil {
		return nil, err
	}
	m := &message{Channel: ch.ID, Team: c.who.TeamID, User: c.who.ID, Sent: c.args.sent()}
	if err := c.fillAuthor(m); err != nil {
		return nil, err
	}
	if err := c.fillThread(ch, m); err != nil {
		return nil, err
	}
	texts, err := c.fillContent(m)
	if err != nil {
		return nil, err
	}
	var first *message
	for i, text := range texts {
		part := *m
		if i > 0 {
			part.OwnBlocks, part.Blocks = false, nil
		}
		c.fillText(&part, text)
		c.store(ch, &part)
		if first == nil {
			first = &part
		}
	}
	return object{"channel": ch.ID, "ts": first.TS, "message": c.render(ch, first, c.viewer())}, nil
}

// meMessage is chat.meMessage: /me.
func (c *call) meMessage() (object, *apiError) {
	ch, err := c.writable()
	if err != nil {
		return nil, err
	}
	m := &message{Channel: ch.ID, Team: c.who.TeamID, User: c.who.ID, Subtype: "me_message", Sent: c.args.sent()}
	if c.args["text"] == "" {
		return nil, fail("no_text")
	}
	m.Text = storedText(c.args["text"])
	c.store(ch, m)
	return object{"channel": ch.ID, "ts": m.TS}, nil
}

// writable finds the channel and checks that the caller may post there.
func (c *call) writable() (*channel, *apiError) {
	ch, err := c.reach("channel")
	switch {
	case err != nil:
		return nil, err
	case ch.IsArchived:
		return nil, fail("is_archived")
	case ch.hasMember(c.who.ID):
		return ch, nil
	case c.token != nil && c.token.IsBot && !ch.IsPrivate && c.hasScope("chat:write.public"):
		return ch, nil
	}
	return nil, fail("not_in_channel")
}

// fillAuthor says who the message is by: a person through their client, a person
// through an app, or a bot, which may show another name.
func (c *call) fillAuthor(m *message) *apiError {
	if c.person {
		m.ClientMsgID = c.args["client_msg_id"]
		if m.ClientMsgID == "" {
			m.ClientMsgID = newUUID()
		}
		return nil
	}
	m.BotID, m.AppID = c.token.BotID, c.token.AppID
	named := c.args["username"] != "" || c.args["icon_url"] != "" || c.args["icon_emoji"] != ""
	if !named || !c.token.IsBot {
		return nil
	}
	if err := c.need("chat:write.customize"); err != nil {
		return err
	}
	m.Username = c.args["username"]
	if m.Username == "" {
		m.Username = c.world.app.Name
	}
	if emoji := c.args["icon_emoji"]; emoji != "" {
		m.Icons = encode(object{"emoji": emoji})
	} else if url := c.args["icon_url"]; url != "" {
		m.Icons = encode(object{"image_36": url, "image_48": url, "image_72": url})
	}
	return nil
}

func (c *call) fillThread(ch *channel, m *message) *apiError {
	ts := c.args["thread_ts"]
	if ts == "" {
		return nil
	}
	if _, ok := microseconds(ts); !ok {
		return fail("invalid_thread_ts")
	}
	root := ch.log.byTS[ts]
	if root == nil {
		return fail("thread_not_found")
	}
	m.ThreadTS = root.TS
	if root.isReply() {
		m.ThreadTS = root.ThreadTS
	}
	m.Broadcast = c.args.bool("reply_broadcast")
	return nil
}

// fillContent checks and takes what the message says besides its text, and returns
// the text, cut as Slack cuts it.
func (c *call) fillContent(m *message) ([]string, *apiError) {
	text := c.args["text"]
	if markdown := c.args["markdown_text"]; markdown != "" {
		if text != "" || c.args["blocks"] != "" {
			return nil, fail("markdown_text_conflict")
		}
		text = markdown
	}
	blocks, attachments := c.args["blocks"], c.args["attachments"]
	if blocks == "[]" {
		blocks = ""
	}
	if blocks != "" {
		raw := json.RawMessage(blocks)
		heads, err := checkBlocks(raw)
		if err != nil {
			return nil, err
		}
		m.Blocks, m.OwnBlocks = withBlockIDs(raw, heads, c.blockID), true
	}
	if attachments != "" && attachments != "[]" {
		var list []json.RawMessage
		if json.Unmarshal([]byte(attachments), &list) != nil {
			return nil, fail("invalid_attachments")
		}
		if len(list) > maxAttachments {
			return nil, fail("too_many_attachments")
		}
		m.Attachments = json.RawMessage(attachments)
	}
	if err := c.fillMetadata(m); err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" && m.Blocks == nil && m.Attachments == nil && len(m.Files) == 0 {
		return nil, fail("no_text")
	}
	return c.cutText(text)
}

func (c *call) cutText(text string) ([]string, *apiError) {
	runes := utf8.RuneCountInString(text)
	switch {
	case c.switches.LongText == "error" && runes > maxUpdateText:
		return nil, fail("msg_too_long")
	case c.switches.LongText == "split" && runes > maxUpdateText:
		var parts []string
		for part := range slices.Chunk([]rune(text), maxUpdateText) {
			parts = append(parts, string(part))
		}
		return parts, nil
	case runes > maxText:
		return []string{string([]rune(text)[:maxText])}, nil
	}
	return []string{text}, nil
}

func (c *call) fillMetadata(m *message) *apiError {
	raw := c.args["metadata"]
	if raw == "" {
		return nil
	}
	var parsed struct {
		EventType    string         `json:"event_type"`
		EventPayload map[string]any `json:"event_payload"`
	}
	if json.Unmarshal([]byte(raw), &parsed) != nil || parsed.EventType == "" || parsed.EventPayload == nil {
		return fail("invalid_metadata_format")
	}
	if len(raw) > 16<<10 {
		return fail("metadata_too_large")
	}
	m.Metadata = json.RawMessage(raw)
	return nil
}

// fillText stores the text and, without blocks, the rich text made of it.
func (c *call) fillText(m *message, sent string) {
	m.Text = storedText(sent)
	if !m.OwnBlocks {
		m.Blocks = richText(m.Text, c.args.unlessFalse("mrkdwn"), c.blockID())
	}
}

// store gives the message its timestamp, keeps it and tells about it.
func (c *call) store(ch *channel, m *message) {
	m.TS = ch.log.nextTS(c.now())
	if c.hide > 0 {
		m.ShowAt = c.now().Add(c.hide)
	}
	ch.log.insert(m)
	c.world.saveMessage(m)
	c.emitMessage(ch, m, c.hide)
	if c.switches.Unfurl && c.hide == 0 && c.args.unlessFalse("unfurl_links") {
		c.unfurl(ch, m)
	}
}

var linkToken = regexp.MustCompile(`<(https?://[^|>]+)`)

// unfurl adds an attachment for the message's first link, and tells: the text stays,
// edited stays absent.
func (s *Server) unfurl(ch *channel, m *message) bool {
	found := linkToken.FindStringSubmatch(m.Text)
	if found == nil || len(m.Attachments) > 0 {
		return false
	}
	before := *m
	m.Attachments = encode([]object{{
		"id": 1, "from_url": found[1], "original_url": found[1], "title": "A page", "title_link": found[1],
		"text": "What the page is about.", "fallback": "A page", "service_name": "example",
	}})
	s.world.saveMessage(m)
	s.emitChanged(ch, m, func(v viewer) any { return s.render(ch, &before, v) })
	return true
}

// getPermalink is chat.getPermalink.
func (c *call) getPermalink() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	m, err := c.message(ch, c.args["message_ts"])
	if err != nil {
		return nil, err
	}
	link := c.baseURL + "/archives/" + ch.ID + "/p" + strings.Replace(m.TS, ".", "", 1)
	if m.isReply() {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + ch.ID
	}
	return object{"channel": ch.ID, "permalink": link}, nil
}

// viewer is how the caller sees messages in answers.
func (c *call) viewer() viewer { return viewer{teamID: c.who.TeamID, metadata: "full"} }
