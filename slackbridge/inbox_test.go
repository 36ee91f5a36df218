package slackbridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/slackbridge"
)

// answerLimit is what bad-tempered databases may cost Slack.
const answerLimit = 2500 * time.Millisecond

func (d *door) postInTime(body []byte, want int) {
	d.t.Helper()
	begin := time.Now()
	status, _ := d.post(body)
	if took := time.Since(begin); status != want || took > answerLimit {
		d.t.Errorf("answered %d after %s, want %d within %s", status, took, want, answerLimit)
	}
}

func TestEventsWithoutDatabase(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	d := openDoorOn(t, pg.URL("ochre"))
	w := d.watch("")
	body := encode(t, message(w, nil))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	must(pg.Pause()) // it answers nothing, and connections stay open
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { d.postInTime(body, http.StatusServiceUnavailable) })
	}
	wg.Wait()
	must(pg.Continue())
	d.postUntilStored(body)

	must(pg.Stop())
	d.postInTime(encode(t, message(w, nil)), http.StatusServiceUnavailable)
	d.postInTime(encode(t, message(w, nil)), http.StatusServiceUnavailable)
	must(pg.Restart(t.Context()))
	next := encode(t, message(w, nil))
	d.postUntilStored(next)

	must(pg.Kill())
	d.postInTime(encode(t, message(w, nil)), http.StatusServiceUnavailable)
	must(pg.Restart(t.Context()))
	d.postUntilStored(next) // what was acknowledged before is there: this is a repeat
	if rows := d.rows(w); len(rows) != 2 {
		t.Errorf("%d rows, want the two that were acknowledged", len(rows))
	}
}

// postUntilStored sends an event again until it is taken, as Slack does; a pool may hold connections that are dead.
func (d *door) postUntilStored(body []byte) {
	d.t.Helper()
	d.await("the event to be taken", func() bool {
		status, _ := d.post(body)
		return status == 200
	})
}

// locked runs f while another transaction keeps everyone from slack_events.
func (d *door) locked(f func()) {
	d.t.Helper()
	ctx := d.t.Context()
	conn, err := pgx.Connect(ctx, d.database)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE slack_events IN ACCESS EXCLUSIVE MODE"); err != nil {
		d.t.Fatal(err)
	}
	f()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		d.t.Fatal(err)
	}
}

func TestEventsSlowDatabase(t *testing.T) {
	t.Parallel()
	d := openDoorOn(t, testenv.Database(t))
	w := d.watch("")
	body := encode(t, message(w, nil))
	d.locked(func() { d.postInTime(body, http.StatusServiceUnavailable) })
	if rows := d.rows(w); len(rows) != 0 {
		t.Errorf("%d rows were stored after a 503 that nobody repeated", len(rows))
	}
	d.postUntilStored(body)
}

// One event that the database refuses costs only itself, though it shares a transaction with others.
func TestBadRowInBatch(t *testing.T) {
	t.Parallel()
	d := openDoorOn(t, testenv.Database(t))
	w := d.watch("")
	query[struct{}](d, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	query[struct{}](d, `CREATE TRIGGER refuse BEFORE INSERT ON slack_events FOR EACH ROW WHEN (NEW.event_id = 'EvBAD') EXECUTE FUNCTION refuse()`)
	bad := message(w, nil)
	bad["event_id"] = "EvBAD"
	var wg sync.WaitGroup
	d.locked(func() {
		const writers, others = 4, 20
		post := func(fields object, refused bool) {
			body := encode(t, fields)
			env, err := slackbridge.ParseEnvelope(body)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if err := d.inbox.Add(t.Context(), &env, body); (err != nil) != refused {
					t.Errorf("event %s: %v", env.EventID, err)
				}
			})
		}
		for range writers { // each of them takes one writer up
			post(message(w, nil), false)
		}
		d.await("all writers to wait for the lock", func() bool {
			return query[int64Row](d, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'slack_events'::regclass")[0].N == writers
		})
		post(bad, true)
		for range others {
			post(message(w, nil), false)
		}
		d.await("the rest to wait", func() bool { return d.inbox.Waiting() == others+1 })
	})
	wg.Wait()
	if rows := d.rows(w); len(rows) != 24 {
		t.Errorf("%d rows, want all 24 but the bad one", len(rows))
	}
	if n := d.counted("refused_database"); n != 1 {
		t.Errorf("%d events were counted as refused, want 1", n)
	}
}

type int64Row struct{ N int64 }

func (d *door) await(what string, is func() bool) {
	d.t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for limit := time.After(20 * time.Second); !is(); {
		select {
		case <-again.C:
		case <-limit:
			d.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		size  int
		holds int
	}{{"events", 10, 1024}, {"bytes", 1 << 20, 64}} {
		b := slackbridge.NewInbox(slackbridge.InboxOptions{Now: time.Now, Count: func(string) {}}) // nothing is taken out: Run was not called
		env := slackbridge.Envelope{Type: "event_callback", Event: slackbridge.InnerEvent{Type: "app_uninstalled"}}
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, c.holds)
		body := []byte(strings.Repeat("x", c.size))
		for range c.holds {
			go func() { results <- b.Add(ctx, &env, body) }()
		}
		for b.Waiting() < c.holds { // none of them may be refused
			select {
			case err := <-results:
				t.Fatalf("%s: %v", c.name, err)
			default:
			}
		}
		if err := b.Add(ctx, &env, body); !errors.Is(err, slackbridge.ErrInboxFull) {
			t.Errorf("%s: one more: %v, want it refused", c.name, err)
		}
		cancel()
		for range c.holds {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want context.Canceled", c.name, err)
			}
		}
	}
}

func TestInboxEnds(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	d.close()
	env, err := slackbridge.ParseEnvelope(encode(t, message(w, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.inbox.Add(ctx, &env, []byte("{}")); !errors.Is(err, slackbridge.ErrInboxClosed) {
		t.Errorf("after the end: %v, want ErrInboxClosed", err)
	}
}

// Many senders, each of which sends the next event of its thread once the former was taken: every lane holds its events in that order.
func TestOrderInLanes(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	w := d.watch("")
	const threads, events = 8, 15
	var wg sync.WaitGroup
	for thread := range threads {
		wg.Go(func() {
			for n := range events {
				env := message(w, object{"ts": fmt.Sprintf("1795000%03d.%06d", thread, n), "thread_ts": fmt.Sprintf("1795000%03d.000000", thread)})
				env["event_id"] = fmt.Sprintf("Ev%s-%02d-%03d", w.link.SlackChannelID, thread, n)
				if status, _ := d.post(encode(t, env)); status != 200 {
					t.Errorf("thread %d, event %d: %d", thread, n, status)
				}
			}
		})
	}
	wg.Wait()
	last := map[string]string{}
	rows := d.rows(w)
	for _, r := range rows {
		if r.EventID <= last[r.Key] {
			t.Errorf("lane %s: %s after %s", r.Key, r.EventID, last[r.Key])
		}
		last[r.Key] = r.EventID
	}
	if len(rows) != threads*events || len(last) != threads {
		t.Errorf("%d events in %d lanes, want %d in %d", len(rows), len(last), threads*events, threads)
	}
}
