package slacksim

import (
	"slices"
	"strings"
)

const defaultHistoryMax = 999

// readable finds the channel of a call that reads messages. Bots read only where
// they are members; people read every public channel.
func (c *call) readable() (*channel, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	if err := c.need(ch.historyScope()); err != nil {
		return nil, err
	}
	if c.token.IsBot && !ch.hasMember(c.who.ID) {
		return nil, fail("not_in_channel")
	}
	return ch, nil
}

// window keeps the messages between oldest and latest, which count themselves only
// with inclusive.
func (c *call) window(list []*message) ([]*message, *apiError) {
	oldest, latest := int64(0), int64(1)<<62
	for name, bound := range map[string]*int64{"oldest": &oldest, "latest": &latest} {
		text := c.args[name]
		if text == "" || text == "0" && name == "oldest" {
			continue
		}
		if !strings.Contains(text, ".") {
			text += ".000000"
		}
		whole, frac, _ := strings.Cut(text, ".")
		us, ok := microseconds(whole + "." + (frac + "000000")[:6])
		if !ok {
			return nil, fail("invalid_ts_" + name)
		}
		*bound = us
	}
	inclusive := c.args.bool("inclusive")
	var out []*message
	for _, m := range shown(list, c.now()) {
		us, _ := microseconds(m.TS)
		if us > oldest && us < latest || inclusive && (us == oldest || us == latest) {
			out = append(out, m)
		}
	}
	return out, nil
}

// messages is a page of messages, with what both methods say about it.
func (c *call) messages(ch *channel, list []*message, fallback int) (object, *apiError) {
	most := c.switches.HistoryMax
	if most == 0 {
		most = defaultHistoryMax
	}
	part, meta, err := page(c, list, func(m *message) string { return m.TS }, fallback, most)
	if err != nil {
		return nil, err
	}
	v := c.viewer()
	if !c.args.bool("include_all_metadata") {
		v.metadata = "absent"
	}
	out := make([]object, 0, len(part))
	for _, m := range part {
		out = append(out, c.render(ch, m, v))
	}
	answer := object{"messages": out, "has_more": meta["next_cursor"] != ""}
	if meta["next_cursor"] != "" {
		answer["response_metadata"] = meta
	}
	return answer, nil
}

// conversationsHistory lists roots and broadcast replies, newest first.
func (c *call) conversationsHistory() (object, *apiError) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	list, err := c.window(ch.log.top)
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	out, err := c.messages(ch, list, 100)
	if err == nil {
		out["pin_count"], out["channel_actions_count"] = 0, 0
	}
	return out, err
}

// conversationsReplies lists a thread, oldest first. The root comes first whatever
// the window is; the ts of a reply finds that reply alone.
func (c *call) conversationsReplies() (object, *apiError) {
	ch, err := c.readable()
	if err != nil {
		return nil, err
	}
	root := ch.log.byTS[c.args["ts"]]
	if root == nil || root.ShowAt.After(c.now()) {
		return nil, fail("thread_not_found")
	}
	if root.isReply() {
		return c.messages(ch, []*message{root}, 1)
	}
	replies, err := c.window(ch.log.threads[root.TS])
	if err != nil {
		return nil, err
	}
	return c.messages(ch, append([]*message{root}, replies...), 1000)
}
