//go:build unix && !linux

package child

import "syscall"

// bind does nothing where the kernel has no parent-death signal: there a child outlives a kill -9 of ours, and whoever starts it
// again has to look for what the last run left.
func bind(*syscall.SysProcAttr, syscall.Signal) {}
