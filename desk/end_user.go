package desk

import (
	"context"
	"errors"
	"fmt"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// EndUserInput is what UpsertEndUser takes: by id, by external id, by email, or by none of them for a new one. Nil fields are left as they are.
type EndUserInput struct {
	ID, ExternalID, ByEmail *string
	Name, Email             *string
	OrganizationID          *string
	IdempotencyKey          *string `json:"-"`
}

// UpsertEndUser changes the end user who is named, or creates one where the external id or email is new or nothing names one. An email may
// name people of several organizations: then OrganizationID says which is meant. Errors: NOT_FOUND, INVALID, EMAIL_TAKEN, IDEMPOTENCY_CONFLICT.
func (d *Desk) UpsertEndUser(ctx context.Context, p ochre.Principal, in EndUserInput) (u *ochre.EndUser, err error) {
	hashed := in
	if in, err = in.checked(); err != nil {
		return nil, err
	}
	err = d.Store.Tx(ctx, p.TenantID, d.Now(), func(tx *store.Tx) error {
		id, replayed, err := d.once(ctx, tx, p, "upsertEndUser", in.IdempotencyKey, hashed, func() (ochre.ID, error) {
			if u, err = upsertEndUser(ctx, tx, in); err != nil {
				return ochre.ID{}, err
			}
			return u.ID, nil
		})
		if err == nil && replayed {
			u, err = lockCurrent(ctx, tx, id)
		}
		return err
	})
	return u, err
}

// checked gives the input with its texts checked and trimmed.
func (in EndUserInput) checked() (EndUserInput, error) {
	if err := checkExternalID(in.ExternalID); err != nil {
		return in, err
	}
	for _, e := range []struct {
		text **string
		path []string
	}{{&in.ByEmail, []string{"by", "email"}}, {&in.Email, []string{"email"}}} {
		if *e.text == nil {
			continue
		}
		email, err := checkEmail(**e.text, e.path...)
		if err != nil {
			return in, err
		}
		*e.text = &email
	}
	if in.Name != nil {
		name, err := nameOf(*in.Name)
		if err != nil {
			return in, err
		}
		in.Name = &name
	}
	return in, nil
}

func upsertEndUser(ctx context.Context, tx *store.Tx, in EndUserInput) (*ochre.EndUser, error) {
	organization, err := organizationOf(ctx, tx, in.OrganizationID)
	if err != nil {
		return nil, err
	}
	for range 2 { // the second time, an external id or email that another transaction just took is there
		u, err := lockEndUser(ctx, tx, in, organization)
		if err == nil {
			return u, updateEndUser(ctx, tx, u, in, organization)
		}
		if !errors.Is(err, ochre.ErrNotFound) {
			return nil, err
		}
		if u, err = newEndUser(tx, in, organization); err != nil {
			return nil, err
		}
		created, err := tx.InsertEndUser(ctx, u)
		if err != nil || created {
			return u, err
		}
	}
	return nil, errEndUserEmail()
}

func organizationOf(ctx context.Context, tx *store.Tx, organization *string) (*ochre.ID, error) {
	if organization == nil {
		return nil, nil // not given
	}
	id, err := ochre.ParseID(ochre.KindOrganization, *organization)
	if err != nil {
		return nil, ochre.NotFound("organizationId")
	}
	found, err := tx.OrganizationsByID(ctx, tx.Tenant, []ochre.ID{id})
	if err != nil {
		return nil, fmt.Errorf("read an organization: %w", err)
	}
	if found[id] == nil {
		return nil, ochre.NotFound("organizationId")
	}
	return &id, nil
}

// lockEndUser locks the end user whom the input names; ErrNotFound where one is to be created.
func lockEndUser(ctx context.Context, tx *store.Tx, in EndUserInput, organization *ochre.ID) (*ochre.EndUser, error) {
	switch {
	case in.ID != nil:
		id, err := ochre.ParseID(ochre.KindEndUser, *in.ID)
		if err != nil {
			return nil, notFoundBy()
		}
		u, err := lockCurrent(ctx, tx, id)
		if errors.Is(err, ochre.ErrNotFound) {
			return nil, notFoundBy()
		}
		return u, err
	case in.ExternalID != nil:
		u, err := tx.LockEndUserByExternalID(ctx, *in.ExternalID)
		if err != nil || u.MergedInto == nil {
			return u, err
		}
		return lockCurrent(ctx, tx, *u.MergedInto)
	case in.ByEmail != nil:
		found, err := tx.LockEndUsersByEmail(ctx, *in.ByEmail)
		if err != nil {
			return nil, fmt.Errorf("look for an email: %w", err)
		}
		return ofOrganization(found, organization)
	}
	return nil, ochre.ErrNotFound
}

// ofOrganization chooses among people who share an email: the one of the organization, else the only one.
func ofOrganization(found []*ochre.EndUser, organization *ochre.ID) (*ochre.EndUser, error) {
	for _, u := range found {
		if organization != nil && same(u.OrganizationID, organization) {
			return u, nil
		}
	}
	switch len(found) {
	case 0:
		return nil, ochre.ErrNotFound
	case 1:
		return found[0], nil
	}
	return nil, refuseBy(ochre.CodeInvalid, "email", "People of several organizations have this email: name one by id, or give the organization.")
}

// lockCurrent locks an end user, or whoever took over where that one was merged.
func lockCurrent(ctx context.Context, tx *store.Tx, id ochre.ID) (*ochre.EndUser, error) {
	for range 10 {
		u, err := tx.LockEndUser(ctx, id)
		if err != nil || u.MergedInto == nil {
			return u, err
		}
		id = *u.MergedInto
	}
	return nil, fmt.Errorf("end user %s: merged too often", id)
}

func updateEndUser(ctx context.Context, tx *store.Tx, u *ochre.EndUser, in EndUserInput, organization *ochre.ID) error {
	if in.Name != nil {
		u.Name = *in.Name
	}
	if in.Email != nil {
		u.Email = in.Email
	}
	if organization != nil {
		u.OrganizationID = organization
	}
	err := tx.UpdateEndUser(ctx, u)
	if store.IsUnique(err, store.EndUsersEmail) {
		return errEndUserEmail()
	}
	return err
}

func newEndUser(tx *store.Tx, in EndUserInput, organization *ochre.ID) (*ochre.EndUser, error) {
	u := &ochre.EndUser{ID: ochre.NewIDAt(tx.Now()), ExternalID: in.ExternalID, Email: in.Email, OrganizationID: organization, CreatedAt: tx.Now()}
	if u.Email == nil {
		u.Email = in.ByEmail
	}
	switch {
	case in.Name != nil:
		u.Name = *in.Name
	case u.Email != nil:
		var err error
		if u.Name, err = nameOf(*u.Email); err != nil {
			return nil, err
		}
	default:
		return nil, ochre.Refuse(ochre.CodeInvalid, "name", "A new end user needs a name or an email.")
	}
	return u, nil
}

func errEndUserEmail() *ochre.Error {
	return ochre.Refuse(ochre.CodeEmailTaken, "email", "Another end user of the same organization has this email.")
}
