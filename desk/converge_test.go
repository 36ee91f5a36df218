package desk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// channel is a watched channel of an office, to which a story can be told.
type channel struct {
	*office
	link *ochre.ChannelLink
	sql  *pgx.Conn
}

// newChannel is the Connect channel of a new office, or an ordinary channel of it.
func newChannel(t *testing.T, s *store.Store, sql *pgx.Conn, connect bool) *channel {
	t.Helper()
	c := &channel{office: officeIn(t, s), sql: sql}
	c.clock.at = time.UnixMicro(1_800_001_000_000_000)
	c.link = c.Link
	if !connect {
		c.link = c.ordinaryLink()
	}
	return c
}

// ordinaryLink watches a channel of our own workspace.
func (o *office) ordinaryLink() *ochre.ChannelLink {
	o.t.Helper()
	l := *o.Link
	l.ID, l.SlackChannelID, l.SlackChannelName, l.IsSlackConnect, l.OrganizationID = ochre.NewID(), fixture.Unique("C"), "support", false, nil
	o.Write(func(tx *store.Tx) error { return tx.InsertLink(o.t.Context(), &l) })
	return &l
}

// here puts the office's own workspace into an event of a story.
func (o *office) here(ev desk.SlackEvent) desk.SlackEvent {
	if ev.Author.TeamID == ownTeam {
		ev.Author.TeamID = o.Installation.SlackTeamID
	}
	return ev
}

// enqueue puts events into lanes of the job queue: these need no stored Slack event.
func (o *office) enqueue(evs []desk.SlackEvent, lane func(desk.SlackEvent) string) {
	o.t.Helper()
	o.Write(func(tx *store.Tx) error {
		for _, ev := range evs {
			b, err := json.Marshal(o.here(ev))
			if err != nil {
				return err
			}
			tx.Enqueue(store.NewItem{Queue: store.QueueJob, Key: lane(ev), Kind: "STORY", Payload: b})
		}
		return nil
	})
}

// claimed takes the lane of a key, whoever has it. Only this one, since other tests have lanes in the same database.
func (c *channel) claimed(q store.Queue, key string) store.Claim {
	c.t.Helper()
	claim := store.Claim{Key: key, TenantID: c.Tenant.ID, Lease: ochre.NewID()}
	err := c.sql.QueryRow(c.t.Context(), "UPDATE lanes SET lease = $1, leased_until = $2 WHERE queue = $3 AND key = $4 RETURNING id",
		claim.Lease.String(), c.now().Add(time.Hour), string(q), key).Scan(&claim.LaneID)
	if err != nil {
		c.t.Fatalf("claim lane %s: %v", key, err)
	}
	return claim
}

// live applies events in the order given, one after another.
func (c *channel) live(evs []desk.SlackEvent) {
	c.t.Helper()
	key := fixture.Unique("story")
	c.enqueue(evs, func(desk.SlackEvent) string { return key })
	claim := c.claimed(store.QueueJob, key)
	items, err := c.Store.Items(c.t.Context(), claim, len(evs))
	if err != nil || len(items) != len(evs) {
		c.t.Fatalf("%d items of %d events, %v", len(items), len(evs), err)
	}
	for i, it := range items {
		r := desk.Receipt{Claim: claim, Item: it, Link: c.link, Installation: c.Installation}
		if _, err := c.desk.Receive(c.t.Context(), r, c.here(evs[i])); err != nil {
			c.t.Fatalf("event %d, %s of %s: %v", i, evs[i].Kind, evs[i].TS, err)
		}
	}
	if err := c.Store.Release(c.t.Context(), claim, c.now(), c.now()); err != nil {
		c.t.Fatal(err)
	}
}

// profiles does the look-ups that are waiting, as Slack would answer them, and then what these leave behind.
func (c *channel) profiles() {
	c.t.Helper()
	for _, j := range c.jobs(desk.JobProfile) {
		known, err := c.Store.IdentitiesByID(c.t.Context(), c.Tenant.ID, []ochre.ID{*j.IdentityID})
		if err != nil {
			c.t.Fatal(err)
		}
		who := known[*j.IdentityID]
		if who == nil {
			continue // it became one with another
		}
		i := slices.IndexFunc(cast, func(p person) bool { return p.user == who.SlackUserID })
		p := desk.Profile{SlackTeamID: "TGLOBEX", Name: cast[i].name + " Smith", Email: strings.ToLower(cast[i].name) + "@globex.example"}
		if cast[i].own || !c.link.IsSlackConnect {
			p.SlackTeamID = c.Installation.SlackTeamID
		}
		if cast[i].isAgent {
			p.Email = c.Agent.Email
		}
		if _, err := c.desk.SaveProfile(c.t.Context(), c.Tenant.ID, who.ID, c.Installation.SlackTeamID, p); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, j := range c.jobs(desk.JobPlace) {
		if err := c.desk.PlaceIdentity(c.t.Context(), c.Tenant.ID, *j.IdentityID); err != nil {
			c.t.Fatal(err)
		}
	}
}

// jobs takes the jobs of a kind out of their lanes.
func (c *channel) jobs(kind string) []desk.Job {
	c.t.Helper()
	rows, err := c.sql.Query(c.t.Context(), "WITH gone AS (DELETE FROM lane_items WHERE tenant_id = $1 AND kind = $2 RETURNING id, payload) SELECT payload FROM gone ORDER BY id", c.Tenant.ID.String(), kind)
	if err != nil {
		c.t.Fatal(err)
	}
	payloads, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		c.t.Fatal(err)
	}
	jobs := make([]desk.Job, len(payloads))
	for i, b := range payloads {
		if err := json.Unmarshal(b, &jobs[i]); err != nil {
			c.t.Fatal(err)
		}
	}
	return jobs
}

// seenSQL prints everything that an agent sees of a link, without ids, a line each.
const seenSQL = `WITH who AS (
		SELECT i.tenant_id, i.id, i.slack_user_id, coalesce(u.name, '-') AS end_user, coalesce(a.name, '-') AS agent, coalesce(m.name, '-') AS mate
		FROM slack_identities i LEFT JOIN end_users u ON u.tenant_id = i.tenant_id AND u.id = i.end_user_id
		LEFT JOIN agents a ON a.tenant_id = i.tenant_id AND a.id = i.agent_id LEFT JOIN teammates m ON m.tenant_id = i.tenant_id AND m.id = i.teammate_id
	), message AS (
		SELECT format('%s in %s at %s: %s %s by %s edited %s deleted %s app %s body %s files %s conversation %s', p.slack_ts, t.thread_ts, m.position, m.direction, m.author_kind,
			CASE m.author_kind WHEN 'END_USER' THEN who.end_user WHEN 'AGENT' THEN who.agent WHEN 'TEAMMATE' THEN who.mate END,
			m.edited_at, m.deleted_at, m.app_name, m.body,
			(SELECT string_agg(concat_ws('/', f.ordinal, f.slack_file_id, f.state, f.name, f.slack_url), ' ' ORDER BY f.ordinal) FROM attachments f
				WHERE f.tenant_id = m.tenant_id AND f.message_id = m.id), m.conversation_id IS NOT NULL) AS line
		FROM messages m JOIN message_parts p ON p.tenant_id = m.tenant_id AND p.message_id = m.id JOIN threads t ON t.tenant_id = m.tenant_id AND t.id = m.thread_id
		LEFT JOIN who ON who.tenant_id = m.tenant_id AND who.id = m.identity_id WHERE m.tenant_id = $1 AND m.link_id = $2
	), conversation AS (
		SELECT format('thread %s root %s: %s|%s|%s waits %s since %s by %s from %s to %s', t.thread_ts, t.root_known, c.title, c.preview, c.status, c.waiting_on,
			c.waiting_since, u.name, c.created_at, c.last_activity_at) AS line
		FROM threads t JOIN conversations c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
		LEFT JOIN end_users u ON u.tenant_id = c.tenant_id AND u.id = c.end_user_id WHERE t.tenant_id = $1 AND t.link_id = $2
	), reaction AS (
		SELECT format('%s on %s by %s', emoji, slack_ts, slack_user_id) AS line FROM reactions WHERE tenant_id = $1 AND link_id = $2 AND present
	), lost AS (
		SELECT 'outside of its thread''s conversation: ' || m.id AS line FROM messages m JOIN threads t ON t.tenant_id = m.tenant_id AND t.id = m.thread_id
		WHERE m.tenant_id = $1 AND m.conversation_id IS DISTINCT FROM t.conversation_id
	)
	SELECT line FROM message UNION ALL SELECT line FROM conversation UNION ALL SELECT line FROM reaction UNION ALL SELECT line FROM lost ORDER BY line`

func (c *channel) seen() []string {
	c.t.Helper()
	rows, err := c.sql.Query(c.t.Context(), seenSQL, c.Tenant.ID.String(), c.link.ID.String())
	if err != nil {
		c.t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.t.Fatal(err)
	}
	return lines
}

// differ names the lines that only one of two has.
func differ(a, b []string) string {
	var out strings.Builder
	for _, x := range a {
		if !slices.Contains(b, x) {
			fmt.Fprintln(&out, "- "+x)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			fmt.Fprintln(&out, "+ "+x)
		}
	}
	if out.Len() == 0 && len(a) != len(b) {
		fmt.Fprintf(&out, "%d lines and %d lines", len(a), len(b))
	}
	return out.String()
}

// repeated gives events in another order, some of them more than once.
func repeated(t *rapid.T, evs []desk.SlackEvent) []desk.SlackEvent {
	again := rapid.SliceOfN(rapid.SampledFrom(evs), 0, len(evs)/2+1).Draw(t, "again")
	return rapid.Permutation(slices.Concat(evs, again)).Draw(t, "order")
}

// TestConverge is promise 2: what is seen of a channel is a function of the set of its events.
func TestConverge(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	s, sql := fixture.Open(t, url), connectSQL(t, url)
	rapid.Check(t, func(rt *rapid.T) {
		connect := rapid.Bool().Draw(rt, "connect")
		evs := writeStory(rt, connect)
		if len(evs) == 0 {
			return
		}
		natural := newChannel(t, s, sql, connect)
		natural.live(evs)
		natural.profiles()

		other := newChannel(t, s, sql, connect)
		mixed := repeated(rt, evs)
		cut := rapid.IntRange(0, len(mixed)).Draw(rt, "profiles come after")
		if cut > 0 {
			other.live(mixed[:cut])
		}
		other.profiles()
		if cut < len(mixed) {
			other.live(mixed[cut:])
		}
		other.profiles()

		if diff := differ(natural.seen(), other.seen()); diff != "" {
			rt.Fatalf("seen in order (-) and in another order (+):\n%s\nin order:\n%s\nin the other:\n%s", diff, listed(evs), listed(mixed))
		}
	})
}

func connectSQL(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func listed(evs []desk.SlackEvent) string {
	var out strings.Builder
	for _, e := range evs {
		fmt.Fprintf(&out, "%s %s in %s at %s edit %q by %s%s team %q %q changed %v\n", e.Kind, e.TS, e.ThreadTS, e.EventTS, e.EditTS, e.Author.UserID, e.Author.BotName, e.Author.TeamID, e.Body, e.ChangedContent)
	}
	return out.String()
}

// TestConvergeAtOnce applies a story through real lanes, by several workers of two nodes, with repeats. Each event is applied once, the log has no
// holes, and nobody waits for one another in a circle.
func TestConvergeAtOnce(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]bool{"connect": true, "ordinary": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testenv.Database(t)
			s, sql := fixture.Open(t, url), connectSQL(t, url)
			var evs []desk.SlackEvent
			for seed := range 12 { // one after another in time
				part := rapid.Custom(func(t *rapid.T) []desk.SlackEvent { return writeStory(t, connect) }).Example(seed)
				for i := range part {
					shift(&part[i], int64(seed)*100_000)
				}
				evs = append(evs, part...)
			}
			natural := newChannel(t, s, sql, connect)
			natural.live(evs)
			natural.profiles()

			other := newChannel(t, s, sql, connect)
			second := *other.desk
			second.Store = fixture.Open(t, url)
			threads := map[string]string{}
			for _, e := range evs {
				if e.ThreadKnown {
					threads[e.TS] = e.ThreadTS
				}
			}
			mixed := rapid.Custom(func(t *rapid.T) []desk.SlackEvent { return repeated(t, evs) }).Example(7)
			other.enqueue(mixed, func(e desk.SlackEvent) string { return other.link.ID.String() + ":" + e.ThreadTS }) // as the bridge keys them
			applied := other.work(len(mixed), other.desk, &second)
			if applied != len(mixed) {
				t.Errorf("%d of %d events were applied", applied, len(mixed))
			}
			other.profiles()
			if diff := differ(natural.seen(), other.seen()); diff != "" {
				t.Errorf("one after another (-) and at once (+):\n%s", diff)
			}
			other.contiguous()
			s.Close()
			second.Store.Close()
			noDeadlocks(t, sql)
		})
	}
}

// shift moves an event some seconds on.
func shift(ev *desk.SlackEvent, seconds int64) {
	for _, ts := range []*string{&ev.TS, &ev.ThreadTS, &ev.EventTS, &ev.EditTS} {
		us, err := ochre.PositionOf(*ts)
		if err != nil {
			continue // there is none
		}
		us += seconds * 1e6
		*ts = fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
	}
}

// work runs a runner for each desk until n items were handled, and gives how many were applied without an error.
func (c *channel) work(n int, desks ...*desk.Desk) int {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var applied, handled atomic.Int64
	var runners sync.WaitGroup
	for _, d := range desks {
		r := &store.Runner{
			Store: d.Store, Queue: store.QueueJob, Workers: 4, Lease: time.Minute, Poll: 10 * time.Millisecond, Now: c.now, Log: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
			Handle: func(ctx context.Context, claim store.Claim, it store.Item) store.Verdict {
				if it.Kind != "STORY" {
					return store.Verdict{Wait: true, RetryAfter: time.Hour} // a look-up, done later
				}
				var ev desk.SlackEvent
				err := json.Unmarshal(it.Payload, &ev)
				if err == nil {
					_, err = d.Receive(ctx, desk.Receipt{Claim: claim, Item: it, Link: c.link, Installation: c.Installation}, ev)
				}
				if err != nil {
					c.t.Errorf("%s of %s: %v", ev.Kind, ev.TS, err)
				} else {
					applied.Add(1)
				}
				if handled.Add(1) == int64(n) {
					stop()
				}
				return store.Verdict{Err: err, Dead: err != nil}
			},
		}
		runners.Go(func() { r.Run(ctx) })
	}
	runners.Wait()
	return int(applied.Load())
}

// contiguous checks that the tenant's log counts from 1 without a hole.
func (o *office) contiguous() {
	o.t.Helper()
	var seq int64
	for {
		evs, err := o.Store.EventsAfter(o.t.Context(), o.Tenant.ID, nil, seq, 1000)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(evs) == 0 {
			break
		}
		for _, e := range evs {
			if seq++; e.Seq != seq {
				o.t.Fatalf("event %d follows event %d", e.Seq, seq-1)
			}
		}
	}
	at, err := o.Store.LogPosition(o.t.Context(), o.Tenant.ID)
	if err != nil || at.Seq != seq {
		o.t.Errorf("the log ends at %d, its counter is %v: %v", seq, at, err)
	}
}

// noDeadlocks checks that PostgreSQL never had to break a circle of waiting transactions. Those who worked must have left: they report their numbers then.
func noDeadlocks(t *testing.T, sql *pgx.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for { // until they are gone
		var others, deadlocks int
		err := sql.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ochre'),
			(SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())`).Scan(&others, &deadlocks)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			t.Fatal("the stores are closed and their connections are not")
		case err != nil:
			t.Fatal(err)
		case others > 0:
			continue
		case deadlocks > 0:
			t.Errorf("%d deadlocks", deadlocks)
		}
		return
	}
}
