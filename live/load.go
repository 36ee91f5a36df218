package live

import (
	"context"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// objectKinds says of what kind the object of an event is; "" for the kind that the event names. Types that are not here come from a newer
// version of Ochre, which this one can't show.
var objectKinds = map[ochre.EventType]ochre.Kind{
	ochre.EventConversationCreated: ochre.KindConversation,
	ochre.EventConversationChanged: ochre.KindConversation,
	ochre.EventEntryAdded:          "",
	ochre.EventEntryChanged:        "",
	ochre.EventObjectRemoved:       "",
	ochre.EventLinkChanged:         ochre.KindChannelLink,
	ochre.EventInstallationChanged: ochre.KindSlackInstallation,
	ochre.EventSlackChannelChanged: ochre.KindSlackChannel,
}

// object names the thing that an event is about; false where it names none.
func object(e ochre.Event) (store.Ref, bool) {
	kind := objectKinds[e.Type]
	switch {
	case kind == ochre.KindConversation:
		return conversation(e)
	case e.ObjectID == nil:
		return store.Ref{}, false
	case kind == "":
		kind = e.ObjectKind
	}
	return store.Ref{Kind: kind, ID: *e.ObjectID}, true
}

func conversation(e ochre.Event) (store.Ref, bool) {
	if e.ConversationID == nil {
		return store.Ref{}, false
	}
	return store.Ref{Kind: ochre.KindConversation, ID: *e.ConversationID}, true
}

// load reads the objects of events, with one query a kind. They are at least as new as the events; what is gone is told as removed.
func (h *Hub) load(ctx context.Context, tenant ochre.ID, events []ochre.Event) ([]ochre.InboxEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	wanted := map[store.Ref]bool{}
	for _, e := range events {
		if e.Type == ochre.EventObjectRemoved {
			continue
		}
		if ref, ok := object(e); ok {
			wanted[ref] = true
		}
		if ref, ok := conversation(e); ok {
			wanted[ref] = true
		}
	}
	refs := make([]store.Ref, 0, len(wanted))
	for ref := range wanted {
		refs = append(refs, ref)
	}
	nodes, err := h.Store.Nodes(ctx, tenant, refs)
	if err != nil {
		return nil, err
	}
	out := make([]ochre.InboxEvent, len(events))
	for i, e := range events {
		out[i] = assemble(e, ochre.EventHead{Cursor: h.Cursors.Encode(tenant, e.Seq), At: e.At.UTC()}, nodes)
	}
	return out, nil
}

// assemble makes what subscribers see of an event.
func assemble(e ochre.Event, head ochre.EventHead, nodes map[store.Ref]ochre.Node) ochre.InboxEvent {
	ref, _ := object(e)
	place, _ := conversation(e)
	c, _ := nodes[place].(*ochre.Conversation)
	thing := nodes[ref]
	if e.Type == ochre.EventObjectRemoved { // it may be there still, only not to be seen
		thing = nil
	}
	switch thing := thing.(type) {
	case *ochre.ChannelLink:
		return &ochre.ChannelLinkChanged{EventHead: head, ChannelLink: thing}
	case *ochre.SlackInstallation:
		return &ochre.SlackInstallationChanged{EventHead: head, Installation: thing}
	case *ochre.SlackChannel:
		return &ochre.SlackChannelChanged{EventHead: head, SlackChannel: thing}
	case *ochre.Conversation:
		if e.Type == ochre.EventConversationCreated {
			return &ochre.ConversationCreated{EventHead: head, Conversation: thing}
		}
		return &ochre.ConversationChanged{EventHead: head, Conversation: thing}
	case ochre.TimelineEntry:
		if c == nil {
			break
		}
		if e.Type == ochre.EventEntryAdded {
			return &ochre.TimelineEntryAdded{EventHead: head, Conversation: c, Entry: thing}
		}
		return &ochre.TimelineEntryChanged{EventHead: head, Conversation: c, Entry: thing}
	}
	removed := &ochre.ObjectRemoved{EventHead: head}
	switch {
	case e.ObjectID != nil:
		removed.RemovedID = ref.ID.Global(ref.Kind)
	case e.ConversationID != nil:
		removed.RemovedID = place.ID.Global(place.Kind)
	}
	return removed
}
