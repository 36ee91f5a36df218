package richtext

import (
	"strings"
	"unicode"
)

// mrkdwnInline reads text with its tokens and styles. Styles don't reach over a line break.
func (r *reader) mrkdwnInline(text string) []span {
	l := r.lex(text)
	var spans []span
	for line := range splitRunes(l.runes, '\n') {
		if len(spans) > 0 {
			spans = append(spans, span{text: "\n"})
		}
		p := styleParser{lexed: l, line: l.codeSpans(line)}
		p.findMarkers()
		p.parse(0, len(p.line), 0)
		p.flush(0)
		spans = append(spans, p.spans...)
	}
	return spans
}

func splitRunes(runes []rune, sep rune) func(yield func([]rune) bool) {
	return func(yield func([]rune) bool) {
		start := 0
		for i, c := range runes {
			if c == sep {
				if !yield(runes[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(runes[start:])
	}
}

// opens tells whether a marker at i can begin a style: at the start of a word, with something behind it.
func opens(line []rune, i int) bool {
	if i+1 >= len(line) || unicode.IsSpace(line[i+1]) || line[i+1] == line[i] {
		return false
	}
	return i == 0 || !wordRune(line[i-1]) && line[i-1] != line[i]
}

// closes tells whether a marker at i can end a style: at the end of a word.
func closes(line []rune, i int) bool {
	if i == 0 || unicode.IsSpace(line[i-1]) || line[i-1] == line[i] {
		return false
	}
	return i+1 == len(line) || !wordRune(line[i+1]) && line[i+1] != line[i]
}

func wordRune(c rune) bool { return c < firstAtom && (unicode.IsLetter(c) || unicode.IsDigit(c)) }

// codeSpans puts an atom in place of each `code` of the line, so that nothing in it is looked at again.
func (l *lexed) codeSpans(line []rune) []rune {
	var out []rune
	last, from := 0, 0
	for from < len(line) {
		open := indexRune(line, from, func(i int) bool { return line[i] == '`' && opens(line, i) })
		if open < 0 {
			break
		}
		end := indexRune(line, open+2, func(i int) bool { return line[i] == '`' && closes(line, i) })
		if end < 0 {
			break
		}
		out = append(out, line[last:open]...)
		out = append(out, firstAtom+rune(len(l.atoms)))
		l.atoms = append(l.atoms, span{text: l.text(line[open+1 : end]), style: code})
		last, from = end+1, end+1
	}
	if last == 0 {
		return line
	}
	return append(out, line[last:]...)
}

func indexRune(line []rune, from int, ok func(int) bool) int {
	for i := from; i < len(line); i++ {
		if ok(i) {
			return i
		}
	}
	return -1
}

var markers = []struct {
	char  rune
	style style
}{{'*', bold}, {'_', italic}, {'~', strike}}

// styleParser finds the styled parts of one line. A style ends at the next marker of its kind or not at all, so the
// time is linear.
type styleParser struct {
	*lexed
	line  []rune
	next  [3][]int // per marker: where it stands, as far as not yet passed
	spans []span
	text  strings.Builder
}

func (p *styleParser) findMarkers() {
	for i, c := range p.line {
		for m := range markers {
			if c == markers[m].char {
				p.next[m] = append(p.next[m], i)
			}
		}
	}
}

// closer is where the style ends that marker m opens at i; the end of the line if it doesn't.
func (p *styleParser) closer(m, i int) int {
	for len(p.next[m]) > 0 && p.next[m][0] <= i {
		p.next[m] = p.next[m][1:]
	}
	if len(p.next[m]) == 0 || !closes(p.line, p.next[m][0]) {
		return len(p.line)
	}
	return p.next[m][0]
}

func (p *styleParser) parse(from, to int, st style) {
	for i := from; i < to; i++ {
		c := p.line[i]
		if c >= firstAtom {
			p.flush(st)
			s := p.atoms[c-firstAtom]
			s.style |= st
			p.spans = append(p.spans, s)
			continue
		}
		if m, end := p.styled(i, st); end < to {
			p.flush(st)
			p.parse(i+1, end, st|markers[m].style)
			p.flush(st | markers[m].style)
			i = end
			continue
		}
		p.text.WriteRune(c)
	}
}

// styled returns the marker that opens a style at i and where that ends; the end of the line if there is none.
func (p *styleParser) styled(i int, st style) (marker, end int) {
	for m := range markers {
		if p.line[i] == markers[m].char && st&markers[m].style == 0 && opens(p.line, i) {
			return m, p.closer(m, i)
		}
	}
	return 0, len(p.line)
}

func (p *styleParser) flush(st style) {
	if p.text.Len() > 0 {
		p.spans = append(p.spans, span{text: p.text.String(), style: st})
		p.text.Reset()
	}
}
