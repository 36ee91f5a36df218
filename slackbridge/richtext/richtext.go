// Package richtext converts messages between Slack's formats and Markdown.
//
// Everything read — rich_text blocks, other apps' blocks, mrkdwn, Markdown — becomes one small document of our own, a
// flat run of blocks as Slack thinks of them, and every format is written from that document. So the two directions
// agree by construction, and a new construct needs one reader and one writer, not a converter per pair.
//
// The package does no I/O, takes any input without failing, and works in time linear in its input.
package richtext

import (
	"encoding/json"
	"strings"
)

// Names gives the readable names of what a Slack message mentions by id, without the leading @ or #. An empty string
// means unknown; the id is then shown instead.
type Names interface {
	User(id string) string
	Channel(id string) string
	Usergroup(id string) string
}

// Source is what a Slack message says: its fields of the same names, as they came. Each of them may be absent, null or
// malformed; what can be read of it is read.
type Source struct {
	Text        string
	Blocks      json.RawMessage
	Attachments json.RawMessage
	// Files only give a name to the file elements inside Blocks: a message's own files are its attachments in Ochre,
	// not part of what it says.
	Files json.RawMessage
}

// ToMarkdown says in CommonMark and GFM what Slack shows for the message.
//
// Blocks come first and Text only counts without readable blocks, as in Slack's clients. Attachments follow as quotes,
// except link previews, which repeat a link of the message and come and go without an edit; they are shown only where
// the message would be empty. A line break in Slack is a hard break (two spaces) in the Markdown. Text that would
// mean something to a Markdown parser is escaped, and no other text is. Mentions become names (see Names), an unknown
// name the id; n may be nil.
func ToMarkdown(s Source, n Names) string {
	return s.document(n).markdown()
}

// Mentions returns the ids of the users whom the message mentions, in order of first appearance, each once.
func Mentions(s Source) []string {
	var ids []string
	seen := map[string]bool{}
	for _, b := range s.document(nil) {
		for _, sp := range b.spans {
			if sp.user != "" && !seen[sp.user] {
				seen[sp.user] = true
				ids = append(ids, sp.user)
			}
		}
	}
	return ids
}

func (s Source) document(n Names) document {
	r := newReader(n, s.Files)
	doc := r.blocks(decodeElements(s.Blocks), 0)
	if doc.empty() {
		doc = r.mrkdwn(s.Text)
	}
	return append(doc, r.attachments(s.Attachments, doc.empty())...)
}

// style is a set of inline styles. Slack's underline and highlight have no Markdown and are not kept.
type style uint8

const (
	bold style = 1 << iota
	italic
	strike
	code
)

// span is a stretch of text with one style. Newlines in text are line breaks. A url makes it a link, user is the id of
// the person a mention stands for.
type span struct {
	text  string
	url   string
	user  string
	style style
}

// spanBuilder makes spans of stretches of text, joining those that look the same.
type spanBuilder struct {
	spans []span
	like  span // of what is in text
	text  strings.Builder
}

func (b *spanBuilder) add(text string, like span) {
	like.text, like.user = "", ""
	if like != b.like {
		b.flush()
		b.like = like
	}
	b.text.WriteString(text)
}

func (b *spanBuilder) flush() {
	if b.text.Len() > 0 {
		b.like.text = b.text.String()
		b.spans = append(b.spans, b.like)
		b.like.text = ""
		b.text.Reset()
	}
}

func (b *spanBuilder) done() []span {
	b.flush()
	return b.spans
}

type blockKind uint8

const (
	paragraph blockKind = iota
	heading
	listItem
	preformatted
	rule
)

// maxIndent is how deep Slack nests lists (rich_text_list.indent is 0 to 8).
const maxIndent = 8

// block is one piece of a document. Slack doesn't nest its blocks, so neither does this: a list is a run of items with
// indents, a quotation a run of blocks with the same non-zero quote number.
type block struct {
	kind    blockKind
	spans   []span // of a preformatted block: its text alone counts
	quote   int
	level   int    // heading: 1 to 6
	lang    string // preformatted
	ordered bool   // list item
	number  int    // ordered list item: the number it shows
	indent  int    // list item: 0 to maxIndent
}

type document []block

func (d document) empty() bool {
	for _, b := range d {
		if b.kind != rule && strings.TrimSpace(b.text()) != "" {
			return false
		}
	}
	return true
}

// text is what the block says, without any formatting.
func (b block) text() string {
	if len(b.spans) == 1 {
		return b.spans[0].text
	}
	var sb strings.Builder
	for _, s := range b.spans {
		sb.WriteString(s.text)
	}
	return sb.String()
}

// clean makes text from outside fit for PostgreSQL and for parsers: NUL and invalid UTF-8 become U+FFFD, every kind of
// line end a newline.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !strings.ContainsAny(s, "\x00\r") {
		return s
	}
	return lineEnds.Replace(s)
}

var lineEnds = strings.NewReplacer("\x00", "\uFFFD", "\r\n", "\n", "\r", "\n")

// oneLine joins the lines of a text that has to stand in one.
func oneLine(s string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// firstOf returns the first of its arguments that says anything.
func firstOf(values ...string) string {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return ""
}
