package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/resolvers"
)

// TestDatabaseIsAway: a subscription outlives a short outage; a long one ends it in the way after which clients come back, not with `complete`.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]string{"stopped": "stop", "frozen": "pause"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := testenv.Postgres(t)
			p := placeIn(t, pg.URL("ochre"))
			n := p.node(options{})
			c := p.Conversation(fixture.Noon)
			begin := func() func() error {
				exec := executor.New((&resolvers.Resolver{Store: n.store, Live: n.hub.Load()}).Schema())
				ctx, cancel := context.WithCancel(ochre.WithPrincipal(t.Context(), p.By(p.Agent)))
				stream, errs := socket.NewGQLGenExecutor(exec).Start(ctx, socket.Operation{
					Query: `subscription($c: ID!) { conversationEvents(conversationId: $c) { __typename } }`, Variables: json.RawMessage(`{"c":"` + c.GlobalID() + `"}`),
				})
				if errs != nil {
					t.Fatal(errs)
				}
				t.Cleanup(func() { cancel(); stream.Close() })
				return func() error {
					limited, cancel := context.WithTimeout(ctx, patience)
					defer cancel()
					_, err := stream.Next(limited)
					return err
				}
			}
			next := begin()
			must(t, next()) // CaughtUp
			leave := func() {
				if away == "stop" {
					must(t, pg.Stop())
				} else {
					must(t, pg.Pause())
				}
			}
			comeBack := func() {
				if away == "stop" {
					must(t, pg.Restart(t.Context()))
				} else {
					must(t, pg.Continue())
				}
				eventually(t, "that the database answers", func() bool { return n.change(c) == nil })
			}
			leave()
			comeBack()
			must(t, next())

			leave()
			start := time.Now()
			if err := next(); !errors.Is(err, socket.ErrInterrupted) {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
			t.Logf("interrupted after %s", time.Since(start))
			comeBack()
			must(t, begin()())
		})
	}
}

// TestHubEnds: its subscriptions end too, and their clients come back elsewhere.
func TestHubEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	n := p.node(options{})
	s := n.open(nil, -1)
	s.expect("CaughtUp 0")
	n.end()
	select {
	case ev, ok := <-s.events:
		if ok {
			t.Errorf("%s came", p.name(ev))
		}
	case <-time.After(patience):
		t.Error("the subscription goes on")
	}
}
