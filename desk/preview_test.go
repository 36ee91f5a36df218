package desk

import "testing"

func TestPlainLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		md        string
		length    int
		firstLine bool
		want      string
	}{
		{"Hello **world**", 80, false, "Hello world"},
		{"# Title\n\n- a\n- [b](https://x.com)\n\n```\ncode\n  here\n```", 80, false, "Title a b code here"},
		{"# Title\n\ntext", 80, true, "Title"},
		{"one  \ntwo", 80, true, "one"},
		{"one two three", 8, false, "one two…"},
		{"one two three", 13, false, "one two three"},
		{"日本語テキスト", 4, false, "日本語…"},
		{`1\. not a list \*at all\*`, 80, false, "1. not a list *at all*"},
		{"https://x.com/a_b_c", 80, false, "https://x.com/a_b_c"},
		{"> @Ann said\n> `x`", 80, false, "@Ann said x"},
		{`a &#126; b &amp; \&copy; &copy &nosuch; AT&T`, 80, false, "a ~ b & &copy; &copy &nosuch; AT&T"},
		{"`C:\\-x\\*` and `&amp;`", 80, false, `C:\-x\* and &amp;`},
		{"press <b>now</b>", 80, false, "press <b>now</b>"},
		{"<pre>\nx\n</pre>\n\nafter", 80, false, "<pre> x </pre> after"},
		{" \n ", 10, false, ""},
	} {
		if got := plainLine(tt.md, tt.length, tt.firstLine); got != tt.want {
			t.Errorf("plainLine(%q, %d, %v) = %q, want %q", tt.md, tt.length, tt.firstLine, got, tt.want)
		}
	}
}
