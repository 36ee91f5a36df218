package slacksim

import (
	"testing"

	"github.com/slack-go/slack"
)

func TestSharingAndMovingChannels(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	support := s.channel("support")
	initech := s.world.Teams[2].ID
	s.post("/control/share", object{"channel": "support", "team": "initech"}, nil)
	if ev := s.event("channel_shared", "").env.Event; ev["connected_team_id"] != initech || ev["channel"] != support {
		t.Errorf("channel_shared: %v", ev)
	}
	if c := must[*slack.Channel](t)(bot.GetConversationInfo(&slack.GetConversationInfoInput{ChannelID: support})); !c.IsExtShared {
		t.Error("not shared")
	}
	s.post("/control/invite", object{"channel": "support", "user": "nina"}, nil)
	ts := say(t, s, "nina", "support", "hello from outside")
	s.post("/control/unshare", object{"channel": "support", "team": "initech"}, nil)
	if ev := s.event("channel_unshared", "").env.Event; ev["previously_connected_team_id"] != initech || ev["is_ext_shared"] != false {
		t.Errorf("channel_unshared: %v", ev)
	}
	_, nina := s.user("nina")
	_, _, err := nina.PostMessage(support, slack.MsgOptionText("x", false))
	wantError(t, err, "channel_not_found")

	s.post("/control/channel-id", object{"channel": "support"}, nil)
	moved := s.event("channel_id_changed", "").env.Event
	if moved["old_channel_id"] != support {
		t.Errorf("channel_id_changed: %v", moved)
	}
	got, _, _, err := bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: moved["new_channel_id"].(string), Timestamp: ts})
	if err != nil || got[0].Text != "hello from outside" {
		t.Errorf("under the new id: %v, %v", got, err)
	}
	_, _, err = bot.PostMessage(support, slack.MsgOptionText("x", false))
	wantError(t, err, "channel_not_found")
}
