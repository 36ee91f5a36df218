package slackbridge

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/slack-go/slack"
)

// Kind is what became of a call to Slack, as far as a caller must know to go on.
type Kind int

// The kinds of outcome.
const (
	// OK: Slack said yes.
	OK Kind = iota
	// RateLimited: Slack did nothing; ask again after Outcome.RetryAfter.
	RateLimited
	// Permanent: Slack said no, and will say no again. Nothing was changed.
	Permanent
	// Disconnected: the token is dead (app uninstalled, token revoked). Nothing was changed.
	Disconnected
	// NotSent: it is certain that nothing was changed, and trying again may help: no connection, or Slack put us off.
	NotSent
	// Unclear: the call may have been carried out: its answer was lost, garbled, or said that Slack itself failed.
	Unclear
)

var kindNames = [...]string{"ok", "rate limited", "permanent", "disconnected", "not sent", "unclear"}

// String names the kind for logs and metrics.
func (k Kind) String() string { return kindNames[k] }

// Outcome is what became of a call to Slack. Every error of Client is an *Outcome; it never holds a token.
type Outcome struct {
	Kind       Kind
	Code       string        // Slack's error code, or one of ours for what is not Slack's word: no_connection, no_answer, bad_answer, http_503
	RetryAfter time.Duration // of RateLimited
	Err        error         // for the log
}

// Error implements error.
func (o *Outcome) Error() string {
	if o.Err == nil || o.Err.Error() == o.Code {
		return fmt.Sprintf("slack: %s (%s)", o.Code, o.Kind)
	}
	return fmt.Sprintf("slack: %s (%s): %v", o.Code, o.Kind, o.Err)
}

// Unwrap gives the cause.
func (o *Outcome) Unwrap() error { return o.Err }

// OutcomeOf gives the outcome of a call from its error. An error that Client did not make is Unclear.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Kind: OK}
	}
	var o *Outcome
	if errors.As(err, &o) {
		return *o
	}
	return Outcome{Kind: Unclear, Code: "unknown", Err: err}
}

// codes tells the kind of each of Slack's error codes that is not Permanent. A code that Slack invents tomorrow is Permanent: the answer
// was ok false. The exceptions are its words for "something broke on our side", after which the call may have been carried out
// (docs.slack.dev, "fatal_error": some aspect of the operation may have succeeded).
var codes = map[string]Kind{
	"ratelimited": RateLimited, "rate_limited": RateLimited, "message_limit_exceeded": RateLimited,

	"account_inactive": Disconnected, "token_revoked": Disconnected, "token_expired": Disconnected, "invalid_auth": Disconnected,
	"not_authed": Disconnected, "app_uninstalled": Disconnected, "team_access_not_granted": Disconnected,

	// The workspace or channel is being moved; Slack says that this passes.
	"team_added_to_org": NotSent, "org_login_required": NotSent, "external_channel_migrating": NotSent,

	"fatal_error": Unclear, "internal_error": Unclear, "request_timeout": Unclear, "service_unavailable": Unclear,
}

// Waits after a rate limit: where Slack named none, and at most.
const (
	defaultRetryAfter = 30 * time.Second
	maxRetryAfter     = time.Hour
)

// classify turns the error of a call into an *Outcome. connected tells whether the call ever had a connection to Slack.
func classify(err error, connected bool) error {
	if err == nil {
		return nil
	}
	var (
		limited *slack.RateLimitedError
		status  slack.StatusCodeError
		said    slack.SlackErrorResponse
		ours    *Outcome
		network *net.OpError
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &limited):
		return &Outcome{Kind: RateLimited, Code: "ratelimited", RetryAfter: clampRetry(limited.RetryAfter), Err: err}
	case errors.As(err, &said):
		return ofCode(said)
	case errors.As(err, &status):
		return ofStatus(status)
	case !connected, errors.As(err, &network) && network.Op == "dial":
		return &Outcome{Kind: NotSent, Code: "no_connection", Err: err}
	case isCut(err):
		return &Outcome{Kind: Unclear, Code: "no_answer", Err: err}
	}
	return &Outcome{Kind: Unclear, Code: "bad_answer", Err: err}
}

// ofCode judges an answer with ok false.
func ofCode(said slack.SlackErrorResponse) *Outcome {
	kind, known := codes[said.Err]
	if !known {
		kind = Permanent
	}
	o := &Outcome{Kind: kind, Code: said.Err, Err: said}
	if kind == RateLimited {
		o.RetryAfter = defaultRetryAfter
	}
	return o
}

func clampRetry(d time.Duration) time.Duration { return min(max(d, time.Second), maxRetryAfter) }

// ofStatus judges an answer that is not 200. Slack answers 200 to whatever it understood, so a refusal by status comes from what stands
// before it, and nothing was done. Only a 5xx or 408 may come after the call was passed on.
func ofStatus(s slack.StatusCodeError) *Outcome {
	o := &Outcome{Kind: NotSent, Code: fmt.Sprintf("http_%d", s.Code), Err: s}
	switch {
	case s.Code == http.StatusTooManyRequests:
		o.Kind, o.Code, o.RetryAfter = RateLimited, "ratelimited", defaultRetryAfter
	case s.Code >= http.StatusInternalServerError, s.Code == http.StatusRequestTimeout:
		o.Kind = Unclear
	case s.Code == http.StatusRequestEntityTooLarge:
		o.Kind = Permanent
	}
	return o
}

// isCut tells whether the connection failed or time ran out, rather than that the answer could not be read.
func isCut(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, errCut)
}

// errCut is what the reading of an answer wraps when the connection ended before the answer did.
var errCut = errors.New("the connection ended before the answer")

// Message says in one sentence what is wrong and what a person can do, for agents and admins.
func (o Outcome) Message() string {
	if text, ok := advice[o.Code]; ok {
		return text
	}
	switch o.Kind {
	case OK:
		return ""
	case RateLimited:
		return "Slack asks to wait; Ochre tries again by itself."
	case Disconnected:
		return "Slack does not accept Ochre's token any more: an admin must connect the workspace again."
	case NotSent:
		return "Slack could not be reached; nothing was sent. Ochre tries again by itself."
	case Unclear:
		return "Slack's answer was lost: it is not known yet whether the message arrived."
	}
	return fmt.Sprintf("Slack refused with %q.", o.Code)
}

// advice is what to do about Slack's refusals that a person can do something about.
var advice = map[string]string{
	"channel_not_found":                        "Slack knows no such channel, or Ochre can't see it: if it is private, write /invite @Ochre in it.",
	"not_in_channel":                           "Ochre is not in the channel any more: write /invite @Ochre in it, then try again.",
	"is_archived":                              "The channel is archived: unarchive it in Slack, then try again.",
	"msg_too_long":                             "The message is longer than Slack takes: shorten or split it.",
	"no_text":                                  "The message is empty.",
	"invalid_blocks":                           "Slack can't show the message's formatting: send it with less of it.",
	"invalid_blocks_format":                    "Slack can't show the message's formatting: send it with less of it.",
	"cant_update_message":                      "Slack lets nobody but the author edit this message.",
	"cant_delete_message":                      "Slack does not let Ochre delete this message: delete it in Slack.",
	"edit_window_closed":                       "The workspace allows edits only for some time after sending, and that is over.",
	"message_not_found":                        "The message is not in Slack any more.",
	"thread_not_found":                         "The thread is not in Slack any more.",
	"cannot_reply_to_message":                  "Slack allows no replies to this message.",
	"restricted_action":                        "A setting of the workspace forbids Ochre to post here: a Slack admin can allow it.",
	"restricted_action_read_only_channel":      "Only some people may post in this channel: a Slack admin can allow Ochre to.",
	"restricted_action_thread_only_channel":    "This channel allows replies in threads only.",
	"restricted_action_non_threadable_channel": "This channel allows no threads.",
	"restricted_action_thread_locked":          "The thread is locked in Slack.",
	"missing_scope":                            "Ochre lacks a permission in this workspace: an admin must connect the workspace again and allow it.",
	"user_not_found":                           "Slack knows no such person.",
	"user_not_visible":                         "Slack does not show this person to Ochre.",
	"file_not_found":                           "The file is not in Slack any more, or Ochre can't see it.",
	"file_deleted":                             "The file was deleted in Slack.",
	"method_not_supported_for_channel_type":    "Ochre can't join this kind of channel by itself: write /invite @Ochre in it.",
	"slack_connect_file_link_sharing_blocked":  "The other company does not allow links to files in this channel.",
}
