package slacksim

import (
	"fmt"
	"sync"
	"testing"

	"github.com/slack-go/slack"
)

// Many callers at once: nothing is lost, timestamps are unique and grow, and each
// message is delivered once.
func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, Config{DataDir: t.TempDir()})
	bot := s.install("support")
	const callers, each = 8, 25
	var wait sync.WaitGroup
	for c := range callers {
		wait.Go(func() {
			for i := range each {
				if _, _, err := bot.PostMessage(s.channel("support"), slack.MsgOptionText(fmt.Sprint(c, "-", i), false)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	s.idle()
	seen := map[string]bool{}
	for len(s.app.got) > 0 {
		seen[(<-s.app.got).env.Event["ts"].(string)] = true
	}
	if len(seen) != callers*each {
		t.Errorf("%d messages were delivered, want %d", len(seen), callers*each)
	}
}

func BenchmarkPost(b *testing.B) {
	server, err := New(Config{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close(b.Context()) })
	ada := server.world.findUser("ada")
	args := arguments{"channel": "support", "text": "a *message* with some `text` in it"}
	for b.Loop() {
		out, err := server.controlAct(controlArgs{User: ada.ID, Method: "chat.postMessage", Args: args})
		if answer := out.(object); err != nil || answer["ok"] != true {
			b.Fatal(out, err)
		}
	}
}
