package desk

import (
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// The lengths of a title and a preview, in characters.
const (
	titleLength   = 80
	previewLength = 140
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Linkify, extension.Table, extension.TaskList))

// plainLine gives the text of Markdown in one line without its marks, at most length characters, with … where it was cut. With firstLine
// it ends at the first block or line break that follows some text.
func plainLine(md string, length int, firstLine bool) string {
	if limit := 8 * length; len(md) > limit { // what is shown stands near the beginning; a long text is not parsed for it
		for limit > 0 && !utf8.RuneStart(md[limit]) {
			limit--
		}
		md = md[:limit]
	}
	src := []byte(md)
	var b strings.Builder
	gap := func() {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
	}
	_ = ast.Walk(markdown.Parser().Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Type() == ast.TypeBlock {
			gap()
		}
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			if _, code := n.Parent().(*ast.CodeSpan); code {
				b.Write(n.Segment.Value(src))
			} else {
				b.WriteString(unescape(n.Segment.Value(src)))
			}
			if n.SoftLineBreak() || n.HardLineBreak() {
				gap()
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(src))
		case *ast.RawHTML: // Slack shows tags as what was typed
			b.Write(n.Segments.Value(src))
		case *ast.CodeBlock, *ast.FencedCodeBlock, *ast.HTMLBlock:
			b.Write(n.Lines().Value(src))
			if h, is := n.(*ast.HTMLBlock); is && h.HasClosure() {
				b.Write(h.ClosureLine.Value(src))
			}
		}
		return ast.WalkContinue, nil
	})
	out := strings.TrimSpace(b.String())
	if firstLine {
		out, _, _ = strings.Cut(out, "\n")
	}
	return cut(strings.Join(strings.Fields(out), " "), length)
}

// entity is a character by its name or number, as CommonMark takes it.
var entity = regexp.MustCompile(`^&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6});`)

// unescape takes the backslashes from Markdown's escapes, and puts characters for entities.
func unescape(s []byte) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s[i+1]) >= 0 {
			out.WriteByte(s[i+1])
			i += 2
			continue
		}
		n := 1
		if s[i] == '&' {
			n = max(n, len(entity.Find(s[i:])))
		}
		out.WriteString(html.UnescapeString(string(s[i : i+n])))
		i += n
	}
	return out.String()
}

// cut shortens s to length characters, the last of them … where something was cut.
func cut(s string, length int) string {
	n := 0
	for i := range s {
		if n == length {
			head := s[:i]
			_, size := utf8.DecodeLastRuneInString(head)
			return strings.TrimRight(head[:len(head)-size], " ") + "…"
		}
		n++
	}
	return s
}
