package richtext

import (
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"
)

// link reads a link or an image, which becomes a link: Slack can't show images of other servers in text. Without a text
// it shows fallback or its address.
func (in *inlineReader) link(n ast.Node, destination, fallback string, like span) {
	like.url = unescapeMarkdown(destination)
	inner := inlineReader{src: in.src}
	inner.children(n, like)
	spans := inner.done()
	if strings.TrimSpace(plain(spans)) == "" {
		spans = []span{{text: firstOf(fallback, like.url), style: like.style}}
	}
	for _, s := range spans {
		like.style = s.style // a link or an image inside shows its text only
		in.add(s.text, like)
	}
}

func (in *inlineReader) codeSpan(n *ast.CodeSpan) string {
	var sb strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			sb.Write(t.Segment.Value(in.src))
		}
	}
	return strings.ReplaceAll(sb.String(), "\n", " ")
}

// html shows a tag as it was typed, for Slack has no HTML; only <br> is what it says.
func (in *inlineReader) html(n *ast.RawHTML) string {
	var sb strings.Builder
	for i := range n.Segments.Len() {
		segment := n.Segments.At(i)
		sb.Write(segment.Value(in.src))
	}
	switch tag := sb.String(); strings.ToLower(strings.ReplaceAll(tag, " ", "")) {
	case "<br>", "<br/>":
		return "\n"
	default:
		return tag
	}
}

// unescapeMarkdown resolves backslash escapes and character references.
func unescapeMarkdown(s string) string {
	if !strings.ContainsAny(s, `\&`) {
		return s
	}
	var sb strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && util.IsPunct(s[i+1]):
			i++
			sb.WriteByte(s[i])
		case s[i] == '&':
			n := referenceLen(s[i:])
			if n == 0 {
				sb.WriteByte('&')
				continue
			}
			sb.WriteString(clean(html.UnescapeString(s[i : i+n])))
			i += n - 1
		default:
			sb.WriteByte(s[i])
		}
	}
	return sb.String()
}

// referenceLen is the length of the character reference (&amp; &#38; &#x26;) that s begins with, or 0.
func referenceLen(s string) int {
	const longest = 33 // &CounterClockwiseContourIntegral;
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 2 {
		return 0
	}
	name := s[1:end]
	if name[0] != '#' {
		if _, ok := util.LookUpHTML5EntityByName(name); !ok {
			return 0
		}
		return end + 1
	}
	digits, base := name[1:], "0123456789"
	if len(digits) > 0 && (digits[0] == 'x' || digits[0] == 'X') {
		digits, base = digits[1:], "0123456789abcdefABCDEF"
	}
	if digits == "" || len(digits) > 7 || strings.Trim(digits, base) != "" {
		return 0
	}
	return end + 1
}
