package richtext

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// codeSpan writes text as code, between so many backticks as nowhere stand together in it.
func codeSpan(text string) string {
	runs := map[int]bool{}
	for i := 0; i < len(text); i = runEnd(text, i) {
		if text[i] == '`' {
			runs[runEnd(text, i)-i] = true
		}
	}
	n := 1
	for runs[n] {
		n++
	}
	ticks := strings.Repeat("`", n)
	edge := strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`")
	if edge || strings.HasPrefix(text, " ") && strings.HasSuffix(text, " ") {
		text = " " + text + " "
	}
	return ticks + text + ticks
}

// link writes the link that line[from:to] is.
func (l *layouter) link(line []span, from, to int) []piece {
	url := line[from].url
	shared := line[from].style
	for _, s := range line[from:to] {
		shared &= s.style
	}
	shared &^= code
	text := plain(line[from:to])
	core := strings.TrimSpace(text)
	if core == "" {
		return []piece{{text: text}}
	}
	if l.mode == labelText || unsafe(url) {
		return l.text(withURLs(line[from:to]), shared, false)
	}
	var link string
	address := to-from == 1 && !hasReference(core) && line[from].style&code == 0 && shows(core, url)
	switch {
	case address && shared == 0 && l.brackets == 0 && bare(core) && apart(line, from, to):
		link = core
	case address && autolink.MatchString(core):
		link = "<" + core + ">"
	default:
		label := make([]span, 0, to-from)
		for _, s := range line[from:to] {
			label = append(label, span{text: s.text, style: s.style &^ shared})
		}
		lines := spanLines(label)
		link = "[" + paragraphMarkdown(lines, labelText, true, l.ticks)[0] + "](" + destination(url) + ")"
	}
	// White space at the edges stands outside.
	start := strings.Index(text, core)
	pieces := []piece{{text: text[:start]}, {text: link, style: shared, atom: true}, {text: text[start+len(core):]}}
	return withoutEmpty(pieces)
}

func withoutEmpty(pieces []piece) []piece {
	kept := pieces[:0]
	for _, p := range pieces {
		if p.text != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// unsafe tells whether a URL runs code where it is opened.
func unsafe(url string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(url)), ":")
	return scheme == "javascript" || scheme == "vbscript" || scheme == "data" || scheme == "file"
}

// shows tells whether text is the address itself, so that nothing else has to be said.
func shows(text, url string) bool {
	return text == url || text+"/" == url || "mailto:"+text == url
}

var (
	// autolink is what may stand between < and >: a URL or an e-mail address.
	autolink = regexp.MustCompile("^(?:[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\\s<>&`\\\\\\x00-\\x20]+|[A-Za-z0-9.+_-]+@[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*)$")
	// bareURL is what every GFM parser recognizes in running text, a subset of what they say they do.
	bareURL   = regexp.MustCompile(`^(?:https?://|www\.)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[a-z]{2,}(?::[0-9]+)?(?:[/?#][-A-Za-z0-9@:%_+.~#$!?&/=(),;']*)?$`)
	bareEmail = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.+_-]*[A-Za-z0-9])?@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$`)
	// afterBare is what may follow an address without becoming part of it.
	afterBare = regexp.MustCompile(`^[?!.,:*_~)"']*(?:\s|$)`)
)

// bare tells whether GFM makes a link of an address in running text.
func bare(address string) bool {
	if bareEmail.MatchString(address) {
		return true
	}
	if hasReference(address) || !bareURL.MatchString(address) || strings.Count(address, "(") != strings.Count(address, ")") {
		return false
	}
	last := address[len(address)-1]
	return last == '/' || last == '=' || last == '#' || last == '-' || last == ')' || letter(rune(last))
}

// hasReference tells whether text holds what Markdown takes for a character, as &copy; is.
func hasReference(text string) bool {
	for i := range len(text) {
		if text[i] == '&' && referenceLen(text[i:]) > 0 {
			return true
		}
	}
	return false
}

// apart tells whether line[from:to] stands so that a bare address in it ends where it should.
func apart(line []span, from, to int) bool {
	if from > 0 {
		prev := line[from-1]
		c := prev.text[len(prev.text)-1]
		if c != ' ' && (c != '(' || prev.style != 0) || indented(line[:from]) {
			return false
		}
	}
	if to == len(line) {
		return true
	}
	next := line[to]
	c, _ := utf8.DecodeRuneInString(next.text)
	return isSpace(c) || next.style == 0 && next.url == "" && (len(line) == to+1 || strings.ContainsAny(next.text, " \t")) &&
		afterBare.MatchString(next.text)
}

// indented tells whether all of line is white space that is kept (see trimPieces).
func indented(line []span) bool {
	size := 0
	for i := len(line) - 1; i >= 0; i-- {
		if strings.TrimSpace(line[i].text) != "" {
			return false
		}
		size += len(line[i].text)
	}
	return size > 1
}

// addresses keeps addresses with characters that would be escaped out of the text to be escaped: GFM parsers see
// an address before they see markers. They see it at the start of a line and behind a space; afterSpace tells whether
// text begins there.
func (l *layouter) addresses(text string, afterSpace bool) []piece {
	var pieces []piece
	last := 0
	for at := 0; at < len(text); {
		size := strings.IndexAny(text[at:], " \t<")
		if size < 0 {
			size = len(text) - at
		}
		word := text[at : at+size]
		address := strings.TrimRight(word, `?!.,:*_~)"'`)
		if l.brackets == 0 && strings.ContainsAny(address, "_*~&") && bare(address) && (at == 0 && afterSpace || at > 0 && text[at-1] == ' ') &&
			(at+size == len(text) || text[at+size] != '<') {
			if last < at {
				pieces = append(pieces, piece{text: text[last:at]})
			}
			pieces = append(pieces, piece{text: address, atom: true})
			last = at + len(address)
		}
		l.count(word)
		at += size + 1
	}
	if last < len(text) {
		pieces = append(pieces, piece{text: text[last:]})
	}
	return pieces
}

// destination writes a URL between the parentheses of a link.
func destination(url string) string {
	balanced := balancedParens(url)
	var sb strings.Builder
	for i := range len(url) {
		c := url[i]
		switch {
		case c <= ' ' || c == 0x7F || strings.IndexByte("<>\\`", c) >= 0:
			const hex = "0123456789ABCDEF"
			sb.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		case !balanced && (c == '(' || c == ')'):
			sb.WriteString(`\` + string(rune(c)))
		case c == '&' && referenceLen(url[i:]) > 0:
			sb.WriteString("&amp;")
		default:
			sb.WriteByte(c)
		}
	}
	return sb.String()
}

func balancedParens(s string) bool {
	depth, deepest := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0 && deepest < 3
}
