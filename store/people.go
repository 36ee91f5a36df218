package store

import (
	"context"
	"fmt"

	"github.com/ochrehq/ochre"
)

// EndUsersEmail is the constraint by which an email names one end user of an organization.
const EndUsersEmail = "end_users_email"

// LockOrganization reads an organization and locks it until the commit.
func (tx *Tx) LockOrganization(ctx context.Context, id ochre.ID) (*ochre.Organization, error) {
	var o ochre.Organization
	return one(&o, tx.db.WithContext(ctx).Raw("SELECT * FROM organizations WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&o))
}

// LockOrganizationByExternalID reads the organization that has the tenant's own id, and locks it until the commit.
func (tx *Tx) LockOrganizationByExternalID(ctx context.Context, external string) (*ochre.Organization, error) {
	var o ochre.Organization
	return one(&o, tx.db.WithContext(ctx).Raw("SELECT * FROM organizations WHERE tenant_id = ? AND external_id = ? FOR NO KEY UPDATE", tx.Tenant, external).Scan(&o))
}

// InsertOrganization stores a new organization. False: its external id was just taken, perhaps by another transaction.
func (tx *Tx) InsertOrganization(ctx context.Context, o *ochre.Organization) (bool, error) {
	o.TenantID = tx.Tenant
	res := tx.db.WithContext(ctx).Exec(`INSERT INTO organizations (tenant_id, id, external_id, name, domain, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		o.TenantID, o.ID, o.ExternalID, o.Name, o.Domain, o.CreatedAt)
	return res.RowsAffected == 1, res.Error
}

// UpdateOrganization writes a locked organization.
func (tx *Tx) UpdateOrganization(ctx context.Context, o *ochre.Organization) error {
	return tx.db.WithContext(ctx).Exec("UPDATE organizations SET name = ?, domain = ? WHERE tenant_id = ? AND id = ?", o.Name, o.Domain, tx.Tenant, o.ID).Error
}

// LockEndUserByExternalID reads the end user who has the tenant's own id, and locks it until the commit.
func (tx *Tx) LockEndUserByExternalID(ctx context.Context, external string) (*ochre.EndUser, error) {
	var u ochre.EndUser
	return one(&u, tx.db.WithContext(ctx).Raw("SELECT * FROM end_users WHERE tenant_id = ? AND external_id = ? FOR NO KEY UPDATE", tx.Tenant, external).Scan(&u))
}

// LockEndUsersByEmail reads the end users with an email, in any case, at most one of an organization, and locks them until the commit.
func (tx *Tx) LockEndUsersByEmail(ctx context.Context, email string) ([]*ochre.EndUser, error) {
	return rows[ochre.EndUser](ctx, tx.queries, "SELECT * FROM end_users WHERE tenant_id = ? AND lower(email) = lower(?) AND merged_into IS NULL ORDER BY id FOR NO KEY UPDATE", tx.Tenant, email)
}

// InsertEndUser stores a new end user. False: its external id or email was just taken, perhaps by another transaction.
func (tx *Tx) InsertEndUser(ctx context.Context, u *ochre.EndUser) (bool, error) {
	u.TenantID = tx.Tenant
	res := tx.db.WithContext(ctx).Exec(`INSERT INTO end_users (tenant_id, id, external_id, name, email, avatar_url, organization_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, u.TenantID, u.ID, u.ExternalID, u.Name, u.Email, u.AvatarURL, u.OrganizationID, u.CreatedAt)
	return res.RowsAffected == 1, res.Error
}

// UpdateEndUser writes a locked end user. An email that another one of the organization has is told by IsUnique EndUsersEmail.
func (tx *Tx) UpdateEndUser(ctx context.Context, u *ochre.EndUser) error {
	return tx.db.WithContext(ctx).Exec("UPDATE end_users SET name = ?, email = ?, organization_id = ? WHERE tenant_id = ? AND id = ?",
		u.Name, u.Email, u.OrganizationID, tx.Tenant, u.ID).Error
}

// LockAgentAndAdmins reads an agent together with all active admins, and locks them: who takes an admin away must know that another one
// stays. The agent is nil if there is none.
func (tx *Tx) LockAgentAndAdmins(ctx context.Context, id ochre.ID) (agent *ochre.Agent, admins []*ochre.Agent, err error) {
	all, err := rows[ochre.Agent](ctx, tx.queries, `SELECT * FROM agents WHERE tenant_id = ? AND (id = ? OR role = 'ADMIN' AND active) ORDER BY id
		FOR NO KEY UPDATE`, tx.Tenant, id)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the admins: %w", err)
	}
	for _, a := range all {
		if a.ID == id {
			agent = a
		}
		if a.Role == ochre.RoleAdmin && a.Active {
			admins = append(admins, a)
		}
	}
	return agent, admins, nil
}

// UpdateAgent writes a locked agent's name, role and whether it is active.
func (tx *Tx) UpdateAgent(ctx context.Context, a *ochre.Agent) error {
	return tx.db.WithContext(ctx).Exec("UPDATE agents SET name = ?, role = ?, active = ? WHERE tenant_id = ? AND id = ?", a.Name, string(a.Role), a.Active, tx.Tenant, a.ID).Error
}

// EndAccess revokes all tokens and unused sign-in links of an agent.
func (tx *Tx) EndAccess(ctx context.Context, agent ochre.ID) error {
	db := tx.db.WithContext(ctx)
	if err := db.Exec("UPDATE api_tokens SET revoked_at = ? WHERE tenant_id = ? AND agent_id = ? AND revoked_at IS NULL", tx.now, tx.Tenant, agent).Error; err != nil {
		return fmt.Errorf("revoke the tokens of an agent: %w", err)
	}
	if err := db.Exec("DELETE FROM signin_links WHERE tenant_id = ? AND agent_id = ? AND used_at IS NULL", tx.Tenant, agent).Error; err != nil {
		return fmt.Errorf("delete the sign-in links of an agent: %w", err)
	}
	return nil
}
