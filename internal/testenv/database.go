//go:build unix

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ochrehq/ochre/store"
)

// templateName is the database that Database copies: migrating once and copying is ten times quicker than migrating each.
const templateName = "ochre_template"

// makeTemplate makes the template database unless another test or package of the run has.
func makeTemplate(t testing.TB, admin string) {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	if environment.template {
		return
	}
	if err := ensureTemplate(limited(t), admin); err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	environment.template = true
}

// ensureTemplate holds a lock of the server while it works, since several packages may come at once. The database gets its name
// last, so that one half migrated is never taken for it.
func ensureTemplate(ctx context.Context, admin string) (err error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "select pg_advisory_lock(hashtext($1))", templateName); err != nil {
		return err
	}
	var there bool
	if err := conn.QueryRow(ctx, "select exists(select from pg_database where datname = $1)", templateName).Scan(&there); err != nil {
		return err
	}
	if there {
		return nil
	}
	const unfinished = templateName + "_new"
	for _, sql := range []string{"drop database if exists " + unfinished + " with (force)", "create database " + unfinished} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	u, err := withDatabase(admin, unfinished)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, u); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "alter database "+unfinished+" rename to "+templateName)
	return err
}

func exec(t testing.TB, admin, sql string) {
	t.Helper()
	if err := execute(limited(t), admin, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func execute(ctx context.Context, databaseURL, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func inDatabase(t testing.TB, admin, name string) string {
	t.Helper()
	u, err := withDatabase(admin, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// withDatabase is the URL of another database of the same server.
func withDatabase(databaseURL, name string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", fmt.Errorf("the test server's URL: %w", err)
	}
	u.Path = "/" + name
	return u.String(), nil
}
