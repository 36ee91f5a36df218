package slackbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for _, c := range []struct {
		name      string
		err       error
		connected bool
		kind      Kind
		code      string
		retry     time.Duration
	}{
		{"yes", nil, true, OK, "", 0},
		{"rate limit", &slack.RateLimitedError{RetryAfter: 7 * time.Second}, true, RateLimited, "ratelimited", 7 * time.Second},
		{"rate limit of no time", &slack.RateLimitedError{}, true, RateLimited, "ratelimited", time.Second},
		{"rate limit of a year", &slack.RateLimitedError{RetryAfter: 9000 * time.Hour}, true, RateLimited, "ratelimited", time.Hour},
		{"429 without Retry-After", slack.StatusCodeError{Code: 429}, true, RateLimited, "ratelimited", defaultRetryAfter},
		{"rate limit by word", slack.SlackErrorResponse{Err: "ratelimited"}, true, RateLimited, "ratelimited", defaultRetryAfter},
		{"too long", slack.SlackErrorResponse{Err: "msg_too_long"}, true, Permanent, "msg_too_long", 0},
		{"not in channel", slack.SlackErrorResponse{Err: "not_in_channel"}, true, Permanent, "not_in_channel", 0},
		{"a word of tomorrow", slack.SlackErrorResponse{Err: "moon_in_the_wrong_phase"}, true, Permanent, "moon_in_the_wrong_phase", 0},
		{"too large", slack.StatusCodeError{Code: 413}, true, Permanent, "http_413", 0},
		{"token revoked", slack.SlackErrorResponse{Err: "token_revoked"}, true, Disconnected, "token_revoked", 0},
		{"uninstalled", slack.SlackErrorResponse{Err: "account_inactive"}, true, Disconnected, "account_inactive", 0},
		{"refused", dial, false, NotSent, "no_connection", 0},
		{"refused after an idle connection was dead", fmt.Errorf("post: %w", dial), true, NotSent, "no_connection", 0},
		{"no TLS", errors.New("tls: first record does not look like a TLS handshake"), false, NotSent, "no_connection", 0},
		{"out of time while dialing", context.DeadlineExceeded, false, NotSent, "no_connection", 0},
		{"a proxy says 403", slack.StatusCodeError{Code: 403}, true, NotSent, "http_403", 0},
		{"a redirect", slack.StatusCodeError{Code: 302}, true, NotSent, "http_302", 0},
		{"being moved", slack.SlackErrorResponse{Err: "team_added_to_org"}, true, NotSent, "team_added_to_org", 0},
		{"out of time after writing", fmt.Errorf("post: %w", context.DeadlineExceeded), true, Unclear, "no_answer", 0},
		{"cut", fmt.Errorf("post: %w", read), true, Unclear, "no_answer", 0},
		{"cut within the answer", fmt.Errorf("%w: %w", errCut, io.ErrUnexpectedEOF), true, Unclear, "no_answer", 0},
		{"500", slack.StatusCodeError{Code: 500}, true, Unclear, "http_500", 0},
		{"503", slack.StatusCodeError{Code: 503}, true, Unclear, "http_503", 0},
		{"408", slack.StatusCodeError{Code: 408}, true, Unclear, "http_408", 0},
		{"not JSON", errors.New("invalid character '<'"), true, Unclear, "bad_answer", 0},
		{"fatal", slack.SlackErrorResponse{Err: "fatal_error"}, true, Unclear, "fatal_error", 0},
		{"internal", slack.SlackErrorResponse{Err: "internal_error"}, true, Unclear, "internal_error", 0},
		{"one of ours", &Outcome{Kind: Permanent, Code: "invalid_blocks"}, true, Permanent, "invalid_blocks", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := OutcomeOf(classify(c.err, c.connected))
			if o.Kind != c.kind || o.Code != c.code || o.RetryAfter != c.retry {
				t.Errorf("got %s %q after %s, want %s %q after %s", o.Kind, o.Code, o.RetryAfter, c.kind, c.code, c.retry)
			}
			if (o.Message() == "") != (o.Kind == OK) {
				t.Errorf("message %q", o.Message())
			}
		})
	}
}

func TestOutcomeOfAnothersError(t *testing.T) {
	t.Parallel()
	if o := OutcomeOf(errors.New("no call of ours")); o.Kind != Unclear {
		t.Errorf("got %s: what is not known may have been done", o.Kind)
	}
	wrapped := fmt.Errorf("look: %w", &Outcome{Kind: Disconnected, Code: "token_revoked"})
	if o := OutcomeOf(wrapped); o.Kind != Disconnected {
		t.Errorf("got %s of a wrapped outcome", o.Kind)
	}
}
