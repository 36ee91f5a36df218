package richtext

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const messageLimit = 40_000 // characters of the longest message

// knots are texts that make careless parsers quadratic; each is repeated up to the longest message.
var knots = []string{
	">", "> ", "- ", "* ", "+ ", "1. ", "1) ", "> - ", "[", "]", "[]", "[a](", "![[]()", "[a](b(", "[a](b \"", "[a]: b\n", "*a ", "*a_ ", "a_ *",
	"_a", "a_b_", "a*b", "**x** ", "***a** ", "*_~", "~~a ", "a~~b", "~ a~", "`a ", "`a` ", "``", "```", "```\n", "<", "<a ", "<a", "<a|", "<@U1> ",
	"<!-- ", "<?", "<a b=\"", "<![CDATA[", "&", "&#1;", "&amp;", "\\", "\\*", "a@", "a@b.c ", "a.", "http://a.b ", " www.", "https://x.com/_a_ ", "|", "|a\n|-\n",
	"\n", " ", "\t", "  \n", "#", "# ", "=", "a\n=\n", "(", ")", "!", "![", ":", "\u00a0", "日", "é*", "😀", "> a\n\n", "- a\n", "  - a\n", "&gt;", "&gt;a\n", "&gt;&gt;&gt;",
	"&gt;&gt;a\n", "```a``` ", "```a```\n", "*a* ", "~a~_b_*c*", "`", "a` `b ", "<https://x.com|a> ", "<x",
}

func repeated(unit string) string { return strings.Repeat(unit, messageLimit/len(unit)) }

// bushyTable has many columns and many short rows.
func bushyTable(size int) string {
	return strings.Repeat("|a", size/6) + "\n" + strings.Repeat("|-", size/6) + "\n" + strings.Repeat("|\n", size/6)
}

func growingTicks(size int) string {
	var sb strings.Builder
	for n := 1; sb.Len() < size; n++ {
		sb.WriteString(strings.Repeat("`", n) + " ")
	}
	return sb.String()
}

func rawText(text string, style any) json.RawMessage {
	raw, err := json.Marshal([]any{map[string]any{"type": "rich_text", "elements": []any{map[string]any{
		"type": "rich_text_section", "elements": []any{map[string]any{"type": "text", "text": text, "style": style}},
	}}}})
	if err != nil {
		panic(err)
	}
	return raw
}

// No text takes long, either way: what isn't done at once takes time in proportion to its length. Quadratic time would be
// sixteen times as much for four times the text.
func TestNoTextTakesLong(t *testing.T) {
	texts := []func(size int) string{bushyTable, growingTicks}
	for _, knot := range knots {
		texts = append(texts, func(size int) string { return strings.Repeat(knot, size/len(knot)) })
	}
	ways := map[string]func(string){
		"from Markdown":  func(text string) { FromMarkdown(text) },
		"from rich text": func(text string) { ToMarkdown(Source{Blocks: rawText(text, nil)}, nil) },
		"from bold text": func(text string) { ToMarkdown(Source{Blocks: rawText(text, map[string]bool{"bold": true})}, nil) },
		"from code":      func(text string) { ToMarkdown(Source{Blocks: rawText(text, map[string]bool{"code": true})}, nil) },
		"from mrkdwn":    func(text string) { ToMarkdown(Source{Text: text}, nil) },
	}
	for _, text := range texts {
		whole, quarter := text(messageLimit/2), text(messageLimit/8)
		for name, convert := range ways {
			const atOnce, most, tries = 15 * time.Millisecond, 8, 8
			took, part := time.Hour, time.Duration(0)
			for try := 0; try < tries && took > atOnce+most*part; try++ {
				took = min(took, timed(convert, whole))
				if took > atOnce {
					part = max(part, timed(convert, quarter)) // a busy machine must not make it fail
				}
			}
			if took > atOnce+most*part {
				t.Errorf("%s takes %v for %.20q…, %v for a quarter of it", name, took, whole, part)
			}
		}
	}
}

func timed(convert func(string), text string) time.Duration {
	start := time.Now()
	convert(text)
	return time.Since(start)
}

// What would tangle the parser arrives as it was typed.
func TestTangledTextArrives(t *testing.T) {
	t.Parallel()
	for _, md := range []string{
		bushyTable(messageLimit), repeated("> ") + "x", repeated("1. ") + "x", repeated("[a]("), repeated("*a_ "),
	} {
		got, want := visible(readMarkdown(md)), strings.Join(strings.Fields(md), " ")
		if got != want {
			t.Errorf("%.20q… became %.60q…", md, got)
		}
	}
	wide := strings.Repeat("|a", 20) + "\n" + strings.Repeat("|-", 20) + strings.Repeat("\n|b", 100)
	if doc := readMarkdown(wide); len(doc) != 1 || doc[0].kind != preformatted {
		t.Error("an ordinary table is no longer one")
	}
}

// Deep nesting neither breaks the stack nor takes long.
func TestDeepNesting(t *testing.T) {
	deep := func(open, inner, end string, n int) json.RawMessage {
		return json.RawMessage("[" + strings.Repeat(open, n) + inner + strings.Repeat(end, n) + "]")
	}
	inner := `{"type":"text","text":"deep"}`
	for _, blocks := range []json.RawMessage{
		deep(`{"type":"rich_text","elements":[`, inner, `]}`, 4000),
		deep(`{"type":"rich_text_quote","elements":[`, inner, `]}`, 4000),
		deep(`{"type":"unknown","elements":[`, inner, `]}`, 4000),
		deep(`{"type":"section","accessory":`, inner, `}`, 4000),
		deep(`{"type":"text","text":`, inner, `}`, 9000),
		deep(`[`, inner, `]`, 100_000),
	} {
		start := time.Now()
		got := ToMarkdown(Source{Blocks: blocks, Text: "instead"}, nil)
		if got != "instead" {
			t.Errorf("%.40s… gave %q", blocks, got)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%.40s… took %v", blocks, d)
		}
	}
}

func ordinary() string {
	return repeated("Hello **world**, see [the docs](https://x.com/a) and `code`.\nThanks, Ann_Lee\n\n- one *item*\n- two\n\n> said 5 * 3\n\n")
}

func BenchmarkFromMarkdown(b *testing.B) {
	md := ordinary()
	for b.Loop() {
		FromMarkdown(md)
	}
}

func BenchmarkToMarkdown(b *testing.B) {
	blocks := FromMarkdown(ordinary()).Blocks
	for b.Loop() {
		ToMarkdown(Source{Blocks: blocks}, nil)
	}
}

func BenchmarkToMarkdownFromMrkdwn(b *testing.B) {
	text := repeated("Hello *world*, see <https://x.com/a|the docs> and `code`.\nThanks, Ann_Lee &amp; <@U1>\n&gt; said 5 * 3\n\n")
	for b.Loop() {
		ToMarkdown(Source{Text: text}, nil)
	}
}
