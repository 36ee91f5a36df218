package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/store"
)

// TestLocksLetReferencesIn is about rows that others refer to: who has one locked must not keep waiting those who only add rows that refer to it. Where both
// then wait for one another, PostgreSQL ends one of them after a second.
func TestLocksLetReferencesIn(t *testing.T) {
	t.Parallel()
	w := world(t)
	tenant := w.Tenant.ID
	for _, c := range []struct {
		name string
		lock func(ctx context.Context, tx *store.Tx) error
		add  func(ctx context.Context) error
	}{
		{
			"an installation, a channel of it",
			func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.LockInstallation(ctx, w.Installation.ID)
				return err
			},
			func(ctx context.Context) error {
				return w.Store.Tx(ctx, tenant, fixture.Noon, func(tx *store.Tx) error {
					_, err := tx.PutSlackChannels(ctx, w.Installation.ID, []ochre.SlackChannel{{SlackChannelID: fixture.Unique("C"), Name: "new", UpdatedAt: fixture.Noon}})
					return err
				})
			},
		},
		{
			"a link, an event of it",
			func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.LockLink(ctx, w.Link.ID)
				return err
			},
			func(ctx context.Context) error {
				rs, err := w.Store.AddSlackEvents(ctx, []store.InboundEvent{
					{EventID: fixture.Unique("Ev"), Body: []byte("{}"), ReceivedAt: fixture.Noon, SlackChannelID: w.Link.SlackChannelID, Lane: "1.0"},
				})
				if err == nil && rs[0].Stored != 1 {
					t.Errorf("the event was not stored: %+v", rs[0])
				}
				return err
			},
		},
		{
			"an organization, an end user of it",
			func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.LockOrganization(ctx, w.Organization.ID)
				return err
			},
			func(ctx context.Context) error {
				return w.Store.Tx(ctx, tenant, fixture.Noon, func(tx *store.Tx) error {
					_, err := tx.InsertEndUser(ctx, &ochre.EndUser{ID: ochre.NewID(), Name: "Dan", OrganizationID: &w.Organization.ID, CreatedAt: fixture.Noon})
					return err
				})
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := w.Store.Tx(t.Context(), tenant, fixture.Noon, func(tx *store.Tx) error {
				if err := c.lock(t.Context(), tx); err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				return c.add(ctx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
