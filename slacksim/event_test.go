package slacksim

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestEditsAreTold(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("globex-ochre")
	channel := s.channel("globex-ochre")
	irisID, iris := s.user("iris")
	ts := say(t, s, "iris", "globex-ochre", "hello")
	if _, _, _, err := iris.UpdateMessage(channel, ts, slack.MsgOptionText("hello *there*", false)); err != nil {
		t.Fatal(err)
	}
	ev := s.event("message", "message_changed").env.Event
	now, before := ev["message"].(map[string]any), ev["previous_message"].(map[string]any)
	if now["text"] != "hello *there*" || now["ts"] != ts || now["user_team"] != s.world.Teams[1].ID || before["text"] != "hello" || ev["hidden"] != true || ev["ts"] == ts {
		t.Errorf("message_changed: %v", ev)
	}
	if edited := now["edited"].(map[string]any); edited["user"] != irisID || !strings.HasSuffix(edited["ts"].(string), ".000000") {
		t.Errorf("edited: %v", edited)
	}
	_, _, _, err := bot.UpdateMessage(channel, ts, slack.MsgOptionText("mine now", false))
	wantError(t, err, "cant_update_message")
	_, _, _, err = iris.UpdateMessage(channel, ts, slack.MsgOptionText(strings.Repeat("x", 4001), false))
	wantError(t, err, "msg_too_long")
}

func TestUpdateKeepsMetadataAndDropsBlocks(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	channel := s.channel("support")
	rich := slack.NewRichTextBlock("mine", slack.NewRichTextSection(slack.NewRichTextSectionTextElement("rich", nil)))
	_, ts, err := bot.PostMessage(channel, slack.MsgOptionBlocks(rich), slack.MsgOptionText("plain", false),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "t", EventPayload: map[string]any{"k": "v"}}))
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = bot.UpdateMessage(channel, ts, slack.MsgOptionBlocks(slack.NewDividerBlock()))
	wantError(t, err, "block_mismatch")
	if _, _, _, err := bot.UpdateMessage(channel, ts, slack.MsgOptionText("changed", false)); err != nil {
		t.Fatal(err)
	}
	got, _, _, err := bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: ts, IncludeAllMetadata: true})
	if err != nil || got[0].Text != "changed" || got[0].Metadata.EventPayload["k"] != "v" || got[0].Blocks.BlockSet[0].ID() == "mine" {
		t.Errorf("after the update: %+v, %v", got, err)
	}
}

func TestDeletes(t *testing.T) {
	t.Parallel()
	for _, previous := range []string{"message", "empty_list"} {
		t.Run(previous, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{Switches: Switches{TombstonePrevious: previous}})
			bot := s.install("support")
			channel := s.channel("support")
			_, ben := s.user("ben")
			root := say(t, s, "ben", "support", "root")
			_, reply, err := ben.PostMessage(channel, slack.MsgOptionText("reply", false), slack.MsgOptionTS(root))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = bot.DeleteMessage(channel, root)
			wantError(t, err, "cant_delete_message")
			if _, _, err := ben.DeleteMessage(channel, root); err != nil {
				t.Fatal(err)
			}
			ev := s.event("message", "message_changed").env.Event
			grave := ev["message"].(map[string]any)
			if grave["subtype"] != "tombstone" || grave["user"] != "USLACKBOT" || grave["reply_count"] != 1.0 {
				t.Errorf("tombstone: %v", grave)
			}
			if _, isList := ev["previous_message"].([]any); isList != (previous == "empty_list") {
				t.Errorf("previous_message: %v", ev["previous_message"])
			}
			if _, _, err := ben.DeleteMessage(channel, reply); err != nil {
				t.Fatal(err)
			}
			s.event("message", "message_deleted")
			s.idle()
			_, _, _, err = bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: root})
			wantError(t, err, "thread_not_found")
		})
	}
}

func TestBroadcastComesOnceWithItsRoot(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	channel := s.channel("support")
	_, ben := s.user("ben")
	root := say(t, s, "ben", "support", "root")
	if _, _, err := ben.PostMessage(channel, slack.MsgOptionText("all", false), slack.MsgOptionTS(root), slack.MsgOptionBroadcast()); err != nil {
		t.Fatal(err)
	}
	s.idle()
	ev := s.event("message", "thread_broadcast").env.Event
	if ev["thread_ts"] != root || ev["root"].(map[string]any)["text"] != "root" {
		t.Errorf("thread_broadcast: %v", ev)
	}
	history := must[*slack.GetConversationHistoryResponse](t)(bot.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: channel, Oldest: root}))
	if len(history.Messages) != 1 || history.Messages[0].SubType != "thread_broadcast" {
		t.Errorf("history: %+v", history.Messages)
	}
}

func TestMeMessageAndPersonsOwnClient(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	s.install("support")
	var posted struct{ OK bool }
	s.post("/control/act", object{"user": "ben", "method": "chat.meMessage", "args": object{"channel": "support", "text": "waves"}}, &posted)
	if ev := s.event("message", "me_message").env.Event; ev["text"] != "waves" {
		t.Errorf("me_message: %v", ev)
	}
	s.post("/control/act", object{"user": "ben", "method": "chat.postMessage", "args": object{"channel": "support", "text": "by hand"}}, &posted)
	ev := s.event("message", "").env.Event
	if ev["client_msg_id"] == nil || ev["bot_id"] != nil || ev["app_id"] != nil {
		t.Errorf("a person's own message: %v", ev)
	}
}

func TestFilesAreStubsInConnectChannelsOnly(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("globex-ochre", "support")
	_, iris := s.user("iris")
	_, ben := s.user("ben")

	id := upload(t, s, iris, s.channel("globex-ochre"), "trace.log", "line one\n")
	ev := s.event("message", "file_share").env.Event
	stub := ev["files"].([]any)[0].(map[string]any)
	if stub["file_access"] != "check_file_info" || stub["url_private"] != nil || ev["team"] != nil || ev["text"] != "here" {
		t.Errorf("file_share in a Connect channel: %v", ev)
	}
	whole, _, _, err := bot.GetFileInfo(id, 0, 0)
	if err != nil || whole.Name != "trace.log" || whole.Size != 9 {
		t.Fatalf("files.info: %+v, %v", whole, err)
	}
	var content bytes.Buffer
	if err := bot.GetFile(whole.URLPrivateDownload, &content); err != nil || content.String() != "line one\n" {
		t.Errorf("downloaded %q, %v", content.String(), err)
	}
	if err := s.client("xoxb-wrong").GetFile(whole.URLPrivate, io.Discard); err == nil || !strings.Contains(err.Error(), "sign-in page") {
		t.Errorf("a wrong token gives %v", err)
	}
	s.post("/control/switches", object{"fileSignIn": "page"}, nil)
	resp := must[*http.Response](t)(s.web.Get(whole.URLPrivate))
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("no token gives %s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	upload(t, s, ben, s.channel("support"), "a.png", "png")
	local := s.event("message", "file_share").env.Event["files"].([]any)[0].(map[string]any)
	if local["url_private"] == nil || local["mimetype"] != "image/png" {
		t.Errorf("a file in our own channel: %v", local)
	}
	history := must[*slack.GetConversationHistoryResponse](t)(bot.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: s.channel("globex-ochre"), Limit: 1}))
	if history.Messages[0].Files[0].URLPrivate == "" {
		t.Error("history has stubs")
	}
}

func TestEventSwitches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		switches Switches
		say      func(t *testing.T, s *sim, bot *slack.Client)
		subtype  string
		check    func(ev map[string]any, got received, s *sim) bool
	}{
		{"usernameEcho", Switches{UsernameEcho: "bot_message"}, sayAsAda, "bot_message", func(ev map[string]any, _ received, _ *sim) bool {
			return ev["user"] == nil && ev["username"] == "Ada" && ev["bot_id"] != nil && ev["bot_profile"] == nil
		}},
		{"metadata type_only", Switches{EventMetadata: "type_only"}, sayAsAda, "", func(ev map[string]any, _ received, _ *sim) bool {
			meta, _ := ev["metadata"].(map[string]any)
			return meta["event_type"] == "t" && len(meta["event_payload"].(map[string]any)) == 0
		}},
		{"metadata absent", Switches{EventMetadata: "absent"}, sayAsAda, "", func(ev map[string]any, _ received, _ *sim) bool { return ev["metadata"] == nil }},
		{"userTokenBotProfile", Switches{UserTokenBotProfile: true}, sayAsIris, "", func(ev map[string]any, _ received, _ *sim) bool {
			return ev["bot_profile"].(map[string]any)["app_id"] == ev["app_id"]
		}},
		{"outerTeam", Switches{OuterTeam: "installed"}, sayAsIris, "", func(_ map[string]any, got received, s *sim) bool { return got.env.TeamID == s.world.Teams[0].ID }},
		{"userProfile absent", Switches{UserProfile: "absent"}, sayAsIris, "", func(ev map[string]any, _ received, _ *sim) bool { return ev["user_profile"] == nil }},
		{"userProfile empty", Switches{UserProfile: "empty"}, sayAsIris, "", func(ev map[string]any, _ received, _ *sim) bool {
			profile, there := ev["user_profile"].(map[string]any)
			return there && len(profile) == 0
		}},
		{"unfurl", Switches{Unfurl: true}, sayAsIris, "message_changed", func(ev map[string]any, _ received, _ *sim) bool {
			now, before := ev["message"].(map[string]any), ev["previous_message"].(map[string]any)
			return now["attachments"] != nil && now["edited"] == nil && before["attachments"] == nil && now["text"] == before["text"]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{Switches: c.switches})
			bot := s.install("globex-ochre")
			c.say(t, s, bot)
			got := s.event("message", c.subtype)
			if !c.check(got.env.Event, got, s) {
				t.Errorf("delivered %s", got.body)
			}
		})
	}
}

func sayAsAda(t *testing.T, s *sim, bot *slack.Client) {
	_, _, err := bot.PostMessage(s.channel("globex-ochre"), slack.MsgOptionText("hi", false), slack.MsgOptionUsername("Ada"),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "t", EventPayload: map[string]any{"k": "v"}}))
	if err != nil {
		t.Fatal(err)
	}
}

func sayAsIris(t *testing.T, s *sim, _ *slack.Client) {
	say(t, s, "iris", "globex-ochre", "see https://example.com/page.")
}

func TestCallSwitches(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Switches: Switches{
		ForeignEmailHidden: true, LookupForeignEmail: true, KeepUsernamePosts: true, LongText: "split",
		ForeignTeamInfoHidden: true, MessageReplied: true,
	}})
	bot := s.install("globex-ochre")
	channel := s.channel("globex-ochre")
	iris := must[*slack.User](t)(bot.GetUserByEmail("iris@globex.example"))
	if iris.Profile.Email != "" {
		t.Errorf("the foreign e-mail is %q", iris.Profile.Email)
	}
	_, err := bot.GetOtherTeamInfo(s.world.Teams[1].ID)
	wantError(t, err, "team_not_found")
	_, ts, err := bot.PostMessage(channel, slack.MsgOptionText("hi", false), slack.MsgOptionUsername("Ada"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = bot.DeleteMessage(channel, ts)
	wantError(t, err, "cant_delete_message")
	_, root, err := bot.PostMessage(channel, slack.MsgOptionText(strings.Repeat("é", 9000), false))
	if err != nil {
		t.Fatal(err)
	}
	history := must[*slack.GetConversationHistoryResponse](t)(bot.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: channel, Oldest: root, Inclusive: true}))
	if len(history.Messages) != 3 {
		t.Errorf("9,000 characters became %d messages", len(history.Messages))
	}
	s.idle()
	s.drain()
	if _, _, err := bot.PostMessage(channel, slack.MsgOptionText("r", false), slack.MsgOptionTS(root)); err != nil {
		t.Fatal(err)
	}
	s.idle()
	hidden := 0
	for len(s.app.got) > 0 {
		ev := (<-s.app.got).env.Event
		if ev["hidden"] == true && ev["subtype"] == nil && ev["user"] == nil && ev["message"].(map[string]any)["reply_count"] == 1.0 {
			hidden++
		}
	}
	if hidden != 1 {
		t.Errorf("%d message_replied", hidden)
	}
	s.post("/control/switches", object{"longText": "error"}, nil)
	_, _, err = bot.PostMessage(channel, slack.MsgOptionText(strings.Repeat("é", 4001), false))
	wantError(t, err, "msg_too_long")
	s.post("/control/switches", object{"longText": "truncate"}, nil)
	if _, _, err := bot.PostMessage(channel, slack.MsgOptionText(strings.Repeat("é", 40_001), false)); err != nil {
		t.Fatal(err)
	}
	history = must[*slack.GetConversationHistoryResponse](t)(bot.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: channel, Limit: 1}))
	if n := len([]rune(history.Messages[0].Text)); n != 40_000 {
		t.Errorf("40,001 characters became %d", n)
	}
}
