package richtext

import (
	"encoding/json"
	"strconv"
	"strings"
)

// maxDepth is how deep nested elements are read. Slack nests four levels; deeper is somebody trying.
const maxDepth = 16

// reader turns Slack's formats into a document.
type reader struct {
	names  Names
	files  map[string]string // id -> title
	quotes int               // quotations so far
}

func newReader(n Names, files json.RawMessage) *reader {
	r := &reader{names: n}
	for _, f := range decode[[]file](files) {
		if r.files == nil {
			r.files = map[string]string{}
		}
		r.files[f.ID] = clean(firstOf(f.Title, f.Name))
	}
	return r
}

func (r *reader) nextQuote() int {
	r.quotes++
	return r.quotes
}

// richText reads the parts of a rich_text block. Its text is raw: nothing in it is unescaped or parsed.
func (r *reader) richText(parts []element, depth int) document {
	var doc document
	for _, p := range parts {
		switch p.Type {
		case "rich_text_list":
			doc = append(doc, r.list(p, doc, depth)...)
		case "rich_text_preformatted":
			text := strings.Trim(clean(plain(r.inline(p.Elements, depth+1))), "\n")
			doc = append(doc, block{
				kind: preformatted, spans: []span{{text: text}}, lang: language(p.rest().Language), quote: r.border(p, doc),
			})
		case "rich_text_quote":
			doc = append(doc, block{spans: r.inline(p.Elements, depth+1), quote: r.nextQuote()})
		case "rich_text_section":
			doc = append(doc, block{spans: r.inline(p.Elements, depth+1)})
		default:
			doc = append(doc, block{spans: r.inline([]element{p}, depth)})
		}
	}
	return doc
}

// list reads a rich_text_list. Slack writes nesting as lists that follow each other with different indents, and goes on
// counting after a nested list by offset.
func (r *reader) list(p element, before document, depth int) document {
	doc := make(document, 0, len(p.Elements))
	quote, first := r.border(p, before), p.Offset.within(0, 999_999)+1
	for i, e := range p.Elements {
		doc = append(doc, block{
			kind:    listItem,
			spans:   trimLines(r.inline([]element{e}, depth+1)),
			ordered: p.Style.list == "ordered",
			number:  first + i,
			indent:  p.Indent.within(0, maxIndent),
			quote:   quote,
		})
	}
	return doc
}

// border is the quotation a part with a border belongs to: the one before it, if that is next to it.
func (r *reader) border(p element, before document) int {
	if p.Border <= 0 {
		return 0
	}
	if n := len(before); n > 0 && before[n-1].quote > 0 {
		return before[n-1].quote
	}
	return r.nextQuote()
}

func (r *reader) inline(elements []element, depth int) []span {
	if depth > maxDepth {
		return nil
	}
	spans := make([]span, 0, len(elements))
	for i, e := range elements {
		if len(e.Elements) > 0 {
			if i > 0 {
				spans = append(spans, span{text: "\n"})
			}
			spans = append(spans, r.inline(e.Elements, depth+1)...)
			continue
		}
		s := r.inlineElement(e)
		s.text, s.url, s.style = clean(s.text), clean(s.url), e.Style.set
		if s.text != "" {
			spans = append(spans, s)
		}
	}
	return spans
}

func (r *reader) inlineElement(e element) span {
	switch e.Type {
	case "text":
		return span{text: e.Text.text}
	case "link":
		return span{text: firstOf(e.Text.text, e.URL), url: e.URL}
	case "emoji":
		return span{text: emoji(e.Name, e.Unicode, int(e.rest().SkinTone))}
	case "user":
		return r.user(e.UserID, "")
	case "usergroup":
		return r.usergroup(e.rest().UsergroupID, "")
	case "channel":
		return r.channel(e.ChannelID, "")
	case "team":
		return span{text: named("@", e.Name, e.rest().TeamID)}
	case "broadcast":
		return span{text: named("@", e.rest().Range)}
	case "date":
		d := e.rest()
		return span{text: firstOf(d.Fallback, date(int64(d.Timestamp), d.Format)), url: e.URL}
	case "color":
		return span{text: e.rest().Value}
	}
	u := e.rest()
	text := firstOf(e.Text.text, u.Label.text, u.Title.text, r.files[u.FileID], u.Fallback, u.AltText, e.Name, e.URL)
	return span{text: text, url: e.URL}
}

func (r *reader) user(id, label string) span {
	name := ""
	if r.names != nil {
		name = r.names.User(id)
	}
	return span{text: named("@", name, label, id), user: id}
}

func (r *reader) usergroup(id, label string) span {
	name := ""
	if r.names != nil {
		name = r.names.Usergroup(id)
	}
	return span{text: named("@", name, label, id)}
}

func (r *reader) channel(id, label string) span {
	name := ""
	if r.names != nil {
		name = r.names.Channel(id)
	}
	return span{text: named("#", name, label, id)}
}

// named is the first name that says anything, behind its sign.
func named(sign string, names ...string) string {
	name := strings.TrimPrefix(oneLine(firstOf(names...)), sign)
	if name == "" {
		return ""
	}
	return sign + name
}

// emoji shows a standard emoji as its characters and a custom one as :name:. unicode is code points in hex joined by
// dashes and, in what Slack sends, already has the skin tone (2 to 6) in it.
func emoji(name, unicode string, tone int) string {
	var chars []rune
	toned := false
	for point := range strings.SplitSeq(unicode, "-") {
		c, err := strconv.ParseInt(point, 16, 32)
		if err != nil || c <= 0 || c > 0x10FFFF || c >= 0xD800 && c < 0xE000 {
			chars = nil
			break
		}
		toned = toned || c >= 0x1F3FB && c <= 0x1F3FF
		chars = append(chars, rune(c))
	}
	toneChar := tone >= 2 && tone <= 6 && !toned
	switch {
	case len(chars) > 0 && toneChar:
		rest := chars[1:]
		if len(rest) > 0 && rest[0] == 0xFE0F { // a tone stands in place of the request for the emoji form
			rest = rest[1:]
		}
		return string(chars[0]) + string(rune(0x1F3FB+tone-2)) + string(rest)
	case len(chars) > 0:
		return string(chars)
	case name == "":
		return ""
	case toneChar && !strings.Contains(name, "::"):
		return ":" + name + "::skin-tone-" + strconv.Itoa(tone) + ":"
	}
	return ":" + name + ":"
}

// plain is what the spans say without their formatting.
func plain(spans []span) string { return block{spans: spans}.text() }

// language keeps of a code block's language what can stand on the first line of a Markdown fence.
func language(s string) string {
	if i := strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("+#-._/", c))
	}); i >= 0 {
		s = s[:i]
	}
	return s
}

// trimLines drops the line breaks around what a list item says.
func trimLines(spans []span) []span {
	for len(spans) > 0 && strings.Trim(spans[0].text, "\n") == "" {
		spans = spans[1:]
	}
	for len(spans) > 0 && strings.Trim(spans[len(spans)-1].text, "\n") == "" {
		spans = spans[:len(spans)-1]
	}
	return spans
}
