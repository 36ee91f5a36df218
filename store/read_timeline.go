package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ochrehq/ochre"
)

// Ref names one thing that has a global id.
type Ref struct {
	Kind ochre.Kind
	ID   ochre.ID
}

// entryRow is where one entry of a timeline stands.
type entryRow struct {
	Kind     string
	ID       ochre.ID
	Position int64
}

// Timeline reads a page of a conversation's messages, notes and activities, by position and id.
func (q queries) Timeline(ctx context.Context, tenant, conversation ochre.ID, p Page) (*Slice[ochre.TimelineEntry], error) {
	o := order[*entryRow]{
		list: "timeline " + conversation.String(), key: "position", kind: keyBigint,
		at: func(e *entryRow) position { return position{strconv.FormatInt(e.Position, 10), e.ID} },
	}
	w, err := o.window(tenant, p)
	if err != nil {
		return nil, err
	}
	where, bounds := o.where(w, "id")
	tail := o.tail(w, "id")
	// The limit stands in each branch, so that each is a short walk along its own index however long the conversation is.
	var sql string
	var args []any
	for i, b := range []struct {
		kind  ochre.Kind
		table string
	}{{ochre.KindMessage, "messages"}, {ochre.KindNote, "notes"}, {ochre.KindActivity, "activities"}} {
		if i > 0 {
			sql += " UNION ALL "
		}
		sql += "(SELECT '" + string(b.kind) + "' AS kind, id, position FROM " + b.table + " WHERE tenant_id = ? AND conversation_id = ?" + where + tail + ")"
		args = append(append(args, tenant, conversation), bounds...)
	}
	found, err := rows[entryRow](ctx, q, "SELECT * FROM ("+sql+") AS e"+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read a page of a timeline: %w", err)
	}
	return q.entries(ctx, tenant, o.slice(tenant, w, found))
}

// entries reads the entries themselves. One that was deleted meanwhile is left out.
func (q queries) entries(ctx context.Context, tenant ochre.ID, s *Slice[*entryRow]) (*Slice[ochre.TimelineEntry], error) {
	refs := make([]Ref, len(s.Nodes))
	for i, e := range s.Nodes {
		refs[i] = Ref{ochre.Kind(e.Kind), e.ID}
	}
	nodes, err := q.Nodes(ctx, tenant, refs)
	if err != nil {
		return nil, err
	}
	out := &Slice[ochre.TimelineEntry]{HasNext: s.HasNext, HasPrevious: s.HasPrevious}
	for i, ref := range refs {
		if e, ok := nodes[ref].(ochre.TimelineEntry); ok {
			out.Nodes, out.Cursors = append(out.Nodes, e), append(out.Cursors, s.Cursors[i])
		}
	}
	return out, nil
}

// TimelineEntry reads one message, note or activity.
func (q queries) TimelineEntry(ctx context.Context, tenant ochre.ID, kind ochre.Kind, id ochre.ID) (ochre.TimelineEntry, error) {
	nodes, err := q.Nodes(ctx, tenant, []Ref{{kind, id}})
	if err != nil {
		return nil, err
	}
	if e, ok := nodes[Ref{kind, id}].(ochre.TimelineEntry); ok {
		return e, nil
	}
	return nil, ochre.ErrNotFound
}

// Nodes reads things of any kinds, with one query a kind. What the tenant does not have is missing from the result.
func (q queries) Nodes(ctx context.Context, tenant ochre.ID, refs []Ref) (map[Ref]ochre.Node, error) {
	ids := map[ochre.Kind][]ochre.ID{}
	for _, r := range refs {
		ids[r.Kind] = append(ids[r.Kind], r.ID)
	}
	nodes := make(map[Ref]ochre.Node, len(refs))
	for kind, of := range ids {
		read, ok := readers[kind]
		if !ok {
			continue
		}
		if err := read(ctx, q, tenant, of, func(id ochre.ID, n ochre.Node) { nodes[Ref{kind, id}] = n }); err != nil {
			return nil, fmt.Errorf("read things of kind %s: %w", kind, err)
		}
	}
	return nodes, nil
}

type reader func(ctx context.Context, q queries, tenant ochre.ID, ids []ochre.ID, found func(ochre.ID, ochre.Node)) error

// readers holds how each kind of thing is read by its id.
var readers = map[ochre.Kind]reader{
	ochre.KindAgent:             readBy(queries.AgentsByID),
	ochre.KindTeammate:          readBy(queries.TeammatesByID),
	ochre.KindOrganization:      readBy(queries.OrganizationsByID),
	ochre.KindEndUser:           readBy(queries.EndUsersByID),
	ochre.KindSlackInstallation: readBy(queries.InstallationsByID),
	ochre.KindSlackChannel:      readBy(queries.SlackChannelsByID),
	ochre.KindChannelLink:       readBy(queries.LinksByID),
	ochre.KindConversation:      readBy(queries.ConversationsByID),
	ochre.KindMessage:           readBy(queries.MessagesByID),
	ochre.KindNote:              readBy(queries.NotesByID),
	ochre.KindActivity:          readBy(queries.ActivitiesByID),
	ochre.KindAttachment:        readBy(queries.AttachmentsByID),
}

func readBy[N ochre.Node](read func(queries, context.Context, ochre.ID, []ochre.ID) (map[ochre.ID]N, error)) reader {
	return func(ctx context.Context, q queries, tenant ochre.ID, ids []ochre.ID, found func(ochre.ID, ochre.Node)) error {
		nodes, err := read(q, ctx, tenant, ids)
		for id, n := range nodes {
			found(id, n)
		}
		return err
	}
}
