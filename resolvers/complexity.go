package resolvers

import (
	"github.com/ochrehq/ochre/graph/generated"
	"github.com/ochrehq/ochre/graph/model"
	"github.com/ochrehq/ochre/store"
)

// Complexity counts what a query may cost at most: each field one, and what is below a list as often as the list may have entries. A
// connection counts by the page that was asked for.
func Complexity() generated.ComplexityRoot {
	var c generated.ComplexityRoot
	c.Conversation.Timeline = func(child int, first *int, _ *string, last *int, _ *string) int { return paged(child, first, last) }
	c.Query.Agents = func(child int, first *int, _ *string, last *int, _ *string) int { return paged(child, first, last) }
	c.Query.ChannelLinks = func(child int, _ bool, first *int, _ *string, last *int, _ *string) int {
		return paged(child, first, last)
	}
	c.Query.Conversations = func(child int, _ *model.ConversationFilter, _ *model.ConversationOrder, first *int, _ *string, last *int, _ *string) int {
		return paged(child, first, last)
	}
	c.Query.Organizations = func(child int, _ *string, first *int, _ *string, last *int, _ *string) int {
		return paged(child, first, last)
	}
	c.Query.EndUsers = func(child int, _, _ *string, first *int, _ *string, last *int, _ *string) int {
		return paged(child, first, last)
	}
	c.Query.SlackChannels = func(child int, _ string, _ *string, first *int, _ *string, last *int, _ *string) int {
		return paged(child, first, last)
	}
	c.Query.Nodes = func(child int, ids []string) int { return 1 + child*len(ids) }

	few := func(child int) int { return 1 + child*fewEntries }
	c.Query.SlackInstallations = few
	c.Message.Attachments, c.Message.Reactions = few, few
	c.Agent.SlackIdentities, c.Teammate.SlackIdentities, c.EndUser.SlackIdentities = few, few, few
	return c
}

// fewEntries stands for the length of lists that have no pages because they are short.
const fewEntries = 5

// paged is the cost of a connection. A size that will be refused counts as the nearest that would not.
func paged(child int, first, last *int) int {
	size := store.DefaultPage
	switch {
	case first != nil:
		size = *first
	case last != nil:
		size = *last
	}
	return 1 + child*min(max(size, 1), store.MaxPage)
}
