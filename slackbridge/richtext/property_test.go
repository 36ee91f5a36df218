package richtext

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// visible is what a reader sees of a document, line by line, without differences in white space.
func visible(d document) string {
	var words []string
	for _, b := range d {
		words = append(words, strings.Fields(b.text())...)
	}
	return strings.Join(words, " ")
}

func textBlock(t *rapid.T, elements ...element) Source {
	type object = map[string]any
	var inline []object
	for _, e := range elements {
		o := object{"type": "text", "text": e.Text.text}
		if e.URL != "" {
			o["type"], o["url"] = "link", e.URL
		}
		style := object{}
		for name, st := range map[string]styleSet{"bold": bold, "italic": italic, "strike": strike, "code": code} {
			if e.Style.set&st != 0 {
				style[name] = true
			}
		}
		if len(style) > 0 {
			o["style"] = style
		}
		inline = append(inline, o)
	}
	section := object{"type": "rich_text_section", "elements": inline}
	raw, err := json.Marshal([]object{{"type": "rich_text", "elements": []object{section}}})
	if err != nil {
		t.Fatal(err)
	}
	return Source{Blocks: raw}
}

type styleSet = style

// tricky are the pieces of text that Markdown could misread.
var tricky = []string{
	"*", "**", "_", "__", "~", "~~", "`", "``", "```", "[", "]", "(", ")", "](", "!", "![", "<", ">", "&", "&amp;", "&#42;",
	"\\", "#", "# ", "- ", "-", "+ ", "1. ", "2) ", "=", "===", "---", "|", "|-|", ":--", ": ", "[ ] ", "[x] ", "[a]: b",
	"~~~", "\n", "\n\n", " ", "  ", "    ", "\t", "a", "b", "word", "é", "日本", "。", "😀", "x@y.zz", "<b>", "</i>", "<!--",
	"https://x.com/_a_", "www.x.com/a*b", "http://localhost/x_", "snake_case", "C:\\path", "$5.00", ".", ",", "!", "?", "'", "\"",
	"\u00a0", "\u200d", "<a@b.cc>", "<http://x>", "___", "***", "- - -", "$", "%", "@here", "<!channel>", "<@U1>", ";", "^", "{", "}",
}

func trickyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(tricky), 1, 14).Draw(t, "parts"), "")
	})
}

// Whatever stands in a Slack text, the Markdown for it shows that text and nothing but text.
func TestTextSurvivesAsText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := trickyText().Draw(t, "text")
		md := ToMarkdown(textBlock(t, element{Text: textField{text: text}}), nil)
		doc := readMarkdown(md)
		if got, want := visible(doc), strings.Join(strings.Fields(text), " "); got != want {
			t.Fatalf("Slack shows %q\nMarkdown  %q\nshows     %q", want, md, got)
		}
		for _, b := range doc {
			if b.kind != paragraph || b.quote != 0 {
				t.Fatalf("text became a block of kind %d, quote %d: %q", b.kind, b.quote, md)
			}
			for _, s := range b.spans {
				if s.style != 0 {
					t.Fatalf("text got style %b: %q", s.style, md)
				}
			}
		}
	})
}

func styledElements(t *rapid.T, parts []string) []element {
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 4).Draw(t, "parts"), "")
	})
	var elements []element
	for range rapid.IntRange(1, 6).Draw(t, "n") {
		e := element{Text: textField{text: text.Draw(t, "text")}}
		e.Style.set = style(rapid.IntRange(0, 15).Draw(t, "style"))
		if rapid.IntRange(0, 5).Draw(t, "link") == 0 {
			e.URL = rapid.SampledFrom([]string{"https://x.com", "https://x.com/(a", "mailto:a@b.cc"}).Draw(t, "url")
		}
		elements = append(elements, e)
	}
	return elements
}

// Styles in any combination and position make Markdown that shows the same text, and no style on a letter that had none.
func TestStylesInWordsAreValid(t *testing.T) {
	t.Parallel()
	parts := []string{"a", "bc", "word", " ", "é", "日本", "(x)", "!", "。", "*", "_", "~", "`", "1", "\n", "😀", "\\", "[", "]"}
	rapid.Check(t, func(t *rapid.T) {
		src := textBlock(t, styledElements(t, parts)...)
		in, md := src.document(nil), ToMarkdown(src, nil)
		out := readMarkdown(md)
		if got, want := visible(out), visible(in); got != want {
			t.Fatalf("Slack shows %q\nMarkdown  %q\nshows     %q", want, md, got)
		}
		got, want := letterStyles(out), letterStyles(in)
		for i := range want {
			lost := want[i].style &^ got[i].style
			alone := want[i].style&code == 0 && want[i].url == ""
			if got[i].style&^want[i].style != 0 || lost&code != 0 || lost&strike != 0 && alone || got[i].url != want[i].url {
				t.Fatalf("letter %d is %+v, want %+v, in %q", i, got[i], want[i], md)
			}
		}
	})
}

// Whole words keep their styles, but for one of two emphases beside further markers.
func TestStylesOfWordsSurvive(t *testing.T) {
	t.Parallel()
	parts := []string{"a", "bc", "word", " ", "é", "日本", "(x)", "!", "。", "*", "_", "`", "1", "😀"}
	rapid.Check(t, func(t *rapid.T) {
		var spaced []element
		for _, e := range styledElements(t, parts) {
			between := rapid.SampledFrom([]string{" ", "\n", "  "}).Draw(t, "between")
			spaced = append(spaced, e, element{Text: textField{text: between}})
		}
		src := textBlock(t, spaced...)
		md := ToMarkdown(src, nil)
		got, want := letterStyles(readMarkdown(md)), letterStyles(src.document(nil))
		for i := range want {
			g, w := got[i], want[i]
			if w.style == bold|italic|strike || w.style&code != 0 || w.url != "" { // asterisks beside other markers
				g.style, w.style = g.style&^emphasis, w.style&^emphasis
			}
			if g != w {
				t.Fatalf("letter %d is %+v, want %+v, in %q", i, got[i], want[i], md)
			}
		}
	})
}

type letterStyle struct {
	letter string
	style  style
	url    string
}

// letterStyles lists the letters and digits of a document with their styles.
func letterStyles(d document) []letterStyle {
	var all []letterStyle
	for _, b := range d {
		for _, s := range b.spans {
			for _, c := range s.text {
				if unicode.IsLetter(c) || unicode.IsDigit(c) {
					all = append(all, letterStyle{string(c), s.style, s.url})
				}
			}
		}
	}
	return all
}

// elementTypes collects the type of every object in a JSON value.
func elementTypes(v any, types map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			elementTypes(e, types)
		}
	case map[string]any:
		if t, ok := v["type"].(string); ok {
			types[t] = true
		}
		for _, e := range v {
			elementTypes(e, types)
		}
	}
}

var allowedTypes = map[string]bool{
	"rich_text": true, "rich_text_section": true, "rich_text_list": true, "rich_text_quote": true, "rich_text_preformatted": true,
	"text": true, "link": true,
}

// checkPost fails for a post that could notify somebody, that Slack would refuse, or that says nothing.
func checkPost(t interface{ Fatalf(string, ...any) }, md string, p Post) {
	if strings.ContainsAny(p.Text, "<>") {
		t.Fatalf("live text %q for %q", p.Text, md)
	}
	if !utf8.ValidString(p.Text) || strings.ContainsRune(p.Text, 0) {
		t.Fatalf("broken text %q for %q", p.Text, md)
	}
	var v any
	if err := json.Unmarshal(p.Blocks, &v); err != nil {
		t.Fatalf("%v: %s", err, p.Blocks)
	}
	types := map[string]bool{}
	elementTypes(v, types)
	for name := range types {
		if !allowedTypes[name] {
			t.Fatalf("an element of type %q for %q", name, md)
		}
	}
	if strings.Contains(string(p.Blocks), `"text":""`) || strings.Contains(string(p.Blocks), `"type":"text"}`) {
		t.Fatalf("an empty text, which Slack refuses, for %q: %s", md, p.Blocks)
	}
	if said := strings.TrimSpace(clean(md)) != ""; said != (strings.TrimSpace(p.Text) != "") {
		t.Fatalf("text %q for %q", p.Text, md)
	}
}

func TestNobodyIsPinged(t *testing.T) {
	t.Parallel()
	live := append([]string{"<!everyone>", "<!here|x>", "<!subteam^S1|@x>", "<#C1|x>", "<!date^1^{ago}|x>", "[", "](<!channel>)", "](!here)", "<@U1|"}, tricky...)
	rapid.Check(t, func(t *rapid.T) {
		md := strings.Join(rapid.SliceOfN(rapid.SampledFrom(live), 1, 12).Draw(t, "parts"), "")
		checkPost(t, md, FromMarkdown(md))
	})
}

// What people write without thinking of Markdown comes back letter by letter.
func TestPlainTextSurvives(t *testing.T) {
	t.Parallel()
	words := []string{
		"Hello", "it's", "(really)", "ann_lee@example.com", "https://example.com/a_b?c=d", "snake_case_word", "$10.00", "50%", `C:\path\file.txt`,
		"@here", "#general", "R&D", "[ABC-1]", "1<2", "->", "1.5", "-x", "+49", "日本語", "😀", ":tada:", "e.g.", "\"quoted\"", "it;", "x=y", "~5", "5", "*",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := "Hi " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 12).Draw(t, "words"), " ") + "!"
		if strings.Count(text, "~") > 1 || strings.Count(text, " * ") > 1 {
			t.Skip("markers that pair up")
		}
		if got := ToMarkdown(Source{Blocks: FromMarkdown(text).Blocks}, nil); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
	})
}

// canonical is a document reduced to what Slack can show: one line per part.
func canonical(d document) string {
	var lines []string
	for _, b := range d {
		var sb strings.Builder
		var inline spanBuilder
		for _, s := range b.slackSpans() {
			inline.add(s.text, s)
		}
		for _, s := range inline.done() {
			for _, word := range strings.Fields(s.text) {
				fmt.Fprintf(&sb, " %s/%b%s", word, s.style, s.url)
			}
		}
		kind := b.kind
		if b.running() {
			kind = paragraph
		}
		number := 0
		if b.ordered {
			number = b.number
		}
		lines = append(lines, fmt.Sprintf("%d quote:%t list:%d,%d%s", kind, b.quote > 0, b.indent, number, sb.String()))
	}
	return strings.Join(lines, "\n")
}

func markdownText() *rapid.Generator[string] {
	inline := rapid.Custom(func(t *rapid.T) string {
		parts := []string{
			"word", "two words", "**bold**", "*it*", "~~gone~~", "`code`", "***both***", "**bold *in* it**", "[link](https://x.com/a)", "https://y.com/b_c",
			"`a*b`", `\*no\*`, "snake_case", "a < b", "&amp;", "![img](https://x.com/i.png)", "<ann@x.com>", "**[l](https://z.com)**", "x\\\ny", "x\ny", "`` ` ``",
		}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 5).Draw(t, "inline"), " ")
	})
	var blocks func(depth int) *rapid.Generator[string]
	blocks = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			var out []string
			for range rapid.IntRange(1, 3).Draw(t, "blocks") {
				switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
				case kind == 1 && depth < 3:
					out = append(out, prefixed(blocks(depth+1).Draw(t, "item"), "- ", "  "))
				case kind == 2 && depth < 3:
					out = append(out, prefixed(blocks(depth+1).Draw(t, "item"), "3. ", "   "))
				case kind == 3 && depth == 0:
					out = append(out, prefixed(blocks(depth+1).Draw(t, "quote"), "> ", "> "))
				case kind == 4:
					out = append(out, "```go\nx := `a` * <b>\n\n# y\n```")
				case kind == 5:
					out = append(out, "## "+strings.ReplaceAll(inline.Draw(t, "title"), "\n", " "))
				default:
					out = append(out, inline.Draw(t, "text"))
				}
			}
			return strings.Join(out, "\n\n")
		})
	}
	return blocks(0)
}

func prefixed(text, first, others string) string {
	return first + strings.ReplaceAll(text, "\n", "\n"+others)
}

// Markdown that goes to Slack and comes back means the same, as far as Slack can say it.
func TestMeaningSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		md := markdownText().Draw(t, "markdown")
		post := FromMarkdown(md)
		back := ToMarkdown(Source{Blocks: post.Blocks}, nil)
		if got, want := canonical(joined(readMarkdown(back))), canonical(joined(readMarkdown(md))); got != want {
			t.Fatalf("markdown\n%s\nblocks\n%s\nback\n%s\ngot\n%s\nwant\n%s", md, post.Blocks, back, got, want)
		}
	})
}

// joined puts running text that follows running text into one block, as Slack does, and counts the indents of a list
// from its first item, as Markdown does.
func joined(d document) document {
	var out document
	var indents []int
	for i, b := range d {
		b.spans = b.slackSpans()
		if b.kind == listItem {
			if i == 0 || d[i-1].kind != listItem || d[i-1].quote != b.quote {
				indents = nil
			}
			for len(indents) > 1 && indents[len(indents)-1] > b.indent {
				indents = indents[:len(indents)-1]
			}
			if len(indents) == 0 || indents[len(indents)-1] < b.indent {
				indents = append(indents, b.indent)
			}
			indents[len(indents)-1] = b.indent
			b.indent = len(indents) - 1
		}
		if n := len(out); n > 0 && b.running() && out[n-1].running() && (out[n-1].quote > 0) == (b.quote > 0) {
			out[n-1].spans = append(append(out[n-1].spans, span{text: "\n\n"}), b.spans...)
			continue
		}
		if b.running() {
			b.kind = paragraph
		}
		out = append(out, b)
	}
	return out
}

func FuzzToMarkdown(f *testing.F) {
	f.Add("plain *b* <@U1> &amp; `c`", "null", "null")
	f.Add("", `[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"ordered","indent":1,"offset":2,"border":1,"elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"a*b","style":{"bold":true}},{"type":"link","url":"https://x.com/_a"},{"type":"user","user_id":"U1"},{"type":"emoji","name":"x","unicode":"1f389","skin_tone":2},{"type":"date","timestamp":1,"format":"{ago}"}]}]}]}]`, "[]")
	f.Add("&gt; q\n```x\ny```", `[{"type":"section","text":{"type":"mrkdwn","text":"*a*"},"fields":[{"type":"plain_text","text":"b"}]},{"type":"table","rows":[[{"type":"raw_text","text":"a"}]]}]`, `[{"title":"t","text":"x","fields":[{"title":"f","value":"v"}]}]`)
	f.Fuzz(func(t *testing.T, text, blocks, attachments string) {
		src := Source{Text: text, Blocks: json.RawMessage(blocks), Attachments: json.RawMessage(attachments)}
		md := ToMarkdown(src, names)
		if !utf8.ValidString(md) || strings.ContainsRune(md, 0) {
			t.Fatalf("broken text %q", md)
		}
		Mentions(src)
		checkPost(t, md, FromMarkdown(md))
		text = clean(text)
		asText := ToMarkdown(Source{Blocks: rawText(text, nil)}, nil)
		if got, want := visible(readMarkdown(asText)), strings.Join(strings.Fields(text), " "); got != want {
			t.Fatalf("Slack shows %q\nMarkdown  %q\nshows     %q", want, asText, got)
		}
	})
}

func FuzzFromMarkdown(f *testing.F) {
	for _, md := range []string{"# a\n\n- [x] *b* `c`\n  1. d\n\n> e\n\n| a | b |\n|---|---|\n| 1 | 2 |", "<!channel> <@U1> @here", "```go\nx\n```\n[a](b) <b> &amp;", "***a** b* ~~c~~ https://x.com"} {
		f.Add(md)
	}
	f.Fuzz(func(t *testing.T, md string) {
		p := FromMarkdown(md)
		checkPost(t, md, p)
		p.TooLong()
		ToMarkdown(Source{Blocks: p.Blocks, Text: p.Text}, nil)
	})
}
