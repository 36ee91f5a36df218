//go:build race

package server_test

// The race detector makes this code more than ten times slower.
const slowdown = 15
