package resolvers

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vikstrous/dataloadgen"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// loadWait is how long a loader waits for siblings to ask too.
const loadWait = time.Millisecond

// loader reads things by key, many at once; what does not exist is the zero value, without an error.
type loader[K comparable, V any] = *dataloadgen.Loader[K, V]

// loaders gather the reads of one response.
type loaders struct {
	agents        loader[ochre.ID, *ochre.Agent]
	teammates     loader[ochre.ID, *ochre.Teammate]
	organizations loader[ochre.ID, *ochre.Organization]
	endUsers      loader[ochre.ID, *ochre.EndUser] // a merged one is answered by who took over
	identities    loader[ochre.ID, *ochre.SlackIdentity]
	installations loader[ochre.ID, *ochre.SlackInstallation]
	links         loader[ochre.ID, *ochre.ChannelLink]
	liveLinks     loader[string, *ochre.ChannelLink] // by Slack's channel id

	agentIdentities    loader[ochre.ID, []*ochre.SlackIdentity]
	teammateIdentities loader[ochre.ID, []*ochre.SlackIdentity]
	endUserIdentities  loader[ochre.ID, []*ochre.SlackIdentity]

	attachments        loader[ochre.ID, []*ochre.Attachment] // by message
	reactions          loader[ochre.ID, []*ochre.Reaction]   // by message
	messagePlaces      loader[ochre.ID, *store.SlackPlace]
	conversationPlaces loader[ochre.ID, *store.SlackPlace]
}

func newLoaders(s *store.Store, tenant ochre.ID) *loaders {
	return &loaders{
		agents:        newLoader(tenant, s.AgentsByID),
		teammates:     newLoader(tenant, s.TeammatesByID),
		organizations: newLoader(tenant, s.OrganizationsByID),
		endUsers:      newLoader(tenant, s.CurrentEndUsers),
		identities:    newLoader(tenant, s.IdentitiesByID),
		installations: newLoader(tenant, s.InstallationsByID),
		links:         newLoader(tenant, s.LinksByID),
		liveLinks:     newLoader(tenant, s.LiveLinks),

		agentIdentities:    newLoader(tenant, s.IdentitiesOfAgents),
		teammateIdentities: newLoader(tenant, s.IdentitiesOfTeammates),
		endUserIdentities:  newLoader(tenant, s.IdentitiesOfEndUsers),

		attachments:        newLoader(tenant, s.AttachmentsOf),
		reactions:          newLoader(tenant, s.ReactionsOf),
		messagePlaces:      newLoader(tenant, s.MessagePlaces),
		conversationPlaces: newLoader(tenant, s.ConversationPlaces),
	}
}

func newLoader[K comparable, V any](tenant ochre.ID, read func(context.Context, ochre.ID, []K) (map[K]V, error)) loader[K, V] {
	return dataloadgen.NewLoader(func(ctx context.Context, keys []K) ([]V, []error) {
		found, err := read(ctx, tenant, keys)
		if err != nil {
			return nil, []error{err}
		}
		values := make([]V, len(keys))
		for i, k := range keys {
			values[i] = found[k]
		}
		return values, nil
	}, dataloadgen.WithWait(loadWait))
}

// load reads what a reference points to; nil where there is none.
func load[V any](ctx context.Context, l loader[ochre.ID, *V], id *ochre.ID) (*V, error) {
	if id == nil {
		return nil, nil // null in GraphQL
	}
	return l.Load(ctx, *id)
}

type loadersKey struct{}

// loaders gives those of the present response, or new ones where Loaders is not in use.
func (r *Resolver) loaders(ctx context.Context) *loaders {
	if l, ok := ctx.Value(loadersKey{}).(*loaders); ok {
		return l
	}
	return newLoaders(r.Store, who(ctx).TenantID)
}

func (r *Resolver) withLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, newLoaders(r.Store, who(ctx).TenantID))
}

// Loaders is the extension of gqlgen's executor that gathers the reads of one response into few. Each event of a subscription and each field
// of a mutation begins anew, so that it sees what was changed before.
func (r *Resolver) Loaders() interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} {
	return loading{r}
}

type loading struct{ r *Resolver }

func (loading) ExtensionName() string                     { return "Loaders" }
func (loading) Validate(_ graphql.ExecutableSchema) error { return nil }
func (l loading) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(l.r.withLoaders(ctx))
}

func (l loading) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if op := graphql.GetOperationContext(ctx).Operation; op != nil && op.Operation == ast.Mutation {
		ctx = l.r.withLoaders(ctx)
	}
	return next(ctx)
}
