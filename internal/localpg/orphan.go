//go:build unix

package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endOrphan ends the server that a killed run of ours left on this data (on Linux it is about to end by itself), and removes a pid
// file that names a process which is no such server: after a restart of the machine another program may bear that number, and
// PostgreSQL would refuse to start. The caller holds the folder's lock, so there is no other Ochre on it.
func endOrphan(ctx context.Context, data string) error {
	file := filepath.Join(data, "postmaster.pid")
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for asked := false; ; {
		pid, err := readPid(file)
		if err != nil || pid == 0 {
			return err
		}
		if !serves(pid, data) {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove PostgreSQL's stale pid file: %w", err)
			}
			return nil
		}
		if !asked {
			if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end the PostgreSQL (process %d) that an earlier run left on %s: %w", pid, data, err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the PostgreSQL (process %d) that an earlier run left on %s: %w", pid, data, ctx.Err())
		case <-again.C:
		}
	}
}

// readPid of a postmaster.pid, whose first line it is; 0 if there is no file.
func readPid(file string) (int, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read PostgreSQL's pid file: %w", err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("PostgreSQL's pid file %s is broken (%q): if no server runs on this data, delete the file", file, first)
	}
	return pid, nil
}

// serves tells whether the process is a live server on this data, by its command line.
func serves(pid int, data string) bool {
	line, err := commandLine(pid)
	return err == nil && strings.Contains(line, "postgres") && strings.Contains(line, " "+data+" ")
}

// commandLine of a process, its arguments joined by spaces; empty for a zombie.
func commandLine(pid int) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil {
		return strings.ReplaceAll(string(raw), "\x00", " "), nil
	}
	if _, err := os.Stat("/proc/self/cmdline"); err == nil {
		return "", fmt.Errorf("process %d is gone", pid)
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(out)) + " ", nil
}
