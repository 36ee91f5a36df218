//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/ochrehq/ochre/internal/localpg"
	"github.com/ochrehq/ochre/internal/testenv"
)

// TestDatabaseNotThereThenThere is a node's start before its database's, and what it says of a database that refuses.
func TestDatabaseNotThereThenThere(t *testing.T) {
	t.Parallel()
	pg, database := passwordPostgres(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()

	wrong := *u
	wrong.User = url.UserPassword("postgres", "very-hidden")
	oneLine(t, command(t, nodeEnv(wrong.String()), "serve"), exitFailed, "the database at "+u.Host+" refuses the user, the password", "very-hidden")
	oneLine(t, command(t, nodeEnv(wrong.String()), "migrate"), exitFailed, "the database at "+u.Host+" refuses", "very-hidden")
	wrong = *u
	wrong.Path = "/nowhere"
	oneLine(t, command(t, nodeEnv(wrong.String()), "serve"), exitFailed, "refuses the user, the password or the database's name", password)

	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	node := start(t, nodeEnv(database), "serve", "--migrate")
	line := node.says(node.err, "the database does not answer; waiting")
	if !strings.Contains(line, u.Host) || strings.Contains(line, password) {
		t.Errorf("said %s", line)
	}
	interrupted := start(t, nodeEnv(database), "migrate")
	interrupted.says(interrupted.err, "waiting")
	interrupted.signal(syscall.SIGINT)
	if code := interrupted.wait(patience); code != exitFailed || !strings.Contains(interrupted.err.text(), "ochre: interrupted\n") {
		t.Errorf("a migration that was interrupted ended with %d", code)
	}
	if err := pg.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	node.says(node.err, `"msg":"serving"`)
	node.signal(syscall.SIGTERM)
	if code := node.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// passwordPostgres is a server that asks for a password, and its URL with the right one.
func passwordPostgres(t *testing.T) (*localpg.Server, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ochre-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // PostgreSQL's account has to get through
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	pg, err := localpg.Start(t.Context(), localpg.Options{Dir: dir, Port: port, Log: t.Output()})
	if err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	t.Cleanup(func() {
		if err := errors.Join(pg.Stop(), os.RemoveAll(pg.Dir()), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return pg, pg.URL("postgres")
}

func TestDatabaseNeverThere(t *testing.T) {
	t.Parallel()
	for name, ping := range map[string]func(context.Context) error{
		"refused": func(context.Context) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		},
		"silent": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			var said strings.Builder
			began := time.Now()
			err := waitForDatabase(t.Context(), ping, hostOf("postgres://me:very-hidden@db.example:5433/x"), slog.New(slog.NewTextHandler(&said, nil)))
			reason := map[string]string{"refused": "connect: connection refused", "silent": "no answer"}[name]
			if err == nil || err.Error() != "no database at db.example:5433 within 30s: "+reason {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != databaseWait {
				t.Errorf("%s: it waited %s", name, took)
			}
			if lines := strings.Count(said.String(), "host=db.example:5433"); lines < 3 || lines > 12 || strings.Contains(said.String(), "hidden") {
				t.Errorf("%s: said\n%s", name, said.String())
			}
		})
	}
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:p@db:5432/x": "db:5432", "postgresql:///x?host=/run/pg&password=p": "/run/pg", "postgres:///x": "the default host",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestRedisNotThereThenThere(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	node := start(t, nodeEnv(testenv.SharedDatabase(t)).with("REDIS_URL", server.URL()), "serve")
	node.says(node.err, "redis is not there yet; live updates go on by reading the log")
	node.says(node.err, `"msg":"serving"`)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	node.says(node.err, `"msg":"redis is there"`)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	node.says(node.err, "redis is silent")
	node.signal(syscall.SIGTERM)
	if code := node.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(node.err.text()) {
		if !strings.HasPrefix(line, `{"time":`) {
			t.Errorf("a line of the log is no JSON: %q", line)
		}
	}
}

func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	err = errors.Join(client.ConfigSet(t.Context(), "requirepass", "of-the-cache").Err(), client.Close())
	if err != nil {
		t.Fatal(err)
	}
	plain, encrypted := forward(t, o.Addr)
	node := nodeEnv(testenv.SharedDatabase(t))
	for _, bad := range []string{
		"unix://:very-hidden@" + o.Addr, "unix://" + o.Addr,
		"redis://:very-hidden@" + plain, "redis://somebody:very-hidden@" + plain + "/3", "redis://" + plain,
		"rediss://:very-hidden@" + encrypted + "?skip_verify=true",
	} {
		at := o.Addr
		if !strings.HasPrefix(bad, "unix") {
			u, err := url.Parse(bad)
			if err != nil {
				t.Fatal(err)
			}
			at = u.Host
		}
		oneLine(t, command(t, node.with("REDIS_URL", bad), "serve"), exitFailed, "redis at "+at+" refuses: ", "very-hidden", "of-the-cache")
	}
	// A certificate that nobody trusts is a Redis that is not there as long as it is so.
	p := start(t, node.with("REDIS_URL", "rediss://:very-hidden@"+encrypted), "serve")
	p.says(p.err, "redis is not there yet")
	p.says(p.err, `"msg":"serving"`)
	p.signal(syscall.SIGTERM)
	if code := p.wait(patience); code != 0 || strings.Contains(p.err.text(), "very-hidden") {
		t.Errorf("exit code %d", code)
	}
	right := start(t, node.with("REDIS_URL", "rediss://:of-the-cache@"+encrypted+"?skip_verify=true"), "serve")
	right.says(right.err, `"msg":"redis is there"`)
}

// forward gives two addresses that lead to a unix socket: one as it is and one through TLS, with a certificate that nobody trusts.
func forward(t *testing.T, socket string) (plain, encrypted string) {
	t.Helper()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	config := &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12}
	certificate.Close()
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	listen := func(wrap func(net.Conn) net.Conn) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		all.Go(func() {
			for {
				from, err := l.Accept()
				if err != nil {
					return
				}
				all.Go(func() { join(wrap(from), socket) })
			}
		})
		return l.Addr().String()
	}
	return listen(func(c net.Conn) net.Conn { return c }), listen(func(c net.Conn) net.Conn { return tls.Server(c, config) })
}

func join(from net.Conn, socket string) {
	defer from.Close()
	to, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

func TestSchemaThatDoesNotFit(t *testing.T) {
	t.Parallel()
	older := nodeEnv(testenv.EmptyDatabase(t))
	for _, line := range []string{"serve", "tenant create Acme --admin=a@b.example", "token create --agent=a@b.example"} {
		oneLine(t, command(t, older, strings.Fields(line)...), exitFailed, "older than this program: it is at 0", goodKey)
		oneLine(t, command(t, older, strings.Fields(line)...), exitFailed, "run `ochre migrate`", goodKey)
	}
	if n := number(t, older["DATABASE_URL"], "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables were made", n)
	}
	newer := nodeEnv(testenv.Database(t))
	number(t, newer["DATABASE_URL"], "WITH x AS (INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true) RETURNING 1) SELECT count(*) FROM x")
	const state = `SELECT (SELECT count(*) * 1000000 FROM goose_db_version) + count(*) FROM pg_attribute`
	before := number(t, newer["DATABASE_URL"], state)
	for _, line := range []string{"serve", "serve --migrate", "migrate", "token create --agent=a@b.example"} {
		oneLine(t, command(t, newer, strings.Fields(line)...), exitFailed, "the database's schema is newer than this program can live with", goodKey)
	}
	if after := number(t, newer["DATABASE_URL"], state); after != before {
		t.Error("a refused schema was changed")
	}
}

// number runs a statement that gives one number.
func number(t *testing.T, database, statement string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), statement).Scan(&n); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return n
}
