package socket

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// ErrInterrupted is what Stream.Next returns when the source of a subscription was lost, though the client did nothing wrong. The socket is
// closed with 1013, an event stream ends without `complete`: the client comes back with its cursor. After `complete` or `error` it never would.
var ErrInterrupted = errors.New("interrupted")

type interruptionKey struct{}

// Interrupt says, under the context of a subscription's resolver, that the channel it returned is about to be closed because its source was
// lost. Without it a closed channel completes the subscription.
func Interrupt(ctx context.Context) {
	if lost, ok := ctx.Value(interruptionKey{}).(*atomic.Bool); ok {
		lost.Store(true)
	}
}

// withInterruption makes Interrupt reach the stream.
func withInterruption(ctx context.Context) (context.Context, *atomic.Bool) {
	lost := &atomic.Bool{}
	return context.WithValue(ctx, interruptionKey{}, lost), lost
}

// unavailable tells whether one of errs means that what was asked could not be read now, and can be later.
func unavailable(errs gqlerror.List) bool {
	for _, e := range errs {
		if e.Extensions["code"] == string(ochre.CodeUnavailable) {
			return true
		}
	}
	return false
}
