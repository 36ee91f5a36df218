package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// errPanic stands for a panic that was logged with its stack already.
var errPanic = errors.New("panic")

// presenter turns any error into what a client may see. It is where errors are logged, once.
type presenter struct {
	log     *slog.Logger
	metrics *Metrics
}

// present implements graphql.ErrorPresenterFunc: one of our codes and a message for people; of an unexpected error nothing but the
// request's id.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	var g *gqlerror.Error
	if !errors.As(err, &g) {
		g = gqlerror.Wrap(err)
	}
	out := p.render(ctx, err, g)
	code, _ := out.Extensions["code"].(string)
	p.metrics.graphqlError(code)
	return out
}

func (p presenter) render(ctx context.Context, err error, g *gqlerror.Error) *gqlerror.Error {
	var known *ochre.Error
	switch {
	case errors.As(err, &known) && known.Code != ochre.CodeInternal:
		return coded(g, known.Code, known.Message)
	case g.Err == nil && g.Extensions["code"] != nil: // of the executor or the guard
		return requestError(g)
	case errors.Is(err, errPanic):
	case inArguments(ctx):
		return coded(g, ochre.CodeBadUserInput, g.Message)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // nobody is there to read it
		return coded(g, ochre.CodeUnavailable, "The request was given up.")
	case unavailable(err):
		p.log.WarnContext(ctx, "unavailable", "error", err, "path", g.Path.String(), "request_id", RequestID(ctx))
		return coded(g, ochre.CodeUnavailable, "Ochre can't reach its database now. Try again.")
	case notText(err):
		return coded(g, ochre.CodeBadUserInput, "A text has a character that can't be stored, such as NUL.")
	default:
		p.log.ErrorContext(ctx, "internal error", "error", err, "path", g.Path.String(), "request_id", RequestID(ctx))
	}
	out := coded(g, ochre.CodeInternal, "Something went wrong in Ochre. Its log tells more under the request id.")
	out.Extensions["requestId"] = RequestID(ctx)
	return out
}

// recovered implements graphql.RecoverFunc.
func (p presenter) recovered(ctx context.Context, v any) error {
	p.log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "request_id", RequestID(ctx))
	return errPanic
}

// coded is g's place with a code and message of ours.
func coded(g *gqlerror.Error, code ochre.Code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Path: g.Path, Locations: g.Locations, Extensions: map[string]any{"code": string(code)}}
}

// requestError is an error that came before execution. Its path, where it has one, leads to a variable, but `path` is for places of
// the response: it goes into the message.
func requestError(g *gqlerror.Error) *gqlerror.Error {
	code, _ := g.Extensions["code"].(string)
	message := g.Message
	if len(g.Path) > 1 && g.Path[0] == ast.PathName("variable") {
		message = fmt.Sprintf("Variable \"$%s\" %s.", g.Path[1:], message)
	}
	return &gqlerror.Error{Message: message, Locations: g.Locations, Extensions: map[string]any{"code": code}}
}

// inArguments tells whether the field of ctx failed on its way to its resolver: an argument was refused by its scalar.
func inArguments(ctx context.Context) bool {
	fc := graphql.GetFieldContext(ctx)
	return fc != nil && fc.Field.Field != nil && fc.Args == nil && fc.Field.Definition != nil && len(fc.Field.Definition.Arguments) > 0
}

// unavailable tells whether err means that the database can't be reached or did not answer in time. store.IsUnavailable takes any
// error that is not PostgreSQL's for that; here most such errors are bugs.
func unavailable(err error) bool {
	var pg *pgconn.PgError
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case !store.IsUnavailable(err):
		return false
	case errors.As(err, &pg), errors.As(err, &network), errors.As(err, &connect), pgconn.SafeToRetry(err):
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// notText tells whether PostgreSQL refused a text: character_not_in_repertoire, untranslatable_character.
func notText(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "22021" || pg.Code == "22P05")
}
