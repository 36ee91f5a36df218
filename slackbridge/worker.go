package slackbridge

import (
	"context"
	"log/slog"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fault"
	"github.com/ochrehq/ochre/store"
)

// inboundTries is after how many failures an event becomes a dead letter. The failures of an unreachable database do not count.
const inboundTries = 8

// Ingest applies stored events, those of a thread one after another.
type Ingest struct {
	Desk  *desk.Desk
	Log   *slog.Logger
	Count func(outcome string) // what became of each event; for metrics, may be nil
}

// Runner gives the runner of the inbound queue.
func (g *Ingest) Runner(st *store.Store, workers int) *store.Runner {
	return &store.Runner{
		Store: st, Queue: store.QueueInbound, Workers: workers, Lease: 30 * time.Second, Poll: 200 * time.Millisecond, Now: g.Desk.Now, Handle: g.Handle, Log: g.Log,
	}
}

// Handle applies one event; see store.Runner.
func (g *Ingest) Handle(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
	fault.Hit(fault.AfterAck)
	outcome, err := g.apply(ctx, c, it)
	if err != nil {
		return store.Verdict{Err: err, RetryAfter: store.Backoff(it.Attempts), Dead: it.Attempts+1 >= inboundTries && !store.IsUnavailable(err)}
	}
	if g.Count != nil {
		g.Count(outcome)
	}
	return store.Verdict{}
}

func (g *Ingest) apply(ctx context.Context, c store.Claim, it store.Item) (string, error) {
	link, body, err := g.Desk.Store.SlackEvent(ctx, c.TenantID, *it.EventID)
	if err != nil {
		return "", err
	}
	r, err := receipt(ctx, g.Desk.Store, c, it, link)
	if err != nil {
		return "", err
	}
	env, err := ParseEnvelope(body)
	if err != nil {
		return "unreadable", g.Desk.Drop(ctx, r, "unreadable")
	}
	ev, drop := Translate(env, linkContext(r), storedNames{ctx, g.Desk.Store, c.TenantID})
	return receive(ctx, g.Desk, r, ev, drop)
}

// receipt reads what an item's event is applied with.
func receipt(ctx context.Context, st *store.Store, c store.Claim, it store.Item, link ochre.ID) (desk.Receipt, error) {
	l, err := st.ChannelLink(ctx, c.TenantID, link)
	if err != nil {
		return desk.Receipt{}, err
	}
	inst, err := st.SlackInstallation(ctx, c.TenantID, l.InstallationID)
	return desk.Receipt{Claim: c, Item: it, Link: l, Installation: inst}, err
}

func linkContext(r desk.Receipt) LinkContext {
	i := r.Installation
	return LinkContext{Link: *r.Link, TeamID: i.SlackTeamID, BotUserID: i.BotUserID, BotID: i.BotID, AppID: i.AppID}
}

// receive applies what was translated, or takes it from its lane with the reason why it means nothing.
func receive(ctx context.Context, d *desk.Desk, r desk.Receipt, ev desk.SlackEvent, drop string) (string, error) {
	if drop != "" {
		return drop, d.Drop(ctx, r, drop)
	}
	outcome, err := d.Receive(ctx, r, ev)
	return string(outcome), err
}

// storedNames gives the names that mentions are shown by, as far as they are known here. A name that can't be read counts as unknown.
type storedNames struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one translation
	store  *store.Store
	tenant ochre.ID
}

// User gives a person's name.
func (n storedNames) User(id string) string {
	names, err := n.store.SlackNames(n.ctx, n.tenant, []string{id})
	if err != nil {
		return ""
	}
	return names[id]
}

// Channel gives a channel's name.
func (n storedNames) Channel(id string) string {
	name, err := n.store.SlackChannelName(n.ctx, n.tenant, id)
	if err != nil {
		return ""
	}
	return name
}

// Usergroup gives "": user groups are not looked up.
func (storedNames) Usergroup(string) string { return "" }
