package richtext

import (
	"encoding/json"
)

// Post is an outbound message in the form of chat.postMessage.
type Post struct {
	// Text is what notifications and old clients show: plain, with &, < and > escaped, so that nothing in it is live.
	Text string
	// Blocks is a JSON array with one rich_text block.
	Blocks json.RawMessage
}

// FromMarkdown makes a post of CommonMark with GFM's strikethrough, autolinks, task lists and tables.
//
// Nothing a writer types can notify anybody: what looks like a mention in either notation is text in the post.
// What Slack's rich text lacks degrades: headings are bold lines, images links, tables aligned preformatted text, tasks
// a box before the text, nested quotes one quote, HTML the text that was typed. A single line break stays one.
// A text that isn't blank never makes an empty post.
func FromMarkdown(md string) Post {
	doc := readMarkdown(clean(md))
	return Post{Text: doc.slackText(), Blocks: doc.slackBlocks()}
}

// slackTextLimit is where Slack begins to refuse a message (msg_too_long on chat.update) or to cut it into several
// (seen on chat.postMessage), although its documentation only advises against more.
const slackTextLimit = 4000

// TooLong tells whether Slack might not take the post as one message: Text, with its escapes, has 4,000 characters or
// more. An emoji beyond the basic plane counts as two, since it isn't documented what Slack counts. The text of
// Blocks is never longer than Text, so it needs no check of its own.
func (p Post) TooLong() bool {
	units := 0
	for _, c := range p.Text {
		if units++; c > 0xFFFF {
			units++
		}
	}
	return units >= slackTextLimit
}
