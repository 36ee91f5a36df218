package slacksim

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// arguments are a call's arguments, whichever way they came. What is not a plain
// string in JSON is kept as its JSON text, which is also what a form holds for it.
type arguments map[string]string

func (a arguments) bool(name string) bool {
	switch strings.ToLower(a[name]) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}

// unlessFalse is bool with a default of true.
func (a arguments) unlessFalse(name string) bool {
	_, given := a[name]
	return !given || a.bool(name)
}

// limit is the page size: fallback if none is given, never above most.
func (a arguments) limit(fallback, most int) (int, *apiError) {
	text := a["limit"]
	if text == "" || text == "0" {
		return min(fallback, most), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fail("invalid_limit")
	}
	return min(n, most), nil
}

// sent is the arguments as JSON, for the record, without the token.
func (a arguments) sent() json.RawMessage {
	kept := object{}
	for key, value := range a {
		if key != "token" {
			kept[key] = value
		}
	}
	return encode(kept)
}

// readArguments takes a form, a multipart form, a JSON object or a query.
func readArguments(w http.ResponseWriter, r *http.Request) (arguments, *apiError) {
	args := arguments{}
	add := func(values url.Values) {
		for key, all := range values {
			if len(all) > 0 {
				args[key] = all[0]
			}
		}
	}
	add(r.URL.Query())
	if r.Method == http.MethodGet {
		return args, nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCallBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return args, fail("request_timeout")
		}
		var fields map[string]json.RawMessage
		if len(raw) == 0 {
			return args, nil
		}
		if err := json.Unmarshal(raw, &fields); err != nil {
			return args, fail("invalid_json")
		}
		for key, value := range fields {
			var text string
			switch {
			case string(value) == "null":
			case json.Unmarshal(value, &text) == nil:
				args[key] = text
			default:
				args[key] = string(value)
			}
		}
	case "multipart/form-data":
		if err := r.ParseMultipartForm(maxCallBody); err != nil {
			return args, fail("invalid_form_data")
		}
		add(r.PostForm)
	default:
		if err := r.ParseForm(); err != nil {
			return args, fail("invalid_form_data")
		}
		add(r.PostForm)
	}
	return args, nil
}
