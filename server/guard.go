package server

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/ochrehq/ochre"
)

// schemaCost is what one `__schema` or `__type` adds to the cost: gqlgen counts the first as nothing. An answer may have 65 KB and take
// 10 ms, and by default two of them fit into one operation.
const schemaCost = 20_000

// guard refuses what would cost too much, before it costs anything: counting tokens comes before parsing, measuring before
// validation (whose time grows with the square of repeated fields), the cost before execution.
type guard struct {
	limits Limits
	cache  graphql.Cache[*ast.QueryDocument]
	es     graphql.ExecutableSchema
}

var _ interface {
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
	graphql.HandlerExtension
} = &guard{}

// ExtensionName implements graphql.HandlerExtension.
func (*guard) ExtensionName() string { return "Guard" }

// Validate implements graphql.HandlerExtension.
func (g *guard) Validate(es graphql.ExecutableSchema) error {
	g.es = es
	return nil
}

// MutateOperationParameters implements graphql.OperationParameterMutator. It changes nothing: it runs before the document is parsed.
func (g *guard) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	doc, cached := g.cache.Get(ctx, params.Query)
	if !cached {
		if tooManyTokens(params.Query, g.limits.Tokens) {
			return refusal(ochre.CodeQueryTooLarge, "The document has more than %d tokens.", g.limits.Tokens)
		}
		var err error
		doc, err = parser.ParseQuery(&ast.Source{Input: params.Query})
		if err != nil {
			return nil // the executor says it
		}
		if len(doc.Operations)+len(doc.Fragments) == 0 {
			return refusal(ochre.CodeParseFailed, "The document is empty.")
		}
		if err := g.limits.measure(doc); err != nil {
			return err
		}
	}
	if len(doc.Operations) > 0 && doc.Operations.ForName(params.OperationName) == nil {
		return refusal(ochre.CodeOperationResolution, "operationName must name an operation of the document; without it the document has exactly one.")
	}
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator. It runs before the operation is executed, and allows introspection.
func (g *guard) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if err := checkVariables(g.es.Schema(), op.Operation, op.Variables); err != nil {
		return err
	}
	op.DisableIntrospection = false
	cost := complexity.Calculate(ctx, g.es, op.Operation, op.Variables)
	if cost += introspections(op.Operation.SelectionSet) * schemaCost; cost > g.limits.Cost || cost < 0 {
		return refusal(ochre.CodeQueryTooComplex, "The operation may cost %d, the limit is %d. Ask for smaller pages or fewer fields.", cost, g.limits.Cost)
	}
	return nil
}

// introspections counts `__schema` and `__type`, with fragments spread: the document was measured and validated.
func introspections(set ast.SelectionSet) (n int) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if s.Name == "__schema" || s.Name == "__type" {
				n++
			}
		case *ast.InlineFragment:
			n += introspections(s.SelectionSet)
		case *ast.FragmentSpread:
			n += introspections(s.Definition.SelectionSet)
		}
	}
	return n
}

// tooManyTokens counts without parsing. A document that is no GraphQL is for the parser to refuse.
func tooManyTokens(query string, most int) bool {
	l := lexer.New(&ast.Source{Input: query})
	for n := 0; ; n++ {
		token, err := l.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return false
		}
		if n == most {
			return true
		}
	}
}

// refusal is an error with one of our codes, for the client's eyes.
func refusal(code ochre.Code, format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": string(code)}}
}
