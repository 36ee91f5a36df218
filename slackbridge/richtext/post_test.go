package richtext

import (
	"encoding/json"
	"strings"
	"testing"
)

// outline writes the rich_text block of a post in a form that is easy to read and compare.
func outline(t testing.TB, blocks json.RawMessage) string {
	t.Helper()
	var parsed []struct {
		Type     string            `json:"type"`
		Elements []json.RawMessage `json:"elements"`
	}
	if err := json.Unmarshal(blocks, &parsed); err != nil || len(parsed) != 1 || parsed[0].Type != "rich_text" {
		t.Fatalf("not one rich_text block: %v: %s", err, blocks)
	}
	var lines []string
	for _, e := range parsed[0].Elements {
		lines = append(lines, strings.NewReplacer(
			`{"bold":true}`, "BOLD", `"style":`, "", `"type":`, "", `"text":`, "", `"elements":`, "", `"rich_text_`, "", `"`, "",
		).Replace(string(e)))
	}
	return strings.Join(lines, "\n")
}

func TestFromMarkdown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, md, text, blocks string }{
		{"plain", "Hello there", "Hello there", "{section,[{text,Hello there}]}"},
		{"paragraphs and line breaks", "a\nb\\\nc  \nd\n\ne", "a\nb\nc\nd\n\ne", `{section,[{text,a\nb\nc\nd\n\ne}]}`},
		{
			"styles", "**b** _i_ ~~s~~ `c` ***bi***", "b i s c bi",
			"{section,[{text,b,BOLD},{text, },{text,i,{italic:true}},{text, },{text,s,{strike:true}},{text, }," +
				"{text,c,{code:true}},{text, },{text,bi,{bold:true,italic:true}}]}",
		},
		{"escapes", `\*a\* &amp; &lt;b&gt; &#42; \# C:\dir &nosuch;`, "*a* &amp; &lt;b&gt; * # C:\\dir &amp;nosuch;", `{section,[{text,*a* & <b> * # C:\\dir &nosuch;}]}`},
		{"heading", "# Big *deal*\ntext", "Big deal\n\ntext", `{section,[{text,Big ,BOLD},{text,deal,{bold:true,italic:true}},{text,\n\ntext}]}`},
		{
			"links", "[docs](https://x.com/a?b&amp;c) https://y.com/z. <ann@x.com> [rel](/p) [js](javascript:x) [](https://e.com)",
			"docs (https://x.com/a?b&amp;c) https://y.com/z. ann@x.com rel (/p) js (javascript:x) https://e.com",
			"{section,[{link,url:https://x.com/a?b&c,docs},{text, },{link,url:https://y.com/z},{text,. }," +
				"{link,url:mailto:ann@x.com,ann@x.com},{text, },{text,rel (/p)},{text, },{text,js (javascript:x)},{text, },{link,url:https://e.com}]}",
		},
		{"www", "www.x.com", "www.x.com", "{section,[{link,url:http://www.x.com,www.x.com}]}"},
		{"image", "![a cat](https://x.com/c.png) ![](https://x.com/d.png)", "a cat (https://x.com/c.png) image (https://x.com/d.png)",
			"{section,[{link,url:https://x.com/c.png,a cat},{text, },{link,url:https://x.com/d.png,image}]}"},
		{
			"lists", "1. a\n   - b\n     - c\n2. d\n\n   more\n3. \n\n7) x", "1. a\n    • b\n        • c\n2. d\n\nmore\n3. \n7. x",
			"{list,ordered,[{section,[{text,a}]}]}\n{list,bullet,indent:1,[{section,[{text,b}]}]}\n" +
				"{list,bullet,indent:2,[{section,[{text,c}]}]}\n{list,ordered,offset:1,[{section,[{text,d\\n\\nmore}]},{section,[{text, }]}]}\n" +
				"{list,ordered,offset:6,[{section,[{text,x}]}]}",
		},
		{"code in a list", "1. a\n   ```sh\n   ls\n   ```\n2. b", "1. a\n\nls\n\n2. b",
			"{list,ordered,[{section,[{text,a}]}]}\n{preformatted,language:sh,[{text,ls}]}\n{list,ordered,offset:1,[{section,[{text,b}]}]}"},
		{"tasks", "- [ ] todo\n- [x] done", "• ☐ todo\n• ☑ done", "{list,bullet,[{section,[{text,☐ todo}]},{section,[{text,☑ done}]}]}"},
		{"quotes", "> a\n> > b\n>\n> - c\n\ntext", "&gt; a\n\n&gt; b\n\n&gt; • c\n\ntext",
			`{quote,[{text,a\n\nb}]}` + "\n{list,bullet,border:1,[{section,[{text,c}]}]}\n{section,[{text,text}]}"},
		{"code blocks", "```go run\nif a < b {\n}\n```\n\n    indented\n", "if a &lt; b {\n}\n\nindented",
			`{preformatted,language:go,[{text,if a < b {\n}}]}` + "\n{preformatted,[{text,indented}]}"},
		{"table", "| Name | Qty |\n|:--|--:|\n| **Apple** [p](https://x.com) | 3 |\n| B |", "Name                    | Qty\n------------------------+----\nApple p (https://x.com) | 3\nB                       |",
			`{preformatted,[{text,Name                    | Qty\n------------------------+----\nApple p (https://x.com) | 3\nB                       |}]}`},
		{"html is text", "a <b>x</b> <!-- c --><br>new\n\n<div>\nx\n</div>", "a &lt;b&gt;x&lt;/b&gt; &lt;!-- c --&gt;\nnew\n\n&lt;div&gt;\nx\n&lt;/div&gt;",
			`{section,[{text,a <b>x</b> <!-- c -->\nnew\n\n<div>\nx\n</div>}]}`},
		{"only a comment", "<!-- hi -->", "&lt;!-- hi --&gt;", "{section,[{text,<!-- hi -->}]}"},
		{"only a definition", "[x]: http://y.com", "[x]: http://y.com", "{section,[{text,[x]: http://y.com}]}"},
		{"rule", "a\n\n---\n\nb", "a\n\n———\n\nb", `{section,[{text,a\n\n———\n\nb}]}`},
		{"pings", "<!channel> <!here|here> @here <@U123> <#C1> <!subteam^S1>", "&lt;!channel&gt; &lt;!here|here&gt; @here &lt;@U123&gt; &lt;#C1&gt; &lt;!subteam^S1&gt;",
			"{section,[{text,<!channel> <!here|here> @here <@U123> <#C1> <!subteam^S1>}]}"},
		{"broken bytes", "a\x00b\xffc\r\nd", "a\uFFFDb\uFFFDc\nd", `{section,[{text,a` + "\uFFFDb\uFFFDc" + `\nd}]}`},
		{"blank", " \n\t", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := FromMarkdown(tt.md)
			if p.Text != tt.text {
				t.Errorf("text\n%q, want\n%q", p.Text, tt.text)
			}
			if got := outline(t, p.Blocks); got != tt.blocks {
				t.Errorf("blocks\n%s\nwant\n%s", got, tt.blocks)
			}
		})
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		md   string
		want bool
	}{
		{strings.Repeat("a", 3999), false},
		{strings.Repeat("a", 4000), true},
		{strings.Repeat("é", 3999), false},
		{strings.Repeat("😀", 1999), false},
		{strings.Repeat("😀", 2000), true},
		{strings.Repeat("a<", 799), false},
		{strings.Repeat("a<", 800), true}, // each < is sent as four characters
		{"**" + strings.Repeat("a", 3999) + "**", false},
		{"[a](https://x.com/" + strings.Repeat("a", 4000) + ")", true},
	} {
		if got := FromMarkdown(tt.md).TooLong(); got != tt.want {
			t.Errorf("%.20s… (%d bytes): %v, want %v", tt.md, len(tt.md), got, tt.want)
		}
	}
}
