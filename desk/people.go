package desk

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

const (
	maxExternalID = 255 // characters
	maxEmail      = 254 // bytes, of RFC 5321
)

// InviteAgent adds an active agent; without a name it is the part of the email before the @. Errors: EMAIL_TAKEN if an agent of any company
// has the email, INVALID.
func (d *Desk) InviteAgent(ctx context.Context, p ochre.Principal, email string, name *string, role ochre.Role) (*ochre.Agent, error) {
	email, err := checkEmail(email, "email")
	if err != nil {
		return nil, err
	}
	called := email[:strings.LastIndexByte(email, '@')]
	if name != nil {
		called = *name
	}
	if called, err = nameOf(called); err != nil {
		return nil, err
	}
	var a *ochre.Agent
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		a = &ochre.Agent{ID: ochre.NewIDAt(tx.Now()), Name: called, Email: email, Role: role, Active: true, CreatedAt: tx.Now()}
		err := tx.InsertAgent(ctx, a)
		if store.IsUnique(err, store.AgentsEmail) {
			return ochre.Refuse(ochre.CodeEmailTaken, "email", "An agent with this email exists already.")
		}
		if err != nil {
			return err
		}
		return enqueueAgentsEverywhere(ctx, tx)
	})
	return a, err
}

// UpdateAgent changes an agent's name or role; nil leaves either as it is. Errors: NOT_FOUND, INVALID, LAST_ADMIN.
func (d *Desk) UpdateAgent(ctx context.Context, p ochre.Principal, agent string, name *string, role *ochre.Role) (a *ochre.Agent, err error) {
	if name != nil {
		called, err := nameOf(*name)
		if err != nil {
			return nil, err
		}
		name = &called
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		var admins []*ochre.Agent
		if a, admins, err = lockAgent(ctx, tx, agent); err != nil {
			return err
		}
		if role != nil && *role != ochre.RoleAdmin && lastAdmin(a, admins) {
			return errLastAdmin()
		}
		if name != nil {
			a.Name = *name
		}
		if role != nil {
			a.Role = *role
		}
		return tx.UpdateAgent(ctx, a)
	})
	return a, err
}

// DeactivateAgent takes an agent's access away and unassigns the conversations that are not closed. Errors: NOT_FOUND, LAST_ADMIN.
func (d *Desk) DeactivateAgent(ctx context.Context, p ochre.Principal, agent string) (a *ochre.Agent, err error) {
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		var admins []*ochre.Agent
		if a, admins, err = lockAgent(ctx, tx, agent); err != nil || !a.Active {
			return err
		}
		if lastAdmin(a, admins) {
			return errLastAdmin()
		}
		a.Active = false
		if err := tx.UpdateAgent(ctx, a); err != nil {
			return fmt.Errorf("deactivate an agent: %w", err)
		}
		if err := tx.EndAccess(ctx, a.ID); err != nil {
			return err
		}
		assigned, err := tx.LockAssigned(ctx, a.ID)
		if err != nil {
			return fmt.Errorf("lock the conversations of an agent: %w", err)
		}
		for _, c := range assigned {
			c.AssigneeID = nil
			if err := act(ctx, tx, &p.AgentID, c, &ochre.Activity{Kind: ochre.ActivityUnassigned, From: agentText(&a.ID)}); err != nil {
				return err
			}
		}
		return nil
	})
	return a, err
}

// lockAgent locks an agent, given as input.agentId, and all active admins.
func lockAgent(ctx context.Context, tx *store.Tx, agent string) (*ochre.Agent, []*ochre.Agent, error) {
	id, err := ochre.ParseID(ochre.KindAgent, agent)
	if err != nil {
		return nil, nil, ochre.NotFound("agentId")
	}
	a, admins, err := tx.LockAgentAndAdmins(ctx, id)
	if err == nil && a == nil {
		err = ochre.NotFound("agentId")
	}
	return a, admins, err
}

func lastAdmin(a *ochre.Agent, admins []*ochre.Agent) bool {
	return len(admins) == 1 && admins[0].ID == a.ID
}

func errLastAdmin() *ochre.Error {
	return ochre.Refuse(ochre.CodeLastAdmin, "agentId", "This is the last active admin: make somebody else an admin first.")
}

// OrganizationInput is what UpsertOrganization takes: by id, by external id, or by neither for a new one. A nil Domain leaves it as it is.
type OrganizationInput struct {
	ID, ExternalID *string
	Name           string
	Domain         *string
	IdempotencyKey *string `json:"-"`
}

// UpsertOrganization changes the organization that is named, or creates it where its external id is new or nothing names it. Errors:
// NOT_FOUND, INVALID, IDEMPOTENCY_CONFLICT.
func (d *Desk) UpsertOrganization(ctx context.Context, p ochre.Principal, in OrganizationInput) (o *ochre.Organization, err error) {
	hashed := in
	if in.Name, err = nameOf(in.Name); err != nil {
		return nil, err
	}
	if in.Domain, err = checkDomain(in.Domain); err != nil {
		return nil, err
	}
	if err := checkExternalID(in.ExternalID); err != nil {
		return nil, err
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		id, replayed, err := d.once(ctx, tx, p, "upsertOrganization", in.IdempotencyKey, hashed, func() (ochre.ID, error) {
			if o, err = upsertOrganization(ctx, tx, in); err != nil {
				return ochre.ID{}, err
			}
			return o.ID, nil
		})
		if err == nil && replayed {
			o, err = tx.LockOrganization(ctx, id)
		}
		return err
	})
	return o, err
}

func upsertOrganization(ctx context.Context, tx *store.Tx, in OrganizationInput) (*ochre.Organization, error) {
	for range 2 { // the second time, an external id that another transaction just took is there
		o, err := lockOrganization(ctx, tx, in)
		if err == nil {
			o.Name = in.Name
			if in.Domain != nil {
				o.Domain = in.Domain
			}
			return o, tx.UpdateOrganization(ctx, o)
		}
		if !errors.Is(err, ochre.ErrNotFound) {
			return nil, err
		}
		o = &ochre.Organization{ID: ochre.NewIDAt(tx.Now()), ExternalID: in.ExternalID, Name: in.Name, Domain: in.Domain, CreatedAt: tx.Now()}
		created, err := tx.InsertOrganization(ctx, o)
		if err != nil || created {
			return o, err
		}
	}
	return nil, refuseBy(ochre.CodeExternalIDTaken, "externalId", "Another organization has this external id.")
}

// lockOrganization locks the organization that the input names; ErrNotFound where it is to be created.
func lockOrganization(ctx context.Context, tx *store.Tx, in OrganizationInput) (*ochre.Organization, error) {
	switch {
	case in.ID != nil:
		id, err := ochre.ParseID(ochre.KindOrganization, *in.ID)
		if err != nil {
			return nil, notFoundBy()
		}
		o, err := tx.LockOrganization(ctx, id)
		if errors.Is(err, ochre.ErrNotFound) {
			return nil, notFoundBy()
		}
		return o, err
	case in.ExternalID != nil:
		return tx.LockOrganizationByExternalID(ctx, *in.ExternalID)
	}
	return nil, ochre.ErrNotFound
}

// notFoundBy is the refusal of input.by.id, the same for a foreign id and one that never existed.
func notFoundBy() *ochre.Error {
	e := ochre.NotFound("by")
	e.Path = append(e.Path, "id")
	return e
}

// refuseBy is the refusal of a field of input.by.
func refuseBy(code ochre.Code, field, format string, args ...any) *ochre.Error {
	e := ochre.Refuse(code, "by", format, args...)
	e.Path = append(e.Path, field)
	return e
}

// nameOf checks input.name.
func nameOf(name string) (string, error) {
	name, err := checkName(name)
	if err != nil {
		return "", ochre.Refuse(ochre.CodeInvalid, "name", "A name has 1 to %d characters.", maxName)
	}
	return name, nil
}

// checkEmail checks an email and gives it without white space around it. path is where it stands in the input.
func checkEmail(email string, path ...string) (string, error) {
	email = strings.TrimSpace(email)
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || len(email) > maxEmail || strings.ContainsRune(email, 0) {
		return "", &ochre.Error{Code: ochre.CodeInvalid, Message: "This is not an email address.", Path: append([]string{"input"}, path...)}
	}
	return email, nil
}

func checkExternalID(id *string) error {
	if id == nil {
		return nil
	}
	if strings.TrimSpace(*id) == "" || utf8.RuneCountInString(*id) > maxExternalID || strings.ContainsRune(*id, 0) || !utf8.ValidString(*id) {
		return refuseBy(ochre.CodeInvalid, "externalId", "An external id has 1 to %d characters.", maxExternalID)
	}
	return nil
}

// domainForm is a host name of two labels or more, in Unicode or in its ASCII form.
var domainForm = regexp.MustCompile(`^([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$`)

func checkDomain(domain *string) (*string, error) {
	if domain == nil {
		return nil, nil // not given
	}
	d := strings.ToLower(strings.TrimSpace(*domain))
	if len(d) > 253 || !domainForm.MatchString(d) {
		return nil, ochre.Refuse(ochre.CodeInvalid, "domain", "A domain is a host name such as globex.example.")
	}
	return &d, nil
}
