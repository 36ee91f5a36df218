package richtext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMode is where inline content stands; what has to be escaped depends on it.
type textMode int

const (
	bodyText  textMode = iota // a paragraph
	itemText                  // a list item
	titleText                 // a heading
	labelText                 // the text of a link
)

// inlineMarkdown writes the content of a block: its lines, and an empty one between paragraphs.
func inlineMarkdown(spans []span, mode textMode) []string {
	var out []string
	var para [][]span
	flush := func() {
		if len(para) == 0 {
			return
		}
		if len(out) > 0 {
			out = append(out, "")
		}
		out = append(out, paragraphMarkdown(para, mode, len(out) == 0, needTickEscapes(para))...)
		para = nil
	}
	for _, line := range spanLines(spans) {
		if strings.TrimSpace(plain(line)) == "" {
			flush()
		} else {
			para = append(para, line)
		}
	}
	flush()
	return out
}

// spanLines cuts spans at their line breaks.
func spanLines(spans []span) [][]span {
	var lines [][]span
	var line spanBuilder
	for _, s := range spans {
		if s.url != "" {
			s.text = strings.ReplaceAll(s.text, "\n", " ")
		}
		for {
			part, rest, more := strings.Cut(s.text, "\n")
			line.add(part, s)
			if !more {
				break
			}
			lines = append(lines, line.done())
			line, s.text = spanBuilder{}, rest
		}
	}
	return append(lines, line.done())
}

// paragraphMarkdown writes the lines of one paragraph. Which characters need an escape depends on all of it, because
// markers pair up over line breaks.
func paragraphMarkdown(lines [][]span, mode textMode, first, ticks bool) []string {
	pieces := make([][]piece, len(lines))
	l := layouter{mode: mode, ticks: ticks}
	for i, line := range lines {
		pieces[i] = l.line(line)
	}
	escapes := findEscapes(pieces, ticks)
	escapes.label = mode == labelText
	out := make([]string, len(lines))
	for i := range lines {
		w := inlineWriter{escapes: escapes, pieces: pieces[i], mode: mode, firstLine: i == 0, firstPara: first}
		out[i] = w.write()
	}
	return out
}

// piece is a part of a line with one style: text to be escaped, or an atom, which is Markdown already (code, a link).
type piece struct {
	text  string
	style style // without code
	atom  bool
}

func (p piece) space() bool { return !p.atom && strings.TrimSpace(p.text) == "" }

func (p piece) first() rune { c, _ := utf8.DecodeRuneInString(p.text); return c }
func (p piece) last() rune  { c, _ := utf8.DecodeLastRuneInString(p.text); return c }

// layouter turns the lines of a paragraph into pieces.
type layouter struct {
	mode  textMode
	ticks bool // backticks have to be escaped
	// brackets is how many [ are open: within them GFM parsers don't look for addresses.
	brackets int
}

// line turns a line into pieces whose styles Markdown can express.
func (l *layouter) line(line []span) []piece {
	var pieces []piece
	for i := 0; i < len(line); {
		s := line[i]
		switch {
		case s.url != "":
			end := i + 1
			for end < len(line) && line[end].url == s.url {
				end++
			}
			pieces = append(pieces, l.link(line, i, end)...)
			i = end
			continue
		case s.style&code != 0 && strings.TrimSpace(s.text) != "":
			for i+1 < len(line) && line[i+1].url == "" && line[i+1].style&code != 0 { // two code spans can't touch
				i++
				s.text += line[i].text
				s.style &= line[i].style
			}
			pieces = append(pieces, piece{text: codeSpan(s.text), style: s.style &^ code, atom: true})
		default:
			pieces = append(pieces, l.text(s.text, s.style&^code, i == 0)...)
		}
		i++
	}
	pieces = fitStyles(trimPieces(pieces, l.mode))
	styleSpaces(pieces)
	return pieces
}

// text splits text into white space at its edges, addresses that must not be escaped, and the rest.
func (l *layouter) text(text string, st style, lineStart bool) []piece {
	core := strings.TrimSpace(text)
	if core == "" {
		return []piece{{text: text}}
	}
	var pieces []piece
	start := strings.Index(text, core)
	if start > 0 {
		pieces = append(pieces, piece{text: text[:start]})
	}
	if st == 0 {
		afterSpace := start == 0 && lineStart || start > 0 && text[start-1] == ' ' && (!lineStart || start == 1)
		pieces = append(pieces, l.addresses(core, afterSpace)...)
	} else {
		l.count(core)
		pieces = append(pieces, piece{text: core, style: st})
	}
	if end := start + len(core); end < len(text) {
		pieces = append(pieces, piece{text: text[end:]})
	}
	return pieces
}

// count follows the brackets of text.
func (l *layouter) count(text string) {
	for i := range len(text) {
		switch {
		case text[i] == '[':
			l.brackets++
		case text[i] == ']' && l.brackets > 0 && !strings.HasPrefix(text[i+1:], "("): // that one gets a backslash
			l.brackets--
		}
	}
}

// trimPieces takes the white space off the ends of a line. An indentation is kept with no-break spaces, since plain
// ones would be lost or make the line code; a single space is an accident.
func trimPieces(pieces []piece, mode textMode) []piece {
	indent := ""
	for len(pieces) > 0 && pieces[0].space() {
		indent += pieces[0].text
		pieces = pieces[1:]
	}
	for len(pieces) > 0 && pieces[len(pieces)-1].space() {
		pieces = pieces[:len(pieces)-1]
	}
	indent = strings.ReplaceAll(indent, "\t", "    ")
	if n := utf8.RuneCountInString(indent); n > 1 && mode == bodyText && len(pieces) > 0 {
		pieces = append([]piece{{text: strings.Repeat("\u00A0", n), atom: true}}, pieces...)
	}
	return pieces
}

// styleSpaces lets white space have the styles its neighbours share.
func styleSpaces(pieces []piece) {
	for i := range pieces {
		if !pieces[i].space() {
			continue
		}
		pieces[i].style = 0
		if i > 0 && i+1 < len(pieces) {
			pieces[i].style = pieces[i-1].style & pieces[i+1].style
		}
	}
}

// letter tells whether Markdown takes c for part of a word next to a marker.
func letter(c rune) bool { return !isSpace(c) && !punctuation(c) }

func punctuation(c rune) bool { return unicode.IsPunct(c) || unicode.IsSymbol(c) }

func isSpace(c rune) bool { return unicode.IsSpace(c) }

func symbol(c rune) bool { return unicode.IsSymbol(c) }
