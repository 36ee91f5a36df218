//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDev is the life of one data folder: its path is long, below a folder that only its owner may enter, and the usual ports are taken.
func TestDev(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"8080", "8081"} {
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil { // else it is taken already
			t.Cleanup(func() { _ = l.Close() })
		}
	}
	f := newDevFolder(t)

	first := f.start(env{"OCHRE_LOG_LEVEL": "debug"})
	if line := first.says(first.out, "Port 8080 is taken: Ochre uses "); line == "" {
		t.Error("the port is not said")
	}
	says, id := first.facts(), first.worldID()
	refused := command(t, nil, "dev", "--reset", "--data-dir", f.dir)
	oneLine(t, refused, exitFailed, fmt.Sprintf("another `ochre dev` (process %d) runs in %s", first.Pid(), f.dir))
	first.talk()
	first.logHasNoSecrets(f)

	first.signal(syscall.SIGKILL)
	f.nothingRuns()
	again := f.start(nil)
	if got := again.facts(); got != says || again.worldID() != id {
		t.Errorf("after kill -9: %v %v, want %v %v", got, again.worldID(), says, id)
	}
	if !strings.Contains(again.ask(`{ conversations { nodes { title } } }`), plantedQuestion) {
		t.Error("after kill -9 the conversation is gone")
	}

	again.kill("slacksim", f)
	if code := again.wait(patience); code != exitFailed || !strings.Contains(again.err.text(), "ochre: the Slack simulator has ended; see "+f.dir) {
		t.Errorf("without its simulator it ended with %d", code)
	}
	f.nothingRuns()

	own := f.start(env{"OCHRE_DEV_TOKEN": "a-token-of-my-own"})
	if got := own.facts(); got.token != "a-token-of-my-own" || got.url != says.url || own.worldID() != id {
		t.Errorf("with OCHRE_DEV_TOKEN: %v %v", got, own.worldID())
	}
	own.ends(f)

	forgot := f.start(nil, "--reset")
	if forgot.worldID() == id || forgot.facts().token == says.token || strings.Contains(forgot.ask(`{ conversations { nodes { title } } }`), plantedQuestion) {
		t.Error("--reset forgets nothing")
	}
	id = forgot.worldID()
	forgot.ends(f)

	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	anew := f.start(nil)
	if anew.worldID() == id {
		t.Error("a deleted folder forgets nothing")
	}
	anew.ends(f)
}

func TestDevKeepsToItsOwnFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(dir, "secrets", "precious")
	if err := os.MkdirAll(filepath.Dir(precious), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--reset"}, {"--forget"}} {
		oneLine(t, command(t, nil, append([]string{"dev", "--data-dir", dir}, args...)...), exitFailed, dir+" holds other things than Ochre's")
	}
	oneLine(t, command(t, nil, "dev", "--data-dir", precious), exitFailed, "data folder: ")
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestReadyOnlyOnceSetUp(t *testing.T) {
	t.Parallel()
	d := &dev{ready: make(chan struct{})}
	if d.isReady(t.Context()) == nil {
		t.Error("ready before the set-up is done")
	}
	close(d.ready)
	if err := d.isReady(t.Context()); err != nil {
		t.Error(err)
	}
}

// devFolder is a data folder, and where PostgreSQL's data is.
type devFolder struct {
	t             testing.TB
	dir, postgres string
}

func newDevFolder(t *testing.T) *devFolder {
	t.Helper()
	private := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(private, strings.Repeat("d", max(1, 120-len(private)-len("//.ochre"))))
	f := &devFolder{t: t, dir: filepath.Join(deep, ".ochre")}
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(f.dir, "ochre.log")); t.Failed() && err == nil {
			t.Logf("the log ends:\n%s", log[max(0, len(log)-20_000):])
		}
		if got := command(t, nil, "dev", "--forget", "--data-dir", f.dir); got.code != 0 {
			t.Errorf("forget: %+v", got)
		}
		if f.postgres != "" && !strings.HasPrefix(f.postgres, f.dir) {
			if err := os.RemoveAll(f.postgres); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

// devProcess is an `ochre dev` that is ready.
type devProcess struct{ *process }

func (f *devFolder) start(e env, args ...string) *devProcess {
	f.t.Helper()
	d := &devProcess{start(f.t, e, append([]string{"dev", "--data-dir", f.dir}, args...)...)}
	line := d.says(d.out, "with its data in ")
	_, f.postgres, _ = strings.Cut(line, "with its data in ")
	d.says(d.out, "Ctrl-C ends it all.")
	over := time.After(patience)
	for {
		switch status, body := visit(f.t, d.facts().url+"/readyz"); status {
		case http.StatusOK:
			return d
		case http.StatusServiceUnavailable:
		default:
			f.t.Fatalf("/readyz: %d %s", status, body)
		}
		select {
		case <-over:
			f.t.Fatal("never ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// facts are what `ochre dev` prints for its user.
type facts struct{ url, simulator, token string }

var printed = regexp.MustCompile(`(?s)  Ochre +(\S+)\n.*  Slack +(\S+) .*  API token +(\S+)\n`)

func (d *devProcess) facts() facts {
	d.t.Helper()
	m := printed.FindStringSubmatch(d.out.text())
	if m == nil {
		d.t.Fatalf("it does not say where it is:\n%s", d.out.text())
	}
	return facts{m[1], m[2], m[3]}
}

func (d *devProcess) ask(query string) string {
	d.t.Helper()
	_, body := ask(d.t, d.facts().url, d.facts().token, query)
	return body
}

// worldID names who and what is there, by ids.
func (d *devProcess) worldID() string {
	d.t.Helper()
	return d.ask(`{ viewer { id } slackInstallations { id connected } channelLinks { nodes { id slackChannelName } } }`)
}

// ends presses Ctrl-C.
func (d *devProcess) ends(f *devFolder) {
	d.t.Helper()
	d.signal(syscall.SIGINT)
	if code := d.wait(patience); code != 0 || !strings.Contains(d.out.text(), "Ended. Everything is kept in "+f.dir) || d.err.text() != "" {
		d.t.Errorf("Ctrl-C ended it with %d", code)
	}
	f.nothingRuns()
}

// Texts that may be in no log.
const (
	plantedQuestion = "Planted-Question-Of-A-Customer"
	plantedReply    = "Planted-Reply-Of-An-Agent"
	plantedNote     = "Planted-Note-Of-An-Agent"
	plantedEmail    = "planted@ochre-labs.example"
)

// talk has a customer ask, and an agent note and answer.
func (d *devProcess) talk() {
	d.t.Helper()
	w := d.world()
	channel, customer := "", ""
	for _, c := range w.Channels {
		if c.IsExtShared && channel == "" {
			channel = c.ID
		}
	}
	for _, u := range w.Teams[1].Users {
		if !u.IsBot && customer == "" {
			customer = u.Token
		}
	}
	form := url.Values{"channel": {channel}, "text": {plantedQuestion}}.Encode()
	status, body := send(d.t, http.MethodPost, d.facts().simulator+"/api/chat.postMessage", form,
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + customer}})
	if status != http.StatusOK || !strings.Contains(body, `"ok":true`) {
		d.t.Fatal(body)
	}
	found := regexp.MustCompile(`"id":"(conv_[^"]+)"`).FindStringSubmatch(d.until(`{ conversations { nodes { id title } } }`, plantedQuestion))
	d.ask(fmt.Sprintf(`mutation { addNote(input: {conversationId: %q, body: %q}) { userErrors { code } } }`, found[1], plantedNote))
	d.ask(fmt.Sprintf(`mutation { postReply(input: {conversationId: %q, body: %q}) { userErrors { code } } }`, found[1], plantedReply))
	d.until(fmt.Sprintf(`{ conversation(by: {id: %q}) { timeline(first: 9) { nodes { ... on Message { delivery { state } } } } } }`, found[1]), `"SENT"`)
	d.ask(`{ conversations(first: "` + plantedQuestion + `") { nodes { id } } }`) // a mistake of a client
	for range 2 {                                                                 // the database refuses the second one
		d.ask(`mutation { inviteAgent(input: {email: "` + plantedEmail + `", role: AGENT}) { userErrors { code } } }`)
	}
}

func (d *devProcess) world() (w simWorld) {
	d.t.Helper()
	_, body := visit(d.t, d.facts().simulator+"/world")
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		d.t.Fatal(err)
	}
	return w
}

// until asks until the answer has a text.
func (d *devProcess) until(query, want string) string {
	d.t.Helper()
	over := time.After(patience)
	for {
		got := d.ask(query)
		if strings.Contains(got, want) {
			return got
		}
		select {
		case <-over:
			d.t.Fatalf("%s: %s, want %s", query, got, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logHasNoSecrets looks into the log, where everything that runs has written.
func (d *devProcess) logHasNoSecrets(f *devFolder) {
	d.t.Helper()
	signIn := regexp.MustCompile(`http://\S+/signin\?token=(\S+)`).FindStringSubmatch(d.out.text())
	visit(d.t, signIn[0])
	w := d.world()
	never := []string{plantedQuestion, plantedReply, plantedNote, plantedEmail, "xoxb-", "xoxp-", signIn[1], d.facts().token, w.App.ClientSecret, w.App.SigningSecret}
	err := filepath.WalkDir(filepath.Join(f.dir, "secrets"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "port") {
			return err
		}
		text, err := os.ReadFile(path)
		never = append(never, strings.TrimSpace(string(text)))
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(f.dir, "ochre.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, s := range never {
		for line := range strings.Lines(string(log)) {
			if len(s) == 0 || strings.Contains(line, s) {
				d.t.Errorf("%q is in the log: %s", s, line)
			}
		}
	}
	if !strings.Contains(string(log), `"msg":"serving"`) || !strings.Contains(string(log), "slack simulator") {
		d.t.Error("the log is not whole")
	}
}

// kill ends one of the processes of a folder by force.
func (d *devProcess) kill(name string, f *devFolder) {
	d.t.Helper()
	for pid, line := range f.processes() {
		if strings.Contains(line, name) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				d.t.Fatal(err)
			}
			return
		}
	}
	d.t.Fatalf("there is no %s", name)
}

// nothingRuns waits until no process of the folder is left.
func (f *devFolder) nothingRuns() {
	f.t.Helper()
	over := time.After(patience)
	for {
		left := f.processes()
		if len(left) == 0 {
			return
		}
		select {
		case <-over:
			f.t.Fatalf("left running: %v", left)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// processes gives the command lines that name the folder.
func (f *devFolder) processes() map[int]string {
	f.t.Helper()
	found := map[int]string{}
	for pid, line := range commandLines(f.t) {
		if strings.Contains(line, f.dir) || strings.Contains(line, f.postgres) {
			found[pid] = line
		}
	}
	return found
}

// commandLines of all processes, by what the machine has for it.
func commandLines(t testing.TB) map[int]string {
	t.Helper()
	all := map[int]string{}
	if entries, err := filepath.Glob("/proc/[0-9]*/cmdline"); err == nil && len(entries) > 0 {
		for _, e := range entries {
			raw, _ := os.ReadFile(e) // it may have gone; a zombie has none
			if pid, err := strconv.Atoi(strings.Split(e, "/")[2]); err == nil {
				all[pid] = strings.ReplaceAll(string(raw), "\x00", " ")
			}
		}
		return all
	}
	out, err := exec.Command("ps", "-axo", "pid=,command=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pid, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(pid); err == nil {
			all[n] = rest
		}
	}
	return all
}
