package richtext

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// escapes tells which characters of a paragraph need a backslash. Markers only mean something in pairs, so a text with
// a single asterisk, or with underscores within words, stays as it is.
type escapes struct {
	star, underscore, tilde, tick bool
	strikes                       bool // some of the text is struck out
	tags                          bool // a > somewhere could end an HTML tag or an autolink
	label                         bool // brackets too: inside the text of a link
}

func (e escapes) marker(c rune) bool {
	switch c {
	case '*':
		return e.star
	case '_':
		return e.underscore
	case '~':
		return e.tilde
	case '`':
		return e.tick
	}
	return false
}

// needTickEscapes tells whether backticks of the text could make code, alone or with the code spans to be written.
func needTickEscapes(lines [][]span) bool {
	runs, codes := 0, 0
	for _, line := range lines {
		for _, s := range line {
			if s.style&code != 0 {
				codes++
				continue
			}
			for i := range len(s.text) {
				if s.text[i] == '`' && (i == 0 || s.text[i-1] != '`') {
					runs++
				}
			}
		}
	}
	return runs > 1 || runs == 1 && codes > 0
}

// findEscapes looks for markers in the text that would pair up, with each other or with those of the styles.
func findEscapes(lines [][]piece, ticks bool) escapes {
	var opened, paired [3]bool
	strikes, tags := false, false
	chars := [3]rune{'*', '_', '~'}
	for _, pieces := range lines {
		for i, p := range pieces {
			paired[0] = paired[0] || p.style&(bold|italic) != 0
			tags = tags || strings.Contains(p.text, ">")
			strikes = strikes || p.style&strike != 0
			paired[2] = paired[2] || strikes
			if p.atom || !strings.ContainsAny(p.text, "*_~") {
				continue
			}
			for at := 0; at < len(p.text); {
				end := runEnd(p.text, at)
				for m, c := range chars {
					if rune(p.text[at]) != c {
						continue
					}
					canOpen, canClose := flanks(c, runeBefore(pieces, i, at), runeAfter(pieces, i, end))
					paired[m] = paired[m] || canClose && opened[m]
					opened[m] = opened[m] || canOpen
				}
				at = end
			}
		}
	}
	return escapes{star: paired[0], underscore: paired[1], tilde: paired[2], tick: ticks, strikes: strikes, tags: tags}
}

// runEnd is where the run of equal bytes that begins at i ends.
func runEnd(s string, i int) int {
	end := i + 1
	for end < len(s) && s[end] == s[i] {
		end++
	}
	return end
}

func runeBefore(pieces []piece, i, at int) rune {
	if at == 0 {
		return neighbour(pieces, i, i-1)
	}
	c, _ := utf8.DecodeLastRuneInString(pieces[i].text[:at])
	return c
}

func runeAfter(pieces []piece, i, at int) rune {
	if at == len(pieces[i].text) {
		return neighbour(pieces, i, i+1)
	}
	c, _ := utf8.DecodeRuneInString(pieces[i].text[at:])
	return c
}

// flanks tells by CommonMark's rules whether a run of marker c between two characters (0: none) can begin and end a
// style. Symbols count as punctuation only since CommonMark 0.31, so that both readings are covered.
func flanks(c, before, after rune) (canOpen, canClose bool) {
	for _, punct := range []func(rune) bool{punctuation, plainPunctuation} {
		left := !blank(after) && (!punct(after) || blank(before) || punct(before))
		right := !blank(before) && (!punct(before) || blank(after) || punct(after))
		if c == '_' {
			canOpen = canOpen || left && (!right || punct(before))
			canClose = canClose || right && (!left || punct(after))
			continue
		}
		canOpen, canClose = canOpen || left, canClose || right
	}
	return canOpen, canClose
}

func plainPunctuation(c rune) bool {
	return punctuation(c) && (c < utf8.RuneSelf || !symbol(c))
}

func blank(c rune) bool { return c == 0 || isSpace(c) }

// text writes the text of piece i with the escapes it needs. structure is the index of a character that would begin a
// block and has to be escaped for that, or -1.
func (w *inlineWriter) text(i, structure int) {
	text := w.pieces[i].text
	if structure < 0 && !strings.ContainsAny(text, "*_~`\\[]!<&#") {
		w.sb.WriteString(text)
		return
	}
	for at := 0; at < len(text); {
		c := text[at]
		if strings.IndexByte("*_~`", c) >= 0 {
			end := runEnd(text, at)
			before := runeBefore(w.pieces, i, at)
			if at == 0 { // what really came before: a marker may have been opened again, or left out
				before = w.last()
			}
			canOpen, canClose := flanks(rune(c), before, runeAfter(w.pieces, i, end))
			run := text[at:end]
			if at == structure || w.marker(rune(c)) && (canOpen || canClose || c == '`') {
				run = strings.Repeat(w.escaped(c, at == 0 || end == len(text)), end-at)
			}
			w.sb.WriteString(run)
			at = end
			continue
		}
		if at == structure || w.special(text, at, i) {
			w.sb.WriteByte('\\')
		}
		w.sb.WriteByte(c)
		at++
	}
}

// escaped writes a marker as text. Some parsers take a ~ for part of the ~~ beside it even behind a backslash.
func (w *inlineWriter) escaped(c byte, edge bool) string {
	if c == '~' && edge && w.strikes {
		return "&#126;"
	}
	return `\` + string(rune(c))
}

// special tells whether the character at text[at] means something to Markdown right where it stands.
func (w *inlineWriter) special(text string, at, i int) bool {
	switch text[at] {
	case '\\':
		if at+1 == len(text) { // the end of the line, or perhaps a marker
			return true
		}
		return text[at+1] < utf8.RuneSelf && punctuation(rune(text[at+1]))
	case '[':
		return w.label
	case ']':
		return w.label || at+1 < len(text) && text[at+1] == '(' || at+1 == len(text) && w.follows(i, "(")
	case '!': // before a link it would make an image
		return at+1 == len(text) && w.follows(i, "[") && w.pieces[i+1].atom
	case '<':
		return w.tags && beginsTag(text[at+1:])
	case '&':
		return referenceLen(text[at:]) > 0
	case '#': // at its end a heading may have any number of them
		return w.mode == titleText && i+1 == len(w.pieces) && strings.Trim(text[at:], "#") == ""
	}
	return false
}

// follows tells whether the piece after piece i begins with prefix. A marker may or may not come before it.
func (w *inlineWriter) follows(i int, prefix string) bool {
	return i+1 < len(w.pieces) && strings.HasPrefix(w.pieces[i+1].text, prefix)
}

var tagStart = regexp.MustCompile(`^(?:[/!?]|[A-Za-z][A-Za-z0-9-]*(?:[\s/>:+.@_]|$)|[^\s<>]*@[^\s<>]*>)`)

// beginsTag tells whether a < before rest could begin HTML or an autolink.
func beginsTag(rest string) bool { return tagStart.MatchString(rest) }

var (
	thematicBreak  = regexp.MustCompile(`^(?:(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,})$`)
	setextLine     = regexp.MustCompile(`^(?:=+|-+)$`)
	delimiterRow   = regexp.MustCompile(`^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$`)
	blockMarker    = regexp.MustCompile(`^(?:#{1,6}|[-+*]|[0-9]{1,9}[.)])(?:[ \t]|$)`)
	definitionLine = regexp.MustCompile(`^\[[^\]]*\]:`)
	taskMark       = regexp.MustCompile(`^\[[ \txX]\][ \t]`)
)

// structure returns the index of the character that makes a block of a line beginning with text, or -1.
func (w *inlineWriter) structure(text string) int {
	whole := len(w.pieces) == 1
	if len(w.pieces) > 1 && w.pieces[1].space() {
		text += " "
	} else if !whole {
		text += "x" // something that isn't white space, and in any case no further marker
	}
	switch {
	case w.mode == labelText:
		return -1
	case text[0] == '>', text[0] == '<' && beginsTag(text[1:]), strings.HasPrefix(text, "```"), strings.HasPrefix(text, "~~~"):
		return 0
	case blockMarker.MatchString(text):
		if c := text[0]; c >= '0' && c <= '9' {
			return strings.IndexAny(text, ".)")
		}
		return 0
	case whole && thematicBreak.MatchString(text):
		return 0
	case whole && !w.firstLine && (setextLine.MatchString(text) || delimiterRow.MatchString(text)):
		return 0
	case w.firstLine && definitionLine.MatchString(text):
		return 0
	case w.firstLine && w.firstPara && w.mode == itemText && taskMark.MatchString(text):
		return 0
	}
	return -1
}
