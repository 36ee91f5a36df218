package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// maxBody is how many bytes the body of a GraphQL request may have.
const maxBody = 1 << 20

// badRequest is an answer to a request that is no GraphQL request. The message never quotes what came.
type badRequest struct {
	status  int
	message string
}

func (b *badRequest) Error() string { return b.message }

func malformed(message string) error { return &badRequest{http.StatusBadRequest, message} }

// paramsOf reads a GET or POST request. Its errors are *badRequest. raw is the body of a POST, for who serves the request instead.
func paramsOf(w http.ResponseWriter, r *http.Request) (p *graphql.RawParams, raw []byte, err error) {
	start := graphql.Now()
	if r.Method == http.MethodGet {
		p, err = paramsFromQuery(r.URL.RawQuery)
	} else if raw, err = bodyOf(w, r); err == nil {
		p, err = paramsFromBody(raw)
	}
	if err != nil {
		return nil, nil, err
	}
	p.Headers = r.Header
	p.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return p, raw, nil
}

func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || mediaType != typeJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, &badRequest{http.StatusUnsupportedMediaType, "The Content-Type must be application/json."}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &badRequest{http.StatusUnsupportedMediaType, "The body must not be compressed."}
	}
	tooLarge := &badRequest{http.StatusRequestEntityTooLarge, "The body has more than 1 MB."}
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close") // rather than reading it
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var max *http.MaxBytesError
	switch {
	case errors.As(err, &max):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, &badRequest{http.StatusRequestTimeout, "The body took too long."}
	case err != nil:
		return nil, malformed("The body could not be read.")
	case !utf8.Valid(body):
		return nil, malformed("The body is not UTF-8.")
	}
	return body, nil
}

func paramsFromBody(body []byte) (*graphql.RawParams, error) {
	// Into a map, because struct fields would match in any case ("QUERY").
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return nil, malformed("The body must be one JSON object; batches are not taken.")
		}
		return nil, malformed("The body is not JSON.")
	}
	if fields == nil {
		return nil, malformed("The body must be a JSON object.")
	}
	return paramsFrom(fields)
}

func paramsFromQuery(rawQuery string) (*graphql.RawParams, error) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, malformed("The query string is malformed.")
	}
	fields := map[string]json.RawMessage{}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		text := q.Get(name)
		switch {
		case len(q[name]) > 1:
			return nil, malformed(name + " is given more than once.")
		case !utf8.ValidString(text):
			return nil, malformed(name + " is not UTF-8.")
		case name == "query" && q.Has(name), name == "operationName" && text != "":
			if fields[name], err = json.Marshal(text); err != nil {
				return nil, malformed(name + " is not text.")
			}
		case text != "":
			if !json.Valid([]byte(text)) {
				return nil, malformed(name + " is not JSON.")
			}
			fields[name] = json.RawMessage(text)
		}
	}
	return paramsFrom(fields)
}

func paramsFrom(fields map[string]json.RawMessage) (*graphql.RawParams, error) {
	var p graphql.RawParams
	query := bytes.TrimSpace(fields["query"])
	if len(query) == 0 || query[0] != '"' || json.Unmarshal(query, &p.Query) != nil {
		return nil, malformed("query must be a string.")
	}
	if name := fields["operationName"]; !isNull(name) {
		if json.Unmarshal(name, &p.OperationName) != nil {
			return nil, malformed("operationName must be a string.")
		}
	}
	if decodeObject(fields["variables"], &p.Variables) != nil {
		return nil, malformed("variables must be an object.")
	}
	if decodeObject(fields["extensions"], &p.Extensions) != nil {
		return nil, malformed("extensions must be an object.")
	}
	return &p, nil
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// decodeObject reads a JSON object or null, numbers as json.Number: a float64 can't hold every integer.
func decodeObject(raw json.RawMessage, into *map[string]any) error {
	if isNull(raw) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}
