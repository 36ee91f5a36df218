package desk

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// LinkChannelInput is which channel to watch. SlackChannelID is Slack's own id, the others are global ids.
type LinkChannelInput struct {
	InstallationID string
	SlackChannelID string
	OrganizationID *string
	IdempotencyKey *string
}

// slackChannelID is what an id of a Slack channel looks like; anything else is not worth asking Slack.
var slackChannelID = regexp.MustCompile(`^[CG][A-Z0-9]{8,31}$`)

// errNotDone ends a transaction that only looked whether something was done before.
var errNotDone = errors.New("not done before")

// LinkChannel begins to watch a channel. Slack is asked what the channel is and, for a public one, to let the bot in; nothing is stored before Slack
// said yes. Errors: NOT_FOUND, INSTALLATION_DISCONNECTED, ORGANIZATION_REQUIRED, CHANNEL_NEEDS_INVITE, CHANNEL_ALREADY_LINKED, SLACK_ERROR,
// INVALID and IDEMPOTENCY_CONFLICT.
func (d *Desk) LinkChannel(ctx context.Context, p ochre.Principal, in LinkChannelInput) (*ochre.ChannelLink, error) {
	// Was it done before? Asked first, for the first result stands whatever changed since.
	done, err := d.linkOnce(ctx, p, in, func(*store.Tx) (ochre.ID, error) { return ochre.ID{}, errNotDone })
	if !errors.Is(err, errNotDone) {
		return done, err
	}
	inst, organization, err := d.linkInput(ctx, p, in)
	if err != nil {
		return nil, err
	}
	ch, err := d.enterChannel(ctx, inst, in.SlackChannelID, organization)
	if err != nil {
		return nil, err
	}
	l, err := d.linkOnce(ctx, p, in, func(tx *store.Tx) (ochre.ID, error) {
		return insertLink(ctx, tx, inst, ch, organization, &p.AgentID)
	})
	if store.IsUnique(err, store.LinksLive) {
		return nil, alreadyLinked()
	}
	return l, err
}

// linkOnce runs create in a transaction under the idempotency key, and reads the link whose id it gives, or gave before.
func (d *Desk) linkOnce(ctx context.Context, p ochre.Principal, in LinkChannelInput, create func(tx *store.Tx) (ochre.ID, error)) (*ochre.ChannelLink, error) {
	key := in.IdempotencyKey
	in.IdempotencyKey = nil
	var l *ochre.ChannelLink
	err := d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		id, _, err := d.once(ctx, tx, p, "linkChannel", key, in, func() (ochre.ID, error) { return create(tx) })
		if err != nil {
			return err
		}
		l, err = tx.ChannelLink(ctx, p.TenantID, id)
		return err
	})
	return l, err
}

// linkInput checks what can be checked without Slack.
func (d *Desk) linkInput(ctx context.Context, p ochre.Principal, in LinkChannelInput) (*ochre.SlackInstallation, *ochre.ID, error) {
	id, err := ochre.ParseID(ochre.KindSlackInstallation, in.InstallationID)
	if err != nil {
		return nil, nil, ochre.NotFound("installationId")
	}
	inst, err := d.Store.SlackInstallation(ctx, p.TenantID, id)
	if errors.Is(err, ochre.ErrNotFound) {
		return nil, nil, ochre.NotFound("installationId")
	}
	if err != nil {
		return nil, nil, err
	}
	if !inst.Connected {
		return nil, nil, disconnected("installationId")
	}
	organization, err := d.organization(ctx, p.TenantID, in.OrganizationID)
	if err != nil {
		return nil, nil, err
	}
	if !slackChannelID.MatchString(in.SlackChannelID) {
		return nil, nil, ochre.Refuse(ochre.CodeNotFound, "slackChannelId", "Give the channel's Slack id, such as C0123456789.")
	}
	_, err = d.Store.LiveLink(ctx, p.TenantID, in.SlackChannelID)
	if err == nil {
		return nil, nil, alreadyLinked()
	}
	if !errors.Is(err, ochre.ErrNotFound) {
		return nil, nil, err
	}
	return inst, organization, nil
}

// organization reads an optional input field organizationId.
func (d *Desk) organization(ctx context.Context, tenant ochre.ID, global *string) (*ochre.ID, error) {
	if global == nil {
		return nil, nil
	}
	id, err := ochre.ParseID(ochre.KindOrganization, *global)
	if err != nil {
		return nil, ochre.NotFound("organizationId")
	}
	has, err := d.Store.HasOrganization(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if !has {
		return nil, ochre.NotFound("organizationId")
	}
	return &id, nil
}

// enterChannel asks Slack what the channel is and sees to it that the bot is in it.
func (d *Desk) enterChannel(ctx context.Context, inst *ochre.SlackInstallation, slackChannelID string, organization *ochre.ID) (*ochre.SlackChannel, error) {
	asked := d.Now()
	ch, err := d.Slack.Channel(ctx, inst, slackChannelID)
	if ochre.CodeOf(err) == ochre.CodeNotFound {
		// Slack tells a bot nothing of a private channel that it is not in, not even that there is one.
		return nil, ochre.Refuse(ochre.CodeChannelNeedsInvite, "slackChannelId",
			"Slack shows Ochre no such channel. If it is a private one, write /invite @Ochre in it and try again; otherwise check its id.")
	}
	if err != nil {
		return nil, onField("slackChannelId", err)
	}
	switch {
	case ch.IsArchived:
		return nil, ochre.Refuse(ochre.CodeSlackError, "slackChannelId", "The channel is archived (is_archived): unarchive it in Slack and try again.")
	case ch.IsSlackConnect && organization == nil:
		return nil, organizationRequired()
	case ch.IsBotMember:
	case ch.IsPrivate:
		return nil, ochre.Refuse(ochre.CodeChannelNeedsInvite, "slackChannelId", "#%s is private: write /invite @Ochre in it, then try again.", ch.Name)
	default:
		if err := d.Slack.JoinChannel(ctx, inst, slackChannelID); err != nil {
			return nil, onField("slackChannelId", err)
		}
		ch.IsBotMember = true
	}
	ch.UpdatedAt = asked
	return ch, nil
}

// onField makes an error of Slack's one of an input field.
func onField(field string, err error) error {
	var e *ochre.Error
	if !errors.As(err, &e) {
		return err
	}
	return &ochre.Error{Code: e.Code, Message: e.Message, Path: []string{"input", field}, Err: e.Err}
}

func insertLink(ctx context.Context, tx *store.Tx, inst *ochre.SlackInstallation, ch *ochre.SlackChannel, organization, actor *ochre.ID) (ochre.ID, error) {
	now, err := tx.LockInstallation(ctx, inst.ID)
	if err != nil {
		return ochre.ID{}, fmt.Errorf("link a channel: %w", err)
	}
	if !now.Connected {
		return ochre.ID{}, disconnected("installationId")
	}
	l := &ochre.ChannelLink{
		ID: ochre.NewIDAt(tx.Now()), InstallationID: inst.ID, SlackTeamID: inst.SlackTeamID, SlackChannelID: ch.SlackChannelID, SlackChannelName: ch.Name,
		IsSlackConnect: ch.IsSlackConnect, OrganizationID: organization, State: ochre.LinkWatching, CreatedAt: tx.Now(),
	}
	if err := tx.InsertLink(ctx, l); err != nil {
		return ochre.ID{}, err
	}
	logLink(tx, l.ID, actor)
	return l.ID, putChannels(ctx, tx, inst.ID, []ochre.SlackChannel{*ch})
}

func logLink(tx *store.Tx, id ochre.ID, actor *ochre.ID) {
	tx.Log(ochre.Event{Type: ochre.EventLinkChanged, ObjectKind: ochre.KindChannelLink, ObjectID: &id, ActorID: actor})
}

// updateLink writes a locked link and tells of it.
func updateLink(ctx context.Context, tx *store.Tx, l *ochre.ChannelLink, actor *ochre.ID) error {
	logLink(tx, l.ID, actor)
	return tx.UpdateLink(ctx, l)
}

func alreadyLinked() error {
	return ochre.Refuse(ochre.CodeChannelAlreadyLinked, "slackChannelId", "This channel is linked already.")
}

func organizationRequired() error {
	return ochre.Refuse(ochre.CodeOrganizationRequired, "organizationId", "A channel shared with another company needs an organization: name the company that it is shared with.")
}

func disconnected(field string) error {
	return ochre.Refuse(ochre.CodeInstallationDisconnected, field, "Ochre is not connected to this Slack workspace any more: connect it again first.")
}
