package server

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// oneStream is the part of the specification's "Single Root Field" that gqlparser leaves out: one field asked for under two names is two
// streams, and a condition on the field might leave none.
var oneStream = core.Rule{
	Name: "OneStream",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnOperation(func(_ *core.Walker, op *ast.OperationDefinition) {
			if op.Operation != ast.Subscription {
				return
			}
			names, fields := map[string]bool{}, map[string]bool{}
			rootSelections(op.SelectionSet, map[string]bool{}, func(s ast.Selection, directives ast.DirectiveList) {
				if directives.ForName("skip") != nil || directives.ForName("include") != nil {
					addError(core.Message("A subscription must not use @skip or @include at its top level."), core.At(s.GetPosition()))
				}
				f, is := s.(*ast.Field)
				if !is {
					return
				}
				names[f.Alias], fields[f.Name] = true, true
				if len(names) == 2 && len(fields) == 1 { // of two fields gqlparser's own rule tells
					addError(core.Message("A subscription must select only one top level field."), core.At(f.Position))
				}
			})
		})
	},
}

// rootSelections gives what an operation selects at its top level to visit, through fragments too.
func rootSelections(set ast.SelectionSet, seen map[string]bool, visit func(ast.Selection, ast.DirectiveList)) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			visit(s, s.Directives)
		case *ast.InlineFragment:
			visit(s, s.Directives)
			rootSelections(s.SelectionSet, seen, visit)
		case *ast.FragmentSpread:
			visit(s, s.Directives)
			if s.Definition != nil && !seen[s.Name] {
				seen[s.Name] = true
				rootSelections(s.Definition.SelectionSet, seen, visit)
			}
		}
	}
}
