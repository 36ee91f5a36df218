package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ochrehq/ochre/internal/fixture"
	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, func() error { return goleak.Find() }) }

// world is a tenant of its own in the database that all tests share.
func world(t *testing.T) *fixture.World {
	t.Helper()
	return fixture.New(t, fixture.Open(t, testenv.SharedDatabase(t)))
}
