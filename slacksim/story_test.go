package slacksim

import (
	"errors"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// A customer writes in the Connect channel, the app hears it, answers in the thread
// under an agent's name, and the customer reads the answer.
func TestCustomerAsksAppAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("globex-ochre")
	channel := s.channel("globex-ochre")
	irisID, iris := s.user("iris")

	_, ts, err := iris.PostMessage(channel, slack.MsgOptionText("Is it *down*? <3 & so on", false))
	if err != nil {
		t.Fatal(err)
	}
	got := s.event("message", "")
	verify(t, s, got)
	ev := got.env.Event
	globex, ours := s.world.Teams[1].ID, s.world.Teams[0].ID
	for key, want := range map[string]any{
		"user": irisID, "ts": ts, "channel": channel, "channel_type": "channel", "team": globex,
		"user_team": globex, "source_team": globex, "text": "Is it *down*? &lt;3 &amp; so on", "subtype": nil, "bot_profile": nil,
	} {
		if ev[key] != want {
			t.Errorf("event has %s %v, want %v", key, ev[key], want)
		}
	}
	if ev["bot_id"] == nil || ev["app_id"] == s.world.App.ID {
		t.Errorf("a user token's post names its own app, got bot_id %v, app_id %v", ev["bot_id"], ev["app_id"])
	}
	if profile, _ := ev["user_profile"].(map[string]any); profile["real_name"] != "Iris Lindqvist" || profile["email"] != nil {
		t.Errorf("user_profile is %v", profile)
	}
	if len(got.env.Authorizations) != 1 || got.env.Authorizations[0].TeamID != ours || got.env.TeamID != globex || !got.env.IsExtSharedChannel {
		t.Errorf("envelope is %+v", got.env)
	}

	_, replyTS, err := bot.PostMessage(channel, slack.MsgOptionText("Looking now.", false), slack.MsgOptionTS(ts),
		slack.MsgOptionUsername("Ada"), slack.MsgOptionIconURL("https://example.com/a.png"),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "ochre", EventPayload: map[string]any{"id": "msg_1"}}))
	if err != nil {
		t.Fatal(err)
	}
	echo := s.event("message", "").env.Event
	if echo["app_id"] != s.world.App.ID || echo["username"] != "Ada" || echo["thread_ts"] != ts || echo["parent_user_id"] != irisID || echo["metadata"] == nil {
		t.Errorf("echo is %v", echo)
	}
	replies, _, _, err := iris.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: ts, IncludeAllMetadata: true})
	if err != nil || len(replies) != 2 {
		t.Fatalf("replies %v, %v", replies, err)
	}
	answer := replies[1]
	if answer.Timestamp != replyTS || answer.Username != "Ada" || answer.Metadata.EventPayload["id"] != "msg_1" || answer.Icons == nil {
		t.Errorf("the answer reads %+v", answer.Msg)
	}
	if replies[0].ReplyCount != 1 || replies[0].LatestReply != replyTS {
		t.Errorf("the root doesn't count its reply: %+v", replies[0].Msg)
	}
}

func verify(t *testing.T, s *sim, got received) {
	t.Helper()
	verifier, err := slack.NewSecretsVerifier(got.header, s.world.App.SigningSecret)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = verifier.Write(got.body)
	if err := verifier.Ensure(); err != nil {
		t.Fatalf("signature: %v", err)
	}
}

// wantError checks for Slack's error code.
func wantError(t *testing.T, err error, code string) {
	t.Helper()
	var refused slack.SlackErrorResponse
	if !errors.As(err, &refused) && (err == nil || !strings.Contains(err.Error(), code)) {
		t.Errorf("got error %v, want %s", err, code)
	} else if refused.Err != "" && refused.Err != code {
		t.Errorf("got error %v, want %s", refused.Err, code)
	}
}
