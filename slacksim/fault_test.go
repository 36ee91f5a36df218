package slacksim

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

// stored counts the messages with the text that the simulator has, shown or hidden.
func (s *sim) stored(channel, text string) int {
	s.t.Helper()
	var raw struct{ Messages []message }
	s.get("/control/raw?channel="+channel, &raw)
	n := 0
	for _, m := range raw.Messages {
		if m.Text == text {
			n++
		}
	}
	return n
}

func TestCallFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  object
		stored int
		check  func(*testing.T, error)
	}{
		{object{"kind": "429", "retryAfter": 7}, 0, func(t *testing.T, err error) {
			var limited *slack.RateLimitedError
			if !errors.As(err, &limited) || limited.RetryAfter != 7*time.Second {
				t.Errorf("got %v", err)
			}
		}},
		{object{"kind": "500"}, 0, func(t *testing.T, err error) {
			var status slack.StatusCodeError
			if !errors.As(err, &status) || status.Code != 500 {
				t.Errorf("got %v", err)
			}
		}},
		{object{"kind": "error", "code": "restricted_action"}, 0, func(t *testing.T, err error) { wantError(t, err, "restricted_action") }},
		{object{"kind": "timeout"}, 0, wantTimeout},
		{object{"kind": "late_timeout"}, 1, wantTimeout},
		{object{"kind": "close_before"}, 0, wantCut},
		{object{"kind": "lost_answer"}, 1, wantCut},
		{object{"kind": "lost_answer_hidden"}, 1, wantCut},
		{object{"kind": "slow", "delayMs": 10}, 1, func(t *testing.T, err error) {
			if err != nil {
				t.Errorf("got %v", err)
			}
		}},
	} {
		t.Run(c.fault["kind"].(string), func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{})
			bot := s.install("support")
			c.fault["method"] = "chat.postMessage"
			s.post("/control/faults", c.fault, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, _, err := bot.PostMessageContext(ctx, s.channel("support"), slack.MsgOptionText("x", false))
			c.check(t, err)
			if n := s.stored("support", "x"); n != c.stored {
				t.Errorf("stored %d times, want %d", n, c.stored)
			}
			if _, _, err := bot.PostMessage(s.channel("support"), slack.MsgOptionText("y", false)); err != nil {
				t.Errorf("the fault happened again: %v", err)
			}
			var list struct{ Faults []Fault }
			if s.get("/control/faults", &list); list.Faults[0].Hits != 1 {
				t.Errorf("the fault says %+v", list.Faults[0])
			}
		})
	}
}

func wantTimeout(t *testing.T, err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func wantCut(t *testing.T, err error) {
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a cut connection", err)
	}
}

func TestHiddenMessageShowsLater(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := start(t, Config{Now: clock.Now})
	bot := s.install("support")
	channel := s.channel("support")
	root := say(t, s, "ben", "support", "root")
	s.post("/control/faults", object{"method": "chat.postMessage", "kind": "lost_answer_hidden", "channel": channel}, nil)
	_, _, err := bot.PostMessage(channel, slack.MsgOptionText("answer", false), slack.MsgOptionTS(root))
	wantCut(t, err)
	thread := func() int {
		msgs, _, _, err := bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: root})
		if err != nil {
			t.Fatal(err)
		}
		if len(msgs) > 0 && msgs[0].ReplyCount != len(msgs)-1 {
			t.Errorf("the root counts %d replies of %d", msgs[0].ReplyCount, len(msgs)-1)
		}
		return len(msgs) - 1
	}
	if n := thread(); n != 0 {
		t.Errorf("%d replies right away", n)
	}
	clock.pass(9 * time.Second)
	if n := thread(); n != 0 {
		t.Errorf("%d replies after 9 s", n)
	}
	clock.pass(time.Second)
	if n := thread(); n != 1 {
		t.Errorf("%d replies after 10 s", n)
	}
}

func TestFaultsAreCheckedAndCleared(t *testing.T) {
	t.Parallel()
	for _, f := range []*Fault{{Kind: "429"}, {Method: "x", Kind: "double"}, {Event: true, Kind: "429"}, {Method: "x", Kind: "error"}} {
		if f.check() == nil {
			t.Errorf("%+v passes", f)
		}
	}
	s := start(t, Config{})
	bot := s.install()
	s.post("/control/faults", object{"method": "*", "kind": "error", "code": "fatal_error", "times": -1}, nil)
	for range 3 {
		_, err := bot.AuthTest()
		wantError(t, err, "fatal_error")
	}
	s.do("DELETE", "/control/faults", nil, nil)
	if _, err := bot.AuthTest(); err != nil {
		t.Error(err)
	}
}
