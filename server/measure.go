package server

import (
	"maps"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/ochrehq/ochre"
)

// measure refuses a parsed document with an operation or a fragment that is over a limit. It takes time in proportion to the
// document, whatever is in it.
func (l Limits) measure(doc *ast.QueryDocument) *gqlerror.Error {
	m := measurer{doc: doc, fragments: map[string]*shape{}}
	for _, op := range doc.Operations {
		s := m.set(op.SelectionSet)
		s.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			s.directives += len(v.Directives)
		}
		if err := l.refuse(s); err != nil {
			return err
		}
	}
	for _, f := range doc.Fragments { // also those that nothing spreads: validation walks them
		if err := l.refuse(*m.fragment(f.Name)); err != nil {
			return err
		}
	}
	switch {
	case m.pairs > l.Comparisons:
		return refusal(ochre.CodeQueryTooComplex, "The document selects the same fields too often.")
	case m.deferred:
		return refusal(ochre.CodeValidationFailed, `Unknown directive "@defer".`)
	}
	return nil
}

func (l Limits) refuse(s shape) *gqlerror.Error {
	for _, c := range []struct {
		what     string
		is, most int
	}{
		{"levels", s.depth, l.Depth}, {"fields", s.fields, l.Fields}, {"aliases", s.aliases, l.Aliases}, {"directives", s.directives, l.Directives},
	} {
		if c.is > c.most {
			return refusal(ochre.CodeQueryTooComplex, "The operation has more than %d %s, counting those of its fragments.", c.most, c.what)
		}
	}
	return nil
}

// shape is how large a selection set is with its fragments spread.
type shape struct {
	depth, fields, aliases, directives int
	keys                               map[string]weight // by response key, those of nested fragments included
}

// weight is how often a response key is selected in one set, and how many fields that is with all below them.
type weight struct{ times, fields int }

// Counts stop growing far beyond every limit, so that they can't overflow.
const uncountable = 1 << 30

func plus(a, b int) int { return min(a+b, uncountable) }

// add counts what is selected beside this.
func (s *shape) add(o shape) {
	s.depth = max(s.depth, o.depth)
	s.fields = plus(s.fields, o.fields)
	s.aliases = plus(s.aliases, o.aliases)
	s.directives = plus(s.directives, o.directives)
	if s.keys == nil {
		s.keys = maps.Clone(o.keys)
		return
	}
	for key, w := range o.keys {
		had := s.keys[key]
		s.keys[key] = weight{plus(had.times, w.times), plus(had.fields, w.fields)}
	}
}

// measurer measures selection sets. Each fragment is walked once, however often it is spread.
type measurer struct {
	doc       *ast.QueryDocument
	fragments map[string]*shape
	deferred  bool
	// pairs bounds how many pairs of fields the rule OverlappingFieldsCanBeMerged compares: in each set every two fields of one
	// response key, and then all below the one with all below the other.
	pairs int
}

// set measures a selection set, and counts its pairs.
func (m *measurer) set(set ast.SelectionSet) (sum shape) {
	for _, selection := range set {
		sum.add(m.selection(selection))
	}
	for _, w := range sum.keys {
		if w.times > 1 {
			fields := min(w.fields, 1<<14) // its square can't overflow
			m.pairs = plus(m.pairs, fields*fields/2)
		}
	}
	return sum
}

func (m *measurer) selection(selection ast.Selection) (s shape) {
	var directives ast.DirectiveList
	switch sel := selection.(type) {
	case *ast.Field:
		s = m.set(sel.SelectionSet)
		s.depth++
		s.fields++
		s.keys = map[string]weight{sel.Alias: {1, s.fields}}
		if sel.Alias != sel.Name {
			s.aliases++
		}
		directives = sel.Directives
	case *ast.InlineFragment:
		s = m.set(sel.SelectionSet)
		s.depth++
		directives = sel.Directives
	case *ast.FragmentSpread:
		s = *m.fragment(sel.Name)
		directives = sel.Directives
	}
	s.directives += len(directives)
	m.deferred = m.deferred || directives.ForName("defer") != nil
	return s
}

// fragment measures a fragment. One that is unknown or spreads itself counts nothing there: validation refuses the document.
func (m *measurer) fragment(name string) *shape {
	if s := m.fragments[name]; s != nil {
		return s
	}
	s := &shape{}
	m.fragments[name] = s
	if f := m.doc.Fragments.ForName(name); f != nil {
		sum := m.set(f.SelectionSet)
		sum.directives += len(f.Directives)
		*s = sum
	}
	return s
}
