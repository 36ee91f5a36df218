//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/internal/testenv"
)

// TestPeopleAndTokens is an operator's first minutes with a new database: schema, company, colleague, token, and the token's end.
func TestPeopleAndTokens(t *testing.T) {
	t.Parallel()
	e := nodeEnv(testenv.EmptyDatabase(t))
	said := func(line string, args ...string) string {
		t.Helper()
		got := command(t, e, append(strings.Fields(line), args...)...)
		if got.code != 0 || got.err != "" {
			t.Fatalf("%s %q: %+v", line, args, got)
		}
		return got.out
	}
	for range 2 {
		if out := said("migrate"); out != "The schema is up to date.\n" {
			t.Errorf("migrate: %q", out)
		}
	}
	signIn := regexp.MustCompile(`(?m)^Sign in once within 30 minutes: (http://ochre\.example/signin\?token=\S{43})$`)
	if out := said("tenant create", "Acme Inc.", "--admin", "ada@acme.example"); !signIn.MatchString(out) || !strings.HasPrefix(out, "Created Acme Inc. with the admin ada@acme.example.\n") {
		t.Errorf("tenant create: %q", out)
	}
	out := said("agent create bob@acme.example --role admin --name", "Bob B.", "--tenant=ADA@acme.example")
	if !strings.HasPrefix(out, "Created Bob B. (bob@acme.example).\n") || !signIn.MatchString(out) {
		t.Errorf("agent create: %q", out)
	}
	if out := said("agent signin bob@acme.example"); !strings.Contains(out, "/signin?token=") {
		t.Errorf("agent signin: %q", out)
	}
	token := said("token create --agent bob@acme.example --name reports")
	if !regexp.MustCompile(`^ochre_[\w-]{43}\n$`).MatchString(token) {
		t.Errorf("token create prints %q, want the token alone", token)
	}
	token = strings.TrimSpace(token)

	node := start(t, e, "serve")
	at := served(node)
	if status, body := ask(t, at, token, `{ viewer { name email role } }`); status != http.StatusOK || !strings.Contains(body, `{"name":"Bob B.","email":"bob@acme.example","role":"ADMIN"}`) {
		t.Errorf("with the token: %d %s", status, body)
	}
	link, err := url.Parse(signIn.FindStringSubmatch(out)[1])
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := visit(t, at+"/signin?"+link.RawQuery); status != http.StatusOK {
		t.Errorf("the sign-in link: %d", status)
	}
	if out := said("token revoke", token); out != "Revoked the token \"reports\".\n" {
		t.Errorf("token revoke: %q", out)
	}
	if status, body := ask(t, at, token, `{ viewer { name } }`); !strings.Contains(body, "UNAUTHENTICATED") {
		t.Errorf("with the revoked token: %d %s", status, body)
	}

	for line, want := range map[string]struct {
		code int
		text string
	}{
		"tenant create Acme --admin=ada@acme.example":                {exitFailed, `An agent with the email "ada@acme.example" exists already.`},
		"tenant create Acme --admin=ada":                             {exitUsage, `"ada" is not an email address.`},
		"agent create BOB@acme.example --tenant=ada@acme.example":    {exitFailed, "exists already"},
		"agent create new@acme.example --tenant=nobody@acme.example": {exitFailed, "nobody has the email nobody@acme.example"},
		"agent signin nobody@acme.example":                           {exitFailed, `There is no active agent with the email "nobody@acme.example".`},
		"token create --agent=nobody@acme.example":                   {exitFailed, `There is no active agent with the email "nobody@acme.example".`},
		"token revoke ochre_unknown-and-hidden":                      {exitFailed, "There is no such token."},
	} {
		oneLine(t, command(t, e, strings.Fields(line)...), want.code, want.text, goodKey, "unknown-and-hidden")
	}
	if log := node.err.text(); strings.Contains(log, token) || strings.Contains(log, link.Query().Get("token")) {
		t.Error("a token is in the node's log")
	}
}

// served waits until a node serves and gives its address.
func served(node *process) string {
	node.t.Helper()
	var line struct{ Addr string }
	if err := json.Unmarshal([]byte(node.says(node.err, `"msg":"serving"`)), &line); err != nil {
		node.t.Fatal(err)
	}
	return "http://" + line.Addr
}

// browser keeps no connections, so that nothing is left of it after the tests.
var browser = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// ask sends a GraphQL request.
func ask(t testing.TB, at, token, query string) (status int, body string) {
	t.Helper()
	text, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	return send(t, http.MethodPost, at+"/graphql", string(text), http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}})
}

func visit(t testing.TB, address string) (status int, body string) {
	t.Helper()
	return send(t, http.MethodGet, address, "", nil)
}

func send(t testing.TB, method, address, body string, header http.Header) (int, string) {
	t.Helper()
	status, answer, err := try(method, address, body, header)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}
