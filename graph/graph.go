// Package graph holds the GraphQL schema; what is made of it is in the folders below.
package graph

//go:generate go -C .. tool -modfile=tools.mod gqlgen generate
