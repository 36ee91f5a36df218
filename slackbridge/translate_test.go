package slackbridge_test

import (
	"reflect"
	"testing"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge"
)

// ours is the installation that the events of these tests are seen from.
var ours = slackbridge.LinkContext{TeamID: "T0OURS", BotUserID: "U0BOT", BotID: "B0BOT", AppID: appID}

// translateInner translates an inner event; fields are added to a plain message of a customer.
func translateInner(t *testing.T, fields object) (desk.SlackEvent, string) {
	t.Helper()
	inner := object{"type": "message", "channel": "C1", "user": "U0CUSTOMER", "text": "Is it down?", "ts": "1795000000.000100", "event_ts": "1795000000.000100"}
	for k, v := range fields {
		if inner[k] = v; v == nil {
			delete(inner, k)
		}
	}
	env, err := slackbridge.ParseEnvelope(encode(t, object{"type": "event_callback", "event": inner}))
	if err != nil {
		t.Fatal(err)
	}
	return slackbridge.Translate(env, ours, names{})
}

func TestTranslateAuthor(t *testing.T) {
	t.Parallel()
	profile := object{"team": "T0THEIRS", "real_name": "Iris Lindqvist", "display_name": "iris", "name": "il", "image_72": "https://a.example/i.png"}
	type who struct {
		person, echo bool
		author       desk.Author
	}
	for _, c := range []struct {
		name   string
		fields object
		want   who
	}{
		{"no team", nil, who{true, false, desk.Author{UserID: "U0CUSTOMER"}}},
		{"own team", object{"team": "T0OURS"}, who{true, false, desk.Author{UserID: "U0CUSTOMER", TeamID: "T0OURS", TeamKnown: true}}},
		{"user_team before the rest", object{"user_team": "T0THEIRS", "source_team": "T1", "team": "T0OURS"}, who{true, false, desk.Author{UserID: "U0CUSTOMER", TeamID: "T0THEIRS", TeamKnown: true, IsExternal: true}}},
		{"source_team before team", object{"source_team": "T0THEIRS", "team": "T0OURS"}, who{true, false, desk.Author{UserID: "U0CUSTOMER", TeamID: "T0THEIRS", TeamKnown: true, IsExternal: true}}},
		{"the profile's before team, which is where it was posted", object{"user_profile": profile, "team": "T0OURS"}, who{true, false, desk.Author{
			UserID: "U0CUSTOMER", TeamID: "T0THEIRS", TeamKnown: true, IsExternal: true, Name: "Iris Lindqvist", AvatarURL: "https://a.example/i.png",
		}}},
		{"profile with a display name only", object{"user_profile": object{"real_name": " ", "display_name": "iris", "image_72": "http://a.example/i.png"}}, who{true, false, desk.Author{UserID: "U0CUSTOMER", Name: "iris"}}},
		{"empty profile", object{"user_profile": object{}}, who{true, false, desk.Author{UserID: "U0CUSTOMER"}}},
		{"profile of another type", object{"user_profile": []string{"x"}, "user_team": 7}, who{true, false, desk.Author{UserID: "U0CUSTOMER"}}},
		{"a person through some app", object{"bot_id": "B1", "app_id": "A1", "bot_profile": object{"id": "B1", "name": "CLI", "app_id": "A1", "team_id": "T0THEIRS"}}, who{true, false, desk.Author{
			UserID: "U0CUSTOMER", AppID: "A1", BotID: "B1", BotName: "CLI",
		}}},
		{"a person through our own app and bot id", object{"bot_id": "B0BOT", "app_id": appID}, who{true, false, desk.Author{UserID: "U0CUSTOMER", AppID: appID, BotID: "B0BOT"}}},
		{"our bot", object{"user": "U0BOT", "bot_id": "B0BOT", "app_id": appID, "username": "Ada"}, who{false, true, desk.Author{UserID: "U0BOT", AppID: appID, BotID: "B0BOT", BotName: "Ada"}}},
		{"our bot without a user", object{"user": nil, "subtype": "bot_message", "bot_id": "B0BOT", "username": "Ada"}, who{false, true, desk.Author{BotID: "B0BOT", BotName: "Ada"}}},
		{"our bot by its profile only", object{"user": nil, "bot_profile": object{"id": "B0BOT", "name": "Ochre"}}, who{false, true, desk.Author{BotID: "B0BOT", BotName: "Ochre"}}},
		{"our app at the other company", object{"user": nil, "bot_id": "B0THEIRS", "app_id": appID, "bot_profile": object{"team_id": "T0THEIRS"}}, who{false, false, desk.Author{
			BotID: "B0THEIRS", AppID: appID, TeamID: "T0THEIRS", TeamKnown: true, IsExternal: true,
		}}},
		{"another app", object{"user": nil, "subtype": "bot_message", "bot_id": "B1", "username": "Alerts", "team": "T0OURS"}, who{false, false, desk.Author{
			BotID: "B1", BotName: "Alerts", TeamID: "T0OURS", TeamKnown: true,
		}}},
		{"Slack itself", object{"user": "USLACKBOT"}, who{false, false, desk.Author{UserID: "USLACKBOT", BotName: "Slackbot"}}},
		{"nobody", object{"user": nil}, who{}},
		{"NUL", object{"user": "U\x00", "user_profile": object{"real_name": "a\x00b"}}, who{true, false, desk.Author{UserID: "U\uFFFD", Name: "a\uFFFDb"}}},
	} {
		ev, drop := translateInner(t, c.fields)
		if got := (who{ev.PersonPosted, ev.Echo, ev.Author}); drop != "" || got != c.want {
			t.Errorf("%s: %q\n%+v, want\n%+v", c.name, drop, got, c.want)
		}
	}
}

// An installation whose bot is not known takes nobody for it.
func TestTranslateUnknownBot(t *testing.T) {
	t.Parallel()
	env, err := slackbridge.ParseEnvelope(encode(t, object{"type": "event_callback", "event": object{"type": "message", "ts": "1795000000.000100", "text": "x"}}))
	if err != nil {
		t.Fatal(err)
	}
	if ev, drop := slackbridge.Translate(env, slackbridge.LinkContext{}, nil); drop != "" || ev.Echo || ev.PersonPosted || ev.Body != "x" {
		t.Errorf("%q %+v", drop, ev)
	}
}

func TestTranslateEdit(t *testing.T) {
	t.Parallel()
	const root, reply, edit = "1795000000.000100", "1795000050.000200", "1795000099.000300"
	message := func(fields object) object {
		m := object{"user": "U0CUSTOMER", "ts": reply, "thread_ts": root, "text": "a", "user_team": "T0THEIRS"}
		for k, v := range fields {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
		return m
	}
	blocks := func(id string) []object {
		return []object{{"type": "rich_text", "block_id": id, "elements": []object{{"type": "rich_text_section", "elements": []object{{"type": "text", "text": "a"}}}}}}
	}
	type want struct {
		kind             desk.SlackEventKind
		ts, thread, edit string
		changed          bool
	}
	for _, c := range []struct {
		name        string
		now, before any
		want        want
	}{
		{"edited", message(object{"text": "b", "edited": object{"user": "U0CUSTOMER", "ts": "1795000099.000000"}}), message(nil), want{desk.Edited, reply, root, "1795000099.000000", true}},
		{"a link got its preview", message(object{"attachments": []object{{"title": "x"}}}), message(nil), want{desk.Edited, reply, root, "", false}},
		{"a thread got a reply", message(object{"reply_count": 2}), message(object{"reply_count": 1}), want{desk.Edited, reply, root, "", false}},
		{"the same, keys in another order", message(object{"blocks": blocks("x")}), message(object{"blocks": blocks("x")}), want{desk.Edited, reply, root, "", false}},
		{"blocks absent and empty", message(object{"blocks": []object{}}), message(object{"blocks": nil}), want{desk.Edited, reply, root, "", false}},
		{"another block", message(object{"blocks": blocks("x")}), message(nil), want{desk.Edited, reply, root, "", true}},
		{"another file", message(object{"files": []object{{"id": "F2"}}}), message(object{"files": []object{{"id": "F1"}}}), want{desk.Edited, reply, root, "", true}},
		{"a file got its thumbnail", message(object{"files": []object{{"id": "F1", "thumb_64": "x"}}}), message(object{"files": []object{{"id": "F1"}}}), want{desk.Edited, reply, root, "", false}},
		{"previous_message []", message(nil), []int{}, want{desk.Edited, reply, root, "", true}},
		{"no previous_message", message(nil), nil, want{desk.Edited, reply, root, "", true}},
		{"no ts in message", message(object{"ts": nil, "thread_ts": nil, "text": "b"}), message(nil), want{desk.Edited, reply, root, "", true}},
		{"edited {}", message(object{"edited": object{}}), message(nil), want{desk.Edited, reply, root, "", false}},
		{"tombstone", message(object{"subtype": "tombstone", "user": "USLACKBOT", "ts": root, "thread_ts": root}), message(object{"ts": root}), want{desk.Deleted, root, root, "", false}},
		{"tombstone without a ts", message(object{"subtype": "tombstone", "ts": nil, "thread_ts": nil}), message(object{"ts": root}), want{desk.Deleted, root, root, "", false}},
	} {
		ev, drop := translateInner(t, object{"subtype": "message_changed", "hidden": true, "user": nil, "text": nil, "ts": edit, "event_ts": edit, "message": c.now, "previous_message": c.before})
		got := want{ev.Kind, ev.TS, ev.ThreadTS, ev.EditTS, ev.ChangedContent}
		if drop != "" || got != c.want || ev.EventTS != edit || !ev.ThreadKnown || ev.Tombstone != (ev.Kind == desk.Deleted) {
			t.Errorf("%s: %q %+v, want %+v", c.name, drop, ev, c.want)
		}
		if ev.Kind == desk.Edited && (ev.Author.TeamID != "T0THEIRS" || !ev.PersonPosted) {
			t.Errorf("%s: the author is %+v, want the one of the message", c.name, ev.Author)
		}
	}
}

func TestTranslateDelete(t *testing.T) {
	t.Parallel()
	const root, reply, gone = "1795000000.000100", "1795000050.000200", "1795000099.000300"
	for _, c := range []struct {
		name   string
		fields object
		want   desk.SlackEvent
		drop   string
	}{
		{"a reply", object{"deleted_ts": reply, "previous_message": object{"ts": reply, "thread_ts": root, "user": "U1"}}, desk.SlackEvent{TS: reply, ThreadTS: root, ThreadKnown: true, Author: desk.Author{UserID: "U1"}}, ""},
		{"a root", object{"deleted_ts": root, "previous_message": object{"ts": root}}, desk.SlackEvent{TS: root, ThreadTS: root, ThreadKnown: true}, ""},
		{"without previous_message", object{"deleted_ts": reply}, desk.SlackEvent{TS: reply, ThreadTS: reply}, ""},
		{"previous_message []", object{"deleted_ts": reply, "previous_message": []int{}}, desk.SlackEvent{TS: reply, ThreadTS: reply}, ""},
		{"without deleted_ts", object{"previous_message": object{"ts": reply, "thread_ts": root}}, desk.SlackEvent{TS: reply, ThreadTS: root, ThreadKnown: true}, ""},
		{"our own", object{"deleted_ts": reply, "previous_message": object{"ts": reply, "thread_ts": root, "user": "U0BOT"}}, desk.SlackEvent{
			TS: reply, ThreadTS: root, ThreadKnown: true, Echo: true, Author: desk.Author{UserID: "U0BOT"},
		}, ""},
		{"without any ts", object{"previous_message": object{"text": "x"}}, desk.SlackEvent{}, "bad_ts"},
	} {
		c.fields["subtype"], c.fields["hidden"], c.fields["ts"], c.fields["event_ts"], c.fields["user"] = "message_deleted", true, gone, gone, nil
		got, drop := translateInner(t, c.fields)
		if c.drop == "" {
			c.want.Kind, c.want.EventTS = desk.Deleted, gone
		}
		if drop != c.drop || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q\n%+v, want\n%+v", c.name, drop, got, c.want)
		}
	}
}

func TestTranslateContent(t *testing.T) {
	t.Parallel()
	size := int64(3)
	for _, c := range []struct {
		name   string
		fields object
		want   desk.SlackEvent
	}{
		{"mentions", object{"text": "<@U0KNOWN> and <@U0OTHER> in <#C0KNOWN>"}, desk.SlackEvent{Body: "@Iris and @U0OTHER in #support", UnknownMentions: []string{"U0OTHER"}}},
		{"NUL", object{"text": "a\x00b"}, desk.SlackEvent{Body: "a\uFFFDb"}},
		{"metadata", object{"metadata": object{"event_type": "ochre_message", "event_payload": object{"message_id": "msg_1"}}}, desk.SlackEvent{Body: "Is it down?", MessageID: "msg_1"}},
		{"another's metadata", object{"metadata": object{"event_type": "ticket", "event_payload": object{"message_id": "msg_1"}}}, desk.SlackEvent{Body: "Is it down?"}},
		{"metadata of another type", object{"metadata": object{"event_type": "ochre_message", "event_payload": "x"}}, desk.SlackEvent{Body: "Is it down?"}},
		{"files", object{"files": []any{
			object{"id": "F1", "name": "a.txt", "mimetype": "text/plain", "size": 3, "url_private": "https://f/a", "url_private_download": "https://f/d/a", "mode": "hosted"},
			object{"id": "F2", "mode": "file_access", "file_access": "check_file_info", "created": 0},
			object{"id": "F3", "mode": "tombstone", "name": "gone"}, object{"id": "F4", "mode": "hidden_by_limit", "name": "old"},
			object{"id": "F5", "mode": "external", "is_external": true, "title": "Sheet", "url_private": "https://docs.example/x"},
			object{"id": "F6", "file_access": "access_denied"}, object{"id": "F7", "size": -1, "url_private": "https://f/b", "title": "b"},
			object{"id": "F1"}, object{"name": "no id"}, "no file", nil,
		}}, desk.SlackEvent{Body: "Is it down?", Files: []desk.SlackFile{
			{SlackID: "F1", Name: "a.txt", MimeType: "text/plain", Size: &size, URL: "https://f/d/a", State: ochre.AttachmentAvailable},
			{SlackID: "F2", State: ochre.AttachmentPending}, {SlackID: "F3", State: ochre.AttachmentDeleted}, {SlackID: "F4", Name: "old", State: ochre.AttachmentDenied},
			{SlackID: "F5", Name: "Sheet", State: ochre.AttachmentDenied}, {SlackID: "F6", State: ochre.AttachmentDenied},
			{SlackID: "F7", Name: "b", URL: "https://f/b", State: ochre.AttachmentAvailable},
		}}},
		{"one file, as in old apps", object{"file": object{"id": "F1"}}, desk.SlackEvent{Body: "Is it down?", Files: []desk.SlackFile{{SlackID: "F1", State: ochre.AttachmentPending}}}},
	} {
		got, drop := translateInner(t, c.fields)
		c.want.Original = got.Original
		c.want.Kind, c.want.TS, c.want.ThreadTS, c.want.EventTS, c.want.ThreadKnown = desk.Posted, "1795000000.000100", "1795000000.000100", "1795000000.000100", true
		c.want.PersonPosted, c.want.Author = true, desk.Author{UserID: "U0CUSTOMER"}
		if drop != "" || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q\n%+v, want\n%+v", c.name, drop, got, c.want)
		}
	}
}

func TestTranslateMessage(t *testing.T) {
	t.Parallel()
	const ts = "1795000000.000100"
	for _, c := range []struct {
		name, raw, drop string
		kind            desk.SlackEventKind
		eventTS         string
	}{
		{"plain", `{"type":"message","user":"U1","text":"a","ts":"` + ts + `"}`, "", desk.Posted, ts},
		{"edited", `{"user":"U1","text":"a","ts":"` + ts + `","edited":{"ts":"1795000009.000000"}}`, "", desk.Edited, "1795000009.000000"},
		{"tombstone", `{"subtype":"tombstone","user":"USLACKBOT","ts":"` + ts + `","thread_ts":"` + ts + `"}`, "", desk.Deleted, ts},
		{"join", `{"subtype":"channel_join","user":"U1","ts":"` + ts + `"}`, "subtype_channel_join", "", ""},
		{"no ts", `{"user":"U1"}`, "bad_ts", "", ""},
		{"no message", `[]`, "unreadable", "", ""},
	} {
		ev, drop := slackbridge.TranslateMessage([]byte(c.raw), ours, nil)
		if drop != c.drop || ev.Kind != c.kind || ev.EventTS != c.eventTS {
			t.Errorf("%s: %q %+v", c.name, drop, ev)
		}
	}
}

func TestTranslateRoot(t *testing.T) {
	t.Parallel()
	const root, reply = "1795000000.000100", "1795000050.000200"
	broadcast := func(rootFields object) *desk.SlackEvent {
		ev, drop := translateInner(t, object{"subtype": "thread_broadcast", "ts": reply, "thread_ts": root, "root": rootFields})
		if drop != "" || ev.ThreadTS != root || ev.TS != reply {
			t.Fatalf("%q %+v", drop, ev)
		}
		return ev.Root
	}
	got := broadcast(object{"ts": root, "thread_ts": root, "user": "U1", "text": "the *root*", "root": object{"ts": root, "user": "U1"}})
	if got == nil || got.TS != root || got.ThreadTS != root || got.Body != "the **root**" || got.Root != nil {
		t.Errorf("the root is %+v", got)
	}
	for name, fields := range map[string]object{
		"another message": {"ts": "1795000001.000100", "user": "U1"}, "nobody's": {"ts": root}, "none": {}, "of another kind": {"ts": root, "user": "U1", "subtype": "channel_join"},
	} {
		if got := broadcast(fields); got != nil {
			t.Errorf("%s: the root is %+v, want none", name, got)
		}
	}
}
