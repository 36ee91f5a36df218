package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// LockIdentity gives the identity of a Slack person, and locks it until the commit. With an empty team it gives whichever the tenant has of the user id.
func (tx *Tx) LockIdentity(ctx context.Context, slackTeam, slackUser string) (*ochre.SlackIdentity, error) {
	return oneIdentity(ctx, tx.queries, tx.Tenant, slackTeam, slackUser, " FOR NO KEY UPDATE")
}

// SlackIdentity reads the identity of a Slack person. With an empty team it gives whichever the tenant has of the user id.
func (q queries) SlackIdentity(ctx context.Context, tenant ochre.ID, slackTeam, slackUser string) (*ochre.SlackIdentity, error) {
	return oneIdentity(ctx, q, tenant, slackTeam, slackUser, "")
}

func oneIdentity(ctx context.Context, q queries, tenant ochre.ID, slackTeam, slackUser, lock string) (*ochre.SlackIdentity, error) {
	var i ochre.SlackIdentity
	db := q.db.WithContext(ctx)
	if slackTeam == "" {
		return one(&i, db.Raw(`SELECT * FROM slack_identities WHERE tenant_id = ? AND slack_user_id = ? ORDER BY slack_team_id = '', slack_team_id LIMIT 1`+lock,
			tenant, slackUser).Scan(&i))
	}
	return one(&i, db.Raw(`SELECT * FROM slack_identities WHERE tenant_id = ? AND slack_team_id = ? AND slack_user_id = ?`+lock, tenant, slackTeam, slackUser).Scan(&i))
}

// ShareIdentity reads an identity and keeps it from being changed until the commit. Any number of transactions share it; who means to change it
// locks it instead, and never after sharing it.
func (tx *Tx) ShareIdentity(ctx context.Context, id ochre.ID) (*ochre.SlackIdentity, error) {
	var i ochre.SlackIdentity
	return one(&i, tx.db.WithContext(ctx).Raw("SELECT * FROM slack_identities WHERE tenant_id = ? AND id = ? FOR SHARE", tx.Tenant, id).Scan(&i))
}

// LockIdentityByID reads an identity and locks it.
func (tx *Tx) LockIdentityByID(ctx context.Context, id ochre.ID) (*ochre.SlackIdentity, error) {
	var i ochre.SlackIdentity
	return one(&i, tx.db.WithContext(ctx).Raw("SELECT * FROM slack_identities WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&i))
}

// LockPeople locks, in one order everywhere, the identities of all who wrote in a thread and of one more Slack person ("" for none), whose team may not be known.
func (tx *Tx) LockPeople(ctx context.Context, thread ochre.ID, slackTeam, slackUser string) ([]ochre.SlackIdentity, error) {
	var is []ochre.SlackIdentity
	teams := " AND slack_team_id IN ('', ?)" // who was met without a team at first may be the same person
	if slackTeam == "" {
		teams = " AND ? = ''"
	}
	err := tx.db.WithContext(ctx).Raw(`SELECT * FROM slack_identities WHERE tenant_id = ? AND id IN (
			SELECT identity_id FROM messages WHERE tenant_id = ? AND thread_id = ?
			UNION ALL SELECT id FROM slack_identities WHERE tenant_id = ? AND slack_user_id = ?`+teams+`) ORDER BY id FOR NO KEY UPDATE`,
		tx.Tenant, tx.Tenant, thread, tx.Tenant, slackUser, slackTeam).Scan(&is).Error
	return is, err
}

// InsertIdentity stores a new identity. It tells false where another transaction was first: then lock and read that one.
func (tx *Tx) InsertIdentity(ctx context.Context, i *ochre.SlackIdentity) (bool, error) {
	i.TenantID = tx.Tenant
	res := tx.db.WithContext(ctx).Exec(`INSERT INTO slack_identities (tenant_id, id, slack_team_id, slack_user_id, is_external, is_bot, name, avatar_url, email, organization_id,
			agent_id, teammate_id, end_user_id, profile_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant_id, slack_team_id, slack_user_id) DO NOTHING`, i.TenantID, i.ID, i.SlackTeamID, i.SlackUserID, i.IsExternal, i.IsBot, i.Name, i.AvatarURL, i.Email,
		i.OrganizationID, i.AgentID, i.TeammateID, i.EndUserID, i.ProfileAt, i.CreatedAt)
	if res.Error != nil {
		return false, fmt.Errorf("insert a slack identity: %w", res.Error)
	}
	return res.RowsAffected > 0, nil
}

// UpdateIdentity writes a locked identity.
func (tx *Tx) UpdateIdentity(ctx context.Context, i *ochre.SlackIdentity) error {
	err := tx.db.WithContext(ctx).Exec(`UPDATE slack_identities SET slack_team_id = ?, is_external = ?, is_bot = ?, name = ?, avatar_url = ?, email = ?, organization_id = ?,
			agent_id = ?, teammate_id = ?, end_user_id = ?, profile_at = ? WHERE tenant_id = ? AND id = ?`,
		i.SlackTeamID, i.IsExternal, i.IsBot, i.Name, i.AvatarURL, i.Email, i.OrganizationID, i.AgentID, i.TeammateID, i.EndUserID, i.ProfileAt, tx.Tenant, i.ID).Error
	if err != nil {
		return fmt.Errorf("update a slack identity: %w", err)
	}
	return nil
}

// AgentByEmail finds an active agent of the tenant by email, in any case.
func (q queries) AgentByEmail(ctx context.Context, tenant ochre.ID, email string) (*ochre.Agent, error) {
	var a ochre.Agent
	return one(&a, q.db.WithContext(ctx).Raw("SELECT * FROM agents WHERE tenant_id = ? AND lower(email) = lower(?) AND active", tenant, email).Scan(&a))
}

// EndUserByEmail finds an end user of one organization (nil: of none) by email, in any case. Emails never match across organizations.
func (q queries) EndUserByEmail(ctx context.Context, tenant ochre.ID, organization *ochre.ID, email string) (*ochre.EndUser, error) {
	var u ochre.EndUser
	return one(&u, q.db.WithContext(ctx).Raw(`SELECT * FROM end_users WHERE tenant_id = ? AND organization_id IS NOT DISTINCT FROM ?::uuid AND lower(email) = lower(?)
		AND merged_into IS NULL`, tenant, organization, email).Scan(&u))
}

// InsertSlackEndUser stores an end user who was met in Slack. One with an email that another transaction just used is told by IsUnique "end_users_email".
func (tx *Tx) InsertSlackEndUser(ctx context.Context, u *ochre.EndUser) error {
	u.TenantID = tx.Tenant
	return tx.db.WithContext(ctx).Create(u).Error
}

// UpdateSlackEndUser writes what Slack told of an end user.
func (tx *Tx) UpdateSlackEndUser(ctx context.Context, u *ochre.EndUser) error {
	return tx.db.WithContext(ctx).Exec("UPDATE end_users SET name = ?, email = ?, avatar_url = ?, merged_into = ? WHERE tenant_id = ? AND id = ?",
		u.Name, u.Email, u.AvatarURL, u.MergedInto, tx.Tenant, u.ID).Error
}

// LockEndUser reads an end user and locks it.
func (tx *Tx) LockEndUser(ctx context.Context, id ochre.ID) (*ochre.EndUser, error) {
	var u ochre.EndUser
	return one(&u, tx.db.WithContext(ctx).Raw("SELECT * FROM end_users WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&u))
}

// IdentitiesOfEndUser counts the Slack identities that point to an end user.
func (q queries) IdentitiesOfEndUser(ctx context.Context, tenant, endUser ochre.ID) (int64, error) {
	var n int64
	err := q.db.WithContext(ctx).Raw("SELECT count(*) FROM slack_identities WHERE tenant_id = ? AND end_user_id = ?", tenant, endUser).Scan(&n).Error
	return n, err
}

// InsertTeammate stores a teammate.
func (tx *Tx) InsertTeammate(ctx context.Context, t *ochre.Teammate) error {
	t.TenantID = tx.Tenant
	return tx.db.WithContext(ctx).Create(t).Error
}

// UpdateTeammate writes what Slack told of a teammate.
func (tx *Tx) UpdateTeammate(ctx context.Context, t *ochre.Teammate) error {
	return tx.db.WithContext(ctx).Exec("UPDATE teammates SET name = ?, avatar_url = ? WHERE tenant_id = ? AND id = ?", t.Name, t.AvatarURL, tx.Tenant, t.ID).Error
}

// LockTeammate reads a teammate and locks it.
func (tx *Tx) LockTeammate(ctx context.Context, id ochre.ID) (*ochre.Teammate, error) {
	var t ochre.Teammate
	return one(&t, tx.db.WithContext(ctx).Raw("SELECT * FROM teammates WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&t))
}

// SlackNames reads the names of Slack people by user id, for mentions. Where a tenant knows a user id in several teams, any will do.
func (q queries) SlackNames(ctx context.Context, tenant ochre.ID, users []string) (map[string]string, error) {
	names := map[string]string{}
	if len(users) == 0 {
		return names, nil
	}
	var rows []struct{ SlackUserID, Name string }
	err := q.db.WithContext(ctx).Raw("SELECT slack_user_id, name FROM slack_identities WHERE tenant_id = ? AND slack_user_id IN ? AND name <> ''", tenant, users).Scan(&rows).Error
	for _, r := range rows {
		names[r.SlackUserID] = r.Name
	}
	return names, err
}

// ThreadsOfIdentity lists the threads in which a person wrote.
func (q queries) ThreadsOfIdentity(ctx context.Context, tenant, identity ochre.ID) ([]ochre.ID, error) {
	var ids []ochre.ID
	err := q.db.WithContext(ctx).Raw("SELECT DISTINCT thread_id FROM messages WHERE tenant_id = ? AND identity_id = ? ORDER BY thread_id", tenant, identity).Scan(&ids).Error
	return ids, err
}

// MoveIdentity gives the messages of one identity to another and removes it: both are one person whose workspace was not known at first.
func (tx *Tx) MoveIdentity(ctx context.Context, from, to ochre.ID) error {
	db := tx.db.WithContext(ctx)
	if err := db.Exec("UPDATE messages SET identity_id = ? WHERE tenant_id = ? AND identity_id = ?", to, tx.Tenant, from).Error; err != nil {
		return err
	}
	return db.Exec("DELETE FROM slack_identities WHERE tenant_id = ? AND id = ?", tx.Tenant, from).Error
}

// FinishEvent notes what became of a Slack event.
func (tx *Tx) FinishEvent(ctx context.Context, event ochre.ID, outcome string, at time.Time) error {
	return tx.db.WithContext(ctx).Exec("UPDATE slack_events SET applied_at = ?, outcome = ? WHERE tenant_id = ? AND id = ?", at, outcome, tx.Tenant, event).Error
}

// LockEmail makes transactions that make an end user of one email wait for one another.
func (tx *Tx) LockEmail(ctx context.Context, email string) error {
	return tx.db.WithContext(ctx).Exec("SELECT pg_advisory_xact_lock(hashtextextended(lower(?), 1))", tx.Tenant.String()+email).Error
}

// DressAgent gives an agent the picture that Slack shows, if there is none yet, and the name, if the agent still has the placeholder from the email.
func (tx *Tx) DressAgent(ctx context.Context, agent ochre.ID, name string, avatarURL *string) error {
	return tx.db.WithContext(ctx).Exec(`UPDATE agents SET avatar_url = COALESCE(avatar_url, ?),
			name = CASE WHEN ? <> '' AND lower(name) = lower(split_part(email, '@', 1)) THEN ? ELSE name END
		WHERE tenant_id = ? AND id = ?`, avatarURL, name, name, tx.Tenant, agent).Error
}

// AgentsWithoutIdentity reads the active agents of a tenant who are not known in a Slack workspace.
func (q queries) AgentsWithoutIdentity(ctx context.Context, tenant ochre.ID, slackTeam string) ([]ochre.Agent, error) {
	var as []ochre.Agent
	err := q.db.WithContext(ctx).Raw(`SELECT a.* FROM agents a WHERE a.tenant_id = ? AND a.active AND NOT EXISTS (
			SELECT FROM slack_identities i WHERE i.tenant_id = a.tenant_id AND i.agent_id = a.id AND i.slack_team_id = ?)
		ORDER BY a.id`, tenant, slackTeam).Scan(&as).Error
	return as, err
}
