//go:build unix

package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// initialize makes the data folder unless it is there. It is made under another name and renamed when complete, so that a run
// killed in the middle leaves nothing that looks like data.
func (s *Server) initialize(ctx context.Context) error {
	if _, err := os.Stat(s.place.data()); err == nil {
		return s.readPassword()
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look at PostgreSQL's data: %w", err)
	}
	if err := s.makePassword(); err != nil {
		return err
	}
	unfinished := s.place.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear an unfinished data folder: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("make PostgreSQL's data folder: %w", err)
	}
	if err := s.place.account.give(unfinished); err != nil {
		return err
	}
	if err := s.initdb(ctx, unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, s.place.data()); err != nil {
		return fmt.Errorf("put PostgreSQL's data in place: %w", err)
	}
	return nil
}

// initdb runs the program of that name. The socket needs no password, because its folder is closed to others; TCP does.
func (s *Server) initdb(ctx context.Context, dir string) error {
	locale := []string{"--locale=C.UTF-8"}
	if runtime.GOOS == "darwin" {
		locale = []string{"--locale=en_US.UTF-8", "--lc-collate=C"}
	}
	args := append([]string{
		"-D", dir, "-U", superuser, "-E", "UTF8", "--auth-local=trust", "--auth-host=scram-sha-256",
		"--pwfile=" + s.place.secret(), "--no-instructions",
	}, locale...)
	if !s.options.Fsync {
		args = append(args, "--no-sync")
	}
	cmd := s.command(ctx, s.bin.initdb, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a PostgreSQL data folder in %s: %w\n%s", dir, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// makePassword makes the superuser's password for TCP and keeps it beside the data, where initdb reads it too.
func (s *Server) makePassword() error {
	s.password = rand.Text()
	if err := os.WriteFile(s.place.secret(), []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the private PostgreSQL's password: %w", err)
	}
	return s.place.account.give(s.place.secret())
}

func (s *Server) readPassword() error {
	raw, err := os.ReadFile(s.place.secret())
	if err != nil && s.options.Port != 0 {
		return fmt.Errorf("read the private PostgreSQL's password: %w", err)
	}
	s.password = strings.TrimSpace(string(raw))
	return nil
}

// Reset deletes the data that a Server with Options.Dir dir has kept. It refuses while one is running.
func Reset(ctx context.Context, dir string) error {
	dir, err := realFolder(dir)
	if err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Join(elsewhere, shortName(dir))} {
		if _, err := os.Stat(d); errors.Is(err, os.ErrNotExist) {
			continue
		}
		lock, err := lockFolder(d)
		if err != nil {
			return err
		}
		err = endOrphan(ctx, filepath.Join(d, "data"))
		for _, name := range []string{"data", "data.new", "password"} {
			if err == nil {
				err = os.RemoveAll(filepath.Join(d, name))
			}
		}
		if err = errors.Join(err, lock.Close()); err != nil {
			return fmt.Errorf("delete PostgreSQL's data: %w", err)
		}
	}
	return nil
}
