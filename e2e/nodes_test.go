//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ochrehq/ochre/internal/testenv"
)

// TestTwoNodes posts to one node and watches at the other, with Redis, without it, and with it again.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	redis := testenv.OwnRedis(t)
	w, ochre := setUp(t, config{redis: redis.URL()})
	other := w.startNodeAside()
	_, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	inbox := ochre.at(other.url).opens("")
	inbox.caughtUp()
	nodesSay := func(text string, times int) {
		t.Helper()
		for _, n := range []*node{w.node, other} {
			eventually(t, text, func() string { return differs("how often a node said so", strings.Count(n.logs.text(), text), times) })
		}
	}
	show := func(how, text string, limit time.Duration) {
		t.Helper()
		began := time.Now()
		iris.posts(channel, text)
		inbox.seesConversation(text)
		took := time.Since(began)
		t.Logf("posted to one node, seen at the other %s: %d ms", how, took.Milliseconds())
		if took > limit {
			t.Errorf("%s it took %s to be seen", how, took)
		}
	}
	nodesSay("redis is there", 1)
	show("with Redis", "first", 10*time.Second)
	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	show("right after Redis was stopped", "second", 10*time.Second)
	nodesSay("redis is silent", 1)
	show("without Redis", "third", 10*time.Second)
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	nodesSay("redis is there", 2)
	show("with Redis again", "fourth", 10*time.Second)
	if err := redis.Pause(); err != nil {
		t.Fatal(err)
	}
	show("with a frozen Redis", "fifth", 10*time.Second)
	nodesSay("redis is silent", 2)
	if err := redis.Continue(); err != nil {
		t.Fatal(err)
	}
	nodesSay("redis is there", 3)
	if got := len(ochre.conversations()); got != 5 {
		t.Errorf("there are %d conversations", got)
	}
}

// TestStartWithoutRedis is a node whose Redis comes only later.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := testenv.OwnRedis(t)
	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	w, ochre := setUp(t, config{redis: redis.URL()})
	_, channel := ochre.watch("globex-ochre", "Globex")
	inbox := ochre.opens("")
	inbox.caughtUp()
	w.slack.person("iris").posts(channel, "no Redis yet")
	inbox.seesConversation("no Redis yet")
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node joins", func() string {
		return differs("seen", strings.Contains(w.node.logs.text(), `"redis is there"`), true)
	})
}

// TestScreenOutlivesNodes kills and stops the node that a screen is at, while messages go on coming: at the next node it goes on by its cursor, and in the end
// it has seen every message once, in order.
func TestScreenOutlivesNodes(t *testing.T) {
	t.Parallel()
	w, ochre := setUp(t, config{})
	_, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	question := iris.posts(channel, "message 0")
	c := ochre.conversationOf("message 0")
	inbox := ochre.opens("")
	inbox.caughtUp()

	var seen, want []string
	take := func(until string) {
		t.Helper()
		for len(seen) == 0 || seen[len(seen)-1] != until {
			if e := inbox.next(); e.Typename == "TimelineEntryAdded" && e.Entry.Typename == "Message" {
				seen = append(seen, e.Entry.Body)
			}
		}
	}
	say := func() {
		t.Helper()
		text := fmt.Sprintf("message %d", len(want)+1)
		iris.answers(channel, question, text)
		want = append(want, text)
		w.slack.delivered() // Slack promises no order; the test wants one
		eventually(t, text+" is applied", func() string {
			return differs("the number of messages", len(ochre.conversation(c.ID).messages()), len(want)+1)
		})
	}
	for round := range 3 {
		say()
		take(want[len(want)-1])
		say() // maybe seen, maybe not
		next := w.startNodeAside()
		if round == 1 {
			w.node.stop()
			<-inbox.closed
			if inbox.status != websocket.StatusServiceRestart {
				t.Errorf("a node that is told to end closes its sockets with %d, want 1012", inbox.status)
			}
		} else {
			w.node.kill()
			<-inbox.closed
		}
		w.node = next
		w.balancer.send(next.url)
		say()
		inbox = ochre.opens(inbox.last)
	}
	take(want[len(want)-1])
	if !slices.Equal(seen, want) {
		t.Errorf("the screen saw %q, want %q", seen, want)
	}
}

// TestPostgresGoesAway freezes and stops PostgreSQL: what can't be stored is not acknowledged, who asks is told at once, and afterwards all goes on.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	w, ochre := setUp(t, config{database: pg.URL("ochre"), retries: []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second}})
	_, channel := ochre.watch("globex-ochre", "Globex")
	iris := w.slack.person("iris")
	question := iris.posts(channel, "before")
	c := ochre.conversationOf("before")
	w.quiet()
	inbox := ochre.opens("")
	inbox.caughtUp()

	for _, way := range []struct {
		name       string
		away, back func() error
	}{
		{"frozen", pg.Pause, pg.Continue},
		{"stopped", pg.Stop, func() error { return pg.Restart(t.Context()) }},
		{"killed", pg.Kill, func() error { return pg.Restart(t.Context()) }},
	} {
		if err := way.away(); err != nil {
			t.Fatal(err)
		}
		iris.answers(channel, question, "while "+way.name)
		began := time.Now()
		status, problems, err := ochre.try(`{ latestEventCursor }`, nil, nil)
		took := time.Since(began)
		t.Logf("with PostgreSQL %s GraphQL answers %d after %d ms", way.name, status, took.Milliseconds())
		if err != nil || status != http.StatusServiceUnavailable || len(problems) != 1 || problems[0].Extensions.Code != "UNAVAILABLE" || took > 3*time.Second {
			t.Errorf("with PostgreSQL %s GraphQL answers %d, %+v, %v after %s", way.name, status, problems, err, took)
		}
		eventually(t, "Slack is refused", func() string {
			for _, d := range w.slack.deliveries() {
				if d.Status == http.StatusServiceUnavailable && strings.Contains(d.Body, "while "+way.name) {
					return ""
				}
			}
			return "no delivery was answered with 503"
		})
		if err := way.back(); err != nil {
			t.Fatal(err)
		}
		w.slack.delivered()
		eventually(t, "the message that was refused", func() string {
			ms := ochre.conversation(c.ID).messages()
			return differs("the newest", ms[len(ms)-1].Body, "while "+way.name)
		})
	}
	ochre.delivery(c.ID, ochre.reply(c.ID, "after all"), "SENT")
	again := ochre.opens(inbox.last)
	for _, text := range []string{"while frozen", "while stopped", "while killed", "after all"} {
		again.seesMessage(text)
	}
	w.everythingApplied(channel)
}
