package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre"
)

// The kinds of lane item that come from Slack's events.
const (
	ItemEvent     = "EVENT"           // of an INBOUND lane: a row of slack_events
	ItemWorkspace = "WORKSPACE_EVENT" // of a JOB lane: the body is the payload
)

// InboundEvent is one event of Slack at the door. Its texts are valid UTF-8 without NUL, and EventID and Lane are short enough to be indexed.
// It concerns either a watched channel (SlackChannelID) or an installation (Workspace).
type InboundEvent struct {
	EventID    string
	AppID      string // "": not told, and not compared
	Body       []byte // exactly as it was signed
	ReceivedAt time.Time

	SlackChannelID string // of the watched channel; of a Workspace event, the channel that it is about, if any
	Lane           string // what must be applied in order within a link: the ts of the thread

	Workspace    bool     // it is about the app or a channel, not about what is said there
	SlackTeamIDs []string // whose installation it is: the first that has one
	BotUserID    string   // if set, it concerns the installation with this bot only
}

// Reception is what became of an InboundEvent, counted over the links that it met. All zero: nobody watches, or has installed, what it is about.
type Reception struct {
	Stored    int // committed
	Duplicate int // was stored before
	Paused    int // dropped, since the link is paused
	Away      int // dropped, since the link's installation is disconnected
	OtherApp  int // dropped: it is another app's event
	// Dropped and Stored tell which links they were, for NoteTraffic.
	Links []LinkTraffic
}

// LinkTraffic is what happened at one link: the newest event that was stored, and how many were dropped.
type LinkTraffic struct {
	TenantID ochre.ID
	LinkID   ochre.ID
	LastAt   time.Time // zero: none was stored
	Dropped  int64
}

// AddSlackEvents stores events with their lane items in one transaction, in the order given, and tells what became of each. Which links watch
// a channel is decided by the same statement, so a link that was made a moment ago elsewhere counts. An event that was stored for a link before is
// left alone. It is all or nothing: after an error no event of the batch is known to be stored. After the commit the runners of this node are told.
func (s *Store) AddSlackEvents(ctx context.Context, events []InboundEvent) ([]Reception, error) {
	var err error
	for range 3 {
		var rs []Reception
		if rs, err = s.addSlackEvents(ctx, events); err == nil {
			s.wakeFor(events, rs)
			return rs, nil
		} else if !retryable(err) {
			return nil, err
		}
	}
	return nil, err
}

func (s *Store) wakeFor(events []InboundEvent, rs []Reception) {
	var inbound, jobs bool
	for i, r := range rs {
		stored := r.Stored > 0
		jobs = jobs || stored && events[i].Workspace
		inbound = inbound || stored && !events[i].Workspace
	}
	if inbound {
		s.wake(QueueInbound)
	}
	if jobs {
		s.wake(QueueJob)
	}
}

func (s *Store) addSlackEvents(ctx context.Context, events []InboundEvent) ([]Reception, error) {
	rs := make([]Reception, len(events))
	b := &pgx.Batch{} // one implicit transaction
	queueLinkEvents(b, events, rs)
	queueWorkspaceEvents(b, events, rs)
	if b.Len() == 0 {
		return rs, nil
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("store slack events: %w", err)
	}
	return rs, nil
}

// linkEventsSQL stores the events of channels. Rows are locked in one order everywhere: events by id, then lanes by key; an item takes its id only
// when its lane's row has come out of the upsert, locked. An event's row id is the one given with the last 48 bits made from the link's, since how many links
// there are is known here only.
const linkEventsSQL = `WITH e AS (
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::text[], $7::text[])
			WITH ORDINALITY AS e (id, event_id, app_id, body, received_at, channel, lane, ord)
	), hit AS (
		SELECT e.*, l.tenant_id, l.id AS link_id, l.id || ':' || e.lane AS key,
			CASE WHEN e.app_id <> '' AND i.app_id <> '' AND e.app_id <> i.app_id THEN 'OTHER_APP' ELSE l.state END AS state,
			overlay(e.id::text placing left(md5(e.id::text || l.id), 12) from 25)::uuid AS row_id
		FROM e JOIN channel_links l ON l.slack_channel_id = e.channel AND l.state <> 'UNLINKED'
		JOIN slack_installations i ON i.tenant_id = l.tenant_id AND i.id = l.installation_id
	), ins AS (
		INSERT INTO slack_events (tenant_id, id, link_id, event_id, body, received_at)
		SELECT tenant_id, row_id, link_id, event_id, body, received_at FROM hit WHERE state = 'WATCHING' ORDER BY event_id, link_id
		ON CONFLICT (event_id, link_id) DO NOTHING RETURNING id
	), lane AS (
		INSERT INTO lanes (queue, key, tenant_id, pending, next_at)
		SELECT 'INBOUND', key, tenant_id, true, min(received_at) FROM hit JOIN ins ON ins.id = hit.row_id GROUP BY key, tenant_id ORDER BY key COLLATE "C"
		ON CONFLICT (queue, key) DO UPDATE SET pending = true, idle_since = NULL RETURNING id, key
	), item AS (
		INSERT INTO lane_items (lane_id, queue, tenant_id, kind, event_id, created_at)
		SELECT lane.id, 'INBOUND', hit.tenant_id, '` + ItemEvent + `', hit.row_id, hit.received_at
		FROM hit JOIN ins ON ins.id = hit.row_id JOIN lane ON lane.key = hit.key ORDER BY hit.ord
	)
	SELECT hit.ord, hit.tenant_id, hit.link_id, hit.state, ins.id IS NOT NULL FROM hit LEFT JOIN ins ON ins.id = hit.row_id`

func queueLinkEvents(b *pgx.Batch, events []InboundEvent, rs []Reception) {
	var ids [][16]byte
	var eventIDs, apps, channels, lanes []string
	var bodies [][]byte
	var times []time.Time
	var at []int // the place in events
	for i, e := range events {
		if e.Workspace {
			continue
		}
		ids, eventIDs, apps = append(ids, ochre.NewIDAt(e.ReceivedAt)), append(eventIDs, e.EventID), append(apps, e.AppID)
		channels, lanes, bodies = append(channels, e.SlackChannelID), append(lanes, e.Lane), append(bodies, e.Body)
		times, at = append(times, e.ReceivedAt), append(at, i)
	}
	if len(at) == 0 {
		return
	}
	b.Queue(linkEventsSQL, ids, eventIDs, apps, bodies, times, channels, lanes).Query(func(rows pgx.Rows) error {
		var ord int
		var t LinkTraffic
		var state string
		var stored bool
		_, err := pgx.ForEachRow(rows, []any{&ord, (*[16]byte)(&t.TenantID), (*[16]byte)(&t.LinkID), &state, &stored}, func() error {
			rs[at[ord-1]].meet(t, state, stored, times[ord-1])
			return nil
		})
		return err
	})
}

// meet counts what became of an event at one link.
func (r *Reception) meet(t LinkTraffic, state string, stored bool, at time.Time) {
	switch {
	case stored:
		r.Stored++
		t.LastAt = at
	case state == string(ochre.LinkWatching):
		r.Duplicate++
		return
	case state == string(ochre.LinkPaused):
		r.Paused++
		t.Dropped = 1
	case state == string(ochre.LinkDisconnected):
		r.Away++
		t.Dropped = 1
	default:
		r.OtherApp++
		return
	}
	r.Links = append(r.Links, t)
}

// workspaceEventsSQL puts events about installations into the job queue, one lane a workspace. The installation is that of the first team named, or else, for
// an event about a channel, any that sees it.
const workspaceEventsSQL = `WITH e AS (
		SELECT * FROM unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
			WITH ORDINALITY AS e (app_id, body, received_at, channel, bot, team1, team2, team3, ord)
	), hit AS (
		SELECT DISTINCT ON (e.ord) e.*, i.tenant_id, 'workspace:' || i.slack_team_id AS key, e.app_id = '' OR i.app_id = '' OR e.app_id = i.app_id AS ours
		FROM e JOIN slack_installations i ON CASE WHEN e.bot <> '' THEN i.bot_user_id = e.bot ELSE i.slack_team_id IN (e.team1, e.team2, e.team3)
			OR e.channel <> '' AND EXISTS (SELECT FROM slack_channels c WHERE c.tenant_id = i.tenant_id AND c.installation_id = i.id AND c.slack_channel_id = e.channel) END
		ORDER BY e.ord, i.slack_team_id <> e.team1, i.slack_team_id <> e.team2, i.slack_team_id <> e.team3, i.id
	), lane AS (
		INSERT INTO lanes (queue, key, tenant_id, pending, next_at)
		SELECT 'JOB', key, tenant_id, true, min(received_at) FROM hit WHERE ours GROUP BY key, tenant_id ORDER BY key COLLATE "C"
		ON CONFLICT (queue, key) DO UPDATE SET pending = true, idle_since = NULL RETURNING id, key
	), item AS (
		INSERT INTO lane_items (lane_id, queue, tenant_id, kind, payload, created_at)
		SELECT lane.id, 'JOB', hit.tenant_id, '` + ItemWorkspace + `', hit.body, hit.received_at FROM hit JOIN lane ON lane.key = hit.key WHERE hit.ours ORDER BY hit.ord
	)
	SELECT ord, ours FROM hit`

func queueWorkspaceEvents(b *pgx.Batch, events []InboundEvent, rs []Reception) {
	var apps, channels, bots []string
	var teams [3][]string
	var bodies [][]byte
	var times []time.Time
	var at []int
	for i, e := range events {
		if !e.Workspace {
			continue
		}
		apps, bodies, times = append(apps, e.AppID), append(bodies, e.Body), append(times, e.ReceivedAt)
		channels, bots, at = append(channels, e.SlackChannelID), append(bots, e.BotUserID), append(at, i)
		for n := range teams {
			team := ""
			if n < len(e.SlackTeamIDs) {
				team = e.SlackTeamIDs[n]
			}
			teams[n] = append(teams[n], team)
		}
	}
	if len(at) == 0 {
		return
	}
	b.Queue(workspaceEventsSQL, apps, bodies, times, channels, bots, teams[0], teams[1], teams[2]).Query(func(rows pgx.Rows) error {
		var ord int
		var ours bool
		_, err := pgx.ForEachRow(rows, []any{&ord, &ours}, func() error {
			if ours {
				rs[at[ord-1]].Stored++
			} else {
				rs[at[ord-1]].OtherApp++
			}
			return nil
		})
		return err
	})
}

// NoteTraffic adds to the links' counters of dropped events and moves their last event's time on. Links are locked in the order of their ids. It says
// nothing to subscribers: the numbers go with every message.
func (s *Store) NoteTraffic(ctx context.Context, links []LinkTraffic) error {
	tenants, ids := make([][16]byte, len(links)), make([][16]byte, len(links))
	lasts, dropped := make([]*time.Time, len(links)), make([]int64, len(links))
	for i, l := range links {
		tenants[i], ids[i], dropped[i] = l.TenantID, l.LinkID, l.Dropped
		if !l.LastAt.IsZero() {
			lasts[i] = &links[i].LastAt
		}
	}
	_, err := s.pool.Exec(ctx, `WITH t AS (
			SELECT tenant_id, id, max(at) AS at, sum(dropped) AS dropped FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[]) AS t (tenant_id, id, at, dropped)
			GROUP BY tenant_id, id
		), locked AS MATERIALIZED (
			SELECT l.tenant_id, l.id, t.at, t.dropped FROM channel_links l JOIN t USING (tenant_id, id) ORDER BY l.id FOR NO KEY UPDATE OF l
		) UPDATE channel_links l SET last_event_at = GREATEST(l.last_event_at, locked.at), dropped_events = l.dropped_events + locked.dropped
		FROM locked WHERE l.tenant_id = locked.tenant_id AND l.id = locked.id`, tenants, ids, lasts, dropped)
	if err != nil {
		return fmt.Errorf("note the traffic of channel links: %w", err)
	}
	return nil
}
