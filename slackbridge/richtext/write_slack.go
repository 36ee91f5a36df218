package richtext

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// container is a part of a rich_text block; see docs.slack.dev/reference/block-kit/blocks/rich-text-block.
type container struct {
	Type     string `json:"type"`
	Style    string `json:"style,omitempty"`
	Indent   int    `json:"indent,omitempty"`
	Offset   int    `json:"offset,omitempty"`
	Border   int    `json:"border,omitempty"`
	Language string `json:"language,omitempty"`
	Elements []any  `json:"elements"`
}

// inlineElement is text or a link. There is no type for a mention here, so an agent's text can't become one.
type inlineElement struct {
	Type  string       `json:"type"`
	URL   string       `json:"url,omitempty"`
	Text  string       `json:"text,omitempty"`
	Style *inlineStyle `json:"style,omitempty"`
}

type inlineStyle struct {
	Bold   bool `json:"bold,omitempty"`
	Italic bool `json:"italic,omitempty"`
	Strike bool `json:"strike,omitempty"`
	Code   bool `json:"code,omitempty"`
}

// ruleText stands for a thematic break, which rich_text doesn't have.
const ruleText = "———"

// slackBlocks writes the document as a JSON array with one rich_text block.
func (d document) slackBlocks() json.RawMessage {
	type richText struct {
		Type     string      `json:"type"`
		Elements []container `json:"elements"`
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// Strings, integers and booleans always encode.
	_ = enc.Encode([]richText{{Type: "rich_text", Elements: d.containers()}})
	return bytes.TrimSpace(buf.Bytes())
}

func (d document) containers() []container {
	parts := []container{}
	var before block // the one that parts end with
	for _, b := range d {
		elements := inlineElements(b.slackSpans())
		last := len(parts) - 1
		switch {
		case b.kind == listItem:
			if len(elements) == 0 {
				elements = []any{inlineElement{Type: "text", Text: " "}}
			}
			section := container{Type: "rich_text_section", Elements: elements}
			if last >= 0 && b.continues(before) {
				parts[last].Elements = append(parts[last].Elements, section)
			} else {
				parts = append(parts, b.list(section))
			}
		case len(elements) == 0:
			continue
		case b.kind == preformatted:
			parts = append(parts, container{
				Type: "rich_text_preformatted", Language: b.lang, Border: border(b), Elements: elements,
			})
		case last >= 0 && before.running() && before.quote == b.quote:
			parts[last].Elements = joinRunning(parts[last].Elements, elements)
		case b.quote > 0:
			parts = append(parts, container{Type: "rich_text_quote", Elements: elements})
		default:
			parts = append(parts, container{Type: "rich_text_section", Elements: elements})
		}
		before = b
	}
	return parts
}

// running tells whether the block is running text, which Slack keeps in one part with blank lines between.
func (b block) running() bool { return b.kind == paragraph || b.kind == heading || b.kind == rule }

// continues tells whether a list item belongs to the same Slack list as the block before it.
func (b block) continues(before block) bool {
	return before.kind == listItem && before.ordered == b.ordered && before.indent == b.indent &&
		before.quote == b.quote && (!b.ordered || before.number+1 == b.number)
}

func (b block) list(first container) container {
	c := container{Type: "rich_text_list", Style: "bullet", Indent: b.indent, Border: border(b), Elements: []any{first}}
	if b.ordered {
		c.Style, c.Offset = "ordered", max(0, b.number-1)
	}
	return c
}

func border(b block) int { return min(b.quote, 1) }

// slackSpans is the block's content with what Slack expresses by style only.
func (b block) slackSpans() []span {
	switch b.kind {
	case rule:
		return []span{{text: ruleText}}
	case heading:
		spans := make([]span, len(b.spans))
		for i, s := range b.spans {
			s.style |= bold
			spans[i] = s
		}
		return spans
	}
	return b.spans
}

func inlineElements(spans []span) []any {
	elements := make([]any, 0, len(spans))
	for _, s := range spans {
		if s.text == "" {
			continue
		}
		e := inlineElement{Type: "text", Text: s.text}
		switch {
		case linkable(s.url):
			e.Type, e.URL = "link", s.url
			if s.text == s.url {
				e.Text = ""
			}
		case s.url != "" && s.url != s.text:
			e.Text += " (" + s.url + ")"
		}
		if s.style != 0 {
			e.Style = &inlineStyle{
				Bold: s.style&bold != 0, Italic: s.style&italic != 0, Strike: s.style&strike != 0, Code: s.style&code != 0,
			}
		}
		elements = append(elements, e)
	}
	return elements
}

// joinRunning puts more running text below some, as a paragraph of its own.
func joinRunning(some, more []any) []any {
	gap := inlineElement{Type: "text", Text: "\n\n"}
	if e, ok := some[len(some)-1].(inlineElement); ok && e.Type == "text" && e.Style == nil {
		gap.Text = e.Text + gap.Text
		some = some[:len(some)-1]
	}
	if e, ok := more[0].(inlineElement); ok && e.Type == "text" && e.Style == nil {
		gap.Text += e.Text
		more = more[1:]
	}
	return append(append(some, gap), more...)
}

// linkable tells whether Slack takes the URL of a link: a wrong one makes it refuse the whole message.
func linkable(url string) bool {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok || strings.ContainsAny(url, " \t\n<>\"") {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		return len(strings.Trim(rest, "/")) > 0 && strings.HasPrefix(rest, "//")
	case "mailto", "tel":
		return rest != ""
	}
	return false
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackText writes the document as the escaped plain text that Slack itself would make of the blocks.
func (d document) slackText() string {
	var sb strings.Builder
	for i, b := range d {
		if i > 0 {
			sb.WriteByte('\n')
			if b.kind != listItem || d[i-1].kind != listItem {
				sb.WriteByte('\n')
			}
		}
		text := withURLs(b.slackSpans())
		if b.kind == listItem {
			text = strings.Repeat("    ", b.indent) + marker(b) + text
		}
		if b.quote > 0 {
			text = "> " + strings.ReplaceAll(text, "\n", "\n> ")
		}
		sb.WriteString(escaper.Replace(text))
	}
	return sb.String()
}

func marker(b block) string {
	if b.ordered {
		return strconv.Itoa(b.number) + ". "
	}
	return "• "
}

// withURLs is what the spans say as text alone, with the address behind a link's text.
func withURLs(spans []span) string {
	var sb strings.Builder
	for i, s := range spans {
		sb.WriteString(s.text)
		lastOfLink := i+1 == len(spans) || spans[i+1].url != s.url
		if s.url != "" && lastOfLink && !saysAddress(s.text, s.url) {
			sb.WriteString(" (" + s.url + ")")
		}
	}
	return sb.String()
}

// saysAddress tells whether text is the address itself, perhaps without its scheme.
func saysAddress(text, url string) bool {
	before, ok := strings.CutSuffix(strings.TrimSuffix(url, "/"), strings.TrimSuffix(text, "/"))
	return ok && (before == "" || before == "http://" || before == "https://" || before == "mailto:" || before == "tel:")
}
