package slackbridge_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/store"
)

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5" // of Slack's documentation

// door is an events endpoint over HTTP with a real database behind it.
type door struct {
	t        testing.TB
	url      string
	database string
	now      time.Time
	store    *store.Store
	inbox    *slackbridge.Inbox
	log      *slog.Logger
	woken    func() []store.Queue
	close    func() // ends all of it; at the end of the test at the latest

	mu     sync.Mutex
	counts map[string]int
}

func openDoor(t testing.TB) *door {
	t.Helper()
	return openDoorOn(t, testenv.SharedDatabase(t))
}

func openDoorOn(t testing.TB, databaseURL string) *door {
	t.Helper()
	d := &door{t: t, database: databaseURL, counts: map[string]int{}, now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	d.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	var woken []store.Queue
	d.woken = func() []store.Queue {
		d.mu.Lock()
		defer d.mu.Unlock()
		return woken
	}
	s, err := store.Open(t.Context(), databaseURL, store.Options{Wake: func(q store.Queue) {
		d.mu.Lock()
		defer d.mu.Unlock()
		woken = append(woken, q)
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.store = s
	d.inbox = slackbridge.NewInbox(slackbridge.InboxOptions{Store: s, Now: d.clock, Count: d.count, Log: d.log})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.inbox.Run(ctx) }()
	server := httptest.NewServer(slackbridge.NewEvents(slackbridge.EventsOptions{SigningSecret: signingSecret, Inbox: d.inbox, Now: d.clock, Count: d.count, Log: d.log}))
	d.url = server.URL + "/slack/events"
	d.close = sync.OnceFunc(func() {
		server.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the inbox ended with %v", err)
		}
		s.Close()
	})
	t.Cleanup(d.close)
	return d
}

func (d *door) clock() time.Time { return d.now }

func (d *door) count(outcome string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[outcome]++
}

func (d *door) counted(outcome string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[outcome]
}

// watched is a link with all that it needs, of a tenant of its own.
type watched struct {
	link ochre.ChannelLink
	inst ochre.SlackInstallation
}

const appID = "A0OCHRE"

func slackID(prefix string) string { return prefix + rand.Text()[:12] }

// watch makes a tenant that watches a channel; a new one if channel is "".
func (d *door) watch(channel string) watched {
	d.t.Helper()
	if channel == "" {
		channel = slackID("C")
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	w := watched{
		inst: ochre.SlackInstallation{
			ID: ochre.NewID(), SlackTeamID: slackID("T"), TeamName: "Acme", AppID: appID, BotUserID: slackID("U"), BotID: slackID("B"), TokenSealed: []byte{1}, Connected: true, InstalledAt: now,
		},
	}
	tenant := &ochre.Tenant{ID: ochre.NewID(), Name: "Acme", CreatedAt: now}
	w.link = ochre.ChannelLink{
		ID: ochre.NewID(), InstallationID: w.inst.ID, SlackTeamID: w.inst.SlackTeamID, SlackChannelID: channel, SlackChannelName: "support", State: ochre.LinkWatching, CreatedAt: now,
	}
	err := d.store.Tx(d.t.Context(), tenant.ID, now, func(tx *store.Tx) error {
		if err := tx.InsertTenant(d.t.Context(), tenant); err != nil {
			return err
		}
		if err := tx.InsertInstallation(d.t.Context(), &w.inst); err != nil {
			return err
		}
		return tx.InsertLink(d.t.Context(), &w.link)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return w
}

func (d *door) setState(w watched, state ochre.ChannelLinkState) {
	d.t.Helper()
	w.link.State = state
	err := d.store.Tx(d.t.Context(), w.link.TenantID, time.Now(), func(tx *store.Tx) error { return tx.UpdateLink(d.t.Context(), &w.link) })
	if err != nil {
		d.t.Fatal(err)
	}
}

// row is a stored event with the lane item that stands for it.
type row struct {
	EventID string
	Body    []byte
	Queue   string
	Key     string
	Items   int
}

// rows reads what is stored for a link, in the order of the items.
func (d *door) rows(w watched) []row {
	d.t.Helper()
	return query[row](d, `SELECT e.event_id, e.body, min(l.queue) AS queue, min(l.key) AS key, count(i.id) AS items
		FROM slack_events e LEFT JOIN lane_items i ON i.tenant_id = e.tenant_id AND i.event_id = e.id LEFT JOIN lanes l ON l.id = i.lane_id AND l.pending
		WHERE e.link_id = $1 GROUP BY e.id, e.event_id, e.body ORDER BY min(i.id)`, w.link.ID.String())
}

func query[T any](d *door, sql string, args ...any) []T {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.database)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.t.Context()))
	rows, err := conn.Query(d.t.Context(), sql, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

func sign(r *http.Request, secret string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// post sends a body as Slack does and gives the status and body of the answer. change may spoil the signed request.
func (d *door) post(body []byte, change ...func(*http.Request)) (int, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	sign(r, signingSecret, d.now, body)
	for _, f := range change {
		f(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Error(err)
	}
	return res.StatusCode, string(text)
}

type object = map[string]any

// envelope wraps an inner event as Slack does.
func envelope(w watched, inner object) object {
	return object{
		"token": "verification", "type": "event_callback", "team_id": w.inst.SlackTeamID, "context_team_id": w.inst.SlackTeamID, "api_app_id": appID,
		"event_id": slackID("Ev"), "event_time": 1_795_000_000, "event": inner,
		"authorizations": []object{{"team_id": w.inst.SlackTeamID, "user_id": w.inst.BotUserID, "is_bot": true}},
	}
}

func message(w watched, fields object) object {
	inner := object{
		"type": "message", "channel": w.link.SlackChannelID, "user": "U0CUSTOMER", "text": "Is it down?", "ts": "1795000000.000100", "event_ts": "1795000000.000100",
		"channel_type": "channel",
	}
	for k, v := range fields {
		inner[k] = v
	}
	return envelope(w, inner)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
