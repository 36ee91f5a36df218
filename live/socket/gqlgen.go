package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// NewGQLGenExecutor runs each operation by itself on gqlgen's executor, so that its limits, extensions, error presenter and
// recover function are those of GraphQL over HTTP.
func NewGQLGenExecutor(exec graphql.GraphExecutor) Executor { return gqlgenExecutor{exec} }

type gqlgenExecutor struct{ exec graphql.GraphExecutor }

// Start implements Executor. A panic becomes one INTERNAL error.
func (g gqlgenExecutor) Start(ctx context.Context, op Operation) (stream Stream, errs []*gqlerror.Error) {
	ctx, lost := withInterruption(graphql.StartOperationTrace(ctx))
	params := &graphql.RawParams{Query: op.Query, OperationName: op.OperationName}
	params.ReadTime = graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	if err := decodeNumbers(op.Variables, &params.Variables); err != nil {
		return nil, present(ochre.Errorf(ochre.CodeBadUserInput, "variables is not an object"))
	}
	if err := decodeNumbers(op.Extensions, &params.Extensions); err != nil {
		return nil, present(ochre.Errorf(ochre.CodeBadUserInput, "extensions is not an object"))
	}

	var opCtx *graphql.OperationContext
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		if p := recover(); p != nil {
			stream, errs = nil, g.recovered(ctx, opCtx, p)
		}
		if errs != nil {
			cancel()
		}
	}()
	opCtx, list := g.exec.CreateOperationContext(ctx, params)
	if len(list) > 0 {
		return nil, g.exec.DispatchError(withOperation(ctx, opCtx), list).Errors
	}
	kind := opCtx.Operation.Operation
	if kind == ast.Mutation && op.ReadOnly {
		return nil, []*gqlerror.Error{{Err: ErrReadOnly, Message: ErrReadOnly.Error()}}
	}
	next, ctx := g.exec.DispatchOperation(withOperation(ctx, opCtx), opCtx)
	return &gqlgenStream{g: g, opCtx: opCtx, next: next, ctx: ctx, cancel: cancel, single: kind != ast.Subscription, lost: lost}, nil
}

// withOperation makes opCtx known to presenters and middleware, also where it is only half made.
func withOperation(ctx context.Context, opCtx *graphql.OperationContext) context.Context {
	if opCtx == nil {
		return ctx
	}
	return graphql.WithOperationContext(ctx, opCtx)
}

// recovered renders a panic as the executor would have, or plainly if that is what panics.
func (g gqlgenExecutor) recovered(ctx context.Context, opCtx *graphql.OperationContext, p any) (errs []*gqlerror.Error) {
	defer func() {
		if recover() != nil || len(errs) == 0 {
			errs = present(ochre.Errorf(ochre.CodeInternal, "internal error"))
		}
	}()
	ctx = withOperation(ctx, opCtx)
	var err error = ochre.Errorf(ochre.CodeInternal, "internal error")
	if opCtx != nil && opCtx.RecoverFunc != nil {
		err = opCtx.RecoverFunc(ctx, p)
	}
	errs = g.exec.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(err)}).Errors
	for _, e := range errs {
		if e.Extensions["code"] == nil { // nobody said what may be shown of it
			return nil
		}
	}
	return errs
}

// gqlgenStream is one operation of gqlgen. Queries and mutations have one result.
type gqlgenStream struct {
	g      gqlgenExecutor
	opCtx  *graphql.OperationContext
	next   graphql.ResponseHandler
	ctx    context.Context // DispatchOperation's, which operation middleware may have added to
	cancel context.CancelFunc
	single bool
	ended  bool
	lost   *atomic.Bool // Interrupt was called
}

// Next implements Stream. The given context is Start's or derived from it; only its end is of interest here. A result of a subscription that
// lacks something because it could not be read now would be a hole in what the client sees: the client is to come back and get it whole.
func (s *gqlgenStream) Next(ctx context.Context) (payload []byte, err error) {
	if s.ended {
		return nil, io.EOF
	}
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	defer func() {
		if p := recover(); p != nil {
			payload, err = nil, gqlerror.List(s.g.recovered(s.ctx, s.opCtx, p))
		}
		s.ended = s.ended || s.single || err != nil
	}()
	res := s.next(s.ctx)
	switch {
	case res == nil && s.ctx.Err() != nil:
		return nil, s.ctx.Err()
	case res == nil && s.lost.Load(), res != nil && !s.single && unavailable(res.Errors):
		return nil, ErrInterrupted
	case res == nil:
		return nil, io.EOF
	case res.Data == nil && len(res.Errors) > 0: // not even null: nothing was executed
		return nil, res.Errors
	}
	return encodeResult(res)
}

// Single implements Stream.
func (s *gqlgenStream) Single() bool { return s.single }

// Close implements Stream: the resolvers' context ends.
func (s *gqlgenStream) Close() { s.cancel() }

// encodeResult copies res into bytes of its own: the Data of a subscription lives in a buffer that the next event
// overwrites. It is put together by hand, since encoding/json would check and compact Data once more.
func encodeResult(res *graphql.Response) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(res.Data) + 16)
	b.WriteByte('{')
	if len(res.Errors) > 0 {
		b.WriteString(`"errors":`)
		b.Write(encodeErrors(res.Errors))
		b.WriteByte(',')
	}
	b.WriteString(`"data":`)
	if len(res.Data) == 0 {
		b.WriteString("null")
	}
	b.Write(res.Data)
	if len(res.Extensions) > 0 {
		extensions, err := json.Marshal(res.Extensions)
		if err != nil {
			return nil, fmt.Errorf("encode extensions: %w", err)
		}
		b.WriteString(`,"extensions":`)
		b.Write(extensions)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// decodeNumbers decodes a JSON object, numbers as json.Number: a float64 can't hold every Int64 or id.
func decodeNumbers(raw json.RawMessage, into *map[string]any) error {
	if raw == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}
