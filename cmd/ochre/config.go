package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/ochrehq/ochre/internal/secret"
)

// config is what a node is configured with. Its secrets are never printed.
type config struct {
	DatabaseURL   string
	RedisURL      string // "": one node alone, without live updates from others
	PublicURL     string // without a slash at the end
	Addr          string
	MetricsAddr   string // listener of /metrics; "": none
	MetricsToken  string
	SecretKey     string
	SecretKeyOld  []string
	SlackClientID string
	SlackSecret   string // of the client
	SlackSigning  string
	SlackAPIURL   string // ends in a slash; "": the real one
}

// knownDefaults are secrets that stand in somebody's example.
var knownDefaults = []string{"changeme", "change-me", "secret", "example", "insecure"}

// configFromEnv reads what `ochre serve` needs. Errors name the variable, never its value.
func configFromEnv() (config, error) {
	c := config{
		DatabaseURL: os.Getenv("DATABASE_URL"), RedisURL: os.Getenv("REDIS_URL"), PublicURL: strings.TrimRight(os.Getenv("OCHRE_PUBLIC_URL"), "/"),
		Addr: os.Getenv("OCHRE_ADDR"), MetricsAddr: os.Getenv("OCHRE_METRICS_ADDR"), MetricsToken: os.Getenv("OCHRE_METRICS_TOKEN"),
		SecretKey: os.Getenv("OCHRE_SECRET_KEY"), SlackClientID: os.Getenv("SLACK_CLIENT_ID"), SlackSecret: os.Getenv("SLACK_CLIENT_SECRET"),
		SlackSigning: os.Getenv("SLACK_SIGNING_SECRET"), SlackAPIURL: os.Getenv("SLACK_API_URL"),
	}
	for old := range strings.SplitSeq(os.Getenv("OCHRE_SECRET_KEY_OLD"), ",") {
		if old != "" {
			c.SecretKeyOld = append(c.SecretKeyOld, old)
		}
	}
	if c.Addr == "" {
		c.Addr = ":8080"
	}
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"DATABASE_URL", c.DatabaseURL}, {"OCHRE_PUBLIC_URL", c.PublicURL}, {"OCHRE_SECRET_KEY", c.SecretKey},
		{"SLACK_CLIENT_ID", c.SlackClientID}, {"SLACK_CLIENT_SECRET", c.SlackSecret}, {"SLACK_SIGNING_SECRET", c.SlackSigning},
	} {
		if v.value == "" {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		return c, usageError{fmt.Errorf("not set: %s", strings.Join(missing, ", "))}
	}
	return c, c.check()
}

// check refuses values that can't be right. A URL that can't be parsed ends with exit code 1 as a refused connection does.
func (c *config) check() error {
	for _, s := range append([]string{c.SecretKey}, c.SecretKeyOld...) {
		if err := checkSecret(s); err != nil {
			return usageError{err}
		}
	}
	for _, u := range []struct {
		name, value string
		schemes     []string
	}{
		{"OCHRE_PUBLIC_URL", c.PublicURL, []string{"http", "https"}},
		{"DATABASE_URL", c.DatabaseURL, []string{"postgres", "postgresql"}},
		{"REDIS_URL", c.RedisURL, []string{"redis", "rediss", "unix"}},
		{"SLACK_API_URL", c.SlackAPIURL, []string{"http", "https"}},
	} {
		if u.value == "" {
			continue
		}
		if err := checkURL(u.name, u.value, u.schemes); err != nil {
			return err
		}
	}
	if c.SlackAPIURL != "" && !strings.HasSuffix(c.SlackAPIURL, "/api/") {
		return usageError{errors.New("SLACK_API_URL must end in /api/")}
	}
	return nil
}

func checkSecret(s string) error {
	if len(s) < secret.MinLength {
		return fmt.Errorf("OCHRE_SECRET_KEY is too short: at least %d bytes, such as from `openssl rand -base64 48`", secret.MinLength)
	}
	lower := strings.ToLower(s)
	for _, d := range knownDefaults {
		if strings.Contains(lower, d) {
			return errors.New("OCHRE_SECRET_KEY is a known default: make your own, such as by `openssl rand -base64 48`")
		}
	}
	if strings.Count(s, s[:1]) == len(s) {
		return errors.New("OCHRE_SECRET_KEY is one character repeated: make your own, such as by `openssl rand -base64 48`")
	}
	return nil
}

// checkURL refuses what is no URL of the schemes. It never prints the value, which may hold a password.
func checkURL(name, value string, schemes []string) error {
	u, err := url.Parse(value)
	if err != nil {
		return fmt.Errorf("%s can't be parsed as a URL", name)
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return nil
		}
	}
	return fmt.Errorf("%s must begin with %s://", name, strings.Join(schemes, ":// or "))
}
