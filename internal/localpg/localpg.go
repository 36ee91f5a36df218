//go:build unix

// Package localpg runs a private PostgreSQL for development and tests, from binaries that it finds on the machine.
//
// It never runs as root, listens on a unix socket (on TCP only if asked), keeps one data folder to one process at a time, ends
// when we end, and never deletes or converts data by itself.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre/internal/child"
)

// superuser is the role that initdb makes and URL names.
const superuser = "postgres"

// Options of a server. Dir is required.
type Options struct {
	// Dir is the folder of this server, made if absent; relative to the working directory. See Server.Dir for when its data is
	// kept elsewhere.
	Dir string
	// Port on 127.0.0.1, where a password is asked (URL has it); 0 for the unix socket only.
	Port int
	// Log gets the server's own log lines and our notices; nil drops them.
	Log io.Writer
	// Fsync makes commits survive a crash of the machine. Without it they survive a crash of the server only, and are faster.
	Fsync bool
}

// A Server is a PostgreSQL that we started. Its methods may be called from several goroutines.
type Server struct {
	options  Options
	bin      binaries
	place    place
	socket   string // folder of the unix socket
	password string

	mu     sync.Mutex
	proc   *child.Process // nil when stopped
	lock   *os.File
	paused bool
}

// Start starts a server in o.Dir, with a new data folder if there is none, and returns when it takes connections. ctx bounds the
// start alone. Errors say what to do: install PostgreSQL, end the other process that uses the folder, or how to go on with data of
// another version.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	found, err := findBinaries()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o}
	if s.place, err = choosePlace(o.Dir, found[0]); err != nil {
		return nil, err
	}
	if s.place.note != "" {
		if _, err := fmt.Fprintln(o.Log, s.place.note); err != nil {
			return nil, fmt.Errorf("say where PostgreSQL's data is: %w", err)
		}
	}
	s.socket = socketName(s.place)
	if s.bin, err = chooseBinaries(found, s.place.data()); err != nil {
		return nil, err
	}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Restart starts a stopped or killed server again, at the same URL.
func (s *Server) Restart(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return errors.New("PostgreSQL is running already")
	}
	if s.lock, err = lockFolder(s.place.dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := endOrphan(ctx, s.place.data()); err != nil {
		return err
	}
	if err := s.initialize(ctx); err != nil {
		return err
	}
	if err := makeSocketFolder(s.socket, s.place.account); err != nil {
		return err
	}
	return s.launch(ctx)
}

// launch starts the server process and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	said := &tail{}
	cmd := s.command(context.WithoutCancel(ctx), s.bin.postgres, s.arguments()...)
	cmd.Stdout = io.MultiWriter(said, s.options.Log)
	cmd.Stderr = cmd.Stdout
	proc, err := child.Start(cmd, syscall.SIGINT)
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, proc, said); err != nil {
		return errors.Join(err, proc.Stop(child.Step{Signal: syscall.SIGQUIT, Wait: 5 * time.Second}))
	}
	s.proc = proc
	return nil
}

func (s *Server) arguments() []string {
	args := []string{"-D", s.place.data(), "-k", s.socket, "-p", strconv.Itoa(s.port())}
	set := []string{
		"listen_addresses=", "unix_socket_permissions=0700", "max_connections=300",
		"timezone=UTC", "log_timezone=UTC", "logging_collector=off", "log_destination=stderr",
		"log_error_verbosity=terse", // else a refused row is logged with its values, which are people's words and addresses
		"max_wal_size=256MB", "min_wal_size=32MB",
	}
	if s.options.Port != 0 {
		set[0] += "127.0.0.1"
	}
	if !s.options.Fsync {
		// synchronous_commit stays on: with it off a killed server would lose what it acknowledged, which is just what fault
		// tests must be able to tell apart.
		set = append(set, "fsync=off", "full_page_writes=off")
	}
	for _, v := range set {
		args = append(args, "-c", v)
	}
	return args
}

// awaitReady tries to connect until it works, the process ends or ctx does.
func (s *Server) awaitReady(ctx context.Context, proc *child.Process, said *tail) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-proc.Done():
			return fmt.Errorf("PostgreSQL did not start: %w\n%s", proc.Err(), said)
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL to start: %w\n%s", ctx.Err(), said)
		case <-again.C:
		}
	}
}

// URL of a database of this server, for pgx and everything above it. It does not change with restarts in the same folder.
func (s *Server) URL(db string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + db}
	if s.options.Port == 0 {
		q := url.Values{"host": {s.socket}, "port": {strconv.Itoa(s.port())}}
		u.RawQuery = q.Encode()
		return u.String()
	}
	u.User = url.UserPassword(superuser, s.password)
	u.Host = "127.0.0.1:" + strconv.Itoa(s.options.Port)
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// port on TCP; without TCP it is only part of the socket's file name.
func (s *Server) port() int {
	if s.options.Port == 0 {
		return 5432
	}
	return s.options.Port
}

// Dir is where the data is: Options.Dir or, if we are root and the account that the server runs as can't reach that (below a
// private home, say), a folder in /var/lib/ochre whose name depends on Options.Dir alone.
func (s *Server) Dir() string { return s.place.dir }

// Version is the server's major version.
func (s *Server) Version() int { return s.bin.major }

// EnsureDatabase makes the database unless it is there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the private PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, "select exists(select from pg_database where datname = $1)", name).Scan(&there); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if there {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Stop ends the server in good order: sessions are closed and all is written. A server that takes longer than 20 seconds is ended
// hard, which loses nothing but makes the next start slower, and is told as an error. A stopped server may be stopped again.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	var err error
	if s.paused {
		err = s.signalAll(syscall.SIGCONT)
	}
	err = errors.Join(err, s.proc.Stop(
		child.Step{Signal: syscall.SIGINT, Wait: 20 * time.Second},
		child.Step{Signal: syscall.SIGQUIT, Wait: 5 * time.Second},
	))
	return errors.Join(err, s.release())
}

// release gives back what only a running server needs.
func (s *Server) release() error {
	s.proc, s.paused = nil, false
	if s.lock == nil {
		return nil
	}
	err := errors.Join(os.RemoveAll(s.socket), s.lock.Close()) // in this order: the lock guards the folder
	s.lock = nil
	return err
}

// command runs a program of PostgreSQL under the place's account, without our environment: a PGDATA or PGPORT of the caller must
// not matter. The working directory is the root because the caller's may be closed to that account.
func (s *Server) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + filepath.Dir(path) + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = s.place.account.attributes()
	return cmd
}

// tail keeps the last few kilobytes written to it, for the error message of a failed start.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 4096; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
