package richtext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var unescaper = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

// unescape undoes the only three escapes Slack knows.
func unescape(s string) string { return unescaper.Replace(s) }

// mrkdwn reads Slack's older markup (docs.slack.dev/messaging/formatting-message-text): code blocks between triple
// backticks, quotes at the start of lines, and text. It has no lists: what looks like one is text.
func (r *reader) mrkdwn(text string) document {
	return r.mrkdwnBlocks(clean(text), false)
}

func (r *reader) mrkdwnBlocks(text string, quoted bool) document {
	var doc document
	var para strings.Builder
	flush := func() {
		if s := strings.Trim(para.String(), "\n"); strings.TrimSpace(s) != "" {
			doc = append(doc, block{spans: r.mrkdwnInline(s)})
		}
		para.Reset()
	}
	const fence = "```"
	unclosed := false // no further fence has a partner
	for lineStart := true; text != ""; {
		if quote, rest, ok := cutQuote(text); ok && lineStart && !quoted {
			flush()
			id := r.nextQuote()
			for _, b := range r.mrkdwnBlocks(quote, true) {
				b.quote = id
				doc = append(doc, b)
			}
			text = rest
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		if open := strings.Index(line, fence); open >= 0 && !unclosed {
			body := text[open+len(fence):]
			end := strings.Index(body, fence)
			if end > 0 && strings.TrimSpace(body[:end]) != "" {
				para.WriteString(text[:open])
				flush()
				code := strings.TrimRight(strings.TrimPrefix(body[:end], "\n"), "\n")
				doc = append(doc, block{kind: preformatted, spans: []span{{text: r.codeText(code)}}})
				text, lineStart = strings.CutPrefix(body[end+len(fence):], "\n")
				continue
			}
			unclosed = end < 0
			if end >= 0 {
				kept := open + end + 2*len(fence)
				para.WriteString(text[:kept])
				text, lineStart = text[kept:], false
				continue
			}
		}
		para.WriteString(line)
		para.WriteByte('\n')
		text, lineStart = rest, true
	}
	flush()
	return doc
}

// cutQuote takes the quotation at the start of text: the lines that begin with >, or with >>> everything. People's
// messages have the marker escaped, apps' messages often not.
func cutQuote(text string) (quote, rest string, ok bool) {
	marker := func(s string) (string, bool) {
		if after, found := strings.CutPrefix(s, "&gt;"); found {
			return after, true
		}
		return strings.CutPrefix(s, ">")
	}
	after, ok := marker(text)
	if !ok {
		return "", text, false
	}
	if two, ok := marker(after); ok {
		if three, ok := marker(two); ok && strings.TrimSpace(three) != "" {
			return strings.TrimPrefix(three, " "), "", true
		}
	}
	var sb strings.Builder
	for ok {
		var line string
		line, rest, _ = strings.Cut(after, "\n")
		sb.WriteString(strings.TrimPrefix(line, " "))
		sb.WriteByte('\n')
		after, ok = marker(rest)
	}
	return sb.String(), rest, true
}

// lexed is mrkdwn with its <…> tokens and escapes resolved. A rune beyond Unicode stands for a token: the span at
// atoms[rune-firstAtom].
type lexed struct {
	runes []rune
	atoms []span
}

const firstAtom = unicode.MaxRune + 1

func (l *lexed) add(s span) {
	l.runes = append(l.runes, firstAtom+rune(len(l.atoms)))
	l.atoms = append(l.atoms, s)
}

func (r *reader) lex(text string) *lexed {
	l := &lexed{runes: make([]rune, 0, len(text))}
	for i := 0; i < len(text); {
		switch text[i] {
		case '<':
			if end := strings.IndexAny(text[i+1:], "<>\n"); end > 0 && text[i+1+end] == '>' {
				l.add(r.token(text[i+1 : i+1+end]))
				i += end + 2
				continue
			}
		case '&':
			if c, n := entity(text[i:]); n > 0 {
				l.runes = append(l.runes, c)
				i += n
				continue
			}
		}
		c, n := utf8.DecodeRuneInString(text[i:])
		l.runes = append(l.runes, c)
		i += n
	}
	return l
}

func entity(s string) (rune, int) {
	switch {
	case strings.HasPrefix(s, "&amp;"):
		return '&', 5
	case strings.HasPrefix(s, "&lt;"):
		return '<', 4
	case strings.HasPrefix(s, "&gt;"):
		return '>', 4
	}
	return 0, 0
}

// token reads what stands between < and >, in the order Slack's documentation gives: channel, user, special mention,
// else a link. The label begins after the first bar and may hold more of them.
func (r *reader) token(raw string) span {
	target, label, _ := strings.Cut(raw, "|")
	target, label = unescape(target), oneLine(unescape(label))
	switch target[:min(1, len(target))] {
	case "#":
		return r.channel(target[1:], label)
	case "@":
		return r.user(target[1:], label)
	case "!":
		return r.special(target[1:], label)
	}
	scheme, address, isLink := strings.Cut(target, ":")
	if !isLink || !validScheme(scheme) {
		if label != "" {
			return span{text: label}
		}
		return span{text: "<" + target + ">"}
	}
	if label == "" && (scheme == "mailto" || scheme == "tel") {
		label = address
	}
	return span{text: firstOf(label, target), url: target}
}

func (r *reader) special(command, label string) span {
	name, args, _ := strings.Cut(command, "^")
	switch name {
	case "here", "channel", "everyone", "group":
		return span{text: "@" + name}
	case "subteam":
		return r.usergroup(args, label)
	case "date":
		stamp, format, _ := strings.Cut(args, "^")
		format, link, _ := strings.Cut(format, "^")
		unix, _ := strconv.ParseInt(stamp, 10, 64)
		return span{text: firstOf(label, date(unix, format)), url: link}
	}
	return span{text: firstOf(label, "<"+command+">")}
}

func validScheme(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

// text is a stretch of lexed mrkdwn as code shows it.
func (l *lexed) text(runes []rune) string {
	var sb strings.Builder
	for _, c := range runes {
		if c >= firstAtom {
			sb.WriteString(l.atoms[c-firstAtom].text)
		} else {
			sb.WriteRune(c)
		}
	}
	return sb.String()
}

// codeText reads code: tokens show their text, markers mean nothing.
func (r *reader) codeText(s string) string {
	l := r.lex(s)
	return l.text(l.runes)
}
