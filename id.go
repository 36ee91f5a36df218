package ochre

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ID is a UUIDv7 (RFC 9562): time-ordered, unique in the whole system. In the API it is shown as a typed prefix and 26
// characters of Crockford base32, as in the TypeID specification (`conv_01jd…`).
type ID [16]byte

// Kind is the typed prefix of a global id. It names one noun.
type Kind string

// The kinds of nouns that have a global id.
const (
	KindAgent             Kind = "agent"
	KindTeammate          Kind = "mate"
	KindOrganization      Kind = "org"
	KindEndUser           Kind = "user"
	KindSlackInstallation Kind = "inst"
	KindSlackChannel      Kind = "chan"
	KindChannelLink       Kind = "link"
	KindConversation      Kind = "conv"
	KindMessage           Kind = "msg"
	KindNote              Kind = "note"
	KindActivity          Kind = "act"
	KindAttachment        Kind = "file"
)

// kinds holds every Kind once, for parsing.
var kinds = map[Kind]bool{
	KindAgent: true, KindTeammate: true, KindOrganization: true, KindEndUser: true, KindSlackInstallation: true,
	KindSlackChannel: true, KindChannelLink: true, KindConversation: true, KindMessage: true, KindNote: true,
	KindActivity: true, KindAttachment: true,
}

// errBadID is wrapped by every refusal of ParseID.
var errBadID = errors.New("not an id of this kind")

// NewID returns a new UUIDv7 of the present millisecond.
func NewID() ID { return NewIDAt(time.Now()) }

// NewIDAt returns a new UUIDv7 whose time part is t, to the millisecond.
func NewIDAt(t time.Time) ID {
	var id ID
	ms := uint64(max(t.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(id[6:]) // never fails: crypto/rand ends the program instead
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero tells whether id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the usual UUID form, as PostgreSQL prints it.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// Global returns the id as clients see it: the kind, an underscore and 26 characters of base32.
func (id ID) Global(k Kind) string {
	var b [26]byte
	// 128 bits in 26 characters of 5 bits: the first one holds only the top three.
	var acc uint
	bits := 2
	pos := 0
	for _, x := range id {
		acc = acc<<8 | uint(x)
		bits += 8
		for bits >= 5 {
			bits -= 5
			b[pos] = crockford[acc>>bits&31]
			pos++
		}
		acc &= 1<<bits - 1
	}
	return string(k) + "_" + string(b[:])
}

// ParseGlobal splits a global id into its kind and id. It accepts only what Global prints.
func ParseGlobal(s string) (Kind, ID, error) {
	prefix, suffix, ok := strings.Cut(s, "_")
	if !ok || !kinds[Kind(prefix)] || len(suffix) != 26 || suffix[0] > '7' {
		return "", ID{}, errBadID
	}
	var id ID
	var acc uint
	bits := -2
	pos := 0
	for i := range len(suffix) {
		v := strings.IndexByte(crockford, suffix[i])
		if v < 0 {
			return "", ID{}, errBadID
		}
		acc = acc<<5 | uint(v)
		bits += 5
		if bits >= 8 {
			bits -= 8
			id[pos] = byte(acc >> bits)
			pos++
			acc &= 1<<bits - 1
		}
	}
	return Kind(prefix), id, nil
}

// ParseID reads a global id of one kind. Any other text is refused.
func ParseID(k Kind, s string) (ID, error) {
	got, id, err := ParseGlobal(s)
	if err != nil || got != k {
		return ID{}, errBadID
	}
	return id, nil
}

// ParseUUID reads the usual UUID form.
func ParseUUID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errBadID
	}
	n, err := hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36]))
	if err != nil || n != len(id) {
		return ID{}, errBadID
	}
	return id, nil
}

// MarshalText gives the usual UUID form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the usual UUID form.
func (id *ID) UnmarshalText(b []byte) error {
	got, err := ParseUUID(string(b))
	*id = got
	return err
}

// Value implements driver.Valuer.
func (id ID) Value() (driver.Value, error) { return id.String(), nil }

// Scan implements sql.Scanner for a uuid column, in text or in sixteen bytes.
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case string:
		got, err := ParseUUID(v)
		*id = got
		return err
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
		got, err := ParseUUID(string(v))
		*id = got
		return err
	case [16]byte:
		*id = v
		return nil
	}
	return fmt.Errorf("scan %T into an id: %w", src, errBadID)
}
