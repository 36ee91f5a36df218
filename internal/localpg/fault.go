//go:build unix

package localpg

import (
	"bytes"
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

// Kill ends the server and its sessions as a crash would, with SIGKILL. Restart brings it back.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errNotRunning
	}
	// Stopped first, so that it forks no session while they are listed: one missed would keep its memory, and the next start fail.
	err := s.proc.Signal(syscall.SIGSTOP)
	sessions, err2 := childrenOf(s.proc.Pid())
	if err := errors.Join(err, err2, s.proc.Signal(syscall.SIGKILL)); err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	for _, pid := range sessions {
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // one that ended by itself is fine too
	}
	<-s.proc.Done()
	for _, pid := range sessions {
		if err := awaitGone(pid); err != nil {
			return err
		}
	}
	return s.release()
}

// Pause freezes the server and all its sessions: connections stay open and nothing answers. Continue ends it.
func (s *Server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errNotRunning
	}
	s.paused = true
	return s.signalAll(syscall.SIGSTOP)
}

// Continue undoes Pause.
func (s *Server) Continue() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errNotRunning
	}
	s.paused = false
	return s.signalAll(syscall.SIGCONT)
}

var errNotRunning = errors.New("PostgreSQL is not running")

// signalAll sends sig to the server and then to its children, so that a server that is being stopped can't fork one more unseen.
func (s *Server) signalAll(sig syscall.Signal) error {
	if err := s.proc.Signal(sig); err != nil {
		return fmt.Errorf("signal PostgreSQL: %w", err)
	}
	children, err := childrenOf(s.proc.Pid())
	if err != nil {
		return err
	}
	for _, pid := range children {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal PostgreSQL's session: %w", err)
		}
	}
	return nil
}

// childrenOf lists the processes whose parent is pid. They are in sessions of their own, so no group signal reaches them.
func childrenOf(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	if len(stats) == 0 {
		return childrenByPgrep(pid)
	}
	var children []int
	for _, file := range stats {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		if _, parent := parseStat(raw); parent == pid {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				return nil, fmt.Errorf("list processes: %w", err)
			}
			children = append(children, child)
		}
	}
	return children, nil
}

func childrenByPgrep(pid int) ([]int, error) {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() == 1 {
		return nil, nil // none
	}
	if err != nil {
		return nil, fmt.Errorf("list PostgreSQL's sessions: %w", err)
	}
	var children []int
	for _, field := range strings.Fields(string(out)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list PostgreSQL's sessions: %w", err)
		}
		children = append(children, child)
	}
	return children, nil
}

// parseStat reads state and parent out of a /proc/PID/stat: `12 (a name) S 1 …`, where the name may hold anything.
func parseStat(raw []byte) (state string, parent int) {
	end := bytes.LastIndexByte(raw, ')')
	fields := strings.Fields(string(raw[end+1:]))
	if end < 0 || len(fields) < 2 {
		return "", 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return "", 0
	}
	return fields[0], parent
}

// awaitGone waits for a process that is not our child. One that is dead but that nobody has reaped counts as gone.
func awaitGone(pid int) error {
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if state, _ := parseStat(raw); err == nil && state == "Z" {
			return nil
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
		select {
		case <-limit.C:
			return fmt.Errorf("PostgreSQL's session (process %d) can't be ended", pid)
		case <-again.C:
		}
	}
}
