package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/ochrehq/ochre"
)

// list is a query that can be read in pages: sql ends in a WHERE clause, and the rows have an id.
type list[T any] struct {
	order[*T]
	sql  string
	args []any
}

// and adds a condition.
func (l *list[T]) and(condition string, args ...any) {
	l.sql += " AND " + condition
	l.args = append(l.args, args...)
}

// page reads one page of a list.
func page[T any](ctx context.Context, q queries, tenant ochre.ID, l *list[T], p Page) (*Slice[*T], error) {
	w, err := l.window(tenant, p)
	if err != nil {
		return nil, err
	}
	where, args := l.where(w, "id")
	got, err := rows[T](ctx, q, l.sql+where+l.tail(w, "id"), append(l.args, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read a page of %s: %w", l.list, err)
	}
	return l.slice(tenant, w, got), nil
}

// rows reads what a query gives.
func rows[T any](ctx context.Context, q queries, sql string, args ...any) ([]*T, error) {
	var rs []*T
	err := q.db.WithContext(ctx).Raw(sql, args...).Scan(&rs).Error
	return rs, err
}

// byID reads the rows of a table that have one of the ids. Ids that the tenant does not have are missing from the result.
func byID[T any](ctx context.Context, q queries, table string, tenant ochre.ID, ids []ochre.ID, id func(*T) ochre.ID) (map[ochre.ID]*T, error) {
	return keyed(ctx, q, id, "SELECT * FROM "+table+" WHERE tenant_id = ? AND id = ANY(?::uuid[])", tenant, array(ids))
}

// keyed reads what a query gives as a map.
func keyed[K comparable, T any](ctx context.Context, q queries, key func(*T) K, sql string, args ...any) (map[K]*T, error) {
	rs, err := rows[T](ctx, q, sql, args...)
	if err != nil {
		return nil, err
	}
	m := make(map[K]*T, len(rs))
	for _, r := range rs {
		m[key(r)] = r
	}
	return m, nil
}

// grouped reads what a query gives as lists, each in the query's order.
func grouped[K comparable, T any](ctx context.Context, q queries, key func(*T) K, sql string, args ...any) (map[K][]*T, error) {
	rs, err := rows[T](ctx, q, sql, args...)
	if err != nil {
		return nil, err
	}
	m := make(map[K][]*T, len(rs))
	for _, r := range rs {
		m[key(r)] = append(m[key(r)], r)
	}
	return m, nil
}

// array writes ids as one argument for ANY(?::uuid[]), so that the statement is the same for any number of them.
func array(ids []ochre.ID) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(id.String())
	}
	b.WriteByte('}')
	return b.String()
}

// Text makes any text fit for a text column, which takes neither NUL nor bytes that are not UTF-8: U+FFFD takes their place.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// containing is the ILIKE pattern of all that contains s.
func containing(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(Text(s)) + "%"
}
