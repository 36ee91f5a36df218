// Package live turns the event log into what subscribers see: a feed per tenant, replay, and live events on any node.
package live

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/secret"
)

const (
	cursorVersion = 1
	epochLength   = 12
	cursorLength  = 1 + epochLength + 16 + 8
	macLength     = 16
)

// Cursors makes and reads event cursors: version, epoch of the log, tenant and seq, signed. It is safe for concurrent use.
type Cursors struct {
	keys  *secret.Keys
	epoch [epochLength]byte
}

// NewCursors makes Cursors of a database whose log has the epoch (any text, see store.LogEpoch).
func NewCursors(keys *secret.Keys, epoch string) *Cursors {
	sum := sha256.Sum256([]byte(epoch))
	return &Cursors{keys, [epochLength]byte(sum[:])}
}

// Encode gives the cursor of a position in a tenant's log; seq 0 is before the first event.
func (c *Cursors) Encode(tenant ochre.ID, seq int64) ochre.EventCursor {
	b := make([]byte, 0, cursorLength+macLength)
	b = append(b, cursorVersion)
	b = append(b, c.epoch[:]...)
	b = append(b, tenant[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	b = append(b, c.keys.Sign("event cursor", b)...)
	return ochre.EventCursor(base64.RawURLEncoding.EncodeToString(b))
}

// Decode reads a cursor of a tenant. current is false for one of another epoch, whose seq means nothing here: its holder is told a Gap.
// Anything that this tenant was never given is INVALID_CURSOR.
func (c *Cursors) Decode(tenant ochre.ID, cursor ochre.EventCursor) (seq int64, current bool, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(cursor))
	if err != nil || len(b) != cursorLength+macLength || b[0] != cursorVersion ||
		!c.keys.Verify("event cursor", b[:cursorLength], b[cursorLength:]) || ochre.ID(b[1+epochLength:1+epochLength+16]) != tenant {
		return 0, false, InvalidCursor()
	}
	seq = int64(binary.BigEndian.Uint64(b[1+epochLength+16:]))
	return seq, [epochLength]byte(b[1:]) == c.epoch, nil
}

// InvalidCursor is the refusal of an event cursor.
func InvalidCursor() *ochre.Error {
	return ochre.Errorf(ochre.CodeInvalidCursor, "This event cursor is not one of yours: use latestEventCursor or the cursor of an event.")
}
