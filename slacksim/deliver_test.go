package slacksim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

var quickly = []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}

func say(t *testing.T, s *sim, who, channel, text string) string {
	t.Helper()
	_, client := s.user(who)
	_, ts, err := client.PostMessage(s.channel(channel), slack.MsgOptionText(text, false))
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func TestFailedDeliveriesAreRetriedThreeTimes(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{false, true} {
		t.Run(strconv.FormatBool(same), func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			s := start(t, Config{RetryDelays: quickly, Now: clock.Now, Switches: Switches{RetrySameSignature: same}})
			s.install("support")
			s.app.answerWith(func(w http.ResponseWriter, _ *http.Request) {
				clock.pass(time.Second)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			say(t, s, "ben", "support", "hello")
			s.idle()
			if len(s.app.got) != 4 {
				t.Fatalf("%d attempts", len(s.app.got))
			}
			first := <-s.app.got
			for n := 1; n <= 3; n++ {
				retry := <-s.app.got
				if string(retry.body) != string(first.body) || retry.header.Get("X-Slack-Retry-Num") != strconv.Itoa(n) || retry.header.Get("X-Slack-Retry-Reason") != "http_error" {
					t.Errorf("retry %d: headers %v", n, retry.header)
				}
				if (retry.header.Get("X-Slack-Signature") == first.header.Get("X-Slack-Signature")) != same {
					t.Errorf("retry %d: the signature is not as the switch says", n)
				}
			}
			if first.header.Get("X-Slack-Retry-Num") != "" {
				t.Error("the first attempt says that it is a retry")
			}
		})
	}
}

func TestRetriesEndWithSuccessOrNoRetry(t *testing.T) {
	t.Parallel()
	s := start(t, Config{RetryDelays: quickly})
	s.install("support")
	s.app.answerWith(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Slack-Retry-Num") == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	say(t, s, "ben", "support", "one")
	s.idle()
	if n := len(s.app.got); n != 2 {
		t.Errorf("%d attempts until success", n)
	}
	s.drain()
	s.app.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Slack-No-Retry", "1")
		w.WriteHeader(http.StatusInternalServerError)
	})
	say(t, s, "ben", "support", "two")
	s.idle()
	if n := len(s.app.got); n != 1 {
		t.Errorf("%d attempts in spite of no-retry", n)
	}
}

func TestSlowAnswersAndEndlessRedirectsFail(t *testing.T) {
	t.Parallel()
	s := start(t, Config{RetryDelays: quickly[:1], AckTimeout: 30 * time.Millisecond})
	s.install("support")
	s.app.answerWith(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	say(t, s, "ben", "support", "slow")
	s.idle()
	s.app.answerWith(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	})
	say(t, s, "ben", "support", "redirected")
	s.idle()
	var outcomes []string
	for _, one := range s.deliveries() {
		if one.Type == "message" && one.Outcome != "ok" {
			outcomes = append(outcomes, one.Outcome)
		}
	}
	if want := []string{"http_timeout", "http_timeout", "too_many_redirects", "too_many_redirects"}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %v, want %v", outcomes, want)
	}
}

func TestOneDeliveryThoughInstalledTwice(t *testing.T) {
	t.Parallel()
	for authorized, wantTeam := range map[string]int{"last": 1, "first": 0, "source": 1, "other": 0} {
		t.Run(authorized, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{Switches: Switches{Authorized: authorized}})
			s.install("globex-ochre")
			s.post("/control/install", object{"team": "globex"}, nil)
			s.post("/control/invite", object{"team": "globex", "channel": "globex-ochre"}, nil)
			s.idle()
			s.drain()
			say(t, s, "iris", "globex-ochre", "hello")
			s.idle()
			if n := len(s.app.got); n != 1 {
				t.Fatalf("%d deliveries", n)
			}
			got := <-s.app.got
			if auths := got.env.Authorizations; len(auths) != 1 || auths[0].TeamID != s.world.Teams[wantTeam].ID {
				t.Errorf("authorizations %+v", auths)
			}
			var control struct{ App struct{ AppToken string } }
			s.get("/control/app", &control)
			all, err := slack.New("", slack.OptionAppLevelToken(control.App.AppToken), slack.OptionAPIURL(s.http.URL+"/api/"), slack.OptionHTTPClient(s.web)).
				ListEventAuthorizations(got.env.EventContext)
			if err != nil || len(all) != 2 {
				t.Errorf("apps.event.authorizations.list: %v, %v", all, err)
			}
		})
	}
}

func TestOnlyMembersWithTheScopeHear(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	s.post("/control/install", object{"scopes": []string{"channels:history"}}, nil)
	s.post("/control/invite", object{"channel": "support"}, nil)
	s.post("/control/invite", object{"channel": "escalations"}, nil)
	s.idle()
	s.drain()
	ts := say(t, s, "ada", "support", "heard")
	say(t, s, "ada", "globex-ochre", "the bot is no member")
	say(t, s, "ada", "escalations", "the scope groups:history lacks")
	_, ada := s.user("ada")
	if err := ada.AddReaction("eyes", slack.NewRefToMessage(s.channel("support"), ts)); err != nil {
		t.Fatal(err)
	}
	s.idle()
	if n := len(s.app.got); n != 1 {
		t.Errorf("%d events came", n)
	}
}

func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string][]string{
		"double":     {"one", "one", "two"},
		"reorder":    {"two", "one"},
		"drop_first": {"one", "two"},
		"drop":       {"two"},
		"delay":      {"two", "one"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{RetryDelays: quickly})
			s.install("support")
			s.post("/control/faults", object{"event": true, "type": "message", "kind": kind, "delayMs": 200}, nil)
			say(t, s, "ben", "support", "one")
			if kind != "reorder" && kind != "delay" {
				s.idle()
			}
			say(t, s, "ben", "support", "two")
			s.idle()
			var texts []string
			ids := map[string]bool{}
			for len(s.app.got) > 0 {
				one := <-s.app.got
				texts = append(texts, one.env.Event["text"].(string))
				ids[one.env.EventID] = true
				if retried := one.header.Get("X-Slack-Retry-Num") == "1"; retried != (kind == "drop_first" && len(texts) == 1) {
					t.Errorf("%v: retried is %v", texts, retried)
				}
			}
			if !slices.Equal(texts, want) {
				t.Errorf("got %v, want %v", texts, want)
			}
			if kind == "double" && len(ids) != 2 {
				t.Errorf("the doubled event has ids %v", ids)
			}
		})
	}
}

func TestCloseGivesUpWhatWaits(t *testing.T) {
	t.Parallel()
	s := start(t, Config{EventsURL: "http://127.0.0.1:9/nobody"}) // retries wait for a minute
	s.post("/control/install", object{}, nil)
	s.post("/control/invite", object{"channel": "support"}, nil)
	say(t, s, "ben", "support", "to nobody")
} // stopped by the test's cleanup; goleak sees what is left

func TestRawEventIsDeliveredAsItIs(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	s.install("support")
	const odd = `{"type":"odd","z":"\ud800 \u0000 <","a":[],"n":1.50}`
	s.post("/control/event", object{"channel": "support", "event": json.RawMessage(odd)}, nil)
	got := s.event("odd", "")
	verify(t, s, got)
	if !bytes.Contains(got.body, []byte(odd)) {
		t.Errorf("delivered %s", got.body)
	}
}

func TestVerifyAsksForTheChallenge(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	var told struct{ Verified bool }
	if s.post("/control/verify", nil, &told); told.Verified {
		t.Error("an empty answer verifies")
	}
	verify(t, s, <-s.app.got)
	s.app.answerEcho()
	if s.post("/control/verify", nil, &told); !told.Verified {
		t.Error("the challenge doesn't verify")
	}
}
