//go:build unix

package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/internal/testenv"
)

func TestMistakesInTheCommandLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"srve":                           `unexpected argument srve, did you mean "serve"?`,
		"serve --migrat":                 `unknown flag --migrat, did you mean "--migrate"?`,
		"serve extra":                    "unexpected argument extra",
		"serve --migrate=perhaps":        "--migrate",
		"dev --adr=1":                    `unknown flag --adr, did you mean "--addr"?`,
		"dev --addr":                     "--addr: a value is missing",
		"dev --addr --reset":             "--addr: a value is missing",
		"dev --addr x":                   `--addr: "x" is no address`,
		"dev --sim-addr 127.0.0.1:99999": `--sim-addr: "99999" is no port`,
		"tok create":                     `did you mean "token"?`,
		"token":                          `expected one of "create", "revoke"`,
		"token create":                   "missing flags: --agent=EMAIL",
		"token revoke":                   `expected "<token>"`,
		"tenant":                         `expected "create"`,
		"tenant create Acme":             "missing flags: --admin=EMAIL",
		"agent create a@b.example --tenant=x --role=god": `--role must be one of "admin","agent"`,
		"slack":                           `expected "manifest"`,
		"slack manifest":                  "missing flags: --url=URL",
		"slack manifest --url foo":        "--url must begin with http:// or https://",
		"slack manifest --url https://":   "--url has no host",
		"slacksim --addr :::":             "is no address",
		"slacksim --events-url localhost": "--events-url must begin with http:// or https://",
		"help nothing":                    "unexpected argument nothing",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			oneLine(t, command(t, nil, strings.Fields(line)...), exitUsage, want)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "token create --agent=EMAIL", "help": "slack manifest --url=URL", "--help": "serve [flags]", "-h": "Commands:",
		"help dev": "--data-dir", "dev --help": "127.0.0.1:8080", "token revoke --help": "<token>",
	} {
		got := command(t, nil, strings.Fields(line)...)
		if got.code != 0 || got.err != "" || !strings.Contains(got.out, want) || strings.Contains(got.out, "--forget") {
			t.Errorf("ochre %s: %+v", line, got)
		}
	}
}

func TestMistakesInTheConfiguration(t *testing.T) {
	t.Parallel()
	good := nodeEnv("postgres://ochre:pass-of-db@127.0.0.1:1/ochre")
	for _, test := range []struct {
		name, value string
		code        int
		want        string
	}{
		{"OCHRE_SECRET_KEY", "", exitUsage, "not set: OCHRE_SECRET_KEY"},
		{"OCHRE_SECRET_KEY", goodKey[:31], exitUsage, "OCHRE_SECRET_KEY is too short: at least 32 bytes"},
		{"OCHRE_SECRET_KEY", "Change-Me-8c1d7e2f4a5b6c7d8e9f0a1b", exitUsage, "OCHRE_SECRET_KEY is a known default"},
		{"OCHRE_SECRET_KEY", strings.Repeat("secret", 6), exitUsage, "OCHRE_SECRET_KEY is something short over and over"},
		{"OCHRE_SECRET_KEY", strings.Repeat("0", 32), exitUsage, "OCHRE_SECRET_KEY is something short over and over"},
		{"OCHRE_SECRET_KEY_OLD", goodKey + ",of-last-year", exitUsage, "OCHRE_SECRET_KEY_OLD is too short"},
		{"DATABASE_URL", "", exitUsage, "not set: DATABASE_URL"},
		{"SLACK_SIGNING_SECRET", "", exitUsage, "not set: SLACK_SIGNING_SECRET"},
		{"OCHRE_ADDR", "8080", exitUsage, `OCHRE_ADDR: "8080" is no address`},
		{"OCHRE_METRICS_ADDR", "localhost:many", exitUsage, `OCHRE_METRICS_ADDR: "many" is no port`},
		{"OCHRE_LOG_LEVEL", "loud", exitUsage, `OCHRE_LOG_LEVEL is "loud"; want debug`},
		{"SLACK_API_URL", "https://slack.example/", exitUsage, "SLACK_API_URL must end in /api/"},
		{"DATABASE_URL", "host=db password=very-hidden", exitFailed, "DATABASE_URL must begin with postgres:// or postgresql://"},
		{"DATABASE_URL", "postgres://u:very-hidden@db:port/x", exitFailed, "DATABASE_URL can't be parsed"},
		{"DATABASE_URL", "postgres://u:very-hidden@db/x?sslmode=sometimes", exitFailed, "database URL: it can't be parsed"},
		{"REDIS_URL", "redis://:very-hidden@cache:port", exitFailed, "REDIS_URL can't be parsed"},
		{"REDIS_URL", "rediss://:very-hidden@cache/not-a-number", exitFailed, "REDIS_URL can't be parsed"},
		{"REDIS_URL", "unix://:very-hidden@", exitFailed, "REDIS_URL can't be parsed"},
		{"REDIS_URL", "cache:6379", exitFailed, "REDIS_URL must begin with redis://"},
		{"OCHRE_PUBLIC_URL", "ochre.example", exitUsage, "OCHRE_PUBLIC_URL must begin with http:// or https://"},
		{"OCHRE_PUBLIC_URL", "http://:8080", exitUsage, "OCHRE_PUBLIC_URL has no host"},
	} {
		t.Run(test.name+" "+test.want, func(t *testing.T) {
			t.Parallel()
			never := []string{goodKey, "pass-of-db", "very-hidden", "of-the-client", "of-the-signature", "of-last-year"}
			if test.code == exitUsage && strings.Contains(test.name, "KEY") && test.value != "" {
				never = append(never, test.value)
			}
			oneLine(t, command(t, good.with(test.name, test.value), "serve"), test.code, test.want, never...)
		})
	}
}

func TestMistakesBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	for line, e := range map[string]env{
		"migrate":                          {},
		"token create --agent=a@b.example": {"OCHRE_PUBLIC_URL": "http://ochre.example"},
	} {
		oneLine(t, command(t, e, strings.Fields(line)...), exitUsage, "not set: DATABASE_URL")
	}
	for _, line := range []string{"tenant create Acme --admin=a@b.example", "agent create a@b.example --tenant=c@d.example"} {
		oneLine(t, command(t, nil, strings.Fields(line)...), exitUsage, "not set: OCHRE_PUBLIC_URL")
	}
	oneLine(t, command(t, env{"OCHRE_DEV_TOKEN": "two words"}, "dev"), exitUsage, "OCHRE_DEV_TOKEN", "two words")
}

func TestSlackManifest(t *testing.T) {
	t.Parallel()
	got := command(t, nil, "slack", "manifest", "--url", "https://ochre.example/")
	var manifest struct {
		Settings struct {
			Events struct {
				URL string `json:"request_url"`
			} `json:"event_subscriptions"`
		}
	}
	if err := json.Unmarshal([]byte(got.out), &manifest); err != nil || got.code != 0 || got.err != "" {
		t.Fatalf("%v: %+v", err, got)
	}
	if manifest.Settings.Events.URL != "https://ochre.example/slack/events" {
		t.Errorf("events go to %q", manifest.Settings.Events.URL)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	want := taken + " is taken by another program"
	oneLine(t, command(t, nil, "slacksim", "--addr", taken), exitFailed, want)
	oneLine(t, command(t, nil, "dev", "--addr", taken), exitFailed, want)
	node := nodeEnv(testenv.SharedDatabase(t))
	oneLine(t, command(t, node.with("OCHRE_ADDR", taken), "serve"), exitFailed, want)
	oneLine(t, command(t, node.with("OCHRE_METRICS_ADDR", taken), "serve"), exitFailed, want)
	oneLine(t, command(t, node.with("OCHRE_ADDR", "203.0.113.1:80"), "serve"), exitFailed, "listen on 203.0.113.1:80: ")
}
