package socket

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/ochrehq/ochre"
)

// refusal is an answer to a request that is no GraphQL request.
type refusal struct {
	status int
	text   string
	allow  string // with 405
}

func newRefusal(status int, text string) *refusal { return &refusal{status: status, text: text} }

func (f *refusal) write(w http.ResponseWriter) {
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	_, _ = w.Write(append(append([]byte(`{"errors":`), encodeErrors(present(ochre.Errorf(ochre.CodeBadUserInput, "%s", f.text)))...), '}'))
}

// requestFrom reads the operation of a POST (application/json) or GET request that accepts an event stream.
func (s *Server) requestFrom(w http.ResponseWriter, r *http.Request) (Operation, *refusal) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return Operation{}, &refusal{http.StatusMethodNotAllowed, "Use GET or POST.", "GET, POST"}
	}
	if !acceptsEventStream(r) {
		return Operation{}, newRefusal(http.StatusNotAcceptable, "The Accept header must name text/event-stream.")
	}
	if r.Method == http.MethodGet {
		return requestFromQuery(r)
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return Operation{}, newRefusal(http.StatusUnsupportedMediaType, "The Content-Type must be application/json.")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return Operation{}, newRefusal(http.StatusUnsupportedMediaType, "The body must not be compressed.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.MaxMessage))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return Operation{}, newRefusal(http.StatusRequestEntityTooLarge, "The body is too big.")
	case err != nil:
		return Operation{}, newRefusal(http.StatusBadRequest, "The body could not be read.")
	case !utf8.Valid(body):
		return Operation{}, newRefusal(http.StatusBadRequest, "The body is not UTF-8.")
	}
	op, err := parseOperation(body)
	if err != nil {
		return Operation{}, newRefusal(http.StatusBadRequest, err.Error())
	}
	return op, nil
}

// requestFromQuery reads the operation of a GET request, which may change nothing.
func requestFromQuery(r *http.Request) (Operation, *refusal) {
	q := r.URL.Query()
	fields := map[string]any{}
	for _, name := range []string{"query", "operationName"} {
		if q.Has(name) {
			fields[name] = q.Get(name)
		}
	}
	for _, name := range []string{"variables", "extensions"} {
		if raw := q.Get(name); raw != "" {
			fields[name] = json.RawMessage(raw)
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return Operation{}, newRefusal(http.StatusBadRequest, "variables or extensions is not JSON.")
	}
	op, err := parseOperation(data)
	if err != nil {
		return Operation{}, newRefusal(http.StatusBadRequest, err.Error())
	}
	op.ReadOnly = true
	return op, nil
}

// acceptsEventStream says whether the Accept header names text/event-stream.
func acceptsEventStream(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			if mediaType, _, err := mime.ParseMediaType(part); err == nil && mediaType == "text/event-stream" {
				return true
			}
		}
	}
	return false
}
