package resolvers

import (
	"context"
	"errors"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/graph/model"
	"github.com/ochrehq/ochre/store"
)

// system is Ochre itself as an actor.
var system = &ochre.Automation{Kind: ochre.AutomationSystem, Name: "Ochre"}

// result splits what a desk method gave into a payload's object and its userErrors: an expected failure is a userError and leaves no object,
// any other error ends the request.
func result[T any](v *T, err error) (*T, []model.UserError, error) {
	var e *ochre.Error
	switch {
	case err == nil:
		return v, []model.UserError{}, nil
	case errors.As(err, &e) && len(e.Path) > 0:
		return nil, []model.UserError{model.MutationError{Message: e.Message, Code: string(e.Code), Path: e.Path}}, nil
	}
	return nil, nil, err
}

// orNone makes null of what does not exist.
func orNone[T any](v *T, err error) (*T, error) {
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, nil // null in GraphQL
	}
	return v, err
}

// orNil gives a noun as an interface value, which is nil where the noun is.
func orNil[I, T any](v *T, err error) (I, error) {
	var none I
	if v == nil || err != nil {
		return none, err
	}
	return any(v).(I), nil
}

// known reads the id of something that an argument names; nil for nil. NOT_FOUND where the tenant has nothing of this kind with this id.
func (r *Resolver) known(ctx context.Context, kind ochre.Kind, id *string) (*ochre.ID, error) {
	if id == nil {
		return nil, nil // the argument was not given
	}
	notFound := ochre.Errorf(ochre.CodeNotFound, "Nothing with this id exists.")
	parsed, err := ochre.ParseID(kind, *id)
	if err != nil {
		return nil, notFound
	}
	ref := store.Ref{Kind: kind, ID: parsed}
	found, err := r.Store.Nodes(ctx, who(ctx).TenantID, []store.Ref{ref})
	if err != nil {
		return nil, err
	}
	if found[ref] == nil {
		return nil, notFound
	}
	return &parsed, nil
}

// filter reads the ids of a filter. A merged end user stands for who took over.
func (r *Resolver) filter(ctx context.Context, in *model.ConversationFilter) (f store.ConversationFilter, err error) {
	if in == nil {
		return f, nil
	}
	f = store.ConversationFilter{Status: in.Status, WaitingOn: in.WaitingOn, Unassigned: in.Unassigned}
	for _, arg := range []struct {
		kind ochre.Kind
		text *string
		id   **ochre.ID
	}{
		{ochre.KindAgent, in.AssigneeID, &f.AssigneeID},
		{ochre.KindOrganization, in.OrganizationID, &f.OrganizationID},
		{ochre.KindChannelLink, in.ChannelLinkID, &f.LinkID},
		{ochre.KindEndUser, in.EndUserID, &f.EndUserID},
	} {
		if *arg.id, err = r.known(ctx, arg.kind, arg.text); err != nil {
			return f, err
		}
	}
	if u, err := load(ctx, r.loaders(ctx).endUsers, f.EndUserID); err != nil {
		return f, err
	} else if u != nil {
		f.EndUserID = &u.ID
	}
	return f, nil
}

// author tells who wrote a message: what its author is in this message decides, not what the same person may be elsewhere.
func (r *Resolver) author(ctx context.Context, m *ochre.Message) (ochre.MessageAuthor, error) {
	l := r.loaders(ctx)
	switch m.AuthorKind {
	case ochre.AuthorApp:
		app := &ochre.SlackApp{Name: "App", AppID: m.SlackAppID}
		if m.AppName != nil && *m.AppName != "" {
			app.Name = *m.AppName
		}
		return app, nil
	case ochre.AuthorAutomation:
		return system, nil
	case ochre.AuthorUnknown:
		return nil, nil // null in GraphQL
	}
	if m.AuthorKind == ochre.AuthorAgent && m.AgentID != nil {
		return orNil[ochre.MessageAuthor](load(ctx, l.agents, m.AgentID))
	}
	i, err := load(ctx, l.identities, m.IdentityID)
	if err != nil || i == nil {
		return nil, err
	}
	switch m.AuthorKind {
	case ochre.AuthorAgent:
		return orNil[ochre.MessageAuthor](load(ctx, l.agents, i.AgentID))
	case ochre.AuthorTeammate:
		return orNil[ochre.MessageAuthor](load(ctx, l.teammates, i.TeammateID))
	default:
		return orNil[ochre.MessageAuthor](load(ctx, l.endUsers, i.EndUserID))
	}
}

func permalink(p *store.SlackPlace, err error) (*string, error) {
	if p == nil || err != nil {
		return nil, err
	}
	url := p.Permalink()
	if url == "" {
		return nil, nil // null in GraphQL
	}
	return &url, nil
}

func page(first *int, after *string, last *int, before *string) store.Page {
	return store.Page{First: first, After: after, Last: last, Before: before}
}

func pageInfo[T any](s *store.Slice[T]) *model.PageInfo {
	info := &model.PageInfo{HasNextPage: s.HasNext, HasPreviousPage: s.HasPrevious}
	if n := len(s.Cursors); n > 0 {
		info.StartCursor, info.EndCursor = &s.Cursors[0], &s.Cursors[n-1]
	}
	return info
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
