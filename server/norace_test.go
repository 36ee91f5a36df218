//go:build !race

package server_test

// Without the race detector time is what it is.
const slowdown = 1
