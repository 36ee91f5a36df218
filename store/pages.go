package store

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
)

// Sizes of pages.
const (
	DefaultPage = 25
	MaxPage     = 100
)

// Page is the part of a list that a caller asks for: the First entries, or the Last ones, DefaultPage where neither is given. After and
// Before are page cursors and bound it on either side. BAD_USER_INPUT for a size that is not 1 to MaxPage and for First with Last,
// INVALID_CURSOR for a cursor that this list never gave to this tenant.
type Page struct {
	First, Last   *int
	After, Before *string
}

// Slice is the part of a list that was asked for, in the list's order. HasNext is told of forward pages, HasPrevious of backward ones.
type Slice[T any] struct {
	Nodes       []T
	Cursors     []string // one a node
	HasNext     bool
	HasPrevious bool
}

// order is the order of a list: by a key and then by the id, both in one direction, so that no two entries are equal.
type order[T any] struct {
	list string // names the list, its order and whose it is; a cursor is good for this one only
	key  string // SQL
	kind keyKind
	desc bool
	at   func(T) position
}

// keyKind is the SQL type of a key.
type keyKind string

const (
	keyTime   keyKind = "timestamptz"
	keyText   keyKind = "text"
	keyBigint keyKind = "bigint"
)

// position is the place of one entry. key is text that SQL can cast to the key's type; times are microseconds since 1970.
type position struct {
	key string
	id  ochre.ID
}

// The keys of entries that have no time, so that they come last: endless upwards, or downwards in a descending order.
const (
	neverUp   = math.MaxInt64
	neverDown = math.MinInt64
)

func timeKey(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// window is a Page whose sizes and cursors were checked.
type window struct {
	after, before *position
	size          int
	backward      bool
}

func (o order[T]) window(tenant ochre.ID, p Page) (w window, err error) {
	if p.First != nil && p.Last != nil {
		return w, ochre.Errorf(ochre.CodeBadUserInput, "Give first or last, not both.")
	}
	w.size, w.backward = DefaultPage, p.Last != nil || p.First == nil && p.After == nil && p.Before != nil
	if p.First != nil {
		w.size = *p.First
	}
	if p.Last != nil {
		w.size = *p.Last
	}
	if w.size < 1 || w.size > MaxPage {
		return w, ochre.Errorf(ochre.CodeBadUserInput, "A page has 1 to %d entries.", MaxPage)
	}
	if w.after, err = o.read(tenant, p.After); err != nil {
		return w, err
	}
	w.before, err = o.read(tenant, p.Before)
	return w, err
}

// where gives the condition that keeps a query inside the window, to be put behind another one, with its arguments.
func (o order[T]) where(w window, id string) (sql string, args []any) {
	bound := func(p *position, op string) {
		if p != nil {
			sql += " AND (" + o.key + ", " + id + ") " + op + " (?::" + string(o.kind) + ", ?::uuid)"
			args = append(args, o.value(p.key), p.id)
		}
	}
	after, before := ">", "<"
	if o.desc {
		after, before = before, after
	}
	bound(w.after, after)
	bound(w.before, before)
	return sql, args
}

// tail gives the ORDER BY and LIMIT of a window: one entry more than its size, which tells whether the list goes on.
func (o order[T]) tail(w window, id string) string {
	direction := " ASC"
	if o.desc != w.backward {
		direction = " DESC"
	}
	return " ORDER BY " + o.key + direction + ", " + id + direction + " LIMIT " + strconv.Itoa(w.size+1)
}

// slice makes a Slice of the rows that a query with where and tail gave.
func (o order[T]) slice(tenant ochre.ID, w window, rows []T) *Slice[T] {
	more := len(rows) > w.size
	rows = rows[:min(len(rows), w.size)]
	if w.backward {
		slices.Reverse(rows)
	}
	s := &Slice[T]{Nodes: rows, Cursors: make([]string, len(rows)), HasNext: more && !w.backward, HasPrevious: more && w.backward}
	for i, row := range rows {
		s.Cursors[i] = o.cursor(tenant, o.at(row))
	}
	return s
}

// sumLength is how many bytes of a hash end a cursor. They tie it to its tenant and list. They are no signature: who makes a cursor up
// names a place in a list that is his own.
const sumLength = 8

func (o order[T]) sum(tenant ochre.ID, b []byte) []byte {
	h := sha256.New()
	h.Write(tenant[:])
	h.Write([]byte(o.list))
	h.Write([]byte{0})
	h.Write(b)
	return h.Sum(nil)[:sumLength]
}

func (o order[T]) cursor(tenant ochre.ID, p position) string {
	b := append(p.id[:], p.key...)
	return base64.RawURLEncoding.EncodeToString(append(b, o.sum(tenant, b)...))
}

func (o order[T]) read(tenant ochre.ID, cursor *string) (*position, error) {
	if cursor == nil {
		return nil, nil // no cursor, no position
	}
	invalid := ochre.Errorf(ochre.CodeInvalidCursor, "This page cursor is not one of this list's: use the cursor of an edge, or pageInfo.")
	b, err := base64.RawURLEncoding.Strict().DecodeString(*cursor)
	var p position
	if err != nil || len(b) < len(p.id)+sumLength {
		return nil, invalid
	}
	b, sum := b[:len(b)-sumLength], b[len(b)-sumLength:]
	if string(sum) != string(o.sum(tenant, b)) {
		return nil, invalid
	}
	copy(p.id[:], b)
	p.key = string(b[len(p.id):])
	if !o.valid(p.key) {
		return nil, invalid
	}
	return &p, nil
}

// valid tells whether PostgreSQL will take the key.
func (o order[T]) valid(key string) bool {
	if o.kind == keyText {
		return utf8.ValidString(key) && !strings.Contains(key, "\x00")
	}
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil || o.kind == keyBigint {
		return err == nil
	}
	year := time.UnixMicro(n).UTC().Year()
	return n == neverUp || n == neverDown || year >= 1 && year <= 9999
}

// value gives the text that PostgreSQL casts to the key's type.
func (o order[T]) value(key string) string {
	if o.kind != keyTime {
		return key
	}
	switch n, _ := strconv.ParseInt(key, 10, 64); n { // checked by valid
	case neverUp:
		return "infinity"
	case neverDown:
		return "-infinity"
	default:
		return time.UnixMicro(n).UTC().Format(time.RFC3339Nano)
	}
}
