package ochre

import (
	"errors"
	"fmt"
)

// Code is a stable machine-readable reason. Codes are part of the API and never change their meaning.
type Code string

// Codes of errors[].extensions.code: the request itself could not be served.
const (
	CodeUnauthenticated      Code = "UNAUTHENTICATED"
	CodeForbidden            Code = "FORBIDDEN"
	CodeNotFound             Code = "NOT_FOUND"
	CodeBadUserInput         Code = "BAD_USER_INPUT"
	CodeInvalidCursor        Code = "INVALID_CURSOR"
	CodeParseFailed          Code = "GRAPHQL_PARSE_FAILED"
	CodeValidationFailed     Code = "GRAPHQL_VALIDATION_FAILED"
	CodeOperationResolution  Code = "OPERATION_RESOLUTION_FAILURE"
	CodeQueryTooLarge        Code = "QUERY_TOO_LARGE"
	CodeQueryTooComplex      Code = "QUERY_TOO_COMPLEX"
	CodeTooManySubscriptions Code = "TOO_MANY_SUBSCRIPTIONS"
	CodeRateLimited          Code = "RATE_LIMITED"
	CodeUnavailable          Code = "UNAVAILABLE"
	CodeInternal             Code = "INTERNAL"
)

// Codes of userErrors[].code: the input of a mutation was understood and refused.
const (
	CodeBodyEmpty                Code = "BODY_EMPTY"
	CodeBodyTooLong              Code = "BODY_TOO_LONG"
	CodeConversationMovedOn      Code = "CONVERSATION_MOVED_ON"
	CodeIdempotencyConflict      Code = "IDEMPOTENCY_CONFLICT"
	CodeChannelNeedsInvite       Code = "CHANNEL_NEEDS_INVITE"
	CodeChannelAlreadyLinked     Code = "CHANNEL_ALREADY_LINKED"
	CodeOrganizationRequired     Code = "ORGANIZATION_REQUIRED"
	CodeNotEditable              Code = "NOT_EDITABLE"
	CodeNotRetryable             Code = "NOT_RETRYABLE"
	CodeInstallationDisconnected Code = "INSTALLATION_DISCONNECTED"
	CodeChannelUnlinked          Code = "CHANNEL_UNLINKED"
	CodeLastAdmin                Code = "LAST_ADMIN"
	CodeEmailTaken               Code = "EMAIL_TAKEN"
	CodeExternalIDTaken          Code = "EXTERNAL_ID_TAKEN"
	CodeInvalid                  Code = "INVALID"
	CodeAgentInactive            Code = "AGENT_INACTIVE"
	CodeTimeInPast               Code = "TIME_IN_PAST"
	CodeSlackError               Code = "SLACK_ERROR"
)

// Error is the one error type that a caller may be shown. Message says what was wrong and what to do; it never holds a
// secret or another tenant's data. Path names the input field of a mutation (["input", "body"]); with a path the error
// is an expected failure and becomes a userError, without one it ends the request. Err is for the log only.
type Error struct {
	Code    Code
	Message string
	Path    []string
	Err     error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap gives the cause that is only logged.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error that ends the request with code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Refuse returns an expected failure of a mutation: input field `field` was refused with code.
func Refuse(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Path: []string{"input", field}}
}

// NotFound is the refusal of an id in a mutation's input. It is the same for an id of another tenant and one that never existed.
func NotFound(field string) *Error {
	return Refuse(CodeNotFound, field, "Nothing with this id exists.")
}

// CodeOf gives the code of err, CodeInternal for an error that is not an *Error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrNotFound is what a look-up by id returns for an id that the tenant does not have.
var ErrNotFound = errors.New("not found")
