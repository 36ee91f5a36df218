//go:build unix

package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMain plays the process that gets killed in TestParentKilled when that test asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCALPG_TEST_PARENT"); dir != "" {
		s, err := Start(context.Background(), Options{Dir: dir})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(s.proc.Pid())
		select {}
	}
	os.Exit(m.Run())
}

func TestStartKeepsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("deep/", 24), "postgres") // longer than a socket's path may be
	s := start(t, Options{Dir: dir, Fsync: true})
	if err := s.EnsureDatabase(t.Context(), "ochre"); err != nil {
		t.Fatal(err)
	}
	if err := s.EnsureDatabase(t.Context(), "ochre"); err != nil {
		t.Fatalf("for a database that is there: %v", err)
	}
	run(t, s.URL("ochre"), "create table kept (word text); insert into kept values ('Übergröße')")
	url := s.URL("ochre")
	stop(t, s)
	stop(t, s)

	s = start(t, Options{Dir: dir, Fsync: true})
	if s.URL("ochre") != url {
		t.Errorf("the URL changed with a restart: %s, then %s", url, s.URL("ochre"))
	}
	if got := query(t, url, "select lower(word) from kept"); got != "übergröße" {
		t.Errorf("after a restart: %q", got)
	}
	if got := query(t, url, "show fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
}

func TestNeverRoot(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: folder(t)})
	info, err := os.Stat(s.place.data())
	if err != nil {
		t.Fatal(err)
	}
	if info.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Error("the data belongs to root")
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("the data folder's mode is %o", got)
	}
}

func TestFolderIsTakenOnce(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, Options{Dir: dir})
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by another Ochre (process %d)", os.Getpid())) {
		t.Errorf("a second server in the same folder: %v", err)
	}
	if err := Reset(t.Context(), dir); err == nil {
		t.Error("the data of a running server was deleted")
	}
}

func TestDataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, Options{Dir: dir})
	stop(t, s)
	file := filepath.Join(s.place.data(), "PG_VERSION")
	if err := os.WriteFile(file, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "made by PostgreSQL 9") || !strings.Contains(err.Error(), "mv "+s.place.data()) {
		t.Fatalf("data of version 9: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.place.data(), "base")); err != nil {
		t.Errorf("the data was touched: %v", err)
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Dir: dir})
	stop(t, s)
	// The number of a process that lives and is no PostgreSQL: ours.
	pidFile := filepath.Join(s.place.data(), "postmaster.pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"+s.place.data()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Errorf("with a stale pid file: %v", err)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, Options{Dir: dir})
	run(t, s.URL("postgres"), "create table old ()")
	stop(t, s)
	if err := Reset(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	if got := query(t, s.URL("postgres"), "select count(*)::text from pg_tables where tablename = 'old'"); got != "0" {
		t.Error("the old data is still there")
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: folder(t), Port: freePort(t)})
	if got := query(t, s.URL("postgres"), "select 'hello'"); got != "hello" {
		t.Errorf("over TCP: %q", got)
	}
	_, err := pgx.Connect(t.Context(), strings.Replace(s.URL("postgres"), s.password, "guess", 1))
	if err == nil {
		t.Error("a wrong password was taken over TCP")
	}
}

func TestKillLosesNothingCommitted(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: folder(t)})
	run(t, s.URL("postgres"), "create table kept as select 1 as n")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), s.URL("postgres")); err == nil {
		t.Fatal("a killed server takes connections")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.URL("postgres"), "select n::text from kept"); got != "1" {
		t.Errorf("after a crash: %q", got)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: folder(t)})
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select 1")
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("a frozen server answered: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("after Continue: %v", err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop of a frozen server: %v", err)
	}
}

// TestParentKilled kills a process with a server as hard as can be and starts another in the same folder at once.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "LOCALPG_TEST_PARENT="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent said %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := parent.Wait(); !errors.As(err, &killed) {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
	if serves(pid, filepath.Join(dir, "data")) {
		t.Error("the killed process's server lives on")
	}
}

// TestUnreachableFolder is about root, whose server runs under another account. Anyone else's data stays where it was asked for.
func TestUnreachableFolder(t *testing.T) {
	t.Parallel()
	home := folder(t)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "ochre", "postgres")
	var log tail
	s := start(t, Options{Dir: dir, Log: &log})
	t.Cleanup(func() { os.RemoveAll(s.Dir()) })
	if os.Geteuid() != 0 {
		if s.Dir() != dir {
			t.Errorf("the data is in %s", s.Dir())
		}
		return
	}
	if filepath.Dir(s.Dir()) != elsewhere || !strings.Contains(log.String(), s.Dir()) {
		t.Errorf("the data is in %s, said: %s", s.Dir(), log.String())
	}
	run(t, s.URL("postgres"), "create table kept ()")
	stop(t, s)
	// Opened later, the folder must not hide the data that is already elsewhere.
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	query(t, s.URL("postgres"), "select count(*)::text from kept")
}

func TestMajorVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]int{
		"postgres (PostgreSQL) 15.10 (Debian 15.10-0+deb12u1)": 15,
		"postgres (PostgreSQL) 18beta1":                        18,
		"17\n":                                                 17,
		"":                                                     0,
	} {
		if got := majorVersion(said); got != want {
			t.Errorf("majorVersion(%q) = %d, want %d", said, got, want)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw, state string
		parent     int
	}{
		{"12 (postgres) S 7 12", "S", 7},
		{"12 (a ) Z 3 (b) Z 9 1", "Z", 9},
		{"12 (cut", "", 0},
		{"", "", 0},
	} {
		if state, parent := parseStat([]byte(c.raw)); state != c.state || parent != c.parent {
			t.Errorf("parseStat(%q) = %q, %d", c.raw, state, parent)
		}
	}
}

func TestBrokenPidFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "postmaster.pid")
	for _, content := range []string{"", "x\n", "-5\n", "1\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, err := readPid(file); err == nil {
			t.Errorf("readPid of %q = %d", content, pid)
		}
	}
}
