package store

import (
	"context"
	"fmt"

	"github.com/ochrehq/ochre"
)

// InsertNote stores a new note.
func (tx *Tx) InsertNote(ctx context.Context, n *ochre.Note) error {
	n.TenantID = tx.Tenant
	if err := tx.db.WithContext(ctx).Create(n).Error; err != nil {
		return fmt.Errorf("insert a note: %w", err)
	}
	return nil
}

// LockNote reads a note and locks it until the commit.
func (tx *Tx) LockNote(ctx context.Context, id ochre.ID) (*ochre.Note, error) {
	var n ochre.Note
	return one(&n, tx.db.WithContext(ctx).Raw("SELECT * FROM notes WHERE tenant_id = ? AND id = ? FOR UPDATE", tx.Tenant, id).Scan(&n))
}

// UpdateNote writes the text of a locked note as a new version.
func (tx *Tx) UpdateNote(ctx context.Context, n *ochre.Note) error {
	n.Version++
	return tx.db.WithContext(ctx).Exec("UPDATE notes SET version = ?, body = ?, edited_at = ? WHERE tenant_id = ? AND id = ?", n.Version, n.Body, n.EditedAt, tx.Tenant, n.ID).Error
}

// DeleteNote deletes a note.
func (tx *Tx) DeleteNote(ctx context.Context, id ochre.ID) error {
	return tx.db.WithContext(ctx).Exec("DELETE FROM notes WHERE tenant_id = ? AND id = ?", tx.Tenant, id).Error
}
