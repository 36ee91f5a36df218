package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// NewInstallation is what Slack said of our app in a workspace, and its bot token in the clear.
type NewInstallation struct {
	Install
	SlackTeamID string
	TeamName    string
	TeamURL     string
	AppID       string
	BotUserID   string
	BotID       string
	Scopes      []string
	Token       string
}

// SaveInstallation stores a workspace's installation, or renews the one that the tenant has: links and history stay, and what was cut off goes on
// as it was before. Errors: FORBIDDEN for a workspace of another tenant.
func (d *Desk) SaveInstallation(ctx context.Context, n NewInstallation) (*ochre.SlackInstallation, error) {
	for {
		had, err := d.Store.InstallationOfTeam(ctx, n.SlackTeamID)
		if err != nil && !errors.Is(err, ochre.ErrNotFound) {
			return nil, fmt.Errorf("look for the workspace's installation: %w", err)
		}
		if had != nil && had.TenantID != n.TenantID {
			return nil, &ochre.Error{
				Code:    ochre.CodeForbidden,
				Message: "This Slack workspace is already connected to another Ochre account. Whoever runs that account must give it up first, or choose another workspace.",
				Err:     fmt.Errorf("workspace %s belongs to tenant %s, and tenant %s tried to connect it", n.SlackTeamID, had.TenantID, n.TenantID),
			}
		}
		var inst *ochre.SlackInstallation
		err = d.Store.Tx(ctx, n.TenantID, d.Now(), func(tx *store.Tx) error {
			inst, err = d.saveInstallation(ctx, tx, had, n)
			return err
		})
		if store.IsUnique(err, store.InstallationsTeam) {
			continue // another request was first: now it is there
		}
		if err != nil {
			return nil, err
		}
		return inst, nil
	}
}

func (d *Desk) saveInstallation(ctx context.Context, tx *store.Tx, had *ochre.SlackInstallation, n NewInstallation) (*ochre.SlackInstallation, error) {
	inst := &ochre.SlackInstallation{ID: ochre.NewIDAt(tx.Now())}
	if had != nil {
		var err error
		if inst, err = tx.LockInstallation(ctx, had.ID); err != nil {
			return nil, err
		}
	}
	inst.SlackTeamID, inst.TeamName, inst.TeamURL = n.SlackTeamID, n.TeamName, n.TeamURL
	inst.AppID, inst.BotUserID, inst.BotID, inst.Scopes = n.AppID, n.BotUserID, n.BotID, n.Scopes
	inst.TokenSealed = d.Keys.Seal([]byte(n.Token), TokenContext(n.SlackTeamID))
	inst.Connected, inst.DisconnectedReason = true, nil
	inst.InstalledAt, inst.ChannelsRefreshed = tx.Now(), nil
	if had == nil {
		if err := tx.InsertInstallation(ctx, inst); err != nil {
			return nil, err
		}
	} else if err := tx.UpdateInstallation(ctx, inst); err != nil {
		return nil, err
	}
	logInstallation(tx, inst.ID, &n.AgentID)
	if err := enqueueAgents(tx, inst.ID); err != nil {
		return nil, err
	}
	links, err := tx.LockLiveLinks(ctx, inst.ID)
	if err != nil {
		return nil, err
	}
	if len(links) > 0 { // Slack takes the bot out of all channels when the app is removed
		if err := enqueueInstallation(tx, JobEnter, "enter:", inst.ID); err != nil {
			return nil, err
		}
	}
	for i := range links {
		if err := reconnectLink(ctx, tx, &links[i], &n.AgentID); err != nil {
			return nil, err
		}
	}
	return inst, nil
}

func reconnectLink(ctx context.Context, tx *store.Tx, l *ochre.ChannelLink, actor *ochre.ID) error {
	if l.State != ochre.LinkDisconnected {
		return nil
	}
	l.State = ochre.LinkWatching
	if l.PausedBefore {
		l.State = ochre.LinkPaused
	}
	l.PausedBefore = false
	return updateLink(ctx, tx, l, actor)
}

func logInstallation(tx *store.Tx, id ochre.ID, actor *ochre.ID) {
	tx.Log(ochre.Event{Type: ochre.EventInstallationChanged, ObjectKind: ochre.KindSlackInstallation, ObjectID: &id, ActorID: actor})
}

// Disconnect notes that Slack does not accept an installation's token any more; reason is Slack's word for it. Its links are DISCONNECTED until it
// is installed again. Nothing is lost: replies that wait go on waiting. A second call changes nothing.
func (d *Desk) Disconnect(ctx context.Context, tenant, installation ochre.ID, reason string) error {
	return d.disconnect(ctx, tenant, installation, reason, func(*ochre.SlackInstallation) bool { return true })
}

// TokenRefused is Disconnect for a call that Slack refused: it means the token with which inst was read, and does nothing if the workspace has
// got a new one since.
func (d *Desk) TokenRefused(ctx context.Context, inst *ochre.SlackInstallation, reason string) error {
	return d.disconnect(ctx, inst.TenantID, inst.ID, reason, func(now *ochre.SlackInstallation) bool {
		return bytes.Equal(now.TokenSealed, inst.TokenSealed)
	})
}

// Uninstalled is what Slack tells when our app lost a workspace, by app_uninstalled or tokens_revoked.
type Uninstalled struct {
	SlackTeamID string
	AppID       string
	Reason      string
	BotUsers    []string  // whose tokens were revoked; nil: all are gone
	At          time.Time // Slack's time of the event; zero or 1970: not known
}

// Uninstalled disconnects the installation that Slack told of. It does nothing for a workspace or an app that are not ours, for tokens of
// others, and for news that are older than the installation: Slack repeats an event for hours, and the app may be back.
func (d *Desk) Uninstalled(ctx context.Context, u Uninstalled) error {
	inst, err := d.Store.InstallationOfTeam(ctx, u.SlackTeamID)
	if errors.Is(err, ochre.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the installation that was removed: %w", err)
	}
	return d.disconnect(ctx, inst.TenantID, inst.ID, u.Reason, func(now *ochre.SlackInstallation) bool {
		if u.AppID != now.AppID || u.BotUsers != nil && !slices.Contains(u.BotUsers, now.BotUserID) {
			return false
		}
		return u.At.Unix() <= 0 || !u.At.Before(now.InstalledAt.Truncate(time.Second)) // Slack's time has whole seconds
	})
}

func (d *Desk) disconnect(ctx context.Context, tenant, installation ochre.ID, reason string, still func(*ochre.SlackInstallation) bool) error {
	return d.Store.Tx(ctx, tenant, d.Now(), func(tx *store.Tx) error {
		inst, err := tx.LockInstallation(ctx, installation)
		if err != nil {
			return fmt.Errorf("disconnect an installation: %w", err)
		}
		if !inst.Connected || !still(inst) {
			return nil
		}
		inst.Connected, inst.DisconnectedReason = false, &reason
		if err := tx.UpdateInstallation(ctx, inst); err != nil {
			return err
		}
		logInstallation(tx, inst.ID, nil)
		links, err := tx.LockLiveLinks(ctx, inst.ID)
		if err != nil {
			return err
		}
		for i := range links {
			l := &links[i]
			if l.State == ochre.LinkDisconnected {
				continue
			}
			l.PausedBefore, l.State = l.State == ochre.LinkPaused, ochre.LinkDisconnected
			if err := updateLink(ctx, tx, l, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// ResealTokens encrypts anew, by the current secret, each token that a former one sealed, so that the former can be taken away. It gives how many
// it did. A token whose secret is not configured is left as it is and told in the error, after all others were done.
func (d *Desk) ResealTokens(ctx context.Context) (int, error) {
	var done int
	var failed error
	var after ochre.ID
	for {
		page, err := d.Store.AllInstallations(ctx, after, 100)
		if err != nil {
			return done, fmt.Errorf("read the installations: %w", err)
		}
		if len(page) == 0 {
			return done, failed
		}
		for _, i := range page {
			after = i.ID
			if !d.Keys.NeedsReseal(i.TokenSealed) {
				continue
			}
			if err := d.reseal(ctx, i.TenantID, i.ID); err != nil {
				failed = errors.Join(failed, fmt.Errorf("seal the token of workspace %s anew: %w", i.SlackTeamID, err))
				continue
			}
			done++
		}
	}
}

func (d *Desk) reseal(ctx context.Context, tenant, installation ochre.ID) error {
	return d.Store.Tx(ctx, tenant, d.Now(), func(tx *store.Tx) error {
		inst, err := tx.LockInstallation(ctx, installation)
		if err != nil || !d.Keys.NeedsReseal(inst.TokenSealed) {
			return err
		}
		token, err := d.Keys.Open(inst.TokenSealed, TokenContext(inst.SlackTeamID))
		if err != nil {
			return err
		}
		inst.TokenSealed = d.Keys.Seal(token, TokenContext(inst.SlackTeamID))
		return tx.UpdateInstallation(ctx, inst)
	})
}
