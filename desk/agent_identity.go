package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// The jobs of a whole installation.
const (
	JobAgents = "AGENTS" // find the tenant's agents in the workspace by their emails
	JobEnter  = "ENTER"  // go back into the linked channels
)

// enqueueAgents has the agents of the tenant looked up in one workspace. Their Slack picture and name are shown on replies.
func enqueueAgents(tx *store.Tx, installation ochre.ID) error {
	return enqueueInstallation(tx, JobAgents, "agents:", installation)
}

func enqueueInstallation(tx *store.Tx, kind, lane string, installation ochre.ID) error {
	payload, err := json.Marshal(Job{InstallationID: &installation})
	if err != nil {
		return fmt.Errorf("encode a job: %w", err)
	}
	tx.Enqueue(store.NewItem{Queue: store.QueueJob, Key: lane + installation.String(), Kind: kind, Payload: payload})
	return nil
}

// enqueueAgentsEverywhere is enqueueAgents for each connected workspace of the tenant.
func enqueueAgentsEverywhere(ctx context.Context, tx *store.Tx) error {
	insts, err := tx.Installations(ctx, tx.Tenant)
	if err != nil {
		return err
	}
	for _, inst := range insts {
		if !inst.Connected {
			continue
		}
		if err := enqueueAgents(tx, inst.ID); err != nil {
			return err
		}
	}
	return nil
}

// FoundAgent keeps that an agent is a person of our own workspace, whose email it told us.
func (d *Desk) FoundAgent(ctx context.Context, inst *ochre.SlackInstallation, agent ochre.ID, slackUserID string, p Profile) error {
	return d.Store.Tx(ctx, inst.TenantID, d.Now(), func(tx *store.Tx) error {
		who, err := tx.LockIdentity(ctx, inst.SlackTeamID, slackUserID)
		if errors.Is(err, ochre.ErrNotFound) {
			who = &ochre.SlackIdentity{ID: ochre.NewIDAt(tx.Now()), SlackTeamID: inst.SlackTeamID, SlackUserID: slackUserID, CreatedAt: tx.Now()}
			if _, err = tx.InsertIdentity(ctx, who); err == nil {
				who, err = tx.LockIdentity(ctx, inst.SlackTeamID, slackUserID)
			}
		}
		if err != nil {
			return err
		}
		late := who.AgentID == nil
		who.AgentID, who.Name, who.AvatarURL, who.Email, who.ProfileAt = &agent, p.Name, optional(p.AvatarURL), optional(p.Email), ptr(tx.Now())
		if err := tx.UpdateIdentity(ctx, who); err != nil {
			return err
		}
		if err := tx.DressAgent(ctx, agent, who.Name, who.AvatarURL); err != nil {
			return err
		}
		if !late {
			return nil
		}
		return enqueueJob(tx, JobPlace, "place:"+who.ID.String(), Job{IdentityID: &who.ID})
	})
}
