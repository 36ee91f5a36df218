package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// fakeExecutor runs a query of the form "verb argument", see Start.
type fakeExecutor struct {
	produced atomic.Int64  // payload bytes that Next returned
	running  atomic.Int64  // streams not closed yet
	started  chan struct{} // one per Start, if anybody looks
	stopped  chan struct{} // one per Close, if anybody looks
	gate     chan string   // payloads of "gate" and "deaf"
	deaf     chan struct{} // one per Next of "deaf" and "query"
}

func newFakeExecutor() *fakeExecutor {
	return &fakeExecutor{started: make(chan struct{}, 10000), stopped: make(chan struct{}, 10000), gate: make(chan string), deaf: make(chan struct{})}
}

type principal struct{}

func (f *fakeExecutor) Start(ctx context.Context, op Operation) (Stream, []*gqlerror.Error) {
	select {
	case f.started <- struct{}{}:
	default:
	}
	verb, arg, _ := strings.Cut(op.Query, " ")
	n, _ := strconv.Atoi(arg)
	next := func(ctx context.Context, i int) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	switch verb {
	case "hang": // a subscription without events
	case "count": // n results
		next = func(_ context.Context, i int) (string, error) {
			if i == n {
				return "", io.EOF
			}
			return fmt.Sprintf(`{"data":{"i":%d}}`, i), nil
		}
	case "whoami":
		who, _ := ctx.Value(principal{}).(string)
		next = once(fmt.Sprintf(`{"data":{"who":%q,"variables":%s,"name":%q}}`, who, orNull(op.Variables), op.OperationName))
	case "lines": // a result with line breaks between its tokens
		next = once("{\"data\":\n{\"a\":1}\r\n}\n")
	case "flood": // as many results of n bytes as are taken
		payload := `{"data":"` + strings.Repeat("x", n-11) + `"}`
		next = func(ctx context.Context, _ int) (string, error) { return payload, ctx.Err() }
	case "query": // one result, a payload of gate, once Next was heard of on deaf
		next = func(ctx context.Context, i int) (string, error) {
			if i > 0 {
				return "", io.EOF
			}
			select {
			case f.deaf <- struct{}{}:
			case <-ctx.Done():
				return "", ctx.Err()
			}
			select {
			case p := <-f.gate:
				return p, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	case "gate":
		next = func(ctx context.Context, _ int) (string, error) {
			select {
			case p := <-f.gate:
				return p, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	case "deaf": // does not notice that nobody wants it any more
		next = func(context.Context, int) (string, error) { f.deaf <- struct{}{}; return <-f.gate, nil }
	case "mutation":
		if op.ReadOnly {
			return nil, []*gqlerror.Error{{Err: ErrReadOnly, Message: "no"}}
		}
		next = once(`{"data":{"done":true}}`)
	case "refused":
		return nil, []*gqlerror.Error{errorWith(ochre.CodeValidationFailed, "no such field")}
	case "fails":
		next = func(context.Context, int) (string, error) {
			return "", gqlerror.List{errorWith(ochre.CodeInvalidCursor, "not a cursor")}
		}
	case "breaks":
		next = func(context.Context, int) (string, error) { return "", errors.New("password=hunter2") }
	case "unavailable":
		next = func(context.Context, int) (string, error) {
			return "", fmt.Errorf("read: %w", ochre.Errorf(ochre.CodeUnavailable, "try later"))
		}
	case "lags":
		next = func(context.Context, int) (string, error) { return "", ErrSlowConsumer }
	case "interrupted":
		next = func(context.Context, int) (string, error) { return "", ErrInterrupted }
	case "panics":
		panic("in Start")
	case "panicsLater":
		next = func(context.Context, int) (string, error) { panic("in Next") }
	default:
		panic("unknown verb " + verb)
	}
	f.running.Add(1)
	return &fakeStream{f: f, next: next, single: verb == "query"}, nil
}

func once(payload string) func(context.Context, int) (string, error) {
	return func(_ context.Context, i int) (string, error) {
		if i > 0 {
			return "", io.EOF
		}
		return payload, nil
	}
}

func orNull(raw json.RawMessage) string {
	if raw == nil {
		return "null"
	}
	return string(raw)
}

type fakeStream struct {
	f      *fakeExecutor
	next   func(context.Context, int) (string, error)
	i      int
	single bool
}

func (s *fakeStream) Next(ctx context.Context) ([]byte, error) {
	p, err := s.next(ctx, s.i)
	s.i++
	if err != nil {
		return nil, err
	}
	s.f.produced.Add(int64(len(p)))
	return []byte(p), nil
}

func (s *fakeStream) Single() bool { return s.single }

func (s *fakeStream) Close() {
	s.f.running.Add(-1)
	s.f.stopped <- struct{}{}
}

// fakeAuth lets in "Bearer good" and the cookie session=good.
type fakeAuth struct {
	checked chan struct{} // one per Check, if anybody looks
	mu      sync.Mutex
	check   error // what Check returns
}

func (a *fakeAuth) Connect(ctx context.Context, r *http.Request, payload json.RawMessage) (context.Context, error) {
	var init struct{ Authorization string }
	if payload != nil {
		_ = json.Unmarshal(payload, &init)
	}
	if c, err := r.Cookie("session"); err == nil && c.Value == "good" && init.Authorization == "" {
		return context.WithValue(ctx, principal{}, "cookie"), nil
	}
	switch init.Authorization {
	case "Bearer good":
		return context.WithValue(ctx, principal{}, "token"), nil
	case "Bearer later":
		return nil, ochre.Errorf(ochre.CodeUnavailable, "no database")
	case "Bearer hang":
		<-ctx.Done()
		return nil, ctx.Err()
	case "Bearer panic":
		panic("in Connect")
	}
	return nil, ochre.Errorf(ochre.CodeUnauthenticated, "bad token")
}

func (a *fakeAuth) Check(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.checked <- struct{}{}:
	default:
	}
	return a.check
}

func (a *fakeAuth) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.check = err
}
