package richtext

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// The Markdown parser takes quadratic time for some texts that nobody writes in good faith: measured on 40,000
// characters, 0.3 s for ">>>>…" or "[a]([a](…", 10 s for a table of many columns. The limits below are far from what
// people write and keep every text under some 30 ms.
const (
	maxContainers = 100       // nested quotes and lists opened in one line
	maxWork       = 4_000_000 // steps, roughly 3 ns each
	maxCells      = 20_000    // of one table
)

// tangled tells whether parsing md could take more than linear time.
func tangled(md string) bool {
	styles := delimiterWork{}
	for line := range strings.Lines(md) {
		if containers(line) > maxContainers || linkWork(line) > maxWork {
			return true
		}
		if strings.TrimSpace(line) == "" {
			styles = delimiterWork{}
		}
		if styles.add(line); styles.runs*styles.closers > maxWork {
			return true
		}
	}
	return false
}

// containers counts the quotes and list items that line could open.
func containers(line string) int {
	n := 0
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '>' || c == '-' || c == '+' || c == '*' || c == '.' || c == ')':
			n++
		case c != ' ' && c != '\t' && (c < '0' || c > '9'):
			return n
		}
	}
	return n
}

// linkWork estimates the search for a link's end: from each "](" to the next space.
func linkWork(line string) int {
	work := 0
	for word := range strings.FieldsSeq(line) {
		work += strings.Count(word, "](") * len(word)
	}
	return work
}

// delimiterWork counts what the search for the beginnings of styles depends on, within one paragraph: each run of
// markers that could end a style may look back over all runs before it.
type delimiterWork struct{ runs, closers int }

func (d *delimiterWork) add(line string) {
	for i := 0; i < len(line); {
		c := line[i]
		if c != '*' && c != '_' && c != '~' {
			i++
			continue
		}
		end := i
		for end < len(line) && line[end] == c {
			end++
		}
		d.runs++
		before, _ := utf8.DecodeLastRuneInString(line[:i])
		after, _ := utf8.DecodeRuneInString(line[end:])
		if i > 0 && !isSpace(before) && (c != '_' || !wordRune(after)) {
			d.closers++
		}
		i = end
	}
}

// boundedTables leaves a table alone whose missing cells would fill the memory.
type boundedTables struct{ parser.ParagraphTransformer }

func (b boundedTables) Transform(node *ast.Paragraph, reader text.Reader, pc parser.Context) {
	widest := 0
	for i := range node.Lines().Len() {
		line := node.Lines().At(i)
		widest = max(widest, bytes.Count(line.Value(reader.Source()), []byte("|"))+1)
	}
	if widest > 1 && widest*node.Lines().Len() <= maxCells {
		b.ParagraphTransformer.Transform(node, reader, pc)
	}
}
