// Package scalar holds the custom scalars of the schema that are not nouns.
package scalar

import (
	"fmt"
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// TimeLayout is RFC 3339 in UTC with microseconds.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// MarshalTime writes a time in TimeLayout.
func MarshalTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, t.UTC().Format(`"`+TimeLayout+`"`))
	})
}

// UnmarshalTime reads any RFC 3339 time; digits beyond microseconds are cut.
func UnmarshalTime(v any) (time.Time, error) {
	s, _ := v.(string) // anything else is no time either
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("a Time is a string in RFC 3339, such as %q", TimeLayout)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}
