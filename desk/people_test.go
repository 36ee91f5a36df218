package desk_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/store"
)

func TestInviteAgent(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	email := fixture.Unique("Eve") + "@Acme.example"
	a, err := o.desk.InviteAgent(ctx, p, "  "+email+" ", nil, ochre.RoleAgent)
	if err != nil || a.Email != email || a.Name != email[:strings.IndexByte(email, '@')] || !a.Active || a.Role != ochre.RoleAgent || a.TenantID != o.Tenant.ID {
		t.Fatalf("invited: %+v, %v", a, err)
	}
	stranger := fixture.New(t, o.Store)
	for _, by := range []ochre.Principal{p, stranger.By(stranger.Admin)} {
		_, err = o.desk.InviteAgent(ctx, by, strings.ToUpper(email), ptr("Eve"), ochre.RoleAgent)
		refused(t, "the same email", err, ochre.CodeEmailTaken, "input.email")
	}
	for _, bad := range []string{"", "eve", "eve@", "Eve <eve@x.example>", "a@b.example, c@d.example", "eve@x.example\x00", strings.Repeat("e", 250) + "@x.example"} {
		_, err := o.desk.InviteAgent(ctx, p, bad, nil, ochre.RoleAgent)
		refused(t, "email "+bad, err, ochre.CodeInvalid, "input.email")
	}
	for _, bad := range []string{"", "  ", strings.Repeat("é", 201)} {
		_, err := o.desk.InviteAgent(ctx, p, fixture.Unique("x")+"@acme.example", &bad, ochre.RoleAgent)
		refused(t, "name "+bad, err, ochre.CodeInvalid, "input.name")
	}
}

func TestUpdateAgent(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	_, err := o.desk.UpdateAgent(ctx, p, o.Admin.GlobalID(), ptr("Lovelace"), ptr(ochre.RoleAgent))
	refused(t, "the last admin", err, ochre.CodeLastAdmin, "input.agentId")
	_, err = o.desk.DeactivateAgent(ctx, p, o.Admin.GlobalID())
	refused(t, "the last admin", err, ochre.CodeLastAdmin, "input.agentId")
	if a, err := o.desk.UpdateAgent(ctx, p, o.Admin.GlobalID(), ptr("Lovelace"), ptr(ochre.RoleAdmin)); err != nil || a.Name != "Lovelace" {
		t.Errorf("an admin stays one: %+v, %v", a, err)
	}
	if a, err := o.desk.UpdateAgent(ctx, p, o.Agent.GlobalID(), nil, ptr(ochre.RoleAdmin)); err != nil || a.Role != ochre.RoleAdmin || a.Name != "Bob" {
		t.Errorf("promoted: %+v, %v", a, err)
	}
	stranger := fixture.New(t, o.Store)
	for _, id := range []string{stranger.Agent.GlobalID(), ochre.NewID().Global(ochre.KindAgent), "agent"} {
		_, err := o.desk.UpdateAgent(ctx, p, id, ptr("x"), nil)
		refused(t, "update a stranger", err, ochre.CodeNotFound, "input.agentId")
		_, err = o.desk.DeactivateAgent(ctx, p, id)
		refused(t, "deactivate a stranger", err, ochre.CodeNotFound, "input.agentId")
	}
}

// TestLastAdminAtOnce lets two admins take each other away at the same moment, many times over.
func TestLastAdminAtOnce(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx := t.Context()
	for round := range 5 {
		w := fixture.New(t, o.Store)
		if _, err := o.desk.UpdateAgent(ctx, w.By(w.Admin), w.Agent.GlobalID(), nil, ptr(ochre.RoleAdmin)); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		errs := make([]error, 2)
		both.Go(func() { _, errs[0] = o.desk.DeactivateAgent(ctx, w.By(w.Admin), w.Agent.GlobalID()) })
		both.Go(func() {
			_, errs[1] = o.desk.UpdateAgent(ctx, w.By(w.Agent), w.Admin.GlobalID(), nil, ptr(ochre.RoleAgent))
		})
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || ochre.CodeOf(errors.Join(errs...)) != ochre.CodeLastAdmin {
			t.Errorf("round %d: %v", round, errs)
		}
	}
}

func TestDeactivateAgent(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	assigned := func(c *ochre.Conversation) { c.AssigneeID = &o.Agent.ID }
	opened := o.Conversation(fixture.Noon, assigned)
	snoozed := o.Conversation(fixture.Noon.Add(time.Second), assigned, func(c *ochre.Conversation) {
		c.SetStatus(ochre.StatusSnoozed, fixture.Noon)
		c.SnoozedUntil = ptr(o.now().Add(time.Hour))
	})
	closed := o.Conversation(fixture.Noon.Add(2*time.Second), assigned, func(c *ochre.Conversation) {
		c.SetStatus(ochre.StatusClosed, fixture.Noon)
		c.WaitingOn, c.WaitingSince = nil, nil
	})
	token, _, err := o.desk.CreateToken(ctx, o.Agent.Email, "test")
	if err != nil {
		t.Fatal(err)
	}
	var seq int64
	a, err := o.desk.DeactivateAgent(ctx, p, o.Agent.GlobalID())
	if err != nil || a.Active {
		t.Fatalf("deactivated: %+v, %v", a, err)
	}
	for _, c := range []*ochre.Conversation{opened, snoozed} {
		o.happened(c, ochre.ActivityUnassigned, o.Admin, ptr(o.Agent.GlobalID()), nil)
		if got := o.Reload(c); got.AssigneeID != nil || got.Status != c.Status {
			t.Errorf("unassigned: %+v", got)
		}
	}
	if got := o.Reload(closed); got.AssigneeID == nil || len(o.activities(closed)) != 0 {
		t.Errorf("a closed one changed: %+v", got)
	}
	o.told(&seq, &o.Admin.ID, ochre.EventEntryAdded, ochre.EventConversationChanged, ochre.EventEntryAdded, ochre.EventConversationChanged)
	if _, err := o.Store.TokenPrincipal(ctx, secret.Hash(token)); !errors.Is(err, ochre.ErrNotFound) {
		t.Errorf("the token still works: %v", err)
	}
	if a, err := o.desk.DeactivateAgent(ctx, p, o.Agent.GlobalID()); err != nil || a.Active {
		t.Errorf("deactivated again: %+v, %v", a, err)
	}
	o.told(&seq, nil)
}

// TestAssignWhileDeactivating lets both happen at once: nothing stays assigned to somebody who is gone.
func TestAssignWhileDeactivating(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx := t.Context()
	for range 5 {
		w := fixture.New(t, o.Store)
		c := w.Conversation(fixture.Noon)
		bob := w.Agent.GlobalID()
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := o.desk.AssignConversation(ctx, w.By(w.Admin), global(c), &bob); err != nil && ochre.CodeOf(err) != ochre.CodeAgentInactive {
				t.Error(err)
			}
		})
		both.Go(func() {
			if _, err := o.desk.DeactivateAgent(ctx, w.By(w.Admin), bob); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if got := w.Reload(c); got.AssigneeID != nil {
			t.Errorf("assigned to %s, who is gone", got.AssigneeID)
		}
	}
}

func TestUpsertOrganization(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	upsert := func(in desk.OrganizationInput) (*ochre.Organization, error) {
		return o.desk.UpsertOrganization(ctx, p, in)
	}

	made, err := upsert(desk.OrganizationInput{ExternalID: ptr("crm-1"), Name: " Initech ", Domain: ptr("Initech.Example")})
	if err != nil || made.Name != "Initech" || *made.Domain != "initech.example" || *made.ExternalID != "crm-1" {
		t.Fatalf("made: %+v, %v", made, err)
	}
	changed, err := upsert(desk.OrganizationInput{ExternalID: ptr("crm-1"), Name: "Initrode"})
	if err != nil || changed.ID != made.ID || changed.Name != "Initrode" || changed.Domain == nil {
		t.Errorf("changed by external id: %+v, %v", changed, err)
	}
	changed, err = upsert(desk.OrganizationInput{ID: ptr(made.GlobalID()), Name: "Initech"})
	if err != nil || changed.ID != made.ID || changed.Name != "Initech" {
		t.Errorf("changed by id: %+v, %v", changed, err)
	}
	plain := desk.OrganizationInput{Name: "Initech", IdempotencyKey: ptr("k")}
	other, err := upsert(plain)
	if err != nil || other.ID == made.ID {
		t.Errorf("a new one: %+v, %v", other, err)
	}
	if again, err := upsert(plain); err != nil || again.ID != other.ID {
		t.Errorf("the same key: %+v, %v", again, err)
	}
	plain.Name = "Else"
	_, err = upsert(plain)
	refused(t, "the same key, another name", err, ochre.CodeIdempotencyConflict, "input.idempotencyKey")

	stranger := fixture.New(t, o.Store)
	if theirs, err := o.desk.UpsertOrganization(ctx, stranger.By(stranger.Admin), desk.OrganizationInput{ExternalID: ptr("crm-1"), Name: "X"}); err != nil || theirs.ID == made.ID {
		t.Errorf("a stranger's of the same external id: %+v, %v", theirs, err)
	}
	for _, id := range []string{stranger.Organization.GlobalID(), ochre.NewID().Global(ochre.KindOrganization), "org"} {
		_, err := upsert(desk.OrganizationInput{ID: &id, Name: "x"})
		refused(t, "id "+id, err, ochre.CodeNotFound, "input.by.id")
	}
	_, err = upsert(desk.OrganizationInput{Name: " "})
	refused(t, "no name", err, ochre.CodeInvalid, "input.name")
	_, err = upsert(desk.OrganizationInput{ExternalID: ptr(" "), Name: "x"})
	refused(t, "an empty external id", err, ochre.CodeInvalid, "input.by.externalId")
	for _, bad := range []string{"", "localhost", "a b.example", "https://a.example", "-a.example", "a..example", "a.example/"} {
		_, err = upsert(desk.OrganizationInput{Name: "x", Domain: &bad})
		refused(t, "domain "+bad, err, ochre.CodeInvalid, "input.domain")
	}
}

// TestUpsertAtOnce lets several callers create the same organization and the same person.
func TestUpsertAtOnce(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	organizations, users := make([]ochre.ID, 6), make([]ochre.ID, 6)
	var all sync.WaitGroup
	for i := range organizations {
		all.Go(func() {
			if got, err := o.desk.UpsertOrganization(ctx, p, desk.OrganizationInput{ExternalID: ptr("x"), Name: "X"}); err != nil {
				t.Error(err)
			} else {
				organizations[i] = got.ID
			}
			if got, err := o.desk.UpsertEndUser(ctx, p, desk.EndUserInput{ByEmail: ptr("Dave@x.example")}); err != nil {
				t.Error(err)
			} else {
				users[i] = got.ID
			}
		})
	}
	all.Wait()
	for i := range organizations {
		if organizations[i] != organizations[0] || users[i] != users[0] {
			t.Fatalf("not one: %v, %v", organizations, users)
		}
	}
}

func TestUpsertEndUser(t *testing.T) {
	t.Parallel()
	o := open(t)
	ctx, p := t.Context(), o.By(o.Admin)
	upsert := func(in desk.EndUserInput) (*ochre.EndUser, error) { return o.desk.UpsertEndUser(ctx, p, in) }
	globex := o.Organization.GlobalID()
	initech, err := o.desk.UpsertOrganization(ctx, p, desk.OrganizationInput{Name: "Initech"})
	if err != nil {
		t.Fatal(err)
	}

	dave, err := upsert(desk.EndUserInput{ByEmail: ptr(" dave@x.example"), OrganizationID: &globex})
	if err != nil || dave.Name != "dave@x.example" || *dave.Email != "dave@x.example" || *dave.OrganizationID != o.Organization.ID {
		t.Fatalf("made by email: %+v, %v", dave, err)
	}
	found, err := upsert(desk.EndUserInput{ByEmail: ptr("DAVE@X.example"), Name: ptr("Dave")})
	if err != nil || found.ID != dave.ID || found.Name != "Dave" || *found.OrganizationID != o.Organization.ID {
		t.Errorf("found by email: %+v, %v", found, err)
	}
	twin, err := upsert(desk.EndUserInput{ExternalID: ptr("u1"), Email: ptr("dave@x.example"), OrganizationID: ptr(initech.GlobalID())})
	if err != nil || twin.ID == dave.ID {
		t.Fatalf("the same email elsewhere: %+v, %v", twin, err)
	}
	_, err = upsert(desk.EndUserInput{ByEmail: ptr("dave@x.example")})
	refused(t, "two of the same email", err, ochre.CodeInvalid, "input.by.email")
	if found, err := upsert(desk.EndUserInput{ByEmail: ptr("dave@x.example"), OrganizationID: ptr(initech.GlobalID())}); err != nil || found.ID != twin.ID {
		t.Errorf("by email and organization: %+v, %v", found, err)
	}
	_, err = upsert(desk.EndUserInput{ExternalID: ptr("u1"), OrganizationID: &globex})
	refused(t, "move to where the email is taken", err, ochre.CodeEmailTaken, "input.email")
	_, err = upsert(desk.EndUserInput{ExternalID: ptr("u2"), Email: ptr("dave@x.example"), OrganizationID: &globex})
	refused(t, "make where the email is taken", err, ochre.CodeEmailTaken, "input.email")
	if found, err := upsert(desk.EndUserInput{ExternalID: ptr("u1"), Name: ptr("Twin")}); err != nil || found.ID != twin.ID || found.Name != "Twin" || found.Email == nil {
		t.Errorf("by external id: %+v, %v", found, err)
	}

	_, err = upsert(desk.EndUserInput{})
	refused(t, "neither name nor email", err, ochre.CodeInvalid, "input.name")
	_, err = upsert(desk.EndUserInput{ByEmail: ptr("x")})
	refused(t, "no email", err, ochre.CodeInvalid, "input.by.email")
	_, err = upsert(desk.EndUserInput{Name: ptr("x"), Email: ptr("x")})
	refused(t, "no email", err, ochre.CodeInvalid, "input.email")
	stranger := fixture.New(t, o.Store)
	for _, id := range []string{stranger.Customer.GlobalID(), ochre.NewID().Global(ochre.KindEndUser), "user"} {
		_, err := upsert(desk.EndUserInput{ID: &id})
		refused(t, "id "+id, err, ochre.CodeNotFound, "input.by.id")
	}
	_, err = upsert(desk.EndUserInput{ID: ptr(dave.GlobalID()), OrganizationID: ptr(stranger.Organization.GlobalID())})
	refused(t, "a stranger's organization", err, ochre.CodeNotFound, "input.organizationId")

	// One who was merged stands for who took over.
	twin.MergedInto = &dave.ID
	twin.Email = nil
	o.Write(func(tx *store.Tx) error { return tx.UpdateSlackEndUser(ctx, twin) })
	for name, in := range map[string]desk.EndUserInput{"id": {ID: ptr(twin.GlobalID())}, "external id": {ExternalID: ptr("u1")}} {
		if found, err := upsert(in); err != nil || found.ID != dave.ID {
			t.Errorf("a merged one by %s: %+v, %v", name, found, err)
		}
	}
}
