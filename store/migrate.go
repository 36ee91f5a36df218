package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // the pgx driver of database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Errors of CheckSchema.
var (
	ErrSchemaOlder = errors.New("the database's schema is older than this program")
	ErrSchemaNewer = errors.New("the database's schema is newer than this program can live with")
)

// Migrate brings the schema up to date. Nodes that do so at once wait for one another.
func Migrate(ctx context.Context, databaseURL string) error {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return fmt.Errorf("database URL: %w", hideURL(err))
	}
	defer func() { _ = db.Close() }()
	p, err := provider(db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// CheckSchema tells by ErrSchemaOlder or ErrSchemaNewer whether this program and the database fit. It changes nothing.
func (s *Store) CheckSchema(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	names, err := fs.Glob(sub, "*.sql")
	if err != nil {
		return err
	}
	var there bool
	if err := s.db.WithContext(ctx).Raw("SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&there).Error; err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	var have int
	if there {
		err = s.db.WithContext(ctx).Raw("SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have).Error
		if err != nil {
			return fmt.Errorf("read the schema's version: %w", err)
		}
	}
	switch want := len(names); { // migrations are numbered from 1 without holes
	case have < want:
		return fmt.Errorf("%w: it is at %d, the program needs %d", ErrSchemaOlder, have, want)
	case have > want:
		return fmt.Errorf("%w: it is at %d, the program knows %d", ErrSchemaNewer, have, want)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, sub, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}
