package socket

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// maxID bounds an operation's id, which is kept per operation and sent with every event.
const maxID = 256

// message is one incoming graphql-transport-ws message.
type message struct {
	typ     string
	id      string
	payload json.RawMessage // nil if absent or null
}

// parseMessage reads an incoming message. Its errors are the text of a 4400 close and never quote the input.
func parseMessage(data []byte) (message, error) {
	// Into a map, because struct fields would match in any case ("TYPE").
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return message{}, errors.New("Message is not a JSON object")
	}
	var m message
	if !jsonString(fields["type"], &m.typ) {
		return message{}, errors.New("Message has no type")
	}
	m.payload = notNull(fields["payload"])
	switch m.typ {
	case "connection_init", "ping", "pong":
		if m.payload != nil && m.payload[0] != '{' {
			return message{}, errors.New("Payload is not an object")
		}
	case "subscribe", "complete":
		switch {
		case !jsonString(fields["id"], &m.id) || m.id == "":
			return message{}, errors.New("Message has no id")
		case len(m.id) > maxID:
			return message{}, errors.New("Id is too long")
		case m.typ == "subscribe" && m.payload == nil:
			return message{}, errors.New("Message has no payload")
		}
	default:
		return message{}, errors.New("Unknown message type")
	}
	return m, nil
}

// parseOperation reads the parameters of a GraphQL request. Its errors never quote the input.
func parseOperation(data []byte) (Operation, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return Operation{}, errors.New("The request is not a JSON object")
	}
	var op Operation
	if !jsonString(fields["query"], &op.Query) {
		return Operation{}, errors.New("query is not a string")
	}
	if name := notNull(fields["operationName"]); name != nil && !jsonString(name, &op.OperationName) {
		return Operation{}, errors.New("operationName is not a string")
	}
	op.Variables, op.Extensions = notNull(fields["variables"]), notNull(fields["extensions"])
	if op.Variables != nil && op.Variables[0] != '{' {
		return Operation{}, errors.New("variables is not an object")
	}
	if op.Extensions != nil && op.Extensions[0] != '{' {
		return Operation{}, errors.New("extensions is not an object")
	}
	return op, nil
}

// jsonString decodes raw into s and says whether it was a JSON string.
func jsonString(raw json.RawMessage, s *string) bool {
	return len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, s) == nil
}

// notNull is raw, or nil for an absent or null value.
func notNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

// envelope is the start of an outgoing message with an id, up to its payload or its end.
func envelope(id, typ string) []byte {
	quoted, _ := json.Marshal(id) // a string always marshals
	b := append([]byte(`{"id":`), quoted...)
	b = append(b, `,"type":"`...)
	b = append(b, typ...)
	return append(b, '"')
}

// encodeErrors is the JSON array of errs.
func encodeErrors(errs []*gqlerror.Error) []byte {
	b, err := json.Marshal(errs)
	if err != nil { // an extension that is no JSON
		return []byte(`[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`)
	}
	return b
}

// errorWith is a GraphQL error with a code.
func errorWith(code ochre.Code, text string) *gqlerror.Error {
	return &gqlerror.Error{Message: text, Extensions: map[string]any{"code": string(code)}}
}

// present renders an error that a Stream ended with. Only an *ochre.Error is for a client's eyes.
func present(err error) []*gqlerror.Error {
	var list gqlerror.List
	if errors.As(err, &list) && len(list) > 0 {
		return list
	}
	var e *ochre.Error
	if errors.As(err, &e) {
		return []*gqlerror.Error{errorWith(e.Code, e.Message)}
	}
	return []*gqlerror.Error{errorWith(ochre.CodeInternal, "internal error")}
}

// truncate cuts s to at most n bytes without splitting a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
