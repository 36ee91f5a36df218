package richtext

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// people are the names that the tests know.
type people map[string]string

func (p people) User(id string) string      { return p[id] }
func (p people) Channel(id string) string   { return p[id] }
func (p people) Usergroup(id string) string { return p[id] }

var names = people{"U111": "Ann Lee", "U222": "*Bob*_the_", "S111": "support", "C111": "general"}

func message(t testing.TB, file string) Source {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Text        string          `json:"text"`
		Blocks      json.RawMessage `json:"blocks"`
		Attachments json.RawMessage `json:"attachments"`
		Files       json.RawMessage `json:"files"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return Source(m)
}

// Each testdata/messages/*.json is a message as Slack sends it, the .md beside it what becomes of it. Set the variable
// RICHTEXT_UPDATE to write the latter anew, and read the difference.
func TestMessages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/messages/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no messages", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			src := message(t, file)
			got := ToMarkdown(src, names) + "\n"
			golden := strings.TrimSuffix(file, ".json") + ".md"
			if os.Getenv("RICHTEXT_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if shown, said := visible(readMarkdown(got)), visible(src.document(names)); shown != said {
				t.Errorf("the Markdown shows\n%s\nthe message says\n%s", shown, said)
			}
		})
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"mentions":     {"U111", "U999", "U222"},
		"mrkdwn_forms": {"U111", "U999"},
		"styles":       nil,
	} {
		if got := Mentions(message(t, "testdata/messages/"+file+".json")); !slices.Equal(got, want) {
			t.Errorf("%s mentions %v, want %v", file, got, want)
		}
	}
	twice := Source{Text: "<@U2> <@U1|ann> <@U2> `<@U3>` &lt;@U4&gt;"}
	if got, want := Mentions(twice), []string{"U2", "U1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What can't be read doesn't keep the rest from being read.
func TestMalformed(t *testing.T) {
	t.Parallel()
	good := `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"good"}]}]}]`
	for _, tt := range []struct{ blocks, attachments, want string }{
		{"", "", "text"},
		{"null", "null", "text"},
		{"[]", "{}", "text"},
		{"{}", "5", "text"},
		{`"x"`, `["x"]`, "text"},
		{good[:len(good)-1], "[", "text"},
		{good + "x", "", "text"},
		{"\xff\xfe", "\x00", "text"},
		{good, "[{", "good"},
		{`[{"type":"rich_text","elements":"none"},` + good[1:], `[null]`, "good"},
	} {
		src := Source{Text: "text", Blocks: json.RawMessage(tt.blocks), Attachments: json.RawMessage(tt.attachments)}
		if got := ToMarkdown(src, nil); got != tt.want {
			t.Errorf("%q and %q gave %q, want %q", tt.blocks, tt.attachments, got, tt.want)
		}
	}
}
