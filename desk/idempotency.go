package desk

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

const maxKey = 255 // characters of an idempotency key

// once runs create unless the caller's idempotency key says that it ran before, and gives the id of what was created then or now. Without a
// key it always runs. Keys count per tenant, agent and mutation; calls at the same time wait for the first. input is all of the mutation's input
// but the key; it must marshal to JSON. Call it before any row is locked, in the transaction that create works in: a refusal by create takes the
// key back. replayed tells that nothing was created. Errors: INVALID for a key that is not 1 to 255 characters, IDEMPOTENCY_CONFLICT.
func (d *Desk) once(ctx context.Context, tx *store.Tx, p ochre.Principal, mutation string, key *string, input any,
	create func() (ochre.ID, error)) (id ochre.ID, replayed bool, err error) {
	if key == nil {
		id, err = create()
		return id, false, err
	}
	if *key == "" || utf8.RuneCountInString(*key) > maxKey || !utf8.ValidString(*key) || strings.ContainsRune(*key, 0) {
		return ochre.ID{}, false, ochre.Refuse(ochre.CodeInvalid, "idempotencyKey", "An idempotency key has 1 to %d characters.", maxKey)
	}
	b, err := json.Marshal(input)
	if err != nil {
		return ochre.ID{}, false, fmt.Errorf("hash the input of %s: %w", mutation, err)
	}
	hash := sha256.Sum256(b)
	had, err := tx.TakeKey(ctx, p.AgentID, mutation, *key, hash[:])
	if errors.Is(err, store.ErrKeyConflict) {
		return ochre.ID{}, false, ochre.Refuse(ochre.CodeIdempotencyConflict, "idempotencyKey", "This key was used with another input: use a new one.")
	}
	if err != nil || !had.IsZero() {
		return had, true, err
	}
	if id, err = create(); err != nil {
		return ochre.ID{}, false, err
	}
	return id, false, tx.KeepResult(ctx, p.AgentID, mutation, *key, id)
}
