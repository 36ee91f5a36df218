package slacksim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestSlackGoReadsWhoAndWhere(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("globex-ochre", "escalations")
	ours := s.world.Teams[0]

	if team := must[*slack.TeamInfo](t)(bot.GetTeamInfo()); team.ID != ours.ID || team.Domain != "ochre-labs" {
		t.Errorf("team.info: %+v", team)
	}
	irisID, _ := s.user("iris")
	iris := must[*slack.User](t)(bot.GetUserInfo(irisID))
	if iris.TeamID != s.world.Teams[1].ID || iris.Profile.Email != "iris@globex.example" || iris.IsStranger {
		t.Errorf("users.info of a foreign user: %+v", iris)
	}
	users := must[[]slack.User](t)(bot.GetUsers(slack.GetUsersOptionLimit(2)))
	if len(users) != 6 { // five people and the bot
		t.Errorf("users.list has %d", len(users))
	}
	ada := must[*slack.User](t)(bot.GetUserByEmail("ada@ochre-labs.example"))
	if !ada.IsAdmin || ada.RealName != "Ada Ferrer" {
		t.Errorf("users.lookupByEmail: %+v", ada)
	}
	_, err := bot.GetUserByEmail("iris@globex.example")
	wantError(t, err, "users_not_found")
	who := must[*slack.AuthTestResponse](t)(bot.AuthTest())
	info := must[*slack.Bot](t)(bot.GetBotInfo(slack.GetBotInfoParameters{Bot: who.BotID}))
	if info.AppID != s.world.App.ID || info.UserID != who.UserID {
		t.Errorf("bots.info: %+v", info)
	}
	_, err = bot.GetUserInfo("U0NOBODY")
	wantError(t, err, "user_not_found")
}

func TestSlackGoListsConversations(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("globex-ochre", "escalations")
	var names []string
	params := &slack.GetConversationsParameters{Types: []string{"public_channel", "private_channel"}, Limit: 2, ExcludeArchived: true}
	for pages := 0; ; pages++ {
		list, next, err := bot.GetConversations(params)
		if err != nil || pages > 5 {
			t.Fatal(pages, err)
		}
		for _, c := range list {
			names = append(names, c.Name)
		}
		if params.Cursor = next; next == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "globex-ochre globex-launch support escalations initech-ochre" {
		t.Errorf("conversations.list: %s", got)
	}
	params.Cursor = "rubbish"
	_, _, err := bot.GetConversations(params)
	wantError(t, err, "invalid_cursor")
	mine, _, err := bot.GetConversationsForUser(&slack.GetConversationsForUserParameters{Types: []string{"public_channel", "private_channel"}})
	if err != nil || len(mine) != 2 {
		t.Errorf("users.conversations: %v, %v", mine, err)
	}
	shared := must[*slack.Channel](t)(bot.GetConversationInfo(&slack.GetConversationInfoInput{ChannelID: s.channel("globex-ochre")}))
	if !shared.IsExtShared || len(shared.ConnectedTeamIDs) != 1 || shared.ConnectedTeamIDs[0] != s.world.Teams[1].ID || !shared.IsMember {
		t.Errorf("conversations.info: %+v", shared)
	}
	members, _, err := bot.GetUsersInConversation(&slack.GetUsersInConversationParameters{ChannelID: s.channel("globex-ochre")})
	if err != nil || len(members) != 7 {
		t.Errorf("conversations.members: %v, %v", members, err)
	}
}

func TestJoinInviteAndPrivateChannels(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install()
	support, private := s.channel("support"), s.channel("escalations")
	_, _, err := bot.PostMessage(support, slack.MsgOptionText("x", false))
	wantError(t, err, "not_in_channel")
	_, err = bot.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: support})
	wantError(t, err, "not_in_channel")
	joined, _, _, err := bot.JoinConversation(support)
	if err != nil || !joined.IsMember {
		t.Fatalf("conversations.join: %+v, %v", joined, err)
	}
	if ev := s.event("member_joined_channel", "").env.Event; ev["channel"] != support || ev["channel_type"] != "C" || ev["inviter"] != nil {
		t.Errorf("member_joined_channel: %v", ev)
	}
	if _, warning, _, err := bot.JoinConversation(support); err != nil || warning != "already_in_channel" {
		t.Errorf("joined again: %q, %v", warning, err)
	}
	for _, try := range []func() error{
		func() error { _, _, _, err := bot.JoinConversation(private); return err },
		func() error { _, _, err := bot.PostMessage(private, slack.MsgOptionText("x", false)); return err },
	} {
		wantError(t, try(), "channel_not_found")
	}
	adaID, ada := s.user("ada")
	botID := must[*slack.AuthTestResponse](t)(bot.AuthTest()).UserID
	if _, err := ada.InviteUsersToConversation(private, botID); err != nil {
		t.Fatal(err)
	}
	if ev := s.event("member_joined_channel", "").env.Event; ev["channel_type"] != "G" || ev["inviter"] != adaID {
		t.Errorf("invited to a private channel: %v", ev)
	}
	if _, _, err := bot.PostMessage(private, slack.MsgOptionText("x", false)); err != nil {
		t.Error(err)
	}
	_, _, _, err = bot.JoinConversation(private)
	wantError(t, err, "method_not_supported_for_channel_type")
}

func TestChannelChanges(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	support := s.channel("support")
	_, ada := s.user("ada")
	if _, err := ada.RenameConversation(support, "help"); err != nil {
		t.Fatal(err)
	}
	if renamed := s.event("channel_rename", "").env.Event["channel"].(map[string]any); renamed["name"] != "help" || renamed["id"] != support {
		t.Errorf("channel_rename: %v", renamed)
	}
	_, err := ada.RenameConversation(support, "Two Words")
	wantError(t, err, "invalid_name_specials")
	_, err = ada.CreateConversation(slack.CreateConversationParams{ChannelName: "help"})
	wantError(t, err, "name_taken")
	if err := ada.ArchiveConversation(support); err != nil {
		t.Fatal(err)
	}
	if ev := s.event("channel_archive", "").env.Event; ev["channel"] != support {
		t.Errorf("channel_archive: %v", ev)
	}
	_, _, err = bot.PostMessage(support, slack.MsgOptionText("x", false))
	wantError(t, err, "is_archived")
	if err := ada.UnArchiveConversation(support); err != nil {
		t.Fatal(err)
	}
	if err := ada.KickUserFromConversation(support, must[*slack.AuthTestResponse](t)(bot.AuthTest()).UserID); err != nil {
		t.Fatal(err)
	}
	s.event("channel_left", "")
	if c, err := ada.CreateConversation(slack.CreateConversationParams{ChannelName: "fresh", IsPrivate: true}); err != nil || !c.IsPrivate {
		t.Errorf("conversations.create: %+v, %v", c, err)
	}
}

func TestHistoryAndRepliesPage(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	channel := s.channel("support")
	_, ben := s.user("ben")
	var roots []string
	for _, text := range []string{"a", "b", "c", "d"} {
		roots = append(roots, say(t, s, "ben", "support", text))
	}
	for _, text := range []string{"1", "2", "3"} {
		if _, _, err := ben.PostMessage(channel, slack.MsgOptionText(text, false), slack.MsgOptionTS(roots[1])); err != nil {
			t.Fatal(err)
		}
	}
	read := func(p slack.GetConversationHistoryParameters) (texts, cursor string) {
		t.Helper()
		p.ChannelID = channel
		got := must[*slack.GetConversationHistoryResponse](t)(bot.GetConversationHistory(&p))
		for _, m := range got.Messages {
			texts += m.Text
		}
		if got.HasMore != (got.ResponseMetaData.NextCursor != "") {
			t.Errorf("has_more is %v", got.HasMore)
		}
		return texts, got.ResponseMetaData.NextCursor
	}
	first, cursor := read(slack.GetConversationHistoryParameters{Limit: 3})
	second, _ := read(slack.GetConversationHistoryParameters{Limit: 1, Cursor: cursor})
	if first != "dcb" || second != "a" {
		t.Errorf("pages %s, %s", first, second)
	}
	if got, _ := read(slack.GetConversationHistoryParameters{Oldest: roots[1], Latest: roots[3]}); got != "c" {
		t.Errorf("between: %s", got)
	}
	if got, _ := read(slack.GetConversationHistoryParameters{Oldest: roots[1], Latest: roots[3], Inclusive: true}); got != "dcb" {
		t.Errorf("inclusive: %s", got)
	}
	replies, more, next, err := bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: roots[1], Limit: 3})
	if err != nil || len(replies) != 3 || !more || replies[0].Text != "b" {
		t.Fatalf("replies %v %v %v", replies, more, err)
	}
	rest, _, _, err := bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: roots[1], Limit: 3, Cursor: next})
	if err != nil || len(rest) != 1 || rest[0].Text != "3" {
		t.Errorf("the second page: %v %v", rest, err)
	}
	_, _, _, err = bot.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: "1.000000"})
	wantError(t, err, "thread_not_found")
	s.post("/control/switches", object{"historyMax": 2}, nil)
	if got, _ := read(slack.GetConversationHistoryParameters{Limit: 100}); got != "dc" {
		t.Errorf("under a cap of 2: %s", got)
	}
}

func TestReactionsAndPermalinks(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	bot := s.install("support")
	benID, _ := s.user("ben")
	ts := say(t, s, "ben", "support", "hello")
	item := slack.NewRefToMessage(s.channel("support"), ts)
	if err := bot.AddReaction("eyes", item); err != nil {
		t.Fatal(err)
	}
	if ev := s.event("reaction_added", "").env.Event; ev["item_user"] != benID || ev["reaction"] != "eyes" {
		t.Errorf("reaction_added: %v", ev)
	}
	wantError(t, bot.AddReaction("eyes", item), "already_reacted")
	wantError(t, bot.AddReaction("Not A Name", item), "invalid_name")
	got, err := bot.GetReactions(item, slack.NewGetReactionsParameters())
	if err != nil || len(got.Reactions) != 1 || got.Reactions[0].Count != 1 {
		t.Errorf("reactions.get: %+v, %v", got, err)
	}
	if err := bot.RemoveReaction("eyes", item); err != nil {
		t.Fatal(err)
	}
	s.event("reaction_removed", "")
	wantError(t, bot.RemoveReaction("eyes", item), "no_reaction")
	wantError(t, bot.AddReaction("eyes", slack.NewRefToMessage(s.channel("support"), "1.000000")), "message_not_found")
	link, err := bot.GetPermalink(&slack.PermalinkParameters{Channel: s.channel("support"), Ts: ts})
	if err != nil || !strings.HasSuffix(link, "/p"+strings.Replace(ts, ".", "", 1)) {
		t.Errorf("permalink %s, %v", link, err)
	}
}

// raw calls a method without a client library.
func (s *sim) raw(method, contentType, body string, header map[string]string) (int, http.Header, map[string]any) {
	s.t.Helper()
	req := must[*http.Request](s.t)(http.NewRequest(http.MethodPost, s.http.URL+"/api/"+method, strings.NewReader(body)))
	req.Header.Set("Content-Type", contentType)
	for key, value := range header {
		req.Header.Set(key, value)
	}
	resp := must[*http.Response](s.t)(s.web.Do(req))
	defer resp.Body.Close()
	out := map[string]any{}
	raw, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(raw, &out); err != nil {
		s.t.Fatalf("%s answers %s", method, raw)
	}
	return resp.StatusCode, resp.Header, out
}

func TestArgumentsComeInEveryForm(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	_, _ = s.user("ben")
	token := s.world.Teams[0].Users[1].Token
	channel := s.channel("support")
	bearer := map[string]string{"Authorization": "Bearer " + token}
	const blocks = `[{"type":"section","text":{"type":"mrkdwn","text":"hi"}}]`
	form := url.Values{"channel": {channel}, "text": {"hi"}, "blocks": {blocks}}
	withToken := url.Values{"channel": {channel}, "text": {"hi"}, "blocks": {blocks}, "token": {token}}
	jsonBody := `{"channel":"` + channel + `","text":"hi","blocks":` + blocks + `,"mrkdwn":true}`
	for name, try := range map[string]func() map[string]any{
		"form, header": func() map[string]any {
			_, _, out := s.raw("chat.postMessage", "application/x-www-form-urlencoded", form.Encode(), bearer)
			return out
		},
		"form, field": func() map[string]any {
			_, _, out := s.raw("chat.postMessage", "application/x-www-form-urlencoded", withToken.Encode(), nil)
			return out
		},
		"json, header": func() map[string]any {
			_, _, out := s.raw("chat.postMessage", "application/json; charset=utf-8", jsonBody, bearer)
			return out
		},
		"query": func() map[string]any {
			_, _, out := s.raw("chat.postMessage?"+withToken.Encode(), "", "", nil)
			return out
		},
	} {
		out := try()
		message, _ := out["message"].(map[string]any)
		if out["ok"] != true || message["text"] != "hi" || len(message["blocks"].([]any)) != 1 {
			t.Errorf("%s: %v", name, out)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	s.post("/control/install", object{"scopes": []string{"channels:read", "users:read"}}, nil)
	var app struct{ Installations []struct{ Token string } }
	s.get("/control/app", &app)
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	bot, person := bearer(app.Installations[0].Token), bearer(s.world.Teams[0].Users[1].Token)
	channel := s.channel("support")
	big := `[` + strings.TrimSuffix(strings.Repeat(`{"type":"divider"},`, 51), ",") + `]`
	for _, c := range []struct {
		method, body string
		header       map[string]string
		want         string
	}{
		{"auth.test", "", nil, "not_authed"},
		{"auth.test", "", bearer("xoxb-nobody"), "invalid_auth"},
		{"chat.nothing", "", person, "unknown_method"},
		{"chat.postMessage", `{"channel":"` + channel + `","text":"x"}`, bot, "missing_scope"},
		{"chat.postMessage", `{`, person, "invalid_json"},
		{"chat.postMessage", `[]`, person, "invalid_json"},
		{"chat.postMessage", `{"text":"x"}`, person, "invalid_arguments"},
		{"chat.postMessage", `{"channel":"C0","text":"x"}`, person, "channel_not_found"},
		{"chat.postMessage", `{"channel":"` + channel + `"}`, person, "no_text"},
		{"chat.postMessage", `{"channel":"` + channel + `","text":"x","thread_ts":"1.000000"}`, person, "thread_not_found"},
		{"chat.postMessage", `{"channel":"` + channel + `","text":"x","thread_ts":"now"}`, person, "invalid_thread_ts"},
		{"chat.postMessage", `{"channel":"` + channel + `","text":"x","markdown_text":"y"}`, person, "markdown_text_conflict"},
		{"chat.postMessage", `{"channel":"` + channel + `","blocks":"rubbish"}`, person, "invalid_blocks_format"},
		{"chat.postMessage", `{"channel":"` + channel + `","blocks":[{"type":"odd"}]}`, person, "invalid_blocks"},
		{"chat.postMessage", `{"channel":"` + channel + `","blocks":` + big + `}`, person, "invalid_blocks"},
		{"chat.postMessage", `{"channel":"` + channel + `","blocks":[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":""}]}]}]}`, person, "invalid_blocks"},
		{"chat.postMessage", `{"channel":"` + channel + `","text":"x","metadata":{"event_type":"t"}}`, person, "invalid_metadata_format"},
		{"chat.update", `{"channel":"` + channel + `","ts":"1.000000","text":"x"}`, person, "message_not_found"},
		{"conversations.info", `{"channel":"` + s.channel("escalations") + `"}`, bot, "channel_not_found"},
		{"conversations.list", `{"types":"private_channel"}`, bot, "missing_scope"},
		{"conversations.list", `{"types":"odd"}`, bot, "invalid_types"},
		{"conversations.list", `{"limit":"many"}`, bot, "invalid_limit"},
		{"apps.connections.open", "", bot, "not_allowed"},
		{"oauth.v2.access", `{"client_id":"1.2"}`, nil, "invalid_client_id"},
		{"files.info", `{"file":"F0"}`, person, "file_not_found"},
		{"team.info", `{"team":"T0NOBODY"}`, person, "team_not_found"},
	} {
		_, header, out := s.raw(c.method, "application/json", c.body, c.header)
		if out["ok"] != false || out["error"] != c.want {
			t.Errorf("%s %.80s: got %v, want %s", c.method, c.body, out, c.want)
		}
		if c.want == "missing_scope" && (out["needed"] == nil || out["provided"] != "channels:read,users:read" || header.Get("X-OAuth-Scopes") != "channels:read,users:read") {
			t.Errorf("missing_scope says %v, %v", out, header)
		}
	}
}
