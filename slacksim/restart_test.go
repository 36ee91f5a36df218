package slacksim

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestRestartKeepsTheWorld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Config{DataDir: dir, Seed: "restart"})
	bot := first.install("support")
	channel := first.channel("support")
	root := say(t, first, "ben", "support", "root")
	if _, _, err := bot.PostMessage(channel, slack.MsgOptionText("answer", false), slack.MsgOptionTS(root)); err != nil {
		t.Fatal(err)
	}
	gone := say(t, first, "ben", "support", "gone")
	_, ben := first.user("ben")
	if _, _, err := ben.DeleteMessage(channel, gone); err != nil {
		t.Fatal(err)
	}
	upload := upload(t, first, ben, channel, "notes.txt", "some notes")
	var before, after json.RawMessage
	first.get("/world", &before)
	first.stop()

	second := start(t, Config{DataDir: dir, Seed: "another seed"})
	second.get("/world", &after)
	if string(before) != string(after) {
		t.Errorf("the world was\n%s\nand is\n%s", before, after)
	}
	_, ben = second.user("ben")
	history, err := ben.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: channel})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range history.Messages {
		texts = append(texts, m.Text)
	}
	if len(texts) != 3 || texts[0] != "here" || texts[1] != "root" || history.Messages[1].ReplyCount != 1 {
		t.Errorf("history is %q", texts)
	}
	var content strings.Builder
	found, _, _, err := ben.GetFileInfo(upload, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	found.URLPrivate = strings.Replace(found.URLPrivate, first.http.URL, second.http.URL, 1)
	if err := ben.GetFile(found.URLPrivate, &content); err != nil || content.String() != "some notes" {
		t.Errorf("the file reads %q, %v", content.String(), err)
	}
	if next := say(t, second, "ben", "support", "next"); next <= history.Messages[0].Timestamp {
		t.Errorf("timestamps went back to %s", next)
	}
}

func TestTornLastLineIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Config{DataDir: dir})
	say(t, first, "ben", "support", "kept")
	first.stop()
	path := filepath.Join(dir, "world.jsonl")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"k":"message","id":"C1/1`); err != nil {
		t.Fatal(err)
	}
	file.Close()
	second := start(t, Config{DataDir: dir})
	if n := second.stored("support", "kept"); n != 1 {
		t.Errorf("kept %d times", n)
	}
	second.stop()
	if err := os.WriteFile(path, []byte("not json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a spoilt file gives %v", err)
	}
}

func TestSeedsDecideTheWorld(t *testing.T) {
	t.Parallel()
	read := func(seed string) (w worldView) {
		s := start(t, Config{Seed: seed})
		return s.world
	}
	if one, same := read("one"), read("one"); !reflect.DeepEqual(one, same) {
		t.Error("one seed, two worlds")
	}
	if one, other := read("one"), read("two"); one.Teams[0].ID == other.Teams[0].ID || one.App.ID == other.App.ID || one.Channels[0].ID == other.Channels[0].ID {
		t.Error("two seeds share ids")
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Switches: Switches{LongText: "maybe"}}); err == nil {
		t.Error("an unknown switch value passes")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{DataDir: file}); err == nil {
		t.Error("a file passes as data folder")
	}
}

// upload puts a file into the channel as the official clients do, and returns its id.
func upload(t *testing.T, s *sim, client *slack.Client, channel, name, content string) string {
	t.Helper()
	f, err := client.UploadFileContext(context.Background(), slack.UploadFileParameters{
		Reader: strings.NewReader(content), FileSize: len(content), Filename: name, Title: name, Channel: channel, InitialComment: "here",
	})
	if err != nil {
		t.Fatal(err)
	}
	return f.ID
}
