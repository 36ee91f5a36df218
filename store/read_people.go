package store

import (
	"context"

	"github.com/ochrehq/ochre"
)

// AgentsByID reads agents, the deactivated ones too.
func (q queries) AgentsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Agent, error) {
	return byID(ctx, q, "agents", tenant, ids, func(a *ochre.Agent) ochre.ID { return a.ID })
}

// TeammatesByID reads teammates.
func (q queries) TeammatesByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Teammate, error) {
	return byID(ctx, q, "teammates", tenant, ids, func(t *ochre.Teammate) ochre.ID { return t.ID })
}

// OrganizationsByID reads organizations.
func (q queries) OrganizationsByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Organization, error) {
	return byID(ctx, q, "organizations", tenant, ids, func(o *ochre.Organization) ochre.ID { return o.ID })
}

// EndUsersByID reads end users, the merged ones too.
func (q queries) EndUsersByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.EndUser, error) {
	return byID(ctx, q, "end_users", tenant, ids, func(u *ochre.EndUser) ochre.ID { return u.ID })
}

// CurrentEndUsers reads end users as EndUsersByID does, but a merged one is answered by the one who took over.
func (q queries) CurrentEndUsers(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.EndUser, error) {
	users, err := q.EndUsersByID(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	for range 10 { // a merged one may have been merged into one who was merged later
		var heirs []ochre.ID
		for _, u := range users {
			if u.MergedInto != nil {
				heirs = append(heirs, *u.MergedInto)
			}
		}
		if len(heirs) == 0 {
			break
		}
		found, err := q.EndUsersByID(ctx, tenant, heirs)
		if err != nil {
			return nil, err
		}
		for id, u := range users {
			if u.MergedInto != nil && found[*u.MergedInto] != nil {
				users[id] = found[*u.MergedInto]
			}
		}
	}
	return users, nil
}

// IdentitiesByID reads Slack identities.
func (q queries) IdentitiesByID(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.SlackIdentity, error) {
	return byID(ctx, q, "slack_identities", tenant, ids, func(i *ochre.SlackIdentity) ochre.ID { return i.ID })
}

// IdentitiesOfAgents reads who agents are in Slack.
func (q queries) IdentitiesOfAgents(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID][]*ochre.SlackIdentity, error) {
	return identitiesOf(ctx, q, "agent_id", tenant, ids, func(i *ochre.SlackIdentity) ochre.ID { return *i.AgentID })
}

// IdentitiesOfTeammates reads who teammates are in Slack.
func (q queries) IdentitiesOfTeammates(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID][]*ochre.SlackIdentity, error) {
	return identitiesOf(ctx, q, "teammate_id", tenant, ids, func(i *ochre.SlackIdentity) ochre.ID { return *i.TeammateID })
}

// IdentitiesOfEndUsers reads who end users are in Slack.
func (q queries) IdentitiesOfEndUsers(ctx context.Context, tenant ochre.ID, ids []ochre.ID) (map[ochre.ID][]*ochre.SlackIdentity, error) {
	return identitiesOf(ctx, q, "end_user_id", tenant, ids, func(i *ochre.SlackIdentity) ochre.ID { return *i.EndUserID })
}

func identitiesOf(ctx context.Context, q queries, column string, tenant ochre.ID, ids []ochre.ID, key func(*ochre.SlackIdentity) ochre.ID) (map[ochre.ID][]*ochre.SlackIdentity, error) {
	return grouped(ctx, q, key, "SELECT * FROM slack_identities WHERE tenant_id = ? AND "+column+" = ANY(?::uuid[]) ORDER BY slack_team_id, slack_user_id", tenant, array(ids))
}

// AgentPage reads a page of the tenant's agents by name, the deactivated ones too.
func (q queries) AgentPage(ctx context.Context, tenant ochre.ID, p Page) (*Slice[*ochre.Agent], error) {
	return page(ctx, q, tenant, &list[ochre.Agent]{
		order: order[*ochre.Agent]{list: "agents", key: "name", kind: keyText, at: func(a *ochre.Agent) position { return position{a.Name, a.ID} }},
		sql:   "SELECT * FROM agents WHERE tenant_id = ?", args: []any{tenant},
	}, p)
}

// OrganizationPage reads a page of organizations by name. query is a part of the name, domain or external id, in any case; "" for all.
func (q queries) OrganizationPage(ctx context.Context, tenant ochre.ID, query string, p Page) (*Slice[*ochre.Organization], error) {
	l := &list[ochre.Organization]{
		order: order[*ochre.Organization]{list: "organizations", key: "name", kind: keyText, at: func(o *ochre.Organization) position { return position{o.Name, o.ID} }},
		sql:   "SELECT * FROM organizations WHERE tenant_id = ?", args: []any{tenant},
	}
	if query != "" {
		like := containing(query)
		l.and("(name ILIKE ? OR domain ILIKE ? OR external_id ILIKE ?)", like, like, like)
	}
	return page(ctx, q, tenant, l, p)
}

// EndUserPage reads a page of end users by name, without those who were merged into another. query is a part of the name, email or
// external id, in any case; "" for all. With an organization, only its people.
func (q queries) EndUserPage(ctx context.Context, tenant ochre.ID, query string, organization *ochre.ID, p Page) (*Slice[*ochre.EndUser], error) {
	l := &list[ochre.EndUser]{
		order: order[*ochre.EndUser]{list: "endUsers", key: "name", kind: keyText, at: func(u *ochre.EndUser) position { return position{u.Name, u.ID} }},
		sql:   "SELECT * FROM end_users WHERE tenant_id = ? AND merged_into IS NULL", args: []any{tenant},
	}
	if query != "" {
		like := containing(query)
		l.and("(name ILIKE ? OR email ILIKE ? OR external_id ILIKE ?)", like, like, like)
	}
	if organization != nil {
		l.and("organization_id = ?", *organization)
	}
	return page(ctx, q, tenant, l, p)
}
