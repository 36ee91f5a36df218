package server

import (
	"context"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Limits bounds what one GraphQL request may ask for. A zero means its default.
type Limits struct {
	Tokens      int // of the document; 4,000
	Depth       int // of nested fields and inline fragments; 25
	Aliases     int // of an operation, with fragments spread; 100
	Directives  int // of an operation, with fragments spread; 100
	Fields      int // of an operation, with fragments spread; 1,000
	Comparisons int // of fields with one response key, which validation makes; 100,000
	Cost        int // as the schema's complexity functions count it, page sizes included; 50,000
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Tokens, 4000}, {&l.Depth, 25}, {&l.Aliases, 100}, {&l.Directives, 100}, {&l.Fields, 1000}, {&l.Comparisons, 100_000}, {&l.Cost, 50_000},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// ExecutorOptions says how NewExecutor's Executor behaves.
type ExecutorOptions struct {
	Limits  Limits
	Logger  *slog.Logger // slog.Default() if nil
	Metrics *Metrics     // may be nil
}

// The documents that are kept parsed and validated. Long ones are left out, so that the cache's memory is bounded too.
const (
	cachedDocuments   = 500
	cachedDocumentMax = 16 << 10 // bytes
)

// NewExecutor makes the one executor of a schema, for HTTP and for sockets alike: limits, validation without suggestions, errors
// with stable codes, and @oneOf enforced for variables. Introspection is on: who calls has signed in.
func NewExecutor(es graphql.ExecutableSchema, o ExecutorOptions) *executor.Executor {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	cache := documentCache{lru.New[*ast.QueryDocument](cachedDocuments)}
	p := presenter{o.Logger, o.Metrics}
	e := executor.New(es)
	e.SetQueryCache(cache)
	e.SetParserTokenLimit(o.Limits.withDefaults().Tokens + 1) // the guard counts first and says which code it is
	e.SetDisableSuggestion(true)
	e.SetDefaultRulesFn(validationRules)
	e.SetErrorPresenter(p.present)
	e.SetRecoverFunc(p.recovered)
	e.Use(&guard{limits: o.Limits.withDefaults(), cache: cache})
	return e
}

// validationRules are the specification's, without suggestions of names, and with what gqlparser lacks.
func validationRules() *rules.Rules {
	r := rules.NewDefaultRules()
	r.RemoveRule(rules.KnownArgumentNamesRule.Name)
	r.AddRule(rules.KnownArgumentNamesRuleWithoutSuggestions.Name, rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
	r.RemoveRule(rules.KnownTypeNamesRule.Name)
	r.AddRule(rules.KnownTypeNamesRuleWithoutSuggestions.Name, rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
	r.RemoveRule(rules.ValuesOfCorrectTypeRule.Name)
	r.AddRule(rules.ValuesOfCorrectTypeRuleWithoutSuggestions.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	r.AddRule(oneOfVariables.Name, oneOfVariables.RuleFunc)
	r.AddRule(oneStream.Name, oneStream.RuleFunc)
	return r
}

type documentCache struct {
	*lru.LRU[*ast.QueryDocument]
}

// Add keeps a document unless it is long.
func (c documentCache) Add(ctx context.Context, query string, doc *ast.QueryDocument) {
	if len(query) <= cachedDocumentMax {
		c.LRU.Add(ctx, query, doc)
	}
}
