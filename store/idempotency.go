package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ochrehq/ochre"
)

// ErrKeyConflict says that an idempotency key was used with another input.
var ErrKeyConflict = errors.New("the idempotency key was used with another input")

// TakeKey takes an idempotency key for this transaction, or gives the result that it had before. While another transaction has it in
// hand, TakeKey waits for its end. result is zero where the key was taken: KeepResult must follow before the commit. Errors: ErrKeyConflict.
func (tx *Tx) TakeKey(ctx context.Context, agent ochre.ID, mutation, key string, inputHash []byte) (result ochre.ID, err error) {
	db := tx.db.WithContext(ctx)
	for range 3 { // a key that was there may be trimmed before it is read
		res := db.Exec(`INSERT INTO idempotency_keys (tenant_id, agent_id, mutation, key, input_hash, result_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, tx.Tenant, agent, mutation, key, inputHash, ochre.ID{}, tx.now)
		if res.Error != nil {
			return ochre.ID{}, fmt.Errorf("take an idempotency key: %w", res.Error)
		}
		if res.RowsAffected == 1 {
			return ochre.ID{}, nil
		}
		var had struct {
			InputHash []byte
			ResultID  ochre.ID
		}
		res = db.Raw("SELECT input_hash, result_id FROM idempotency_keys WHERE tenant_id = ? AND agent_id = ? AND mutation = ? AND key = ?",
			tx.Tenant, agent, mutation, key).Scan(&had)
		switch {
		case res.Error != nil:
			return ochre.ID{}, fmt.Errorf("read an idempotency key: %w", res.Error)
		case res.RowsAffected == 0:
			continue
		case !bytes.Equal(had.InputHash, inputHash):
			return ochre.ID{}, ErrKeyConflict
		}
		return had.ResultID, nil
	}
	return ochre.ID{}, errors.New("take an idempotency key: it comes and goes")
}

// KeepResult notes what came of the mutation whose key was taken.
func (tx *Tx) KeepResult(ctx context.Context, agent ochre.ID, mutation, key string, result ochre.ID) error {
	return tx.db.WithContext(ctx).Exec("UPDATE idempotency_keys SET result_id = ? WHERE tenant_id = ? AND agent_id = ? AND mutation = ? AND key = ?",
		result, tx.Tenant, agent, mutation, key).Error
}

// TrimKeys deletes at most limit idempotency keys that are older than before, of all tenants. It gives how many went. Keys count for at
// least 24 hours.
func (s *Store) TrimKeys(ctx context.Context, before time.Time, limit int) (int64, error) {
	res := s.db.WithContext(ctx).Exec(`DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
		SELECT ctid FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ? FOR UPDATE SKIP LOCKED))`, before, limit)
	return res.RowsAffected, res.Error
}
