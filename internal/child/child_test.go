//go:build unix

package child

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell starts a script that prints a line when it is ready for signals.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = in
	p, err := Start(cmd, syscall.SIGKILL)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the script said %q: %v", line, err)
	}
	return p
}

func TestStopEscalates(t *testing.T) {
	t.Parallel()
	const wait = 200 * time.Millisecond
	steps := []Step{{syscall.SIGINT, wait}, {syscall.SIGTERM, wait}}
	for script, after := range map[string]string{
		`trap "exit 0" INT; echo ready; while :; do :; done`:                "",
		`trap "" INT; trap "exit 0" TERM; echo ready; while :; do :; done`:  syscall.SIGTERM.String(),
		`trap "" INT TERM; echo ready; while :; do :; done`:                 syscall.SIGKILL.String(),
		`echo ready; exit 3 # is gone before it is asked, and nobody minds`: "",
	} {
		p := shell(t, script)
		err := p.Stop(steps...)
		select {
		case <-p.Done():
		default:
			t.Errorf("%s: still runs after Stop", script)
		}
		if after == "" && err != nil || after != "" && (err == nil || !strings.Contains(err.Error(), after)) {
			t.Errorf("%s: %v, want ended after %q", script, err, after)
		}
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("a signal to one that is gone: %v", err)
		}
	}
}

func TestErrSaysHowItEnded(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo ready; exit 3")
	<-p.Done()
	if err := p.Err(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("Err() = %v", err)
	}
}

func TestOwnGroup(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo ready; sleep 60")
	group, err := syscall.Getpgid(p.Pid())
	if err != nil || group != p.Pid() {
		t.Errorf("the group is %d, %v: a Ctrl-C would reach the child", group, err)
	}
	if err := syscall.Kill(-p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if _, err := Start(exec.Command("/nowhere/at-all"), syscall.SIGKILL); err == nil {
		t.Error("a program that isn't there was started")
	}
}
