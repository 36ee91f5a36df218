package richtext

import (
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdownParser reads CommonMark with GFM's strikethrough, autolinks, task lists and tables. It is safe for concurrent use.
var markdownParser = goldmark.New(
	goldmark.WithExtensions(extension.Strikethrough, extension.Linkify, extension.TaskList),
	goldmark.WithParserOptions(
		parser.WithParagraphTransformers(util.Prioritized(boundedTables{extension.NewTableParagraphTransformer()}, 200)),
		parser.WithASTTransformers(util.Prioritized(extension.NewTableASTTransformer(), 0)),
	),
).Parser()

// readMarkdown reads clean Markdown. What would cost the parser more than linear time, or make nothing of a text
// that isn't blank (a comment, say), is read as plain text: it is somebody's message, and it has to arrive.
func readMarkdown(md string) document {
	if strings.TrimSpace(md) == "" {
		return nil
	}
	literal := document{{spans: []span{{text: strings.Trim(md, "\n")}}}}
	if tangled(md) {
		return literal
	}
	m := &markdownReader{src: []byte(md)}
	root := parseMarkdown(m.src)
	if root == nil {
		return literal
	}
	m.blocks(root, 0)
	if m.doc.empty() {
		return literal
	}
	return m.doc
}

// parseMarkdown returns nil should the parser, which isn't ours, panic over a message.
func parseMarkdown(src []byte) (root ast.Node) {
	defer func() {
		if recover() != nil {
			root = nil
		}
	}()
	return markdownParser.Parse(text.NewReader(src))
}

type markdownReader struct {
	src    []byte
	doc    document
	quotes int
	indent int // of the list being read; the outermost is 0
}

func (m *markdownReader) add(b block) { m.doc = append(m.doc, b) }

func (m *markdownReader) blocks(parent ast.Node, quote int) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		m.block(n, quote)
	}
}

func (m *markdownReader) block(n ast.Node, quote int) {
	switch n := n.(type) {
	case *ast.Heading:
		m.add(block{kind: heading, level: n.Level, spans: m.inlines(n), quote: quote})
	case *ast.ThematicBreak:
		m.add(block{kind: rule, quote: quote})
	case *ast.FencedCodeBlock:
		m.add(block{kind: preformatted, lang: language(string(n.Language(m.src))), spans: m.lines(n), quote: quote})
	case *ast.CodeBlock:
		m.add(block{kind: preformatted, spans: m.lines(n), quote: quote})
	case *ast.HTMLBlock:
		spans := m.lines(n)
		if n.HasClosure() {
			spans[0].text += "\n" + strings.TrimRight(string(n.ClosureLine.Value(m.src)), "\n")
		}
		m.add(block{spans: spans, quote: quote})
	case *ast.Blockquote:
		if quote == 0 { // a quotation in a quotation is one, as Slack has no nested ones
			m.quotes++
			quote = m.quotes
		}
		m.blocks(n, quote)
	case *ast.List:
		m.list(n, quote)
	case *extast.Table:
		m.table(n, quote)
	case *ast.Paragraph, *ast.TextBlock:
		m.add(block{spans: m.inlines(n), quote: quote})
	case *ast.LinkReferenceDefinition:
	default:
		m.blocks(n, quote)
	}
}

func (m *markdownReader) list(l *ast.List, quote int) {
	number := l.Start
	for it := l.FirstChild(); it != nil; it = it.NextSibling() {
		item := block{kind: listItem, ordered: l.IsOrdered(), number: number, indent: min(m.indent, maxIndent), quote: quote}
		number++
		child := it.FirstChild()
		in := inlineReader{src: m.src}
		for n := 0; child != nil && isText(child); child, n = child.NextSibling(), n+1 {
			if n > 0 {
				in.add("\n\n", span{})
			}
			in.children(child, span{})
		}
		item.spans = in.done()
		m.add(item)
		m.indent++
		for ; child != nil; child = child.NextSibling() {
			m.block(child, quote)
		}
		m.indent--
	}
}

func isText(n ast.Node) bool {
	return n.Kind() == ast.KindParagraph || n.Kind() == ast.KindTextBlock
}

func (m *markdownReader) table(t *extast.Table, quote int) {
	var rows [][]string
	for row := t.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for c := row.FirstChild(); c != nil; c = c.NextSibling() {
			cells = append(cells, withURLs(m.inlines(c)))
		}
		rows = append(rows, cells)
	}
	m.add(block{kind: preformatted, spans: []span{{text: alignTable(rows)}}, quote: quote})
}

// lines is the raw content of a block.
func (m *markdownReader) lines(n ast.Node) []span {
	var sb strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		sb.Write(line.Value(m.src))
	}
	return []span{{text: strings.TrimRight(sb.String(), "\n")}}
}

func (m *markdownReader) inlines(n ast.Node) []span {
	in := inlineReader{src: m.src}
	in.children(n, span{})
	return in.done()
}

// inlineReader reads the inline content of one block.
type inlineReader struct {
	src []byte
	spanBuilder
}

func (in *inlineReader) children(n ast.Node, like span) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		in.inline(c, like)
	}
}

func (in *inlineReader) inline(n ast.Node, like span) {
	switch n := n.(type) {
	case *ast.Text:
		value := string(n.Segment.Value(in.src))
		if !n.IsRaw() {
			value = unescapeMarkdown(value)
		}
		if n.SoftLineBreak() || n.HardLineBreak() { // people who write a line break mean one
			value += "\n"
		}
		in.add(value, like)
	case *ast.String:
		in.add(string(n.Value), like)
	case *ast.CodeSpan:
		like.style |= code
		in.add(in.codeSpan(n), like)
	case *ast.Emphasis:
		if n.Level == 2 {
			like.style |= bold
		} else {
			like.style |= italic
		}
		in.children(n, like)
	case *extast.Strikethrough:
		like.style |= strike
		in.children(n, like)
	case *ast.Link:
		in.link(n, string(n.Destination), "", like)
	case *ast.Image:
		in.link(n, string(n.Destination), "image", like)
	case *ast.AutoLink:
		like.url = string(n.URL(in.src))
		if n.AutoLinkType == ast.AutoLinkEmail {
			like.url = "mailto:" + strings.TrimPrefix(like.url, "mailto:")
		}
		in.add(string(n.Label(in.src)), like)
	case *ast.RawHTML:
		in.add(in.html(n), like)
	case *extast.TaskCheckBox:
		mark := "☐ "
		if n.IsChecked {
			mark = "☑ "
		}
		in.add(mark, like)
	default:
		in.children(n, like)
	}
}
