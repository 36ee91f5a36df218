//go:build unix

package testenv_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, func() error { return goleak.Find() })
}

func query(t *testing.T, url, sql string) (answer int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

const countTables = "select count(*) from pg_tables where schemaname = 'public'"

func TestDatabaseIsMigratedAndOwn(t *testing.T) {
	t.Parallel()
	one, two := testenv.Database(t), testenv.Database(t)
	if one == two {
		t.Fatal("one database for two")
	}
	if query(t, one, countTables) == 0 || query(t, one, countTables) != query(t, two, countTables) {
		t.Error("the databases are not migrated alike")
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var url string
	var held *pgx.Conn
	t.Run("use", func(t *testing.T) {
		url = testenv.Database(t)
		var err error
		if held, err = pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	if held.Ping(t.Context()) == nil {
		t.Error("the database of a test that ended still answers")
	}
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("the database of a test that ended is still there")
	}
}

func TestSharedDatabase(t *testing.T) {
	t.Parallel()
	first := testenv.SharedDatabase(t)
	if again := testenv.SharedDatabase(t); again != first {
		t.Error("two shared databases")
	}
	if query(t, first, countTables) == 0 {
		t.Error("the shared database is not migrated")
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	if n := query(t, testenv.EmptyDatabase(t), countTables); n != 0 {
		t.Errorf("an empty database has %d tables", n)
	}
}

func TestOwnPostgres(t *testing.T) {
	t.Parallel()
	s := testenv.Postgres(t)
	if query(t, s.URL("ochre"), countTables) == 0 {
		t.Error("the own server's database is not migrated")
	}
}

func TestRedis(t *testing.T) {
	t.Parallel()
	for _, url := range []string{testenv.Redis(t), testenv.OwnRedis(t).URL()} {
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(o)
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
