package slackbridge_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/slackbridge"
)

// seed adds the recorded events, in the channel given, and some bodies that have been trouble elsewhere.
func seed(f *testing.F, channel string) {
	f.Helper()
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no recorded events: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.ReplaceAll(body, []byte(`"C111"`), []byte(`"`+channel+`"`)))
	}
	for _, text := range []string{
		`{"type":"event_callback","event_id":"a\u0000","event":{"type":"message","channel":"` + channel + `","ts":"1.000001","text":"\u0000\ud800","user":"\u0000"}}`,
		`{"type":"event_callback","event":{"type":"message","channel":"` + channel + `","ts":"\u0000","thread_ts":"99999999999.999999"}}`,
		`{"type":"event_callback","event":{"type":"message","channel":"` + channel + `","subtype":"message_changed","message":{"ts":"1.000001"},"previous_message":[]}}`,
		`{"type":"event_callback","team_id":"\u0000","event":{"type":"channel_rename","channel":{"id":"\u0000"}}}`,
		`{"type":"event_callback","event":{"type":"member_joined_channel","user":"\u0000","channel":7}}`,
		`{"TYPE":"event_callback","type":1,"event":[],"authorizations":[null,{"team_id":null}]}`, `null`, `[]`, ``, `{"event":` + strings.Repeat(`{"event":`, 200),
	} {
		f.Add([]byte(text))
	}
}

// FuzzEvent: whatever Slack signs, a database that is well takes it or we say that it is no event.
func FuzzEvent(f *testing.F) {
	d := openDoor(f)
	w := d.watch("C0FUZZ" + slackID(""))
	seed(f, w.link.SlackChannelID)
	h := slackbridge.NewEvents(slackbridge.EventsOptions{SigningSecret: signingSecret, Inbox: d.inbox, Now: d.clock, Count: d.count, Log: d.log})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/slack/events", bytes.NewReader(body))
		sign(r, signingSecret, d.now, body)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		isObject := json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
		switch {
		case answer.Code == 200 && isObject, answer.Code == 400 && !isObject, answer.Code == 413 && len(body) > 1<<20:
		case answer.Code == 400 && bytes.Contains(body, []byte("url_verification")):
		default:
			t.Errorf("answered %d", answer.Code)
		}
	})
}

// FuzzTranslate: what comes out can be stored, and is the same each time.
func FuzzTranslate(f *testing.F) {
	seed(f, "C111")
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := slackbridge.ParseEnvelope(body)
		if err != nil {
			return
		}
		ev, drop := slackbridge.Translate(env, ours, names{})
		again, dropAgain := slackbridge.Translate(env, ours, names{})
		if drop != dropAgain || !reflect.DeepEqual(ev, again) {
			t.Error("translated differently a second time")
		}
		if drop != "" {
			return
		}
		for _, ts := range []string{ev.TS, ev.ThreadTS, ev.EventTS} {
			if _, err := ochre.PositionOf(ts); err != nil {
				t.Error(err)
			}
		}
		storable(t, reflect.ValueOf(ev))
	})
}

// storable checks that every text is valid UTF-8 without NUL, and that what should be JSON is.
func storable(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("%q can't be stored", s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			storable(t, v.Field(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			storable(t, v.Elem())
		}
	case reflect.Slice:
		if b, ok := v.Interface().([]byte); ok {
			if b != nil && !json.Valid(b) {
				t.Errorf("%q is no JSON", b)
			}
			return
		}
		for i := range v.Len() {
			storable(t, v.Index(i))
		}
	}
}
