// Package testschema is a small generated schema, so that the transports are tested over what gqlgen really generates.
package testschema

//go:generate go tool -modfile=../../../../tools.mod gqlgen generate
