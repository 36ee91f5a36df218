package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/live/socket/internal/testschema"
)

// resolvers of the test schema.
type resolvers struct {
	ticks chan *testschema.Item
	ended chan struct{} // one when the resolver of ticks saw its context end
}

func (r *resolvers) Item() testschema.ItemResolver                 { return r }
func (r *resolvers) Query() testschema.QueryResolver               { return query{} }
func (r *resolvers) Mutation() testschema.MutationResolver         { return r }
func (r *resolvers) Subscription() testschema.SubscriptionResolver { return r }

func (r *resolvers) Broken(_ context.Context, item *testschema.Item) (string, error) {
	if item.Text == "away" {
		return "", ochre.Errorf(ochre.CodeUnavailable, "away")
	}
	return "", ochre.Errorf(ochre.CodeNotFound, "broken")
}
func (r *resolvers) Bump(context.Context) (int, error) { return 1, nil }

type query struct{}

func (query) Echo(_ context.Context, text string, big any) (*testschema.Item, error) {
	return &testschema.Item{Text: text, Any: fmt.Sprintf("%T %v", big, big)}, nil
}
func (query) Panics(context.Context) (*testschema.Item, error) { panic("password=hunter2") }

func (r *resolvers) Count(ctx context.Context, text string, n int) (<-chan *testschema.Item, error) {
	ch := make(chan *testschema.Item, n)
	for i := range n {
		ch <- &testschema.Item{Text: fmt.Sprintf("%s-%d", text, i), Any: i}
	}
	if text == "lost" {
		Interrupt(ctx)
	}
	close(ch)
	return ch, nil
}

func (r *resolvers) Ticks(ctx context.Context) (<-chan *testschema.Item, error) {
	context.AfterFunc(ctx, func() { r.ended <- struct{}{} })
	return r.ticks, nil
}

func (r *resolvers) Refused(ctx context.Context) (<-chan *testschema.Item, error) {
	if graphql.GetOperationContext(ctx).Operation.Name == "Away" {
		return nil, ochre.Errorf(ochre.CodeUnavailable, "away")
	}
	return nil, ochre.Errorf(ochre.CodeInvalidCursor, "not a cursor")
}
func (r *resolvers) Panics(context.Context) (<-chan *testschema.Item, error) {
	panic("password=hunter2")
}

// panicking is a response extension that panics, as a resolver's own panic never reaches the transport.
type panicking struct{}

func (panicking) ExtensionName() string                   { return "panicking" }
func (panicking) Validate(graphql.ExecutableSchema) error { return nil }
func (panicking) InterceptResponse(context.Context, graphql.ResponseHandler) *graphql.Response {
	panic("password=hunter2")
}

// limit refuses long queries, standing for the limits of the shared executor.
type limit struct{}

func (limit) ExtensionName() string                   { return "limit" }
func (limit) Validate(graphql.ExecutableSchema) error { return nil }
func (limit) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if len(op.RawQuery) > 200 {
		return errorWith(ochre.CodeQueryTooLarge, "too long")
	}
	return nil
}

func newResolvers() *resolvers {
	return &resolvers{ticks: make(chan *testschema.Item, 1), ended: make(chan struct{}, 10)}
}

// newExecutor is gqlgen's executor as a server sets it up: presenter, recover function, limit.
func newExecutor(r *resolvers, extensions ...graphql.HandlerExtension) Executor {
	e := executor.New(testschema.NewExecutableSchema(testschema.Config{Resolvers: r}))
	e.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		shown := graphql.DefaultErrorPresenter(ctx, err)
		var oe *ochre.Error
		if errors.As(err, &oe) {
			shown.Message = oe.Message
			shown.Extensions = map[string]any{"code": string(oe.Code)}
		}
		return shown
	})
	e.SetRecoverFunc(func(context.Context, any) error { return ochre.Errorf(ochre.CodeInternal, "request 42 failed") })
	e.Use(limit{})
	for _, x := range extensions {
		e.Use(x)
	}
	return NewGQLGenExecutor(e)
}

// run executes op to its end and gives one line per result, error list or end.
func run(t *testing.T, e Executor, op Operation) (lines []string) {
	t.Helper()
	stream, errs := e.Start(t.Context(), op)
	if errs != nil {
		return []string{"refused " + string(encodeErrors(errs))}
	}
	defer stream.Close()
	var payloads [][]byte // looked at in the end only: nothing may have changed them
	last := ""
	for last == "" {
		payload, err := stream.Next(t.Context())
		var list gqlerror.List
		switch {
		case err == nil:
			payloads = append(payloads, payload)
		case errors.Is(err, io.EOF):
			last = "end"
		case errors.Is(err, ErrInterrupted):
			last = "interrupted"
		case errors.As(err, &list):
			last = "error " + string(encodeErrors(list))
		default:
			t.Fatal(err)
		}
	}
	for _, p := range payloads {
		if !json.Valid(p) {
			t.Errorf("not JSON: %s", p)
		}
		lines = append(lines, string(p))
	}
	if last != "end" {
		lines = append(lines, last)
	}
	return lines
}

func TestGQLGenExecutor(t *testing.T) {
	t.Parallel()
	const internal = `[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`
	for _, tc := range []struct {
		name string
		op   Operation
		with []graphql.HandlerExtension
		want []string
	}{
		{name: "query, numbers whole", op: Operation{Query: `query($b:Any){echo(text:"hi",big:$b){text any}}`, Variables: []byte(`{"b":12345678901234567890}`)},
			want: []string{`{"data":{"echo":{"text":"hi","any":"json.Number 12345678901234567890"` + "\n" + `}}}`}},
		{name: "mutation", op: Operation{Query: `mutation{bump}`}, want: []string{`{"data":{"bump":1}}`}},
		{name: "named operation", op: Operation{Query: `query A{echo(text:"a"){text}} mutation B{bump}`, OperationName: "B"}, want: []string{`{"data":{"bump":1}}`}},
		{name: "subscription, each result its own bytes", op: Operation{Query: `subscription{count(text:"x",n:3){text}}`},
			want: []string{`{"data":{"count":{"text":"x-0"}}}`, `{"data":{"count":{"text":"x-1"}}}`, `{"data":{"count":{"text":"x-2"}}}`}},
		{name: "subscription whose source is lost", op: Operation{Query: `subscription{count(text:"lost",n:1){text}}`},
			want: []string{`{"data":{"count":{"text":"lost-0"}}}`, "interrupted"}},
		{name: "subscription, a field fails", op: Operation{Query: `subscription{count(text:"x",n:1){broken}}`},
			want: []string{`{"errors":[{"message":"broken","path":["broken"],"locations":[{"line":1,"column":34}],"extensions":{"code":"NOT_FOUND"}}],"data":{"count":null}}`}},
		{name: "subscription, a field can't be read now", op: Operation{Query: `subscription{ticks{broken}}`}, want: []string{"interrupted"}},
		{name: "subscription can't begin now", op: Operation{Query: `subscription Away{refused{text}}`}, want: []string{"interrupted"}},
		{name: "query, a field can't be read now", op: Operation{Query: `{echo(text:"away"){broken}}`},
			want: []string{`{"errors":[{"message":"away","path":["echo","broken"],"locations":[{"line":1,"column":20}],"extensions":{"code":"UNAVAILABLE"}}],"data":{"echo":null}}`}},
		{name: "field error", op: Operation{Query: `{echo(text:"a"){broken}}`},
			want: []string{`{"errors":[{"message":"broken","path":["echo","broken"],"locations":[{"line":1,"column":17}],"extensions":{"code":"NOT_FOUND"}}],"data":{"echo":null}}`}},
		{name: "syntax error", op: Operation{Query: `{`},
			want: []string{`refused [{"message":"Expected Name, found \u003cEOF\u003e","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]`}},
		{name: "limit", op: Operation{Query: `{__typename}#` + long},
			want: []string{`refused [{"message":"too long","extensions":{"code":"QUERY_TOO_LARGE"}}]`}},
		{name: "variables not an object", op: Operation{Query: `{__typename}`, Variables: []byte(`[]`)},
			want: []string{`refused [{"message":"variables is not an object","extensions":{"code":"BAD_USER_INPUT"}}]`}},
		{name: "mutation, read only", op: Operation{Query: `mutation{bump}`, ReadOnly: true}, want: []string{`refused [{"message":"a mutation needs POST"}]`}},
		{name: "subscription refused", op: Operation{Query: `subscription{refused{text}}`},
			want: []string{`error [{"message":"not a cursor","path":["refused"],"locations":[{"line":1,"column":14}],"extensions":{"code":"INVALID_CURSOR"}}]`}},
		{name: "subscription resolver panics", op: Operation{Query: `subscription{panics{text}}`},
			want: []string{`error [{"message":"request 42 failed","path":["panics"],"extensions":{"code":"INTERNAL"}}]`}},
		{name: "query resolver panics", op: Operation{Query: `{panics{text}}`},
			want: []string{`{"errors":[{"message":"request 42 failed","path":["panics"],"extensions":{"code":"INTERNAL"}}],"data":{"panics":null}}`}},
		{name: "extension panics", op: Operation{Query: `{__typename}`}, with: []graphql.HandlerExtension{panicking{}}, want: []string{`error ` + internal}},
		{name: "extension panics over an error", op: Operation{Query: `{`}, with: []graphql.HandlerExtension{panicking{}}, want: []string{`refused ` + internal}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newResolvers()
			r.ticks <- &testschema.Item{Text: "away"}
			got := run(t, newExecutor(r, tc.with...), tc.op)
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestGQLGenOverWebSocket: a subscription of gqlgen's, live, cancelled by `complete` and by the end of the socket.
func TestGQLGenOverWebSocket(t *testing.T) {
	t.Parallel()
	r := newResolvers()
	f := serve(t, Options{Executor: newExecutor(r)})
	c := f.connect(t)
	c.send(subscribe("1", "subscription{ticks{text}}"))
	for i := range 3 {
		r.ticks <- &testschema.Item{Text: fmt.Sprint(i)}
		c.expect(next("1", fmt.Sprintf(`{"data":{"ticks":{"text":"%d"}}}`, i)))
	}
	// A marshaler that panics in an event ends the operation, not the process.
	c.send(subscribe("2", "subscription{ticks{any}}"))
	c.send(complete("1"))
	await(t, r.ended, "the end of 1")
	r.ticks <- &testschema.Item{Any: func() {}}
	c.expect(errorMessage("2", "request 42 failed", "INTERNAL"))
	await(t, r.ended, "the end of 2")
	c.send(subscribe("3", "subscription{ticks{text}}"))
	r.ticks <- &testschema.Item{Text: "x"}
	c.expect(next("3", `{"data":{"ticks":{"text":"x"}}}`))
	c.ws.CloseNow()
	await(t, r.ended, "the end of 3")
}
