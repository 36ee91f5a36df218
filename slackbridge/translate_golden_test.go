package slackbridge_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge"
)

var update = flag.Bool("update", false, "write the golden files again")

// translated is what a golden file holds.
type translated struct {
	Drop     string           `json:",omitempty"`
	Event    *desk.SlackEvent `json:",omitempty"`
	Original json.RawMessage  `json:",omitempty"` // Event's, readable
}

func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		env, err := slackbridge.ParseEnvelope(body)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if env.Type == "message" { // a file without an envelope
			if env, err = slackbridge.ParseEnvelope([]byte(`{"type":"event_callback","team_id":"T111","event":` + string(body) + `}`)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := json.MarshalIndent(translate(env, contextOf(env)), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		compare(t, strings.TrimSuffix(file, ".json")+".golden", append(got, '\n'))
	}
}

// contextOf is an installation in the workspace that an event names, with the bot user that the recordings of bots have.
func contextOf(env slackbridge.Envelope) slackbridge.LinkContext {
	lc := slackbridge.LinkContext{AppID: env.APIAppID, BotUserID: "UB111", BotID: "B0OURS"}
	if teams := env.Teams(); len(teams) > 0 {
		lc.TeamID = teams[0]
	}
	return lc
}

func translate(env slackbridge.Envelope, lc slackbridge.LinkContext) translated {
	ev, drop := slackbridge.Translate(env, lc, names{})
	if drop != "" {
		return translated{Drop: drop}
	}
	out := translated{Event: &ev, Original: ev.Original}
	ev.Original = nil
	return out
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", golden, got, want)
	}
}

// names knows one person and one channel.
type names struct{}

func (names) User(id string) string {
	if id == "U0KNOWN" {
		return "Iris"
	}
	return ""
}

func (names) Channel(id string) string {
	if id == "C0KNOWN" {
		return "support"
	}
	return ""
}

func (names) Usergroup(string) string { return "" }
