// Package ochre holds the nouns of Ochre, what must always hold of them, and the one error type. It imports the standard
// library only; every other package speaks in these words.
package ochre

import (
	"context"
	"time"
)

// Role is what an agent may do. An ADMIN may do all that an AGENT may.
type Role string

// The roles.
const (
	RoleAdmin Role = "ADMIN"
	RoleAgent Role = "AGENT"
)

// Tenant is a company that uses Ochre. Nothing of one tenant is visible to another.
type Tenant struct {
	ID        ID
	Name      string
	CreatedAt time.Time
}

// Principal is who makes a request: one agent of one tenant. TokenID is set where an API token was used, SessionID where a
// browser session was.
type Principal struct {
	TenantID  ID
	AgentID   ID
	Role      Role
	TokenID   ID
	SessionID string
}

// Agent is a person of the tenant who answers conversations. Emails are unique in the whole system, case-insensitively.
type Agent struct {
	TenantID  ID
	ID        ID
	Name      string
	Email     string
	AvatarURL *string
	Role      Role
	Active    bool
	CreatedAt time.Time
}

// Teammate is a member of our own Slack workspace who is no agent and stands on our side of a conversation.
type Teammate struct {
	TenantID  ID
	ID        ID
	Name      string
	AvatarURL *string
	CreatedAt time.Time
}

// Organization is a customer company.
type Organization struct {
	TenantID   ID
	ID         ID
	ExternalID *string
	Name       string
	Domain     *string
	CreatedAt  time.Time
}

// EndUser is a person on the customer's side. One that was emptied by a late match names the one who took over in MergedInto;
// its id goes on resolving, lists leave it out.
type EndUser struct {
	TenantID       ID
	ID             ID
	ExternalID     *string
	Name           string
	Email          *string
	AvatarURL      *string
	OrganizationID *ID
	MergedInto     *ID
	CreatedAt      time.Time
}

// SlackIdentity is a person in Slack, known by team id and user id. It may stand for an agent, a teammate and (in an ordinary
// channel) an end user at once; a message's own author kind says which is meant. OrganizationID is that of the first link that
// saw the person. Name, AvatarURL and Email are the profile as last seen; an email of a foreign workspace is never trusted
// beyond its own organization.
type SlackIdentity struct {
	TenantID       ID
	ID             ID
	SlackTeamID    string
	SlackUserID    string
	IsExternal     bool
	IsBot          bool
	Name           string
	AvatarURL      *string
	Email          *string
	OrganizationID *ID
	AgentID        *ID
	TeammateID     *ID
	EndUserID      *ID
	ProfileAt      *time.Time // when users.info last answered; nil: never
	CreatedAt      time.Time
}

// SlackApp is some app or workflow that posted in Slack and is not us.
type SlackApp struct {
	Name  string
	AppID *string
}

// AutomationKind tells what kind of automation acted.
type AutomationKind string

// The kinds of automation.
const (
	AutomationRule   AutomationKind = "RULE"
	AutomationAI     AutomationKind = "AI"
	AutomationSLA    AutomationKind = "SLA"
	AutomationSystem AutomationKind = "SYSTEM"
)

// Automation is a rule, the AI, an SLA or Ochre itself as an actor.
type Automation struct {
	Kind AutomationKind
	Name string
}

// APIToken lets a machine act as an agent. Only a hash of the token is kept.
type APIToken struct {
	TenantID   ID
	ID         ID
	AgentID    ID
	Name       string
	Hash       []byte
	CreatedAt  time.Time
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

type principalKey struct{}

// WithPrincipal returns a context that carries who makes the request.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom gives who makes the request; false where nobody signed in.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
