package slacksim

import (
	"regexp"
	"strings"
)

// What Slack makes of a text that was sent: only &, < and > are escaped, tokens in
// <…> are kept if they mean something, bare URLs become tokens.
var (
	angleToken = regexp.MustCompile(`^<(?:@[UW][A-Z0-9]+(?:\|[^<>]*)?|#[CG][A-Z0-9]+(?:\|[^<>]*)?|!(?:here|channel|everyone)(?:\|[^<>]*)?|!subteam\^S[A-Z0-9]+(?:\|[^<>]*)?|!date\^[^<>]+|(?:https?://|mailto:|tel:)[^<>]+)>`)
	entityRef  = regexp.MustCompile(`^&(?:amp|lt|gt);`)
	urlStart   = regexp.MustCompile(`^https?://[\p{L}\p{N}]`)
	urlEnd     = regexp.MustCompile("[\\s<>|`]|&lt;|&gt;")
)

// storedText is the text as Slack keeps and shows it: escaped, with links wrapped.
// Storing a stored text changes nothing.
func storedText(sent string) string {
	var out strings.Builder
	inCode := false
	for i := 0; i < len(sent); {
		rest := sent[i:]
		switch {
		case rest[0] == '`':
			inCode = !inCode
			out.WriteByte('`')
			i++
		case rest[0] == '&':
			if ref := entityRef.FindString(rest); ref != "" {
				out.WriteString(ref)
				i += len(ref)
				continue
			}
			out.WriteString("&amp;")
			i++
		case rest[0] == '<':
			if token := angleToken.FindString(rest); token != "" {
				out.WriteString(token)
				i += len(token)
				continue
			}
			out.WriteString("&lt;")
			i++
		case rest[0] == '>':
			out.WriteString("&gt;")
			i++
		case rest[0] == 'h' && !inCode && (i == 0 || !isWordByte(sent[i-1])):
			url := bareURL(rest)
			if url == "" {
				out.WriteByte('h')
				i++
				continue
			}
			out.WriteString("<" + escapeText(unescapeText(url)) + ">")
			i += len(url)
		default:
			out.WriteByte(rest[0])
			i++
		}
	}
	return out.String()
}

// bareURL is the link that the text begins with, without the punctuation after it.
func bareURL(text string) string {
	if !urlStart.MatchString(text) {
		return ""
	}
	if end := urlEnd.FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	for !strings.HasSuffix(text, "&amp;") && strings.ContainsAny(text[len(text)-1:], ".,;:!?)'\"*_~") {
		text = text[:len(text)-1]
	}
	return text
}

func escapeText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func unescapeText(text string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(text)
}

func isWordByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80 || b == '_'
}

// style is the marks in force at a place of the text.
type style struct{ Bold, Italic, Strike, Code bool }

func (st style) json() object {
	out := object{}
	for name, on := range map[string]bool{"bold": st.Bold, "italic": st.Italic, "strike": st.Strike, "code": st.Code} {
		if on {
			out[name] = true
		}
	}
	return out
}

// inlineElements parses stored text into the elements of a rich_text_section, which
// are unescaped.
func inlineElements(text string, st style) []object {
	p := inlineParser{text: text}
	p.parse(0, len(text), st)
	p.flush(st)
	return p.out
}

type inlineParser struct {
	text string
	buf  strings.Builder
	out  []object
}

func (p *inlineParser) add(element object, st style) {
	if marks := st.json(); len(marks) > 0 {
		element["style"] = marks
	}
	p.out = append(p.out, element)
}

func (p *inlineParser) flush(st style) {
	if p.buf.Len() == 0 {
		return
	}
	p.add(object{"type": "text", "text": unescapeText(p.buf.String())}, st)
	p.buf.Reset()
}

var emojiName = regexp.MustCompile(`^:([a-z0-9_+'-]+)(?:::skin-tone-([2-6]))?:`)

func (p *inlineParser) parse(from, to int, st style) {
	for i := from; i < to; {
		rest := p.text[i:to]
		switch b := rest[0]; {
		case b == '<':
			token := angleToken.FindString(rest)
			if token == "" {
				break
			}
			p.flush(st)
			p.add(tokenElement(token[1:len(token)-1]), st)
			i += len(token)
			continue
		case b == '`' && !st.Code:
			if end := strings.IndexByte(rest[1:], '`'); end > 0 {
				p.flush(st)
				code := st
				code.Code = true
				p.buf.WriteString(rest[1 : 1+end])
				p.flush(code)
				i += end + 2
				continue
			}
		case b == ':':
			if found := emojiName.FindStringSubmatch(rest); found != nil && strings.ContainsAny(found[1], "abcdefghijklmnopqrstuvwxyz+-") {
				p.flush(st)
				element := object{"type": "emoji", "name": found[1]}
				if found[2] != "" {
					element["skin_tone"] = int(found[2][0] - '0')
				}
				p.add(element, st)
				i += len(found[0])
				continue
			}
		case b == '*' && !st.Bold, b == '_' && !st.Italic, b == '~' && !st.Strike:
			if end := p.closing(i, to); end > 0 {
				p.flush(st)
				inner := st
				switch b {
				case '*':
					inner.Bold = true
				case '_':
					inner.Italic = true
				case '~':
					inner.Strike = true
				}
				p.parse(i+1, end, inner)
				p.flush(inner)
				i = end + 1
				continue
			}
		}
		p.buf.WriteByte(rest[0])
		i++
	}
}

// closing finds the mark that ends the one at i, or 0. Marks work at the edges of
// words only, within one line, and not next to blanks inside.
func (p *inlineParser) closing(i, to int) int {
	mark := p.text[i]
	if i > 0 && (isWordByte(p.text[i-1]) && p.text[i-1] != '_' || p.text[i-1] == mark) {
		return 0
	}
	if i+1 >= to || strings.IndexByte(" \n", p.text[i+1]) >= 0 || p.text[i+1] == mark {
		return 0
	}
	for j := i + 1; j < to && p.text[j] != '\n'; j++ {
		switch {
		case p.text[j] == '`':
			if end := strings.IndexByte(p.text[j+1:to], '`'); end >= 0 {
				j += end + 1
			}
		case p.text[j] == '<':
			j += max(len(angleToken.FindString(p.text[j:to]))-1, 0)
		case p.text[j] == mark && p.text[j-1] != ' ' && (j+1 == to || p.text[j+1] == '_' || !isWordByte(p.text[j+1])):
			return j
		}
	}
	return 0
}

// tokenElement is the element of what stands between < and >.
func tokenElement(token string) object {
	body, label, labelled := strings.Cut(token, "|")
	switch {
	case strings.HasPrefix(body, "@"):
		return object{"type": "user", "user_id": body[1:]}
	case strings.HasPrefix(body, "#"):
		return object{"type": "channel", "channel_id": body[1:]}
	case strings.HasPrefix(body, "!subteam^"):
		return object{"type": "usergroup", "usergroup_id": strings.TrimPrefix(body, "!subteam^")}
	case strings.HasPrefix(body, "!date^"):
		parts := strings.SplitN(strings.TrimPrefix(body, "!date^"), "^", 3)
		element := object{"type": "date", "timestamp": atoi(parts[0]), "fallback": unescapeText(label)}
		if len(parts) > 1 {
			element["format"] = unescapeText(parts[1])
		}
		if len(parts) > 2 {
			element["url"] = unescapeText(parts[2])
		}
		return element
	case strings.HasPrefix(body, "!"):
		return object{"type": "broadcast", "range": body[1:]}
	}
	element := object{"type": "link", "url": unescapeText(body)}
	if labelled {
		element["text"] = unescapeText(label)
	}
	return element
}
