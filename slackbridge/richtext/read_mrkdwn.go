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
	p := mrkdwnParser{reader: r}
	lineStart, unclosed, eol := true, false, 0
	for pos := 0; pos < len(text); {
		if lineStart && !quoted {
			if quote, size := cutQuote(text[pos:]); size > 0 {
				p.quote(quote)
				pos += size
				continue
			}
		}
		if eol <= pos {
			eol = pos + lineLen(text[pos:])
		}
		open := -1
		if !unclosed {
			open = strings.Index(text[pos:eol], fence)
		}
		if open < 0 {
			p.para.WriteString(text[pos:eol])
			pos, lineStart = eol, true
			continue
		}
		p.para.WriteString(text[pos : pos+open])
		pos += open
		code, size := cutCode(text[pos:])
		switch {
		case size == 0:
			unclosed = true // and so is every further fence
		case strings.TrimSpace(code) == "":
			p.para.WriteString(text[pos : pos+size])
			lineStart = false
		default:
			p.code(code)
			lineStart = strings.HasPrefix(text[pos+size:], "\n")
			if lineStart {
				size++
			}
		}
		pos += size
	}
	p.flush()
	return p.doc
}

const fence = "```"

// mrkdwnParser collects the blocks of mrkdwn.
type mrkdwnParser struct {
	*reader
	doc  document
	para strings.Builder
}

func (p *mrkdwnParser) flush() {
	if s := strings.Trim(p.para.String(), "\n"); strings.TrimSpace(s) != "" {
		p.doc = append(p.doc, block{spans: p.mrkdwnInline(s)})
	}
	p.para.Reset()
}

func (p *mrkdwnParser) quote(text string) {
	p.flush()
	id := p.nextQuote()
	for _, b := range p.mrkdwnBlocks(text, true) {
		b.quote = id
		p.doc = append(p.doc, b)
	}
}

func (p *mrkdwnParser) code(text string) {
	p.flush()
	text = strings.TrimRight(strings.TrimPrefix(text, "\n"), "\n")
	p.doc = append(p.doc, block{kind: preformatted, spans: []span{{text: p.codeText(text)}}})
}

// lineLen is the length of the first line of text with its end.
func lineLen(text string) int {
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		return end + 1
	}
	return len(text)
}

// cutCode returns what stands between the fence that text begins with and the next one, and the size of it all, 0 if
// there is none.
func cutCode(text string) (code string, size int) {
	end := strings.Index(text[len(fence):], fence)
	if end < 0 {
		return "", 0
	}
	return text[len(fence) : len(fence)+end], end + 2*len(fence)
}

// cutQuote returns the quotation that text begins with and its size there: the lines that begin with >, or with >>>
// everything. People's messages have the marker escaped, apps' messages often not.
func cutQuote(text string) (quote string, size int) {
	n := quoteMarker(text)
	if n == 0 {
		return "", 0
	}
	if two := n + quoteMarker(text[n:]); two > n {
		if three := two + quoteMarker(text[two:]); three > two && strings.TrimSpace(text[three:]) != "" {
			return strings.TrimPrefix(text[three:], " "), len(text)
		}
	}
	var sb strings.Builder
	for n > 0 {
		line := text[size : size+lineLen(text[size:])]
		sb.WriteString(strings.TrimPrefix(line[n:], " "))
		size += len(line)
		n = quoteMarker(text[size:])
	}
	return sb.String(), size
}

// quoteMarker is the length of the quote marker that text begins with, or 0.
func quoteMarker(text string) int {
	switch {
	case strings.HasPrefix(text, "&gt;"):
		return len("&gt;")
	case strings.HasPrefix(text, ">"):
		return 1
	}
	return 0
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
