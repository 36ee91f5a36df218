package server

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"

	"github.com/ochrehq/ochre"
)

// oneOfVariables is the part of the specification's "OneOf Input Objects" that gqlparser leaves out: a variable that is the one
// field of a literal can't be null or left out.
var oneOfVariables = core.Rule{
	Name: "OneOfVariables",
	RuleFunc: func(observers *core.Events, addError core.AddErrFunc) {
		observers.OnValue(func(_ *core.Walker, v *ast.Value) {
			if v.Kind != ast.ObjectValue || !isOneOf(v.Definition) || len(v.Children) != 1 {
				return
			}
			one := v.Children[0].Value
			if one.Kind == ast.Variable && one.VariableDefinition != nil && !one.VariableDefinition.Type.NonNull {
				addError(core.Message(`Variable "$%s" must be non-nullable to be used for OneOf Input Object "%s".`, one.Raw, v.Definition.Name),
					core.At(one.Position))
			}
		})
	},
}

func isOneOf(def *ast.Definition) bool {
	return def != nil && def.Kind == ast.InputObject && def.Directives.ForName("oneOf") != nil
}

// checkVariables refuses what gqlparser's coercion lets through: two fields or none in a @oneOf input, an enum value in another
// case, and a number for a String or the reverse. The values are those after coercion.
func checkVariables(schema *ast.Schema, op *ast.OperationDefinition, values map[string]any) *gqlerror.Error {
	for _, v := range op.VariableDefinitions {
		if value, ok := values[v.Variable]; ok {
			if err := checkValue(schema, v.Type, value, "$"+v.Variable); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkValue(schema *ast.Schema, typ *ast.Type, value any, at string) *gqlerror.Error {
	if value == nil {
		return nil // whether it may be null was checked before
	}
	if typ.Elem != nil {
		list := reflect.ValueOf(value) // coercion makes a []string of a single string
		if list.Kind() != reflect.Slice {
			return checkValue(schema, typ.Elem, value, at)
		}
		for i := range list.Len() {
			if err := checkValue(schema, typ.Elem, list.Index(i).Interface(), fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	def := schema.Types[typ.NamedType]
	switch def.Kind {
	case ast.InputObject:
		object, ok := value.(map[string]any)
		if !ok {
			return variableError(at, "is not an object")
		}
		return checkObject(schema, def, object, at)
	case ast.Enum:
		if s, ok := value.(string); !ok || def.EnumValues.ForName(s) == nil {
			return variableError(at, "is not a value of the enum "+def.Name)
		}
	case ast.Scalar:
		return checkScalar(def.Name, value, at)
	}
	return nil
}

func checkObject(schema *ast.Schema, def *ast.Definition, object map[string]any, at string) *gqlerror.Error {
	if isOneOf(def) {
		if len(object) != 1 {
			return variableError(at, `must have exactly one field: "`+def.Name+`" is a OneOf Input Object`)
		}
		for _, v := range object {
			if v == nil {
				return variableError(at, `must not be null inside: "`+def.Name+`" is a OneOf Input Object`)
			}
		}
	}
	for _, field := range def.Fields {
		if v, ok := object[field.Name]; ok {
			if err := checkValue(schema, field.Type, v, at+"."+field.Name); err != nil {
				return err
			}
		}
	}
	if _, ok := object["__typename"]; ok { // which coercion ignores
		return variableError(at, "has an unknown field")
	}
	return nil
}

// checkScalar tells text from numbers, which look alike to coercion because numbers are kept as json.Number.
func checkScalar(name string, value any, at string) *gqlerror.Error {
	_, text := value.(string)
	_, number := value.(json.Number)
	switch {
	case text && (name == "Int" || name == "Float"):
		return variableError(at, "is not a number")
	case number && name == "String":
		return variableError(at, "is not a string")
	}
	return nil
}

func variableError(at, what string) *gqlerror.Error {
	return refusal(ochre.CodeValidationFailed, `Variable "%s" %s.`, at, what)
}
