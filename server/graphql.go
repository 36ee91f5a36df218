package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// How long an operation over HTTP may run, counted from the request's arrival. A query that meets a dead database must have its 503
// within 3 s; a mutation may be waiting for Slack.
const (
	queryLimit    = 2700 * time.Millisecond
	mutationLimit = 25 * time.Second
)

// graphqlHTTP serves /graphql: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/) by itself, and what wants a
// WebSocket or an event stream by the socket, once it knows who asks. gqlgen's own transports answer 422 where the specification has
// 200 or 400, send `"data": null` for what never ran, and quote bodies they can't read.
type graphqlHTTP struct {
	exec    graphql.GraphExecutor
	auth    *Auth
	socket  Socket
	limiter Limiter // nil: no limit
	log     *slog.Logger
	now     func() time.Time
}

func (h *graphqlHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept, Authorization, Cookie")
	upgrade := isWebSocket(r)
	if r.Method != http.MethodGet && r.Method != http.MethodPost || upgrade && r.Method != http.MethodGet {
		methodNotAllowed(w, r, "GET, POST", "Use GET or POST.")
		return
	}
	ctx, err := h.admit(r.Context(), w, r, upgrade)
	if err != nil {
		logCause(ctx, h.log, err)
		refuse(w, r, err)
		return
	}
	r = r.WithContext(ctx)
	accept := negotiate(r)
	switch {
	case upgrade:
		h.socket.ServeWS(w, r)
	case accept.json == "" && accept.stream:
		h.socket.ServeSSE(w, r)
	case accept.json == "":
		writeErrors(w, typeJSON, http.StatusNotAcceptable, refusal(ochre.CodeBadUserInput, "Accept %s or %s.", typeResponse, typeJSON))
	default:
		h.serve(w, r, accept, start)
	}
}

// admit tells who asks, and whether they may now.
func (h *graphqlHTTP) admit(ctx context.Context, w http.ResponseWriter, r *http.Request, upgrade bool) (context.Context, error) {
	if q := r.URL.Query(); q.Has("access_token") || q.Has("token") || q.Has("authorization") {
		return ctx, ochre.Errorf(ochre.CodeUnauthenticated, "A token in an address ends up in logs: send it in the Authorization header, and make a new one.")
	}
	if upgrade {
		return h.auth.upgrade(ctx, r)
	}
	ctx, err := h.auth.request(ctx, w, r)
	if err != nil || h.limiter == nil {
		return ctx, err
	}
	p, _ := ochre.PrincipalFrom(ctx)
	wait, err := h.limiter.Allow(ctx, "graphql:"+p.AgentID.String())
	if err != nil {
		h.log.WarnContext(ctx, "rate limit unknown, allowed", "error", err, "request_id", RequestID(ctx))
		return ctx, nil
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return ctx, ochre.Errorf(ochre.CodeRateLimited, "Too many requests. Wait as long as Retry-After says.")
	}
	return ctx, nil
}

// serve answers one operation with JSON, or hands a subscription to the socket where the client can read an event stream.
func (h *graphqlHTTP) serve(w http.ResponseWriter, r *http.Request, accept accepted, start time.Time) {
	params, body, err := paramsOf(w, r)
	var bad *badRequest
	if errors.As(err, &bad) {
		writeErrors(w, accept.json, bad.status, refusal(ochre.CodeBadUserInput, "%s", bad.message))
		return
	}
	ctx := graphql.StartOperationTrace(r.Context())
	op, errs := h.exec.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		errs = h.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors
		writeErrors(w, accept.json, requestErrorStatus(accept.json, errs), errs...)
		return
	}
	kind := op.Operation.Operation
	switch {
	case r.Method == http.MethodGet && kind != ast.Query && !(kind == ast.Subscription && accept.stream):
		methodNotAllowed(w, r, "POST", "By GET only queries are served.")
		return
	case kind == ast.Subscription && accept.stream:
		r.Header.Set("Accept", typeStream)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.socket.ServeSSE(w, r)
		return
	case kind == ast.Subscription:
		writeErrors(w, accept.json, http.StatusNotAcceptable,
			refusal(ochre.CodeBadUserInput, "Subscribe over a WebSocket (graphql-transport-ws), or accept text/event-stream."))
		return
	}
	limit := queryLimit
	if kind == ast.Mutation {
		limit = mutationLimit
	}
	ctx, cancel := context.WithDeadline(ctx, start.Add(limit))
	defer cancel()
	next, ctx := h.exec.DispatchOperation(ctx, op)
	res := next(ctx)
	if res == nil { // the time was over before it began
		res = h.exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(context.DeadlineExceeded)})
	}
	write(w, accept.json, executionStatus(res), res)
}

// requestErrorStatus is the status of an operation that never ran. application/json has 200 for a well-formed request.
func requestErrorStatus(mediaType string, errs gqlerror.List) int {
	switch code(errs[0]) {
	case ochre.CodeUnavailable:
		return http.StatusServiceUnavailable
	case ochre.CodeInternal:
		return http.StatusInternalServerError
	}
	if mediaType == typeResponse {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

func executionStatus(res *graphql.Response) int {
	for _, e := range res.Errors {
		if code(e) == ochre.CodeUnavailable {
			return http.StatusServiceUnavailable
		}
	}
	return http.StatusOK
}

func code(e *gqlerror.Error) ochre.Code {
	c, _ := e.Extensions["code"].(string)
	return ochre.Code(c)
}

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// refuse answers a request that was not admitted.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *ochre.Error
	if !errors.As(err, &e) {
		e = ochre.Errorf(ochre.CodeInternal, "Something went wrong in Ochre.")
	}
	status := http.StatusInternalServerError
	switch e.Code {
	case ochre.CodeUnauthenticated:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="ochre"`)
	case ochre.CodeForbidden:
		status = http.StatusForbidden
	case ochre.CodeRateLimited:
		status = http.StatusTooManyRequests
	case ochre.CodeUnavailable:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close") // rather than reading the body of a stranger
	}
	writeErrors(w, errorType(r), status, refusal(e.Code, "%s", e.Message))
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, allow, message string) {
	w.Header().Set("Allow", allow)
	writeErrors(w, errorType(r), http.StatusMethodNotAllowed, refusal(ochre.CodeBadUserInput, "%s", message))
}

// errorType is the type of an answer to who may be no GraphQL client at all.
func errorType(r *http.Request) string {
	if a := negotiate(r); a.json != "" {
		return a.json
	}
	return typeJSON
}

func writeErrors(w http.ResponseWriter, mediaType string, status int, errs ...*gqlerror.Error) {
	write(w, mediaType, status, &graphql.Response{Errors: errs})
}

// write sends a response. Where execution never began it has no `data`.
func write(w http.ResponseWriter, mediaType string, status int, res *graphql.Response) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(res.Errors) > 0 {
		errs, err := json.Marshal(res.Errors)
		if err != nil {
			errs = []byte(`[{"message":"Something went wrong in Ochre.","extensions":{"code":"INTERNAL"}}]`)
		}
		b.WriteString(`"errors":`)
		b.Write(errs)
	}
	if res.Data != nil {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"data":`)
		b.Write(res.Data)
	}
	if extensions, err := json.Marshal(res.Extensions); err == nil && len(res.Extensions) > 0 {
		b.WriteString(`,"extensions":`)
		b.Write(extensions)
	}
	b.WriteByte('}')
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went needs no answer
}
