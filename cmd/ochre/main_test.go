//go:build unix

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ochrehq/ochre/internal/child"
	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // most of the time is spent on waiting for other processes
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	testenv.Main(m, func() error { return goleak.Find() })
}

// patience is how long a test waits for what should take a moment, on a machine that does a lot else.
const patience = 60 * time.Second

// program builds the program once, beside the test's own binary, which `go test` removes with its folder.
var program = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "ochre-under-test")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// env is what a process finds in its environment besides the PATH and the like.
type env map[string]string

// with gives a copy in which some are others; "" takes one away.
func (e env) with(name, value string) env {
	e = maps.Clone(e)
	e[name] = value
	return e
}

func (e env) list() []string {
	all := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	for name, value := range e {
		if value != "" {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// goodKey is a secret that is as it should be.
const goodKey = "q0Vb1nYw7mZr2kXt9sLc4pHf6uJd8gEa"

// nodeEnv configures a node that a database is all it needs.
func nodeEnv(database string) env {
	return env{
		"DATABASE_URL": database, "OCHRE_ADDR": "127.0.0.1:0", "OCHRE_PUBLIC_URL": "http://ochre.example", "OCHRE_SECRET_KEY": goodKey,
		"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "of-the-client", "SLACK_SIGNING_SECRET": "of-the-signature",
	}
}

// result is how a command ended. The exit code is -1 if it was killed.
type result struct {
	code     int
	out, err string
}

// command runs a command to its end.
func command(t testing.TB, e env, args ...string) result {
	t.Helper()
	p := start(t, e, args...)
	code := p.wait(patience)
	return result{code, p.out.text(), p.err.text()}
}

// process is a running command.
type process struct {
	*child.Process
	t        testing.TB
	out, err *book
}

// start runs a command, which ends with the test at the latest.
func start(t testing.TB, e env, args ...string) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, out: newBook(), err: newBook()}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = e.list(), t.TempDir(), p.out, p.err
	if p.Process, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
		if t.Failed() {
			t.Logf("ochre %s printed:\n%s\n%s", strings.Join(args, " "), p.out.text(), p.err.text())
		}
	})
	return p
}

// wait gives the exit code, -1 for a process that was killed.
func (p *process) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(limit):
		p.t.Fatalf("it runs after %s still", limit)
	}
	var exit *exec.ExitError
	switch err := p.Err(); {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		p.t.Fatal(err)
		return -1
	}
}

// says waits until a text is in what the process prints, and gives the line that it is in.
func (p *process) says(b *book, want string) string {
	p.t.Helper()
	over := time.After(patience)
	for {
		text, more := b.now()
		if _, after, ok := strings.Cut(text, want); ok && strings.Contains(after, "\n") {
			before, _, _ := strings.Cut(text, want)
			rest, _, _ := strings.Cut(after, "\n")
			return before[strings.LastIndex(before, "\n")+1:] + want + rest
		}
		select {
		case <-more:
		case <-p.Done():
			if text, _ := b.now(); !strings.Contains(text, want) {
				p.t.Fatalf("it ended without %q", want)
			}
		case <-over:
			p.t.Fatalf("it does not print %q", want)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// book keeps what a process prints.
type book struct {
	mu   sync.Mutex
	all  bytes.Buffer
	more chan struct{}
}

func newBook() *book { return &book{more: make(chan struct{})} }

// Write implements io.Writer.
func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all.Write(p)
	close(b.more)
	b.more = make(chan struct{})
	return len(p), nil
}

// now gives what is there, and a channel that is closed when there is more.
func (b *book) now() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String(), b.more
}

func (b *book) text() string {
	text, _ := b.now()
	return text
}

// oneLine checks that a failed command said what it had to in one line on stderr, and nothing that is secret.
func oneLine(t testing.TB, got result, code int, want string, never ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d", got.code, code)
	}
	last := strings.TrimSuffix(got.err, "\n")
	if code == exitUsage && strings.Contains(last, "\n") {
		t.Errorf("more than one line: %q", got.err)
	}
	last = last[strings.LastIndex(last, "\n")+1:]
	if !strings.HasPrefix(last, "ochre: ") || !strings.Contains(last, want) {
		t.Errorf("said %q, want %q", last, want)
	}
	if got.out != "" {
		t.Errorf("printed on stdout: %q", got.out)
	}
	for _, s := range never {
		if strings.Contains(got.err, s) {
			t.Errorf("printed the secret %q: %q", s, got.err)
		}
	}
}
