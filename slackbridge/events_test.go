package slackbridge_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/store"
)

func TestEventsRefuse(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	body := encode(t, message(w, nil))
	head := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del(name)
			if value != "" {
				r.Header.Set(name, value)
			}
		}
	}
	signedAt := func(at time.Time) func(*http.Request) {
		return func(r *http.Request) { sign(r, signingSecret, at, body) }
	}
	const signature, stamp = "X-Slack-Signature", "X-Slack-Request-Timestamp"
	cut := func(f func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(signature, f(r.Header.Get(signature))) }
	}
	for _, c := range []struct {
		name   string
		body   []byte
		change func(*http.Request)
		want   int
	}{
		{"no signature", body, head(signature, ""), 401},
		{"no timestamp", body, head(stamp, ""), 401},
		{"wrong secret", body, func(r *http.Request) { sign(r, "another", d.now, body) }, 401},
		{"empty secret", body, func(r *http.Request) { sign(r, "", d.now, body) }, 401},
		{"v1=", body, cut(func(s string) string { return "v1=" + s[3:] }), 401},
		{"no version", body, cut(func(s string) string { return s[3:] }), 401},
		{"short", body, cut(func(s string) string { return s[:len(s)-2] }), 401},
		{"half a byte short", body, cut(func(s string) string { return s[:len(s)-1] }), 401},
		{"nothing but the version", body, head(signature, "v0="), 401},
		{"too long", body, cut(func(s string) string { return s + "00" }), 401},
		{"not hex", body, cut(func(s string) string { return s[:len(s)-1] + "g" }), 401},
		{"301 s old", body, signedAt(d.now.Add(-301 * time.Second)), 401},
		{"301 s early", body, signedAt(d.now.Add(301 * time.Second)), 401},
		{"timestamp of text", body, head(stamp, "now"), 401},
		{"timestamp with a fraction", body, head(stamp, "1795000000.5"), 401},
		{"timestamp too large", body, head(stamp, "99999999999999999999"), 401},
		{"negative timestamp", body, head(stamp, "-9223372036854775808"), 401},
		{"another timestamp", body, head(stamp, "1795000001"), 401},
		{"one byte changed", bytes.Replace(body, []byte("down"), []byte("town"), 1), func(r *http.Request) { sign(r, signingSecret, d.now, body) }, 401},
		{"unsigned url_verification", []byte(`{"type":"url_verification","challenge":"x"}`), head(signature, ""), 401},
		{"truncated", body[:len(body)-1], nil, 400},
		{"two objects", append(bytes.Clone(body), body...), nil, 400},
		{"null", []byte("null"), nil, 400},
		{"list", []byte("[]"), nil, 400},
		{"text", []byte(`"x"`), nil, 400},
		{"empty", nil, nil, 400},
		{"form", []byte("payload=%7B%7D"), nil, 400},
		{"url_verification without challenge", []byte(`{"type":"url_verification"}`), nil, 400},
		{"challenge of another type", []byte(`{"type":"url_verification","challenge":[1]}`), nil, 400},
		{"gzip", body, head("Content-Encoding", "gzip"), 415},
		{"unknown encoding", body, head("Content-Encoding", "x"), 415},
		{"over 1 MB", []byte(`{"a":"` + strings.Repeat("a", 1<<20) + `"}`), nil, 413},
		{"over 1 MB without a length", []byte(`{"a":"` + strings.Repeat("a", 1<<20) + `"}`), func(r *http.Request) { r.ContentLength = -1 }, 413},
		{"GET", nil, func(r *http.Request) { r.Method = http.MethodGet }, 405},
	} {
		change := []func(*http.Request){}
		if c.change != nil {
			change = append(change, c.change)
		}
		if got, _ := d.post(c.body, change...); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if rows := d.rows(w); len(rows) != 0 {
		t.Errorf("%d events were stored", len(rows))
	}
	if n := d.counted("bad_signature"); n != 20 {
		t.Errorf("%d bad signatures were counted, want 20", n)
	}
}

func TestEventsAccept(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	if status, text := d.post([]byte(`{"token":"x","challenge":"3eZbrw1aBm2rZg","type":"url_verification"}`)); status != 200 || text != "3eZbrw1aBm2rZg" {
		t.Errorf("url_verification: %d %q", status, text)
	}
	for name, change := range map[string]func(*http.Request){
		"300 s old":   func(r *http.Request) { resign(t, d, r, -300) },
		"300 s early": func(r *http.Request) { resign(t, d, r, 300) },
		"lower case": func(r *http.Request) {
			for _, name := range []string{"X-Slack-Signature", "X-Slack-Request-Timestamp"} {
				r.Header[strings.ToLower(name)] = r.Header[name]
				delete(r.Header, name)
			}
		},
		"identity": func(r *http.Request) { r.Header.Set("Content-Encoding", "identity") },
		"retry": func(r *http.Request) {
			r.Header.Set("X-Slack-Retry-Num", "1")
			r.Header.Set("X-Slack-Retry-Reason", "http_timeout")
		},
	} {
		if status, text := d.post(encode(t, message(w, nil)), change); status != 200 || text != "" {
			t.Errorf("%s: %d %q", name, status, text)
		}
	}
	if rows := d.rows(w); len(rows) != 5 {
		t.Errorf("%d events were stored, want 5", len(rows))
	}
}

// resign signs a request's body anew, some seconds from now.
func resign(t *testing.T, d *door, r *http.Request, seconds int) {
	body, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	sign(r, signingSecret, d.now.Add(time.Duration(seconds)*time.Second), b.Bytes())
}

func TestNoSecretNoEvents(t *testing.T) {
	t.Parallel()
	const challenge = `{"type":"url_verification","challenge":"x"}`
	h := slackbridge.NewEvents(slackbridge.EventsOptions{Now: time.Now, Count: func(string) {}})
	r, w := httptest.NewRequest(http.MethodPost, "/slack/events", strings.NewReader(challenge)), httptest.NewRecorder()
	sign(r, "", time.Now(), []byte(challenge))
	h.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("a signature by no secret: %d, want 401", w.Code)
	}
}

func TestEventsDrop(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	elsewhere := w
	elsewhere.link.SlackChannelID = slackID("C")
	other := message(w, nil)
	other["api_app_id"] = "A0OTHER"
	strangers := object{
		"type": "event_callback", "team_id": slackID("T"), "api_app_id": appID, "event_id": slackID("Ev"), "event": object{"type": "app_uninstalled"},
		"authorizations": []object{{"team_id": slackID("T")}},
	}
	uninstalledElsewhere := envelope(w, object{"type": "app_uninstalled"})
	uninstalledElsewhere["api_app_id"] = "A0OTHER"
	inner := func(fields object) object { return envelope(w, fields) }
	channel := w.link.SlackChannelID
	for _, c := range []struct {
		name, count string
		body        object
	}{
		{"unwatched channel", "unwatched", message(elsewhere, nil)},
		{"another app's", "other_app", other},
		{"another app's uninstall", "other_app", uninstalledElsewhere},
		{"unknown team", "unknown_team", strangers},
		{"unknown type", "unknown_type", inner(object{"type": "brand_new", "channel": channel})},
		{"no inner event", "unknown_type", object{"type": "event_callback", "event_id": "Ev1", "api_app_id": appID}},
		{"unknown envelope", "unknown_envelope", object{"type": "brand_new"}},
		{"no type", "unknown_envelope", object{}},
		{"types of other types", "unknown_envelope", object{"type": 1, "event": []int{1}, "authorizations": "x", "event_id": object{}}},
		{"rate limited", "app_rate_limited", object{"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1, "api_app_id": appID}},
		{"unknown subtype", "unknown_subtype", message(w, object{"subtype": "brand_new"})},
		{"join", "subtype_channel_join", message(w, object{"subtype": "channel_join"})},
		{"topic", "subtype_channel_topic", message(w, object{"subtype": "channel_topic"})},
		{"message_replied", "subtype_message_replied", message(w, object{"subtype": "message_replied", "hidden": true})},
		{"message_replied without its subtype", "subtype_message_replied", message(w, object{"user": "", "hidden": true, "message": object{"ts": "1795000000.000100"}})},
		{"hidden", "hidden", message(w, object{"hidden": true})},
		{"ephemeral", "ephemeral", message(w, object{"is_ephemeral": true})},
		{"changed, without a message", "changed_without_message", message(w, object{"subtype": "message_changed", "message": []int{}})},
		{"changed, of a join", "subtype_channel_join", message(w, object{"subtype": "message_changed", "message": object{"subtype": "channel_join", "ts": "1.000000"}})},
		{"app_mention", "app_mention", inner(object{"type": "app_mention", "channel": channel, "user": "U1", "ts": "1795000000.000100"})},
		{"reaction to a file", "reaction_to_other", inner(object{"type": "reaction_added", "user": "U1", "reaction": "x", "item": object{"type": "file", "file": "F1"}})},
		{"reaction elsewhere", "unwatched", inner(object{"type": "reaction_added", "user": "U1", "reaction": "x", "item": object{"type": "message", "channel": "C0", "ts": "1.000000"}})},
		{"somebody joined", "member_not_us", inner(object{"type": "member_joined_channel", "user": "U0SOMEBODY", "channel": channel})},
	} {
		before := d.counted(c.count)
		if status, _ := d.post(encode(t, c.body)); status != 200 {
			t.Errorf("%s: %d, want 200", c.name, status)
		}
		if got := d.counted(c.count) - before; got != 1 {
			t.Errorf("%s: %s was counted %d times", c.name, c.count, got)
		}
	}
	if rows := d.rows(w); len(rows) != 0 {
		t.Errorf("stored: %+v", rows)
	}
	if n := d.counted("stored"); n != 0 {
		t.Errorf("%d were stored", n)
	}
}

func TestEventsStore(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	channel := w.link.SlackChannelID
	const root, reply = "1795000000.000100", "1795000050.000200"
	for _, c := range []struct {
		name, lane string
		body       []byte
	}{
		{"root", root, encode(t, message(w, nil))},
		{"reply", root, encode(t, message(w, object{"ts": reply, "thread_ts": root}))},
		{"file_share", root, encode(t, message(w, object{"subtype": "file_share", "thread_ts": root}))},
		{"me_message", root, encode(t, message(w, object{"subtype": "me_message"}))},
		{"broadcast", root, encode(t, message(w, object{"subtype": "thread_broadcast", "ts": reply, "thread_ts": root}))},
		{"bot_message", root, encode(t, message(w, object{"subtype": "bot_message", "bot_id": "B1", "user": nil}))},
		{"edit of a reply", root, encode(t, message(w, object{"subtype": "message_changed", "hidden": true, "ts": "1795000099.000000", "message": object{"ts": reply, "thread_ts": root}}))},
		{"edit whose thread only previous_message tells", root, encode(t, message(w, object{
			"subtype": "message_changed", "message": object{"user": "U1"}, "previous_message": object{"ts": reply, "thread_ts": root},
		}))},
		{"edit with previous_message []", reply, encode(t, message(w, object{"subtype": "message_changed", "message": object{"ts": reply}, "previous_message": []int{}}))},
		{"tombstone", root, encode(t, message(w, object{"subtype": "message_changed", "message": object{"subtype": "tombstone", "ts": root, "thread_ts": root}}))},
		{"delete", root, encode(t, message(w, object{"subtype": "message_deleted", "deleted_ts": reply, "previous_message": object{"ts": reply, "thread_ts": root}}))},
		{"delete without previous_message", reply, encode(t, message(w, object{"subtype": "message_deleted", "deleted_ts": reply}))},
		{"reaction", root, encode(t, envelope(w, object{"type": "reaction_added", "user": "U1", "reaction": "eyes", "item": object{"type": "message", "channel": channel, "ts": root}}))},
		{"reaction taken", root, encode(t, envelope(w, object{"type": "reaction_removed", "user": "U1", "reaction": "eyes", "item": object{"type": "message", "channel": channel, "ts": root}}))},
		{"NUL", root, bytes.Replace(encode(t, message(w, nil)), []byte("Is it"), []byte(`a\u0000b`), 1)},
		{"lone surrogate", root, bytes.Replace(encode(t, message(w, nil)), []byte("Is it"), []byte(`a\ud83db`), 1)},
		{"bytes that are no UTF-8", root, bytes.Replace(encode(t, message(w, nil)), []byte("Is it"), []byte("a\xff\xfeb"), 1)},
		{"40,000 characters", root, encode(t, message(w, object{"text": strings.Repeat("ä", 40_000)}))},
		{"right to left, joiners", root, encode(t, message(w, object{"text": "\u202eשלום\u202c 👨\u200d👩\u200d👧"}))},
		{"fields of other types", root, encode(t, message(w, object{"user": 7, "files": "none", "blocks": object{}, "edited": []int{}, "bot_profile": "x", "metadata": 1}))},
		{"no ts", "", encode(t, message(w, object{"ts": object{}, "event_ts": nil}))},
		{"a ts of another form", "", encode(t, message(w, object{"ts": strings.Repeat("9", 4000), "event_ts": "x\x00"}))},
	} {
		if status, _ := d.post(c.body); status != 200 {
			t.Errorf("%s: %d, want 200", c.name, status)
		}
		rows := d.rows(w)
		last := rows[len(rows)-1]
		if want := w.link.ID.String() + ":" + c.lane; last.Key != want || last.Queue != "INBOUND" || last.Items != 1 {
			t.Errorf("%s: %d items in lane %s %q, want one in %q", c.name, last.Items, last.Queue, last.Key, want)
		}
		if !bytes.Equal(last.Body, c.body) {
			t.Errorf("%s: stored as %.200q", c.name, last.Body)
		}
	}
	if woken := d.woken(); len(woken) == 0 || woken[0] != store.QueueInbound {
		t.Errorf("woken: %v", woken)
	}
}

func TestEventsOnce(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	body := encode(t, message(w, nil))
	for range 5 {
		if status, _ := d.post(body, func(r *http.Request) { r.Header.Set("X-Slack-Retry-Num", "2") }); status != 200 {
			t.Errorf("again: %d", status)
		}
	}
	atOnce := encode(t, message(w, nil))
	nameless := message(w, nil)
	delete(nameless, "event_id")
	long := message(w, nil)
	long["event_id"] = strings.Repeat("E", 5000)
	var wg sync.WaitGroup
	for range 20 {
		for _, b := range [][]byte{atOnce, encode(t, nameless), encode(t, long)} {
			wg.Go(func() {
				if status, _ := d.post(b); status != 200 {
					t.Errorf("at once: %d", status)
				}
			})
		}
	}
	wg.Wait()
	rows := d.rows(w)
	if len(rows) != 4 {
		t.Errorf("%d rows, want 4", len(rows))
	}
	for _, r := range rows {
		if r.Items != 1 {
			t.Errorf("event %.40s has %d items", r.EventID, r.Items)
		}
	}
	if stored, again := d.counted("stored"), d.counted("duplicate"); stored != 4 || again != 61 {
		t.Errorf("counted %d stored and %d duplicates, want 4 and 61", stored, again)
	}
}

// Slack delivers an event of a Connect channel once, though two tenants may watch their sides of it.
func TestEventsForTwoTenants(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	a := d.watch("")
	b, paused, gone, away := d.watch(a.link.SlackChannelID), d.watch(a.link.SlackChannelID), d.watch(a.link.SlackChannelID), d.watch(a.link.SlackChannelID)
	d.setState(paused, ochre.LinkPaused)
	d.setState(gone, ochre.LinkUnlinked)
	d.setState(away, ochre.LinkDisconnected)
	env := message(a, nil)
	env["authorizations"], env["team_id"], env["context_team_id"] = []object{{"team_id": "T0STRANGER"}}, "T0STRANGER", "T0STRANGER"
	for range 2 {
		if status, _ := d.post(encode(t, env)); status != 200 {
			t.Errorf("%d, want 200", status)
		}
	}
	for name, c := range map[string]struct {
		w    watched
		want int
	}{"watching": {a, 1}, "also watching": {b, 1}, "paused": {paused, 0}, "unlinked": {gone, 0}, "disconnected": {away, 0}} {
		if got := len(d.rows(c.w)); got != c.want {
			t.Errorf("%s: %d rows, want %d", name, got, c.want)
		}
	}
	for outcome, want := range map[string]int{"stored": 2, "duplicate": 2, "paused": 2, "disconnected": 2, "unwatched": 0} {
		if got := d.counted(outcome); got != want {
			t.Errorf("%s: counted %d, want %d", outcome, got, want)
		}
	}
}

func TestEventsTraffic(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	a := d.watch("")
	paused := d.watch(a.link.SlackChannelID)
	d.setState(paused, ochre.LinkPaused)
	for range 3 {
		d.post(encode(t, message(a, nil)))
	}
	d.close() // the Inbox writes its counters when it ends
	type numbers struct {
		Dropped int64
		LastAt  *time.Time
	}
	read := func(w watched) numbers {
		return query[numbers](d, "SELECT dropped_events, last_event_at FROM channel_links WHERE id = $1", w.link.ID.String())[0]
	}
	if n := read(a); n.Dropped != 0 || n.LastAt == nil || !n.LastAt.Equal(d.now) {
		t.Errorf("watching: %+v", n)
	}
	if n := read(paused); n.Dropped != 3 || n.LastAt != nil {
		t.Errorf("paused: %+v", n)
	}
}

func TestWorkspaceEvents(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w, other := d.watch(""), d.watch("")
	type item struct {
		Kind string
		Body []byte
	}
	items := func(w watched) []item {
		return query[item](d, `SELECT i.kind, i.payload FROM lane_items i JOIN lanes l ON l.id = i.lane_id
			WHERE l.tenant_id = $1 AND l.queue = 'JOB' AND l.key = $2 AND l.pending ORDER BY i.id`, w.link.TenantID.String(), "workspace:"+w.inst.SlackTeamID)
	}
	bare := envelope(w, object{"type": "app_uninstalled"})
	delete(bare, "authorizations")
	delete(bare, "context_team_id")
	foreignOuter := envelope(w, object{"type": "tokens_revoked", "tokens": object{"bot": []string{w.inst.BotUserID}}})
	foreignOuter["team_id"] = other.inst.SlackTeamID // the authorization says who is meant
	channel := w.link.SlackChannelID
	bodies := []object{
		bare, foreignOuter,
		envelope(w, object{"type": "channel_rename", "channel": object{"id": channel, "name": "x"}}),
		envelope(w, object{"type": "channel_id_changed", "old_channel_id": channel, "new_channel_id": "C0NEW"}),
		envelope(w, object{"type": "channel_archive", "channel": "C0UNLINKED"}),
		envelope(w, object{"type": "member_joined_channel", "channel": "C0UNLINKED", "user": w.inst.BotUserID}),
		envelope(w, object{"type": "group_left", "channel": channel}),
	}
	for i, b := range bodies {
		if status, _ := d.post(encode(t, b)); status != 200 {
			t.Errorf("%v: %d", b["event"], status)
		}
		got := items(w)
		if len(got) != i+1 || got[i].Kind != store.ItemWorkspace || !bytes.Equal(got[i].Body, encode(t, b)) {
			t.Fatalf("%v: stored %d items", b["event"], len(got))
		}
	}
	if got := items(other); len(got) != 0 {
		t.Errorf("another tenant got %d items", len(got))
	}
	ev, err := slackbridge.ParseWorkspaceEvent(items(w)[1].Body)
	if err != nil || ev.SlackTeamIDs[0] != w.inst.SlackTeamID || ev.AppID != appID || ev.At.Unix() != 1_795_000_000 || !bytes.Contains(ev.Inner, []byte("tokens_revoked")) {
		t.Errorf("parsed as %+v, %v", ev, err)
	}
	if woken := d.woken(); len(woken) != len(bodies) || woken[0] != store.QueueJob {
		t.Errorf("woken: %v", woken)
	}
}
