package slacksim

import (
	"encoding/json"
	"testing"
)

func TestStoredText(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"a & b < c > d":                          "a &amp; b &lt; c &gt; d",
		"&amp; &lt; &copy;":                      "&amp; &lt; &amp;copy;",
		"<@U0ABC> <#C0ABC|x> <!here> <!odd>":     "<@U0ABC> <#C0ABC|x> <!here> &lt;!odd&gt;",
		"see https://a.example/x?y=1&z=2.":       "see <https://a.example/x?y=1&amp;z=2>.",
		"<https://a.example|label> (http://b.c)": "<https://a.example|label> (<http://b.c>)",
		"`https://not.a/link` xhttps://nor.this": "`https://not.a/link` xhttps://nor.this",
		"https:// is no link":                    "https:// is no link",
		"héllo 🎉":                                "héllo 🎉",
	} {
		got := storedText(sent)
		if got != want {
			t.Errorf("storedText(%q) = %q, want %q", sent, got, want)
		}
		if again := storedText(got); again != got {
			t.Errorf("stored twice, %q becomes %q", got, again)
		}
	}
}

func TestRichTextElements(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                                  `[{"elements":[{"text":"plain","type":"text"}],"type":"rich_text_section"}]`,
		"a *b* _c_ ~d~":                          `[{"elements":[{"text":"a ","type":"text"},{"style":{"bold":true},"text":"b","type":"text"},{"text":" ","type":"text"},{"style":{"italic":true},"text":"c","type":"text"},{"text":" ","type":"text"},{"style":{"strike":true},"text":"d","type":"text"}],"type":"rich_text_section"}]`,
		"*b _both_*":                             `[{"elements":[{"style":{"bold":true},"text":"b ","type":"text"},{"style":{"bold":true,"italic":true},"text":"both","type":"text"}],"type":"rich_text_section"}]`,
		"mid*word*s 2*3*":                        `[{"elements":[{"text":"mid*word*s 2*3*","type":"text"}],"type":"rich_text_section"}]`,
		"`a *b* &lt;`":                           `[{"elements":[{"style":{"code":true},"text":"a *b* <","type":"text"}],"type":"rich_text_section"}]`,
		"* no * _ no _":                          `[{"elements":[{"text":"* no * _ no _","type":"text"}],"type":"rich_text_section"}]`,
		"<@U0A> <#C0A|n> <!here> <!subteam^S0A>": `[{"elements":[{"type":"user","user_id":"U0A"},{"text":" ","type":"text"},{"channel_id":"C0A","type":"channel"},{"text":" ","type":"text"},{"range":"here","type":"broadcast"},{"text":" ","type":"text"},{"type":"usergroup","usergroup_id":"S0A"}],"type":"rich_text_section"}]`,
		"<https://a.b/?x=1&amp;y|la|bel> <mailto:a@b.c|a>": `[{"elements":[{"text":"la|bel","type":"link","url":"https://a.b/?x=1&y"},{"text":" ","type":"text"},{"text":"a","type":"link","url":"mailto:a@b.c"}],"type":"rich_text_section"}]`,
		":wave::skin-tone-3: at 10:30:00":                  `[{"elements":[{"name":"wave","skin_tone":3,"type":"emoji"},{"text":" at 10:30:00","type":"text"}],"type":"rich_text_section"}]`,
		"&gt; q1\n&gt;q2\nafter":                           `[{"elements":[{"text":"q1\nq2","type":"text"}],"type":"rich_text_quote"},{"elements":[{"text":"after","type":"text"}],"type":"rich_text_section"}]`,
		"• a\n    ◦ b\n2. c":                               `[{"border":0,"elements":[{"elements":[{"text":"a","type":"text"}],"type":"rich_text_section"}],"indent":0,"style":"bullet","type":"rich_text_list"},{"border":0,"elements":[{"elements":[{"text":"b","type":"text"}],"type":"rich_text_section"}],"indent":1,"style":"bullet","type":"rich_text_list"},{"border":0,"elements":[{"elements":[{"text":"c","type":"text"}],"type":"rich_text_section"}],"indent":0,"offset":1,"style":"ordered","type":"rich_text_list"}]`,
		"before\n```x := *p\n```\nafter":                   `[{"elements":[{"text":"before","type":"text"}],"type":"rich_text_section"},{"border":0,"elements":[{"text":"x := *p","type":"text"}],"type":"rich_text_preformatted"},{"elements":[{"text":"after","type":"text"}],"type":"rich_text_section"}]`,
		"<!date^1700000000^{date} at {time}|14 Nov 2023>":  `[{"elements":[{"fallback":"14 Nov 2023","format":"{date} at {time}","timestamp":1700000000,"type":"date"}],"type":"rich_text_section"}]`,
		"*<https://a.b|x>*":                                `[{"elements":[{"style":{"bold":true},"text":"x","type":"link","url":"https://a.b"}],"type":"rich_text_section"}]`,
	} {
		if got := string(encode(richElements(text))); got != want {
			t.Errorf("%q\n gives %s\n want  %s", text, got, want)
		}
	}
}

func TestRichTextOfPlainAndEmpty(t *testing.T) {
	t.Parallel()
	if got := richText("", true, "b"); got != nil {
		t.Errorf("no text gives %s", got)
	}
	if got := string(richText("*a* &amp;", false, "b")); got != `[{"block_id":"b","elements":[{"elements":[{"text":"*a* &","type":"text"}],"type":"rich_text_section"}],"type":"rich_text"}]` {
		t.Errorf("without mrkdwn: %s", got)
	}
}

// Whatever is sent, the text is stored once and for all, and its rich text passes
// the simulator's own checks.
func FuzzRichText(f *testing.F) {
	f.Add("*a* _b_ ~c~ `d` ```e``` &lt;<@U1> :x: > q\n• l\n1. m <https://a|b>")
	f.Add("**__``` `<!date^1^^|>")
	f.Fuzz(func(t *testing.T, sent string) {
		stored := storedText(sent)
		if again := storedText(stored); again != stored {
			t.Errorf("%q is stored as %q and then %q", sent, stored, again)
		}
		blocks := richText(stored, true, "b")
		if blocks == nil {
			return
		}
		if !json.Valid(blocks) {
			t.Fatalf("%q makes %s", sent, blocks)
		}
		if _, err := checkBlocks(blocks); err != nil {
			t.Errorf("%q makes blocks that are refused: %v in %s", sent, err.extra, blocks)
		}
	})
}
