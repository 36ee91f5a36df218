package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// confirm writes that Slack has the message at the earliest of the places where it was seen; any other is a double and is deleted.
func (d *Desk) confirm(ctx context.Context, o *Outgoing, seen []string) (out Outcome, err error) {
	err = d.onOutgoing(ctx, o, func(tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part) error {
		out = OutcomeConfirmed
		for _, ts := range seen {
			got, err := seenInSlack(ctx, tx, c, m, part, ts)
			if err != nil {
				return err
			}
			if got == OutcomeDouble {
				out = got
			}
		}
		return tx.TakeItem(ctx, o.Claim, o.Item.ID)
	}, slices.Sorted(slices.Values(seen))...)
	return out, err
}

// seenInSlack takes that one of our messages stands in Slack at ts: told by Slack's answer, by an echo or by a look-up, in any order and number. The earliest
// place is the message's own; a later one is a double, which is deleted in Slack.
func seenInSlack(ctx context.Context, tx *store.Tx, c *ochre.Conversation, m *ochre.Message, part *store.Part, ts string) (Outcome, error) {
	position, err := ochre.PositionOf(ts)
	if err != nil {
		return "", err
	}
	double := ""
	switch {
	case part.SlackTS != nil && *part.SlackTS == ts:
		return OutcomeEcho, nil
	case part.SlackTS != nil && *part.SlackTS < ts:
		return OutcomeDouble, enqueueOutbound(tx, ItemDeleteDouble, m, outboundJob{SlackTS: ts})
	case part.SlackTS != nil:
		double = *part.SlackTS
	}
	part.SlackTS, part.DeliveryState, part.NextAttemptAt, part.ErrorCode, part.ErrorMessage = &ts, ochre.DeliverySent, nil, nil, nil
	if err := tx.UpdatePart(ctx, part); err != nil {
		return "", err
	}
	m.Position, m.CreatedAt = position, time.UnixMicro(position).UTC()
	grave, err := tx.Tombstone(ctx, tx.Tenant, m.LinkID, ts)
	if err != nil {
		return "", err
	}
	if grave != "" { // deleted in Slack before we learned that it was there
		empty(m, grave)
	} else if m.DeletedAt != nil { // deleted here when it surely was not there, but it is
		if err := enqueueOutbound(tx, ItemDeleteDouble, m, outboundJob{SlackTS: ts}); err != nil {
			return "", err
		}
	}
	if err := againChange(tx, m); err != nil {
		return "", err
	}
	tx.Log(entryEvent(ochre.EventEntryChanged, c.ID, ochre.KindMessage, m.ID))
	if err := conversationChanged(ctx, tx, c, m); err != nil {
		return "", err
	}
	if double == "" {
		return OutcomeConfirmed, nil
	}
	return OutcomeDouble, enqueueOutbound(tx, ItemDeleteDouble, m, outboundJob{SlackTS: double})
}

// echo takes our own posts as Slack tells of them. "" means that the event is somebody else's message.
func (rc *receiving) echo(ctx context.Context) (Outcome, error) {
	ev := rc.ev
	foreign := ev.PersonPosted || ev.Author.BotID != "" && !ev.Echo // somebody can copy our metadata, but not be our bot
	if id, err := ochre.ParseID(ochre.KindMessage, ev.MessageID); err == nil && !foreign {
		c, m, part, err := lockReply(ctx, rc.tx, id)
		if err == nil && part != nil && m.LinkID == rc.link.ID {
			return seenInSlack(ctx, rc.tx, c, m, part, ev.TS)
		}
		if err != nil && !errors.Is(err, ochre.ErrNotFound) {
			return "", err
		}
	}
	if ev.Echo {
		return OutcomeEcho, nil // the sender's own answer, or its look-up, tells which message it is
	}
	return "", nil
}
