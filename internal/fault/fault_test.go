package fault_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/internal/fault"
)

func TestHit(t *testing.T) {
	t.Parallel()
	armed, plain := build(t, "faults"), build(t, "")
	for _, p := range fault.All {
		if out, code := run(t, armed, string(p)+":2", "other", string(p), string(p), "end"); out != "other\n"+string(p)+"\n" || code != -1 {
			t.Errorf("%s:2: printed %q and exited with %d, want a kill at the second time", p, out, code)
		}
	}
	all := make([]string, len(fault.All))
	for i, p := range fault.All {
		all[i] = string(p)
	}
	everything := strings.Join(all, "\n") + "\n"
	if out, code := run(t, plain, all[0], all...); out != everything || code != 0 {
		t.Errorf("without the tag: printed %q and exited with %d", out, code)
	}
	if out, code := run(t, armed, "", all...); out != everything || code != 0 {
		t.Errorf("without the variable: printed %q and exited with %d", out, code)
	}
	for _, bad := range []string{"nowhere", all[0] + ":0", all[0] + ":x"} {
		if out, code := run(t, armed, bad, all...); out != "" || code != 2 {
			t.Errorf("OCHRE_FAULT=%s: printed %q and exited with %d, want 2 and nothing", bad, out, code)
		}
	}
}

func build(t *testing.T, tags string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "victim")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags", tags, "-o", name, "./testdata/victim")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return name
}

// run gives what the program printed and its exit code, -1 if it was killed.
func run(t *testing.T, program, plan string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(cmd.Environ(), "OCHRE_FAULT="+plan)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}
