// Package resolvers turns GraphQL into one call and its result back into GraphQL. Reads go to the store, writes to the desk.
package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/graph/generated"
	"github.com/ochrehq/ochre/store"
)

// Subscriber gives live events. With a conversation, only its own; with a cursor, those after it first. The channel is closed when ctx ends,
// or earlier, after socket.Interrupt, when events can't be told any more. The events are shared between subscribers: nothing may change them.
// INVALID_CURSOR for a cursor that the principal's tenant was never given.
type Subscriber interface {
	Subscribe(ctx context.Context, p ochre.Principal, conversation *ochre.ID, after *ochre.EventCursor) (<-chan ochre.InboxEvent, error)
}

// Resolver holds what the resolvers call.
type Resolver struct {
	Store     *store.Store
	Desk      *desk.Desk
	Live      Subscriber
	PublicURL string // without a slash at the end
}

// Schema gives what gqlgen's executor runs. Use Loaders as an extension of it.
func (r *Resolver) Schema() graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{
		Resolvers:  r,
		Directives: generated.DirectiveRoot{HasRole: hasRole},
		Complexity: Complexity(),
	})
}

// hasRole is the directive of the same name. An ADMIN may do all that an AGENT may.
func hasRole(ctx context.Context, _ any, next graphql.Resolver, role ochre.Role) (any, error) {
	p, ok := ochre.PrincipalFrom(ctx)
	if !ok {
		return nil, ochre.Errorf(ochre.CodeUnauthenticated, "Sign in, or send an API token.")
	}
	if p.Role != ochre.RoleAdmin && p.Role != role {
		return nil, ochre.Errorf(ochre.CodeForbidden, "Only an admin may do this.")
	}
	return next(ctx)
}

// who makes the request; hasRole has seen to it that there is somebody.
func who(ctx context.Context) ochre.Principal {
	p, _ := ochre.PrincipalFrom(ctx)
	return p
}
