// Command nodeclient runs the npm clients graphql-ws and graphql-sse against the transports of package socket: the
// protocols as their own authors speak them. Run "npm ci && go run ." in this folder; the exit code tells.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/live/socket"
	"github.com/ochrehq/ochre/live/socket/internal/testschema"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	newServer := func() *socket.Server {
		schema := testschema.NewExecutableSchema(testschema.Config{Resolvers: resolvers{}})
		return socket.New(socket.Options{
			Executor: socket.NewGQLGenExecutor(executor.New(schema)), Auth: auth{}, PingInterval: 100 * time.Millisecond,
		})
	}
	var current atomic.Pointer[socket.Server]
	current.Store(newServer())
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { current.Load().ServeWS(w, r) })
	mux.HandleFunc("/sse", func(w http.ResponseWriter, r *http.Request) { current.Load().ServeSSE(w, r) })
	// A node restarts: the next connections are served by another.
	mux.HandleFunc("/restart", func(http.ResponseWriter, *http.Request) {
		old := current.Swap(newServer())
		go func() { _ = old.Drain(context.Background()) }()
	})
	node := httptest.NewServer(mux)
	defer node.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "check.mjs", node.URL)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	return errors.Join(err, current.Load().Drain(ctx))
}

type auth struct{}

func (auth) Connect(ctx context.Context, _ *http.Request, payload json.RawMessage) (context.Context, error) {
	var init struct{ Authorization string }
	if json.Unmarshal(payload, &init) != nil || init.Authorization != "Bearer good" {
		return nil, ochre.Errorf(ochre.CodeUnauthenticated, "bad token")
	}
	return ctx, nil
}

func (auth) Check(context.Context) error { return nil }

// resolvers of the test schema; see its descriptions.
type resolvers struct{}

func (resolvers) Item() testschema.ItemResolver                 { return resolvers{} }
func (resolvers) Query() testschema.QueryResolver               { return query{} }
func (resolvers) Mutation() testschema.MutationResolver         { return resolvers{} }
func (resolvers) Subscription() testschema.SubscriptionResolver { return resolvers{} }

func (resolvers) Broken(context.Context, *testschema.Item) (string, error) {
	return "", errors.New("broken")
}
func (resolvers) Bump(context.Context) (int, error) { return 1, nil }

type query struct{}

func (query) Echo(_ context.Context, text string, big any) (*testschema.Item, error) {
	return &testschema.Item{Text: text, Any: big}, nil
}
func (query) Panics(context.Context) (*testschema.Item, error) { panic("on purpose") }

func (resolvers) Count(_ context.Context, text string, n int) (<-chan *testschema.Item, error) {
	ch := make(chan *testschema.Item, n)
	for i := range n {
		ch <- &testschema.Item{Text: fmt.Sprintf("%s-%d", text, i)}
	}
	close(ch)
	return ch, nil
}

func (resolvers) Ticks(ctx context.Context) (<-chan *testschema.Item, error) {
	ch := make(chan *testschema.Item)
	go func() {
		defer close(ch)
		for i := 0; ; i++ {
			select {
			case ch <- &testschema.Item{Text: fmt.Sprint(i)}:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, nil
}

func (resolvers) Refused(context.Context) (<-chan *testschema.Item, error) {
	return nil, errors.New("not a cursor")
}

func (resolvers) Panics(context.Context) (<-chan *testschema.Item, error) { panic("on purpose") }
