package desk

import (
	"context"
	"errors"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// Receipt says for which link an event is applied, and which lane item it comes from: the item goes in the same transaction.
type Receipt struct {
	Claim        store.Claim
	Item         store.Item
	Link         *ochre.ChannelLink
	Installation *ochre.SlackInstallation
}

// Outcome is what became of a Slack event; it is kept with the event.
type Outcome string

// The outcomes.
const (
	OutcomeApplied   Outcome = "APPLIED"
	OutcomeUnchanged Outcome = "UNCHANGED" // known already, or older than what is known
	OutcomeEcho      Outcome = "ECHO"      // our own doing, seen from outside
	OutcomeConfirmed Outcome = "CONFIRMED" // an echo that told that a reply has arrived
	OutcomeDouble    Outcome = "DOUBLE"    // a second post of one reply; it is being deleted in Slack
)

// errNeedsNumber ends a transaction that turned out to open a conversation; it is run again with a number.
var errNeedsNumber = errors.New("a conversation number is needed")

// Receive applies one Slack event, exactly once, whatever came before it and however often: what results is a function of the set of events.
// store.ErrLeaseLost means that another worker has it.
func (d *Desk) Receive(ctx context.Context, r Receipt, ev SlackEvent) (Outcome, error) {
	var number int
	var outcome Outcome
	for {
		err := d.Store.Tx(ctx, r.Claim.TenantID, d.Now(), func(tx *store.Tx) error {
			rc := &receiving{tx: tx, link: r.Link, inst: r.Installation, ev: ev, number: number}
			var err error
			if outcome, err = rc.apply(ctx); err != nil {
				return err
			}
			if r.Item.EventID != nil {
				if err := tx.FinishEvent(ctx, *r.Item.EventID, string(outcome), tx.Now()); err != nil {
					return err
				}
			}
			return tx.TakeItem(ctx, r.Claim, r.Item.ID)
		})
		if errors.Is(err, errNeedsNumber) {
			if number, err = d.Store.NextNumber(ctx, r.Claim.TenantID); err != nil {
				return "", err
			}
			continue
		}
		return outcome, err
	}
}

// Drop takes an event that changes nothing from its lane, with the reason.
func (d *Desk) Drop(ctx context.Context, r Receipt, reason string) error {
	return d.Store.Tx(ctx, r.Claim.TenantID, d.Now(), func(tx *store.Tx) error {
		if r.Item.EventID != nil {
			if err := tx.FinishEvent(ctx, *r.Item.EventID, "DROPPED: "+reason, tx.Now()); err != nil {
				return err
			}
		}
		return tx.TakeItem(ctx, r.Claim, r.Item.ID)
	})
}

// receiving is the application of one event in one transaction. Locks are taken in one order everywhere: the Slack message, its thread, the
// author, the conversation, messages, their parts, lanes, and last the tenant's counter.
type receiving struct {
	tx     *store.Tx
	link   *ochre.ChannelLink
	inst   *ochre.SlackInstallation
	ev     SlackEvent
	number int
}

func (rc *receiving) apply(ctx context.Context) (Outcome, error) {
	if err := rc.tx.LockSlackTS(ctx, rc.link.ID, rc.ev.TS); err != nil {
		return "", err
	}
	switch rc.ev.Kind {
	case Deleted:
		return rc.bury(ctx)
	case ReactionAdded, ReactionRemoved:
		return rc.react(ctx)
	}
	if out, err := rc.echo(ctx); out != "" || err != nil {
		return out, err
	}
	return rc.post(ctx)
}

// post applies a message of somebody else, new or edited: both carry the whole message.
func (rc *receiving) post(ctx context.Context) (Outcome, error) {
	threadTS, err := rc.threadTS(ctx)
	if err != nil {
		return "", err
	}
	t, err := rc.tx.LockThread(ctx, rc.link.ID, threadTS)
	if err != nil {
		return "", err
	}
	if rc.ev.TS == t.ThreadTS && t.ConversationID != nil { // a root that comes late decides anew who everybody in its thread is
		if _, err := rc.tx.LockPeople(ctx, t.ID, rc.authorTeam(), rc.ev.Author.UserID); err != nil {
			return "", err
		}
	}
	who, err := rc.author(ctx)
	if err != nil {
		return "", err
	}
	c, err := lockConversationOf(ctx, rc.tx, t)
	if err != nil {
		return "", err
	}
	m, err := rc.tx.LockMessageAt(ctx, rc.link.ID, rc.ev.TS)
	switch {
	case errors.Is(err, ochre.ErrNotFound):
		return OutcomeApplied, rc.add(ctx, t, c, who)
	case err != nil:
		return "", err
	}
	return rc.change(ctx, t, c, m, who)
}

// threadTS tells in which thread the event's message stands. An edit may leave it out: then the message itself tells, if it is known.
func (rc *receiving) threadTS(ctx context.Context) (string, error) {
	if rc.ev.ThreadKnown && rc.ev.Kind != Edited {
		return rc.ev.ThreadTS, nil
	}
	ts, err := rc.tx.ThreadTSOf(ctx, rc.tx.Tenant, rc.link.ID, rc.ev.TS)
	if errors.Is(err, ochre.ErrNotFound) {
		return rc.ev.ThreadTS, nil
	}
	return ts, err
}

// lockConversationOf locks the conversation of a locked thread; nil where it has none.
func lockConversationOf(ctx context.Context, tx *store.Tx, t *ochre.Thread) (*ochre.Conversation, error) {
	if t.ConversationID == nil {
		return nil, nil //nolint:nilnil // a thread that nothing has opened is usual
	}
	return tx.LockConversation(ctx, *t.ConversationID)
}

// add stores a message that was not known, and opens its conversation if it is the first that can.
func (rc *receiving) add(ctx context.Context, t *ochre.Thread, c *ochre.Conversation, who *ochre.SlackIdentity) error {
	m, err := rc.message(ctx, t, who)
	if err != nil {
		return err
	}
	isRoot := rc.ev.TS == t.ThreadTS
	if isRoot {
		t.RootKnown = true
	}
	opened := false
	if c == nil && m.AuthorKind != ochre.AuthorApp {
		if c, err = rc.open(ctx, t, m); err != nil {
			return err
		}
		opened = true
	}
	if err := rc.tx.UpdateThread(ctx, t); err != nil {
		return err
	}
	if c != nil {
		m.ConversationID = &c.ID
	}
	if err := rc.tx.InsertMessage(ctx, m); err != nil {
		return err
	}
	if err := rc.files(ctx, m); err != nil {
		return err
	}
	if err := rc.mentions(ctx, m); err != nil {
		return err
	}
	if c == nil {
		return nil
	}
	return rc.tell(ctx, t, c, m, opened, isRoot)
}

// tell writes what follows from a new message: the derived conversation, its activities, and the events.
func (rc *receiving) tell(ctx context.Context, t *ochre.Thread, c *ochre.Conversation, m *ochre.Message, opened, isRoot bool) error {
	if opened {
		rc.tx.Log(ochre.Event{Type: ochre.EventConversationCreated, ConversationID: &c.ID})
		had, err := rc.tx.AdoptMessages(ctx, t.ID, c.ID)
		if err != nil {
			return err
		}
		for _, id := range had {
			rc.tx.Log(contentEvent(ochre.EventEntryAdded, c.ID, id, nil))
		}
		if !t.RootKnown {
			if err := rc.job(JobRoot, "root:"+rc.inst.ID.String(), Job{ThreadID: &t.ID}); err != nil {
				return err
			}
		}
	}
	rc.tx.Log(contentEvent(ochre.EventEntryAdded, c.ID, m.ID, nil))
	if opened {
		if err := caused(ctx, rc.tx, c, ochre.ActivityCreated, m, nil, nil); err != nil {
			return err
		}
	}
	if isRoot && !opened {
		if err := placeThread(ctx, rc.tx, rc.link, t); err != nil {
			return err
		}
	}
	return rc.rederive(ctx, c, m, opened)
}

// rederive brings a conversation up to date with its messages, and tells.
func (rc *receiving) rederive(ctx context.Context, c *ochre.Conversation, m *ochre.Message, opened bool) error {
	before := c.Status
	if err := deriveConversation(ctx, rc.tx, c); err != nil {
		return err
	}
	if !opened && before != c.Status {
		if err := turned(ctx, rc.tx, c, m, before); err != nil {
			return err
		}
	}
	if !opened {
		rc.tx.Log(ochre.Event{Type: ochre.EventConversationChanged, ConversationID: &c.ID})
	}
	return rc.tx.UpdateConversation(ctx, c)
}

// open makes the conversation of a thread. It is CLOSED until a customer's message stands in it.
func (rc *receiving) open(ctx context.Context, t *ochre.Thread, m *ochre.Message) (*ochre.Conversation, error) {
	if rc.number == 0 {
		return nil, errNeedsNumber
	}
	began, err := ochre.TimeOf(t.ThreadTS)
	if err != nil {
		began = m.CreatedAt
	}
	c := &ochre.Conversation{
		ID: ochre.NewIDAt(rc.tx.Now()), Version: 0, Number: rc.number, Title: deletedText, Preview: deletedText,
		Status: ochre.StatusClosed, BaseStatus: ochre.StatusClosed, StatusAt: time.Unix(0, 0).UTC(), Priority: ochre.PriorityNormal,
		OrganizationID: rc.link.OrganizationID, LinkID: rc.link.ID, CreatedAt: began, LastActivityAt: began,
	}
	if err := rc.tx.InsertConversation(ctx, c); err != nil {
		return nil, err
	}
	t.ConversationID = &c.ID
	return c, nil
}

// message makes the row of the event's message.
func (rc *receiving) message(ctx context.Context, t *ochre.Thread, who *ochre.SlackIdentity) (*ochre.Message, error) {
	position, err := ochre.PositionOf(rc.ev.TS)
	if err != nil {
		return nil, err
	}
	m := &ochre.Message{
		ID: ochre.NewIDAt(rc.tx.Now()), ThreadID: t.ID, LinkID: rc.link.ID, ConversationID: t.ConversationID, Version: 1, Position: position,
		Body: rc.ev.Body, Original: rc.ev.Original, EditTS: editKey(rc.ev), EditedAt: editedAt(rc.ev),
		CreatedAt: time.UnixMicro(position).UTC(), SlackTS: ptr(rc.ev.TS),
	}
	if err := rc.setAuthor(ctx, t, m, who); err != nil {
		return nil, err
	}
	grave, err := rc.tx.Tombstone(ctx, rc.tx.Tenant, rc.link.ID, rc.ev.TS)
	if err != nil {
		return nil, err
	}
	if grave != "" {
		empty(m, grave)
	}
	return m, nil
}

// change applies an edit to a known message, or what an edit that came first could not tell.
func (rc *receiving) change(ctx context.Context, t *ochre.Thread, c *ochre.Conversation, m *ochre.Message, who *ochre.SlackIdentity) (Outcome, error) {
	if m.DeliveryState != nil {
		return OutcomeEcho, nil // what was written in Ochre is changed in Ochre
	}
	visible := false
	if m.AuthorKind == ochre.AuthorUnknown && who != nil && who.SlackTeamID != "" {
		if err := rc.setAuthor(ctx, t, m, who); err != nil {
			return "", err
		}
		visible = true
	}
	key := editKey(rc.ev)
	newer := key > m.EditTS
	named := rc.nameApp(m, newer)
	visible = visible || named
	if newer {
		m.EditTS, m.EditedAt = key, editedAt(rc.ev) // of a deleted message too, which else would remember fewer edits if it was deleted early
	}
	content := newer && m.DeletedAt == nil
	if content {
		visible = visible || m.Body != rc.ev.Body || rc.ev.ChangedContent
		m.Body, m.Original = rc.ev.Body, rc.ev.Original
	}
	if !newer && !visible {
		return OutcomeUnchanged, nil
	}
	if err := rc.tx.UpdateMessage(ctx, m); err != nil {
		return "", err
	}
	if content {
		if err := rc.files(ctx, m); err != nil {
			return "", err
		}
		if err := rc.mentions(ctx, m); err != nil {
			return "", err
		}
	}
	if !visible || c == nil {
		return OutcomeApplied, nil
	}
	rc.tx.Log(contentEvent(ochre.EventEntryChanged, c.ID, m.ID, nil))
	return OutcomeApplied, rc.rederive(ctx, c, m, false)
}

// editKey orders what is known of a message's content: "" is the message as posted, else Slack's time of the event that told of the edit (an edit's own
// ts has whole seconds only). An event that says the message was edited tells the newest content though it tells of something else, such as an unfurl.
func editKey(ev SlackEvent) string {
	if ev.Kind == Edited && (ev.EditTS != "" || ev.ChangedContent) {
		return ev.EventTS
	}
	return ev.EditTS // a message read from history says only when it was edited
}

func editedAt(ev SlackEvent) *time.Time {
	ts := ev.EditTS
	if ts == "" {
		ts = editKey(ev)
	}
	if at, err := ochre.TimeOf(ts); err == nil {
		return &at
	}
	return nil
}

// entryEvent tells that an entry came or changed.
func entryEvent(typ ochre.EventType, conversation ochre.ID, kind ochre.Kind, id ochre.ID) ochre.Event {
	return ochre.Event{Type: typ, ConversationID: &conversation, ObjectKind: kind, ObjectID: &id}
}

// contentEvent tells that a message was added, edited or deleted; agent is who did it here, nil for Slack.
func contentEvent(typ ochre.EventType, conversation, message ochre.ID, agent *ochre.ID) ochre.Event {
	e := entryEvent(typ, conversation, ochre.KindMessage, message)
	e.Content, e.ActorID = true, agent
	return e
}
