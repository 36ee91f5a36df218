package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// InstallationsTeam is the constraint that keeps a Slack workspace to one installation of one tenant, for IsUnique.
const InstallationsTeam = "slack_installations_slack_team_id_key"

// SlackInstallation reads an installation.
func (q queries) SlackInstallation(ctx context.Context, tenant, id ochre.ID) (*ochre.SlackInstallation, error) {
	var i ochre.SlackInstallation
	return one(&i, q.db.WithContext(ctx).Raw("SELECT * FROM slack_installations WHERE tenant_id = ? AND id = ?", tenant, id).Scan(&i))
}

// InstallationOfTeam reads the installation in a Slack workspace, of whatever tenant: a workspace belongs to one. It is for the bridge only.
func (q queries) InstallationOfTeam(ctx context.Context, slackTeamID string) (*ochre.SlackInstallation, error) {
	var i ochre.SlackInstallation
	return one(&i, q.db.WithContext(ctx).Raw("SELECT * FROM slack_installations WHERE slack_team_id = ?", slackTeamID).Scan(&i))
}

// InstallationsSeeing reads the connected installations, of whatever tenant, that are known to see a Slack channel. It is for the bridge only.
func (q queries) InstallationsSeeing(ctx context.Context, slackChannelID string) ([]ochre.SlackInstallation, error) {
	var is []ochre.SlackInstallation
	err := q.db.WithContext(ctx).Raw(`SELECT * FROM slack_installations i WHERE connected AND (
			EXISTS (SELECT FROM slack_channels c WHERE c.tenant_id = i.tenant_id AND c.installation_id = i.id AND c.slack_channel_id = ?)
			OR EXISTS (SELECT FROM channel_links l WHERE l.tenant_id = i.tenant_id AND l.installation_id = i.id AND l.slack_channel_id = ? AND l.state <> 'UNLINKED'))
		ORDER BY id`, slackChannelID, slackChannelID).Scan(&is).Error
	return is, err
}

// LockInstallation reads an installation and locks it until the commit.
func (tx *Tx) LockInstallation(ctx context.Context, id ochre.ID) (*ochre.SlackInstallation, error) {
	var i ochre.SlackInstallation
	return one(&i, tx.db.WithContext(ctx).Raw("SELECT * FROM slack_installations WHERE tenant_id = ? AND id = ? FOR NO KEY UPDATE", tx.Tenant, id).Scan(&i))
}

// InsertInstallation stores a new installation. IsUnique(err, InstallationsTeam) if the workspace has one already, of any tenant.
func (tx *Tx) InsertInstallation(ctx context.Context, i *ochre.SlackInstallation) error {
	i.TenantID = tx.Tenant
	return tx.db.WithContext(ctx).Create(i).Error
}

// UpdateInstallation writes a locked installation. Its workspace stays.
func (tx *Tx) UpdateInstallation(ctx context.Context, i *ochre.SlackInstallation) error {
	err := tx.db.WithContext(ctx).Exec(`UPDATE slack_installations SET team_name = ?, team_url = ?, app_id = ?, bot_user_id = ?, bot_id = ?, scopes = ?, token_sealed = ?,
			connected = ?, disconnected_reason = ?, installed_at = ?, channels_refreshed = ? WHERE tenant_id = ? AND id = ?`,
		i.TeamName, i.TeamURL, i.AppID, i.BotUserID, i.BotID, i.Scopes, i.TokenSealed, i.Connected, i.DisconnectedReason, i.InstalledAt, i.ChannelsRefreshed,
		tx.Tenant, i.ID).Error
	if err != nil {
		return fmt.Errorf("update a slack installation: %w", err)
	}
	return nil
}

// AllInstallations reads up to limit installations of all tenants with an id greater than after, by id. It is for the operator's jobs only.
func (q queries) AllInstallations(ctx context.Context, after ochre.ID, limit int) ([]ochre.SlackInstallation, error) {
	var is []ochre.SlackInstallation
	err := q.db.WithContext(ctx).Raw("SELECT * FROM slack_installations WHERE id > ? ORDER BY id LIMIT ?", after, limit).Scan(&is).Error
	return is, err
}

// ClaimChannelRefresh gives a connected installation whose channels were not refreshed since before, and marks them refreshed at now, so that no
// other node takes it too. ErrNotFound if none is due.
func (s *Store) ClaimChannelRefresh(ctx context.Context, now, before time.Time) (*ochre.SlackInstallation, error) {
	var i ochre.SlackInstallation
	return one(&i, s.db.WithContext(ctx).Raw(`UPDATE slack_installations SET channels_refreshed = ? WHERE id = (
			SELECT id FROM slack_installations WHERE connected AND (channels_refreshed IS NULL OR channels_refreshed < ?)
			ORDER BY channels_refreshed NULLS FIRST, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
		) RETURNING *`, now, before).Scan(&i))
}

// SetChannelsRefreshed moves the time from which the next refresh is counted: back, where one failed.
func (s *Store) SetChannelsRefreshed(ctx context.Context, tenant, installation ochre.ID, at time.Time) error {
	return s.db.WithContext(ctx).Exec("UPDATE slack_installations SET channels_refreshed = ? WHERE tenant_id = ? AND id = ?", at, tenant, installation).Error
}

// OAuthState is a walk through Slack's pages that was begun. Only the hashes of its two secrets are kept: of the state in the address, and of
// the cookie of the browser that opened it first.
type OAuthState struct {
	TenantID    ochre.ID
	AgentID     ochre.ID
	Hash        []byte
	ReturnTo    string
	BrowserHash []byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      *time.Time
}

// InsertOAuthState stores a new state, and forgets up to 100 of any tenant that expired a day ago.
func (tx *Tx) InsertOAuthState(ctx context.Context, o *OAuthState) error {
	db := tx.db.WithContext(ctx)
	// The hash not first: gorm takes bytes right after a parenthesis for a list.
	err := db.Exec("INSERT INTO oauth_states (tenant_id, hash, agent_id, return_to, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
		tx.Tenant, o.Hash, o.AgentID, o.ReturnTo, o.CreatedAt, o.ExpiresAt).Error
	if err != nil {
		return fmt.Errorf("insert an oauth state: %w", err)
	}
	err = db.Exec(`DELETE FROM oauth_states WHERE hash IN (SELECT hash FROM oauth_states WHERE expires_at < ? LIMIT 100 FOR UPDATE SKIP LOCKED)`,
		tx.now.AddDate(0, 0, -1)).Error
	if err != nil {
		return fmt.Errorf("forget old oauth states: %w", err)
	}
	return nil
}

// OAuthState reads a state by its hash, of whatever tenant: who holds the secret is let on.
func (q queries) OAuthState(ctx context.Context, hash []byte) (*OAuthState, error) {
	var o OAuthState
	return one(&o, q.db.WithContext(ctx).Raw("SELECT * FROM oauth_states WHERE hash = ?", hash).Scan(&o))
}

// BindOAuthState ties an unused, unexpired state to a browser. ErrNotFound if it is tied to another one, used or expired.
func (s *Store) BindOAuthState(ctx context.Context, hash, browser []byte, now time.Time) error {
	res := s.db.WithContext(ctx).Exec(`UPDATE oauth_states SET browser_hash = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ?
		AND (browser_hash IS NULL OR browser_hash = ?)`, browser, hash, now, browser)
	return oneChanged(res.RowsAffected, res.Error)
}

// UseOAuthState marks a state used, once, for the browser it is tied to. ErrNotFound if another browser comes, or it was used or has expired.
func (s *Store) UseOAuthState(ctx context.Context, hash, browser []byte, now time.Time) error {
	res := s.db.WithContext(ctx).Exec("UPDATE oauth_states SET used_at = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ? AND browser_hash = ?",
		now, hash, now, browser)
	return oneChanged(res.RowsAffected, res.Error)
}

func oneChanged(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ochre.ErrNotFound
	}
	return err
}
