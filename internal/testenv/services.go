//go:build unix

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ochrehq/ochre/internal/localpg"
	"github.com/ochrehq/ochre/internal/localredis"
)

// Services are a PostgreSQL and a Redis for tests. The zero value has none.
type Services struct {
	DatabaseURL string // of database "postgres"; empty before StartPostgres
	RedisURL    string // empty before StartRedis

	folder string
	pg     *localpg.Server
	redis  *localredis.Server
}

// StartPostgres starts a PostgreSQL in a temporary folder.
func (s *Services) StartPostgres(ctx context.Context) (err error) {
	if s.folder, err = openFolder(); err != nil {
		return err
	}
	if s.pg, err = localpg.Start(ctx, localpg.Options{Dir: s.folder}); err != nil {
		return errors.Join(err, os.RemoveAll(s.folder))
	}
	s.DatabaseURL = s.pg.URL("postgres")
	return nil
}

// StartRedis starts a Redis.
func (s *Services) StartRedis(ctx context.Context) (err error) {
	if s.redis, err = localredis.Start(ctx); err != nil {
		return err
	}
	s.RedisURL = s.redis.URL()
	return nil
}

// Environment is the variables by which test processes find the services.
func (s *Services) Environment() []string {
	return []string{databaseVariable + "=" + s.DatabaseURL, redisVariable + "=" + s.RedisURL}
}

// Stop ends what was started here and removes its files.
func (s *Services) Stop() error {
	var err error
	if s.pg != nil {
		err = errors.Join(err, s.pg.Stop(), os.RemoveAll(s.pg.Dir()), os.RemoveAll(s.folder))
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Close())
	}
	return err
}

// openFolder makes a temporary folder that the account which PostgreSQL runs as can reach too.
func openFolder() (string, error) {
	dir, err := os.MkdirTemp("", "ochre-test-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the test services: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open the folder of the test services: %w", err)
	}
	return dir, nil
}
