package slackbridge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/slackbridge"
	"github.com/ochrehq/ochre/store"
)

// rowQueries read what an event left, without ids and without times of our own clock, which differ from run to run.
var rowQueries = []struct{ table, sql string }{
	{"slack_events", `SELECT event_id, outcome FROM slack_events ORDER BY 1`},
	{"conversations", `SELECT title, preview, status, waiting_on, waiting_since, c.created_at, last_activity_at, u.name AS end_user
		FROM conversations c LEFT JOIN end_users u ON u.tenant_id = c.tenant_id AND u.id = c.end_user_id ORDER BY c.number`},
	{"threads", `SELECT thread_ts, root_known, conversation_id IS NOT NULL AS opened FROM threads ORDER BY 1`},
	{"messages", `SELECT slack_ts, direction, author_kind, app_name, slack_app_id, body, edit_ts, edited_at, deleted_at, m.created_at, i.slack_team_id, i.slack_user_id
		FROM messages m JOIN message_parts p ON p.message_id = m.id LEFT JOIN slack_identities i ON i.id = m.identity_id ORDER BY position`},
	{"activities", `SELECT kind, actor_kind, "from", "to" FROM activities ORDER BY position, id`},
	{"attachments", `SELECT slack_file_id, state, name, mime_type, size FROM attachments ORDER BY ordinal`},
	{"reactions", `SELECT slack_ts, emoji, slack_user_id, present FROM reactions ORDER BY 1, 2, 3`},
	{"tombstones", `SELECT slack_ts, deleted_ts FROM tombstones ORDER BY 1`},
	{"slack_identities", `SELECT slack_team_id, slack_user_id, is_external, name, end_user_id IS NOT NULL AS end_user, teammate_id IS NOT NULL AS teammate FROM slack_identities ORDER BY 1, 2`},
	{"events", `SELECT type, object_kind, content FROM events ORDER BY seq`},
	{"jobs", `SELECT kind FROM lane_items WHERE queue = 'JOB' ORDER BY id`},
}

// TestRowsOfRecordedEvents applies each recorded event by itself, its channel watched, and compares all rows that result, or why it was dropped.
func TestRowsOfRecordedEvents(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if env, err := slackbridge.ParseEnvelope(body); err != nil {
				t.Fatal(err)
			} else if env.Type == "message" { // a file without an envelope
				body = []byte(`{"type":"event_callback","team_id":"T111","event":` + string(body) + `}`)
			}
			compare(t, strings.TrimSuffix(file, ".json")+".rows.golden", rowsOf(t, body))
		})
	}
}

// rowsOf watches the channel of an event, lets it in at the door, applies it, and prints the rows.
func rowsOf(t *testing.T, body []byte) []byte {
	t.Helper()
	env, err := slackbridge.ParseEnvelope(body)
	if err != nil {
		t.Fatal(err)
	}
	d := openDoorOn(t, testenv.Database(t))
	lc := contextOf(env)
	d.watchAs(ochre.SlackInstallation{SlackTeamID: lc.TeamID, AppID: env.APIAppID, BotUserID: lc.BotUserID, BotID: lc.BotID}, env)
	if err := d.inbox.Add(t.Context(), &env, body); err != nil {
		t.Fatal(err)
	}
	g := &slackbridge.Ingest{Desk: &desk.Desk{Store: d.store, Now: d.clock}, Log: slog.New(slog.DiscardHandler)}
	for {
		claims, err := d.store.ClaimLanes(t.Context(), store.QueueInbound, d.now.Add(time.Second), time.Minute, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(claims) == 0 {
			break
		}
		items, err := d.store.Items(t.Context(), claims[0], 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if v := g.Handle(t.Context(), claims[0], it); v.Err != nil {
				t.Fatal(v.Err)
			}
		}
		if err := d.store.Release(t.Context(), claims[0], d.now, d.now); err != nil {
			t.Fatal(err)
		}
	}
	return d.printRows()
}

// printRows prints every table that is not empty, and what the door counted.
func (d *door) printRows() []byte {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.database)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = conn.Close(d.t.Context()) }()
	var out bytes.Buffer
	d.mu.Lock()
	counts, err := json.Marshal(d.counts)
	d.mu.Unlock()
	if err != nil {
		d.t.Fatal(err)
	}
	fmt.Fprintf(&out, "at the door: %s\n", counts)
	for _, q := range rowQueries {
		rows, err := conn.Query(d.t.Context(), "SELECT row_to_json(r)::text FROM ("+q.sql+") r")
		if err != nil {
			d.t.Fatalf("%s: %v", q.table, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			d.t.Fatalf("%s: %v", q.table, err)
		}
		if len(lines) > 0 {
			fmt.Fprintf(&out, "%s\n  %s\n", q.table, strings.Join(lines, "\n  "))
		}
	}
	return out.Bytes()
}

// watchAs makes a tenant that has an installation and watches the channel of an event.
func (d *door) watchAs(inst ochre.SlackInstallation, env slackbridge.Envelope) {
	d.t.Helper()
	tenant := &ochre.Tenant{ID: ochre.NewID(), Name: "Acme", CreatedAt: d.now}
	org := &ochre.Organization{ID: ochre.NewID(), Name: "Globex", CreatedAt: d.now}
	if inst.SlackTeamID == "" {
		inst.SlackTeamID = "T111"
	}
	inst.ID, inst.TeamName, inst.TeamURL, inst.TokenSealed, inst.Connected, inst.InstalledAt = ochre.NewID(), "Acme", "https://acme.slack.com/", []byte("sealed"), true, d.now
	channel := env.SlackChannelID()
	if channel == "" {
		channel = "C0NONE"
	}
	link := &ochre.ChannelLink{
		ID: ochre.NewID(), InstallationID: inst.ID, SlackTeamID: inst.SlackTeamID, SlackChannelID: channel, SlackChannelName: "globex", IsSlackConnect: true,
		OrganizationID: &org.ID, State: ochre.LinkWatching, CreatedAt: d.now,
	}
	err := d.store.Tx(d.t.Context(), tenant.ID, d.now, func(tx *store.Tx) error {
		ctx := d.t.Context()
		if err := tx.InsertTenant(ctx, tenant); err != nil {
			return err
		}
		if _, err := tx.InsertOrganization(ctx, org); err != nil {
			return err
		}
		if err := tx.InsertInstallation(ctx, &inst); err != nil {
			return err
		}
		return tx.InsertLink(ctx, link)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}
