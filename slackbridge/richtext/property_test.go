package richtext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

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
