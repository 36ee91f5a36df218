//go:build unix

// Package testenv gives tests a real PostgreSQL and a real Redis.
//
// Under `make test` all packages share one of each, which cmd/testrun starts and names in two variables of the environment. Without
// these, as in a bare `go test ./store`, each package starts its own when it first asks. A service that happens to run on the
// machine is never used. A package that asks for either has, in one of its test files:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre/internal/localpg"
	"github.com/ochrehq/ochre/internal/localredis"
	"github.com/ochrehq/ochre/store"
)

// What cmd/testrun sets: the URL of database "postgres" of the shared server, and that of the shared Redis.
const (
	databaseVariable = "OCHRE_TEST_DATABASE_URL"
	redisVariable    = "OCHRE_TEST_REDIS_URL"
)

// startLimit bounds what a service or a database may take to come up on a busy machine.
const startLimit = 2 * time.Minute

// environment is what the test process shares. It is the package's one piece of global state, because TestMain and the tests have
// no other way to meet.
var environment struct {
	sync.Mutex
	main     bool // Main is running
	services Services
	template bool   // the template database is known to be there
	shared   string // the URL of SharedDatabase
}

// Main runs the tests, stops what they started, then runs the checks (goleak.Find, say), and exits.
func Main(m *testing.M, checks ...func() error) {
	environment.Lock()
	environment.main = true
	environment.services = Services{DatabaseURL: os.Getenv(databaseVariable), RedisURL: os.Getenv(redisVariable)}
	environment.Unlock()

	code := m.Run()

	err := dropShared()
	err = errors.Join(err, environment.services.Stop())
	if code == 0 {
		for _, check := range checks {
			err = errors.Join(err, check())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "after the tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Redis is the URL of a Redis that all tests share: use keys and channels that no other test has.
func Redis(t testing.TB) string {
	t.Helper()
	s := use(t)
	defer environment.Unlock()
	if s.RedisURL == "" {
		if err := s.StartRedis(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	return s.RedisURL
}

// OwnRedis is a Redis of the test alone, to be stopped and frozen at will. It ends with the test.
func OwnRedis(t testing.TB) *localredis.Server {
	t.Helper()
	s, err := localredis.Start(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Database is the URL of a new, migrated database of the test alone. It is dropped when the test ends, whoever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	admin := postgres(t)
	makeTemplate(t, admin)
	return temporary(t, admin, " template "+templateName)
}

// EmptyDatabase is Database without a schema.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return temporary(t, postgres(t), "")
}

// SharedDatabase is the URL of a migrated database that all tests of the package share: quicker than Database, for tests that keep
// to tenants of their own.
func SharedDatabase(t testing.TB) string {
	t.Helper()
	admin := postgres(t)
	makeTemplate(t, admin)
	environment.Lock()
	defer environment.Unlock()
	if environment.shared == "" {
		name := "shared_" + strings.ToLower(rand.Text())
		exec(t, admin, "create database "+name+" template "+templateName)
		environment.shared = inDatabase(t, admin, name)
	}
	return environment.shared
}

// Postgres is a server of the test alone, to be stopped, killed and frozen at will, with a migrated database "ochre". It ends with
// the test.
func Postgres(t testing.TB) *localpg.Server {
	t.Helper()
	dir, err := openFolder()
	if err != nil {
		t.Fatal(err)
	}
	s, err := localpg.Start(limited(t), localpg.Options{Dir: dir, Log: t.Output()})
	if err != nil {
		t.Fatal(errors.Join(err, os.RemoveAll(dir)))
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(), os.RemoveAll(s.Dir()), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := s.EnsureDatabase(limited(t), "ochre"); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(limited(t), s.URL("ochre")); err != nil {
		t.Fatal(err)
	}
	return s
}

// use locks the environment and returns its services.
func use(t testing.TB) *Services {
	t.Helper()
	environment.Lock()
	if !environment.main {
		environment.Unlock()
		t.Fatal("this package needs: func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	return &environment.services
}

// postgres is the URL of the shared server's database "postgres".
func postgres(t testing.TB) string {
	t.Helper()
	s := use(t)
	defer environment.Unlock()
	if s.DatabaseURL == "" {
		if err := s.StartPostgres(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	return s.DatabaseURL
}

// limited is a context for setting up and clearing away, which outlives the test's own.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startLimit)
	t.Cleanup(cancel)
	return ctx
}

// temporary makes a database and drops it with the test.
func temporary(t testing.TB, admin, with string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	exec(t, admin, "create database "+name+with)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startLimit) // its time begins now, however long the test took
		defer cancel()
		if err := execute(ctx, admin, "drop database "+name+" with (force)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return inDatabase(t, admin, name)
}

func dropShared() error {
	environment.Lock()
	defer environment.Unlock()
	if environment.shared == "" {
		return nil
	}
	config, err := pgx.ParseConfig(environment.shared)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return execute(ctx, environment.services.DatabaseURL, "drop database "+config.Database+" with (force)")
}
