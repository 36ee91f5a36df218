package slackbridge

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, func() error { return goleak.Find() })
}
