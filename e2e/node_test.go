//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ochrehq/ochre/internal/child"
	"github.com/ochrehq/ochre/internal/fault"
)

// patience is how long a test waits for what should take a moment, on a machine that does a lot else.
const patience = 60 * time.Second

// node is one `ochre serve`.
type node struct {
	t    testing.TB
	url  string // its own address, past the load balancer
	proc *child.Process
	logs *logbook
}

// environment is what every command and node of a world is configured with.
func (w *world) environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
		"DATABASE_URL=" + w.database, "REDIS_URL=" + w.redis, "OCHRE_PUBLIC_URL=" + w.url, "OCHRE_ADDR=127.0.0.1:0",
		"OCHRE_SECRET_KEY=of-the-end-to-end-tests-0123456789-abcdefghijklm",
		"SLACK_CLIENT_ID=" + w.slack.app.ClientID, "SLACK_CLIENT_SECRET=" + w.slack.app.ClientSecret,
		"SLACK_SIGNING_SECRET=" + w.slack.app.SigningSecret, "SLACK_API_URL=" + w.slack.url + "/api/",
		"GORACE=halt_on_error=1",
	}
}

// ochre runs a command to its end and gives what it printed on stdout.
func (w *world) ochre(args ...string) string {
	w.t.Helper()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.environment(), &out, &problems
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("ochre %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return strings.TrimSpace(out.String())
}

// startNode starts a node and puts it behind the world's address.
func (w *world) startNode(env ...string) *node {
	w.t.Helper()
	n := w.startNodeAside(env...)
	w.balancer.send(n.url)
	return n
}

// startNodeAside starts a node that gets nothing from the world's address.
func (w *world) startNodeAside(env ...string) *node {
	w.t.Helper()
	n := &node{t: w.t, logs: &logbook{serving: make(chan string, 1)}}
	cmd := exec.Command(program, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(w.environment(), env...), n.logs, n.logs
	var err error
	if n.proc, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(n.clear)
	select {
	case addr := <-n.logs.serving:
		n.url = "http://" + addr
	case <-n.proc.Done():
		w.t.Fatalf("the node ended at once: %v\n%s", n.proc.Err(), n.logs.text())
	case <-time.After(patience):
		w.t.Fatalf("the node does not serve\n%s", n.logs.text())
	}
	return n
}

// clear ends what is left of the node and looks for what no node may do.
func (n *node) clear() {
	_ = n.proc.Signal(syscall.SIGKILL)
	<-n.proc.Done()
	text := n.logs.text()
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "a worker panicked", "goroutine 1 ["} {
		if strings.Contains(text, bad) {
			n.t.Errorf("a node's log says %q", bad)
		}
	}
	if n.t.Failed() {
		n.t.Logf("log of %s:\n%s", n.url, tail(text, 12_000))
	}
}

// stop tells the node to end, as an operator does, and checks that it does so in time and order.
func (n *node) stop() {
	n.t.Helper()
	began := time.Now()
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	select {
	case <-n.proc.Done():
	case <-time.After(patience):
		n.t.Fatal("the node does not end")
	}
	if err := n.proc.Err(); err != nil {
		n.t.Errorf("the node ended with %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		n.t.Errorf("the node took %s to end", took)
	}
}

// kill ends the node as a power cut does.
func (n *node) kill() {
	n.t.Helper()
	if err := n.proc.Signal(syscall.SIGKILL); err != nil {
		n.t.Fatal(err)
	}
	<-n.proc.Done()
}

// diesAt waits until the node has killed itself at the planned point, and fails where it does not come there.
func (n *node) diesAt(p fault.Point) {
	n.t.Helper()
	select {
	case <-n.proc.Done():
	case <-time.After(patience):
		n.t.Fatalf("the node was not killed: it never came to %s", p)
	}
	var exit *exec.ExitError
	status, ok := syscall.WaitStatus(0), false
	if errors.As(n.proc.Err(), &exit) {
		status, ok = exit.Sys().(syscall.WaitStatus)
	}
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		n.t.Fatalf("the node ended with %v, want SIGKILL", n.proc.Err())
	}
	if want := "fault: " + string(p) + "\n"; !strings.Contains(n.logs.text(), want) { // others may write a line before the signal is there
		n.t.Fatalf("the node was not killed at %s; its last words:\n%s", p, tail(n.logs.text(), 1000))
	}
}

// logbook keeps what a node writes and tells where it serves.
type logbook struct {
	mu      sync.Mutex
	all     bytes.Buffer
	scanned int
	serving chan string
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	for {
		line, _, whole := bytes.Cut(l.all.Bytes()[l.scanned:], []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.scanned += len(line) + 1
		var said struct{ Msg, Addr string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "serving" {
			l.serving <- said.Addr
		}
	}
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
