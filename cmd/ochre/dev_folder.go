package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ochrehq/ochre/internal/localpg"
)

// folder is where an `ochre dev` keeps everything, one at a time.
type folder struct {
	dir  string
	lock *os.File // gone with the process, however that ends
}

// openFolder makes the folder, or takes one that `ochre dev` has made: what is in it may be deleted, so a folder with other things is refused.
func openFolder(dir string) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // PostgreSQL's account has to get through
		return nil, fmt.Errorf("data folder: %w", err)
	}
	mark := filepath.Join(dir, "lock")
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
			return nil, errors.Join(err, fmt.Errorf("%s holds other things than Ochre's: give --data-dir a folder of its own, or empty this one", dir))
		}
	}
	f := &folder{dir: dir}
	if f.lock, err = os.OpenFile(mark, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := f.take(); err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	return f, nil
}

func (f *folder) take() error {
	err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(f.lock)
		return fmt.Errorf("another `ochre dev` (process %s) runs in %s: end it first, or give --data-dir another folder", pid, f.dir)
	}
	if err == nil {
		err = f.lock.Truncate(0)
	}
	if err == nil {
		_, err = f.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0) // for the message above alone
	}
	if err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	return nil
}

// close lets the next one take the folder.
func (f *folder) close() error { return f.lock.Close() }

func (f *folder) postgres() string          { return filepath.Join(f.dir, "postgres") }
func (f *folder) slack() string             { return filepath.Join(f.dir, "slack") }
func (f *folder) log() string               { return filepath.Join(f.dir, "ochre.log") }
func (f *folder) secret(name string) string { return filepath.Join(f.dir, "secrets", name) }

// isNew tells whether nothing was kept here, or it was deleted by hand.
func (f *folder) isNew() bool {
	_, err := os.Stat(f.secret("secret-key"))
	return errors.Is(err, os.ErrNotExist)
}

// forget deletes what is kept, PostgreSQL's data also where that is elsewhere (see localpg).
func (f *folder) forget(ctx context.Context) error {
	if err := localpg.Reset(ctx, f.postgres()); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	if err := errors.Join(os.RemoveAll(f.slack()), os.RemoveAll(filepath.Dir(f.secret("any")))); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	return nil
}

// kept gives a secret of the folder, made if it is not there.
func (f *folder) kept(name string, fresh func() string) (string, error) {
	b, err := os.ReadFile(f.secret(name))
	if errors.Is(err, os.ErrNotExist) {
		b = []byte(fresh())
		err = f.keep(name, string(b))
	}
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (f *folder) keep(name, value string) error {
	if err := os.MkdirAll(filepath.Dir(f.secret(name)), 0o700); err != nil {
		return err
	}
	return os.WriteFile(f.secret(name), []byte(value), 0o600)
}

// listen opens a port on 127.0.0.1: that of the last run, else the standard one, or the next that is free. whose says who gets it.
func (f *folder) listen(ctx context.Context, standard int, name, whose string, say func(string, ...any)) (net.Listener, error) {
	first := standard
	if kept, err := os.ReadFile(f.secret(name)); err == nil {
		if p, err := strconv.ParseUint(strings.TrimSpace(string(kept)), 10, 16); err == nil {
			first = int(p)
		}
	}
	const tries = 100
	for p := first; p < min(first+tries, 1<<16); p++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		if p != first {
			say("Port %d is taken: %s uses %d.", first, whose, p)
		}
		return l, f.keep(name, strconv.Itoa(p))
	}
	return nil, fmt.Errorf("no free port from %d to %d", first, first+tries-1)
}

// random gives n random bytes as text.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
