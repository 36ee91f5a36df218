//go:build unix

// Package e2e_test runs the real program, built with its fault points and (where the tests are) the race detector, against the Slack simulator over HTTP.
// Its tests tell what a customer, an agent and an operator do and see; a world is all that one test needs, and no two tests share one.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !given("test.parallel") { // most of the time is spent on waiting for leases and settle times, hardly any on work
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testenv.Main(m, func() error { return goleak.Find() })
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// program is what the tests run. It lies beside the tests' own binary, which `go test` removes with its folder.
var program string

// build builds the program before the clock of any test runs.
func build() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program = filepath.Join(filepath.Dir(self), "ochre-under-test")
	args := []string{"build", "-buildvcs=false", "-tags", "faults", "-o", program}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../cmd/ochre")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}
