package server

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// The media types of GraphQL over HTTP, and of an event stream.
const (
	typeResponse = "application/graphql-response+json"
	typeJSON     = "application/json"
	typeStream   = "text/event-stream"
)

// accepted is what a client can read. json is typeResponse, typeJSON or "" for neither.
type accepted struct {
	json   string
	stream bool
}

// negotiate reads the Accept header as the GraphQL over HTTP specification has it: no header and wildcards mean application/json,
// and who names both JSON types alike gets the newer one. An event stream must be named; it is for subscriptions where JSON is named too.
func negotiate(r *http.Request) accepted {
	lines := r.Header.Values("Accept")
	if len(lines) == 0 || strings.TrimSpace(strings.Join(lines, "")) == "" {
		return accepted{json: typeJSON}
	}
	q := map[string]float64{}
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
				continue
			}
			q[mediaType] = max(q[mediaType], quality(params["q"]))
		}
	}
	_, refused := q[typeJSON]
	plain := q[typeJSON]
	if !refused {
		plain = max(q["application/*"], q["*/*"])
	}
	a := accepted{stream: q[typeStream] > 0}
	switch {
	case q[typeResponse] > 0 && q[typeResponse] >= plain:
		a.json = typeResponse
	case plain > 0:
		a.json = typeJSON
	}
	return a
}

// quality reads a q parameter; what can't be read counts as 1.
func quality(q string) float64 {
	f, err := strconv.ParseFloat(q, 64)
	if err != nil || f < 0 || f > 1 {
		return 1
	}
	return f
}
