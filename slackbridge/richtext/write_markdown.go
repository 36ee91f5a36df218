package richtext

import (
	"strconv"
	"strings"
)

// markdown writes the document as CommonMark with GFM.
func (d document) markdown() string {
	w := &markdownWriter{}
	for i := range d {
		w.block(&d[i])
	}
	return w.sb.String()
}

type markdownWriter struct {
	sb     strings.Builder
	levels []listLevel // open lists, outermost first
	quote  int         // of the block before
	empty  bool        // the list item before says nothing
}

// listLevel is an open list.
type listLevel struct {
	indent    int // Slack's
	column    int // where the marker stands
	content   int // where the content of its items stands
	ordered   bool
	number    int // of the last item
	bullet    string
	delimiter string // behind a number: another one begins another list
}

func (w *markdownWriter) block(b *block) {
	switch b.kind {
	case listItem:
		w.item(b)
	case preformatted:
		w.separate(b.quote)
		w.lines(b.quote, fenced(b.text(), b.lang))
	case rule:
		w.separate(b.quote)
		w.lines(b.quote, []string{"---"})
	case heading:
		if text := strings.Join(inlineMarkdown(b.spans, titleText), " "); text != "" {
			w.separate(b.quote)
			w.lines(b.quote, []string{strings.Repeat("#", min(max(b.level, 1), 6)) + " " + text})
		}
	default:
		if lines := hardBreaks(inlineMarkdown(b.spans, bodyText)); len(lines) > 0 {
			w.separate(b.quote)
			w.lines(b.quote, lines)
		}
	}
}

// separate ends what came before with a blank line; it belongs to the quotation if that goes on.
func (w *markdownWriter) separate(quote int) {
	w.levels = nil
	w.blankLine(quote)
}

func (w *markdownWriter) blankLine(quote int) {
	if w.sb.Len() == 0 {
		w.quote = quote
		return
	}
	w.sb.WriteByte('\n')
	if quote > 0 && quote == w.quote {
		w.sb.WriteByte('>')
	}
	w.sb.WriteByte('\n')
	w.quote = quote
}

// lines writes lines of a block that isn't in a list.
func (w *markdownWriter) lines(quote int, lines []string) {
	for i, line := range lines {
		if i > 0 {
			w.sb.WriteByte('\n')
		}
		w.line(quote, "", line)
	}
}

// line writes a line behind what quotes and lists put before it.
func (w *markdownWriter) line(quote int, indent, line string) {
	if line != "" {
		line = indent + line
	}
	switch {
	case quote > 0 && line == "":
		w.sb.WriteByte('>')
	case quote > 0:
		w.sb.WriteString("> ")
	}
	w.sb.WriteString(line)
}

// item writes a list item. Items follow each other without blank lines, except where Markdown would take the first item
// of a list for the text of the line before: if it is empty or its number isn't 1. An item that holds nothing but
// another list begins that in its own line.
func (w *markdownWriter) item(b *block) {
	lines := hardBreaks(inlineMarkdown(b.spans, itemText))
	inList := len(w.levels) > 0 && w.quote == b.quote
	if !inList {
		w.separate(b.quote)
	}
	depth := len(w.levels)
	level, begins := w.level(b)
	sameLine := inList && w.empty && len(w.levels) > depth
	if sameLine && depth > 0 && w.levels[depth-1].bullet == "-" { // "- - -" would be a thematic break
		level.bullet = "*"
	}
	first := level.bullet
	if b.ordered {
		first = strconv.Itoa(b.number) + level.delimiter
	}
	level.content = level.column + len(first) + 1
	w.empty = len(lines) == 0
	if !w.empty {
		first += " " + lines[0]
		lines = lines[1:]
	}
	switch {
	case sameLine:
		w.sb.WriteString(" " + first)
	case inList && begins && (w.empty || b.ordered && b.number != 1):
		w.blankLine(b.quote)
		w.line(b.quote, strings.Repeat(" ", level.column), first)
	default:
		if inList {
			w.sb.WriteByte('\n')
		}
		w.line(b.quote, strings.Repeat(" ", level.column), first)
	}
	for _, line := range lines {
		w.sb.WriteByte('\n')
		w.line(b.quote, strings.Repeat(" ", level.content), line)
	}
}

// level makes the list that b belongs to the innermost open one, and tells whether b begins it.
func (w *markdownWriter) level(b *block) (level *listLevel, begins bool) {
	for len(w.levels) > 1 && w.levels[len(w.levels)-1].indent > b.indent {
		w.levels = w.levels[:len(w.levels)-1]
	}
	n := len(w.levels)
	next := listLevel{indent: b.indent, ordered: b.ordered, number: b.number, bullet: "-", delimiter: "."}
	if n == 0 || w.levels[n-1].indent < b.indent {
		if n > 0 {
			next.column = w.levels[n-1].content
		}
		w.levels = append(w.levels, next)
		return &w.levels[n], true
	}
	top := &w.levels[n-1]
	begins = top.ordered != b.ordered || b.ordered && b.number != top.number+1
	if begins && top.ordered && b.ordered && top.delimiter == "." {
		next.delimiter = ")"
	}
	if begins {
		next.column = top.column
		*top = next
	}
	top.number, top.indent = b.number, b.indent
	return top, begins
}

const hardBreak = "  "

// hardBreaks marks the line breaks within paragraphs; an empty line stands between paragraphs.
func hardBreaks(lines []string) []string {
	for i := 0; i+1 < len(lines); i++ {
		if lines[i] != "" && lines[i+1] != "" {
			lines[i] += hardBreak
		}
	}
	return lines
}

// fenced writes a code block, its fence longer than any run of backticks in it.
func fenced(text, lang string) []string {
	fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
	lines := append([]string{fence + lang}, strings.Split(text, "\n")...)
	return append(lines, fence)
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
