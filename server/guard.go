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

// schemaCost is what one `__schema` or `__type` adds to the cost: gqlgen counts the first as nothing.
const schemaCost = 5000

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
		if err := g.measure(doc); err != nil {
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
	m := measurer{doc: op.Doc, fragments: map[string]*shape{}}
	introspections := m.selections(op.Operation.SelectionSet).introspections
	cost := complexity.Calculate(ctx, g.es, op.Operation, op.Variables)
	if cost += introspections * schemaCost; cost > g.limits.Cost || cost < 0 {
		return refusal(ochre.CodeQueryTooComplex, "The operation may cost %d, the limit is %d. Ask for smaller pages or fewer fields.", cost, g.limits.Cost)
	}
	return nil
}

// measure refuses a document with an operation or a fragment that is over a limit.
func (g *guard) measure(doc *ast.QueryDocument) *gqlerror.Error {
	m := measurer{doc: doc, fragments: map[string]*shape{}}
	for _, op := range doc.Operations {
		s := m.selections(op.SelectionSet)
		s.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			s.directives += len(v.Directives)
		}
		if err := g.refuse(s); err != nil {
			return err
		}
	}
	for _, f := range doc.Fragments { // also those that nothing spreads: validation walks them
		if err := g.refuse(*m.fragment(f.Name)); err != nil {
			return err
		}
	}
	if m.deferred {
		return refusal(ochre.CodeValidationFailed, `Unknown directive "@defer".`)
	}
	return nil
}

func (g *guard) refuse(s shape) *gqlerror.Error {
	for _, l := range []struct {
		what     string
		is, most int
	}{
		{"levels of fields", s.depth, g.limits.Depth}, {"fields", s.fields, g.limits.Fields},
		{"aliases", s.aliases, g.limits.Aliases}, {"directives", s.directives, g.limits.Directives},
	} {
		if l.is > l.most {
			return refusal(ochre.CodeQueryTooComplex, "The operation has more than %d %s, counting those of its fragments.", l.most, l.what)
		}
	}
	return nil
}

// shape is how large a selection set is with its fragments spread.
type shape struct{ depth, fields, aliases, directives, introspections int }

// add counts another selection set beside this one. Counts stop growing far beyond every limit, so that they can't overflow.
func (s *shape) add(o shape) {
	const most = 1 << 30
	s.depth = max(s.depth, o.depth)
	s.fields = min(s.fields+o.fields, most)
	s.aliases = min(s.aliases+o.aliases, most)
	s.directives = min(s.directives+o.directives, most)
	s.introspections = min(s.introspections+o.introspections, most)
}

// measurer measures selection sets. Each fragment is walked once, however often it is spread.
type measurer struct {
	doc       *ast.QueryDocument
	fragments map[string]*shape
	deferred  bool
}

func (m *measurer) selections(set ast.SelectionSet) (sum shape) {
	for _, selection := range set {
		var s shape
		var directives ast.DirectiveList
		switch sel := selection.(type) {
		case *ast.Field:
			s = m.selections(sel.SelectionSet)
			s.depth++
			s.fields++
			if sel.Alias != sel.Name {
				s.aliases++
			}
			if sel.Name == "__schema" || sel.Name == "__type" {
				s.introspections++
			}
			directives = sel.Directives
		case *ast.InlineFragment:
			s = m.selections(sel.SelectionSet)
			directives = sel.Directives
		case *ast.FragmentSpread:
			s = *m.fragment(sel.Name)
			directives = sel.Directives
		}
		s.directives += len(directives)
		m.deferred = m.deferred || directives.ForName("defer") != nil
		sum.add(s)
	}
	return sum
}

// fragment measures a fragment. One that is unknown or spreads itself counts nothing there: validation refuses the document.
func (m *measurer) fragment(name string) *shape {
	if s := m.fragments[name]; s != nil {
		return s
	}
	s := &shape{}
	m.fragments[name] = s
	if f := m.doc.Fragments.ForName(name); f != nil {
		sum := m.selections(f.SelectionSet)
		sum.directives += len(f.Directives)
		*s = sum
	}
	return s
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
