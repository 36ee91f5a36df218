//go:build unix

// Package localredis runs a private Redis or Valkey for tests, from a binary that it finds on the machine.
package localredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ochrehq/ochre/internal/child"
)

// ErrNotInstalled means that neither Redis nor Valkey was found.
var ErrNotInstalled = errors.New("neither redis-server nor valkey-server was found: install one with" +
	" `apt-get install redis-server` (Debian, Ubuntu) or `brew install valkey` (macOS)")

// A Server is a Redis that keeps nothing on disk: whatever ends it empties it. Its methods may be called from several goroutines.
type Server struct {
	binary string
	dir    string

	mu     sync.Mutex
	proc   *child.Process // nil when stopped
	paused bool
}

// Start starts a server on a unix socket in a new short folder, and returns when it answers.
func Start(ctx context.Context) (*Server, error) {
	binary, err := findBinary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "ochre-redis-") // short: a socket's path has to fit into about 100 bytes
	if err != nil {
		return nil, fmt.Errorf("make a folder for Redis: %w", err)
	}
	s := &Server{binary: binary, dir: dir}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// findBinary looks on the PATH and where distributions put servers that they keep off it.
func findBinary() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", ErrNotInstalled
}

// Restart starts a server that was stopped or killed, empty, at the same URL.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return errors.New("redis-server is running already")
	}
	if err := os.RemoveAll(s.socket()); err != nil { // a killed server leaves it
		return fmt.Errorf("remove Redis's old socket: %w", err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.binary, "--port", "0", "--unixsocket", s.socket(), "--unixsocketperm", "700",
		"--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning")
	cmd.Dir = s.dir
	proc, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, proc); err != nil {
		return errors.Join(err, proc.Stop())
	}
	s.proc = proc
	return nil
}

// awaitReady asks PING until it is answered, the process ends or ctx does.
func (s *Server) awaitReady(ctx context.Context, proc *child.Process) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if s.ping() == nil {
			return nil
		}
		select {
		case <-proc.Done():
			return fmt.Errorf("redis-server did not start: %w", proc.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for Redis to start: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// ping speaks the protocol by hand: one line there, one back.
func (s *Server) ping() error {
	conn, err := net.Dial("unix", s.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if string(answer[:n]) != "+PONG\r\n" {
		return fmt.Errorf("answered %q", answer[:n])
	}
	return nil
}

func (s *Server) socket() string { return filepath.Join(s.dir, "redis.sock") }

// URL of the server, as redis.ParseURL reads it. It does not change with restarts.
func (s *Server) URL() string {
	u := url.URL{Scheme: "unix", Path: s.socket()}
	return u.String()
}

// Stop ends the server: its clients see their connections closed. A stopped server may be stopped again, and restarted.
func (s *Server) Stop() error {
	return s.end(child.Step{Signal: syscall.SIGTERM, Wait: 5 * time.Second})
}

// Kill ends the server as a crash would.
func (s *Server) Kill() error {
	return s.end(child.Step{Signal: syscall.SIGKILL, Wait: 5 * time.Second})
}

func (s *Server) end(step child.Step) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	if s.paused {
		if err := s.proc.Signal(syscall.SIGCONT); err != nil {
			return fmt.Errorf("continue Redis: %w", err)
		}
	}
	err := s.proc.Stop(step)
	s.proc, s.paused = nil, false
	return err
}

// Close stops the server for good and removes its folder.
func (s *Server) Close() error { return errors.Join(s.Stop(), os.RemoveAll(s.dir)) }

// Pause freezes the server: connections stay open and nothing answers. Continue ends it.
func (s *Server) Pause() error { return s.freeze(true, syscall.SIGSTOP) }

// Continue undoes Pause.
func (s *Server) Continue() error { return s.freeze(false, syscall.SIGCONT) }

func (s *Server) freeze(paused bool, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errors.New("redis-server is not running")
	}
	s.paused = paused
	return s.proc.Signal(sig)
}
