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
	"*a* ", "~a~_b_*c*", "`", "a` `b ", "<https://x.com|a> ", "<x",
}

func repeated(unit string) string { return strings.Repeat(unit, messageLimit/len(unit)) }

func bushyTable() string {
	return strings.Repeat("|a", 6000) + "\n" + strings.Repeat("|-", 6000) + "\n" + strings.Repeat("|\n", 8000)
}

func growingTicks() string {
	var sb strings.Builder
	for n := 1; sb.Len() < messageLimit; n++ {
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

// No text takes long, either way. A quadratic one would take seconds; the limit is that wide because it is real time.
func TestNoTextTakesLong(t *testing.T) {
	texts := append([]string{bushyTable(), growingTicks()}, knots...)
	for i, text := range texts {
		if i >= 2 {
			text = repeated(text)
		}
		ways := map[string]func(){
			"from Markdown":  func() { FromMarkdown(text) },
			"from rich text": func() { ToMarkdown(Source{Blocks: rawText(text, nil)}, nil) },
			"from bold text": func() { ToMarkdown(Source{Blocks: rawText(text, map[string]bool{"bold": true})}, nil) },
			"from code":      func() { ToMarkdown(Source{Blocks: rawText(text, map[string]bool{"code": true})}, nil) },
			"from mrkdwn":    func() { ToMarkdown(Source{Text: text}, nil) },
			"preview":        func() { Preview(text, 80) },
		}
		for name, convert := range ways {
			const limit = 400 * time.Millisecond
			fastest := time.Hour
			for try := 0; try < 5 && fastest > limit; try++ {
				start := time.Now()
				convert()
				fastest = min(fastest, time.Since(start))
			}
			t.Logf("%8.2f ms %s %.12q", float64(fastest.Microseconds())/1000, name, text)
			if fastest > limit {
				t.Errorf("%s takes %v for %.20q…", name, fastest, text)
			}
		}
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
