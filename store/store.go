// Package store keeps Ochre's state in PostgreSQL. Every method takes the tenant and can read or write nothing of another.
// Reads hang on queries, which Store and Tx both embed: they work inside and outside a transaction. Writes hang on Tx only.
package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/internal/fault"
)

// Options configures a Store. The zero value is fine.
type Options struct {
	MaxConns int32 // of the pool, which gorm and pgx share; 0: 20
	// Committed is told the events of a transaction after it has committed, in the order of their seq. It must not block.
	Committed func(tenant ochre.ID, events []ochre.Event)
	// Wake is told after a commit that items wait in a queue. It must not block.
	Wake func(Queue)
}

// Store is the door to PostgreSQL. It is safe for concurrent use.
type Store struct {
	queries
	pool      *pgxpool.Pool
	committed func(ochre.ID, []ochre.Event)
	wake      func(Queue)
}

// queries holds the reads. db is the pool or a transaction.
type queries struct{ db *gorm.DB }

// Open connects to the database. It does not wait for it: the first query tells whether it is there.
func Open(ctx context.Context, databaseURL string, o Options) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", hideURL(err))
	}
	cfg.MaxConns = o.MaxConns
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 20
	}
	cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "ochre"
	}
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "30s"
	cfg.ConnConfig.RuntimeParams["lock_timeout"] = "10s"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: stdlib.OpenDBFromPool(pool)}), &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard, // errors are returned; its lines would hold the values, which are customers' words
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open gorm: %w", err)
	}
	committed := o.Committed
	if committed == nil {
		committed = func(ochre.ID, []ochre.Event) {}
	}
	wake := o.Wake
	if wake == nil {
		wake = func(Queue) {}
	}
	return &Store{queries: queries{db}, pool: pool, committed: committed, wake: wake}, nil
}

// Close ends all connections.
func (s *Store) Close() {
	if db, err := s.db.DB(); err == nil {
		_ = db.Close()
	}
	s.pool.Close()
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// errBadURL stands for a refused database URL, whose own error text would print the password.
var errBadURL = errors.New("it can't be parsed; want postgres://user:password@host:port/database")

func hideURL(error) error { return errBadURL }

// Tx is one transaction of one tenant. What it logs becomes events at its end, as the last statement before the commit.
type Tx struct {
	queries
	Tenant ochre.ID
	now    time.Time
	logged []ochre.Event
	places map[eventKey]int // in logged
	items  []NewItem
}

// Tx runs f in one transaction of a tenant: it is committed when f returns nil, and rolled back otherwise. Serialization failures and
// deadlocks are tried again, so f must have no effect outside. After the commit the events that f logged are handed to Options.Committed.
func (s *Store) Tx(ctx context.Context, tenant ochre.ID, now time.Time, f func(tx *Tx) error) error {
	var logged []ochre.Event
	var items []NewItem
	var err error
	for range 4 {
		err = s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			tx := &Tx{queries: queries{db}, Tenant: tenant, now: now.UTC().Truncate(time.Microsecond), places: map[eventKey]int{}}
			if err := f(tx); err != nil {
				return err
			}
			if err := tx.writeItems(ctx); err != nil {
				return err
			}
			if err := tx.writeLog(); err != nil {
				return err
			}
			logged, items = tx.logged, tx.items
			return nil
		})
		if !retryable(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	fault.Hit(fault.BeforePublish)
	if len(logged) > 0 {
		s.committed(tenant, logged)
	}
	for _, it := range items {
		s.wake(it.Queue)
	}
	return nil
}

// Now is the time of the transaction's change, to the microsecond, in UTC.
func (tx *Tx) Now() time.Time { return tx.now }

// pgError gives PostgreSQL's SQLSTATE, or "".
func pgCode(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func retryable(err error) bool {
	switch pgCode(err) {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	}
	return false
}

// IsUnique tells whether err is the refusal of a second row where one is allowed, by the named constraint or index.
func IsUnique(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" && pg.ConstraintName == constraint
}

// IsUnavailable tells whether err means that the database could not be reached or did not answer in time, rather than that it refused.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "08", "53", "57": // connection, resources, operator intervention
			return true
		}
		return pg.Code == "55P03" // lock_not_available
	}
	var refused *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &refused) || errors.As(err, &network) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// one turns gorm's answer to Scan into ErrNotFound where there was no row.
func one[T any](row *T, res *gorm.DB) (*T, error) {
	if res.Error != nil {
		return nil, res.Error
	}
	if res.RowsAffected == 0 {
		return nil, ochre.ErrNotFound
	}
	return row, nil
}

// IsRefused tells whether the database is there and refuses the user, the password or the database's name.
func IsRefused(err error) bool {
	switch code := pgCode(err); code {
	case "28P01", "28000", "3D000":
		return true
	}
	return false
}
