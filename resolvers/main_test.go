package resolvers_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.uber.org/goleak"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/secret"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live"
	"github.com/ochrehq/ochre/resolvers"
)

func TestMain(m *testing.M) { testenv.Main(m, func() error { return goleak.Find() }) }

// feed is a subscriber's side of live events, filled by the test.
type feed struct {
	events       chan ochre.InboxEvent
	conversation *ochre.ID
	after        *ochre.EventCursor
}

func (f *feed) Subscribe(_ context.Context, _ ochre.Principal, conversation *ochre.ID, after *ochre.EventCursor) (<-chan ochre.InboxEvent, error) {
	f.conversation, f.after = conversation, after
	return f.events, nil
}

// api is the schema over a tenant of its own.
type api struct {
	*fixture.World
	t        *testing.T
	exec     *executor.Executor
	resolver *resolvers.Resolver
	feed     *feed
}

func newAPI(t *testing.T) *api {
	t.Helper()
	w := fixture.New(t, fixture.Open(t, testenv.SharedDatabase(t)))
	keys, err := secret.New(strings.Repeat("test", 8))
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := w.Store.LogEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := &api{World: w, t: t, feed: &feed{events: make(chan ochre.InboxEvent, 4)}}
	now := func() time.Time { return fixture.Noon.Add(time.Hour) }
	a.resolver = &resolvers.Resolver{
		Store: w.Store, Live: a.feed, PublicURL: "http://ochre.test",
		Desk: &desk.Desk{Store: w.Store, Cursors: live.NewCursors(keys, epoch), Keys: keys, PublicURL: "http://ochre.test", Now: now},
	}
	a.exec = executor.New(a.resolver.Schema())
	a.exec.Use(a.resolver.Loaders())
	a.exec.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		shown := graphql.DefaultErrorPresenter(ctx, err)
		var e *ochre.Error
		if errors.As(err, &e) {
			shown.Extensions = map[string]any{"code": string(e.Code)}
			shown.Message = e.Message
		}
		return shown
	})
	return a
}

// start begins an operation as a principal; nil: nobody.
func (a *api) start(ctx context.Context, p *ochre.Principal, query string, variables map[string]any) (graphql.ResponseHandler, context.Context) {
	a.t.Helper()
	if p != nil {
		ctx = ochre.WithPrincipal(ctx, *p)
	}
	ctx = graphql.StartOperationTrace(ctx)
	op, errs := a.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		a.t.Fatalf("%s: %v", query, errs)
	}
	return a.exec.DispatchOperation(graphql.WithOperationContext(ctx, op), op)
}

// run executes a query or mutation and gives its data, and the codes of its errors.
func (a *api) run(p *ochre.Principal, query string, variables map[string]any) (data string, codes []string) {
	a.t.Helper()
	next, ctx := a.start(a.t.Context(), p, query, variables)
	res := next(ctx)
	for _, e := range res.Errors {
		code, _ := e.Extensions["code"].(string)
		if code == "" {
			a.t.Errorf("%s: an error without a code: %v", query, e)
		}
		codes = append(codes, code)
	}
	return string(res.Data), codes
}

// as executes a query or mutation that goes well, as an agent, and reads its data into a new T.
func as[T any](a *api, agent *ochre.Agent, query string, variables map[string]any) T {
	a.t.Helper()
	p := a.By(agent)
	data, codes := a.run(&p, query, variables)
	if codes != nil {
		a.t.Fatalf("%s: %v", query, codes)
	}
	var v T
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		a.t.Fatal(err)
	}
	return v
}

func ptr[T any](v T) *T { return &v }
