package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

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

var (
	databaseSchemes = []string{"postgres", "postgresql"}
	redisSchemes    = []string{"redis", "rediss", "unix"}
	webSchemes      = []string{"http", "https"}
)

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
	if err := checkSecret("OCHRE_SECRET_KEY", c.SecretKey); err != nil {
		return usageError{err}
	}
	for _, old := range c.SecretKeyOld { // it may be weak: that is a reason to leave it
		if len(old) < secret.MinLength {
			return usageError{tooShort("a key of OCHRE_SECRET_KEY_OLD")}
		}
	}
	for _, a := range []struct{ name, value string }{{"OCHRE_ADDR", c.Addr}, {"OCHRE_METRICS_ADDR", c.MetricsAddr}} {
		if a.value == "" {
			continue
		}
		if err := checkAddr(a.value); err != nil {
			return usageError{fmt.Errorf("%s: %w", a.name, err)}
		}
	}
	for _, u := range []struct {
		name, value string
		schemes     []string
	}{
		{"OCHRE_PUBLIC_URL", c.PublicURL, webSchemes},
		{"DATABASE_URL", c.DatabaseURL, databaseSchemes},
		{"REDIS_URL", c.RedisURL, redisSchemes},
		{"SLACK_API_URL", c.SlackAPIURL, webSchemes},
	} {
		if u.value == "" {
			continue
		}
		err := checkURL(u.name, u.value, u.schemes)
		if err != nil && strings.HasPrefix(u.schemes[0], "http") {
			return usageError{err} // an address that we give out; one that we connect to fails as a connection does
		}
		if err != nil {
			return err
		}
	}
	if _, err := c.redis(); err != nil {
		return err
	}
	if c.SlackAPIURL != "" && !strings.HasSuffix(c.SlackAPIURL, "/api/") {
		return usageError{errors.New("SLACK_API_URL must end in /api/")}
	}
	return nil
}

// redis gives the options of REDIS_URL, nil if it is not set.
func (c *config) redis() (*redis.Options, error) {
	if c.RedisURL == "" {
		return nil, nil
	}
	o, err := redis.ParseURL(c.RedisURL)
	if err != nil { // its text would print the password
		return nil, errors.New("REDIS_URL can't be parsed; want redis://user:password@host:port/database")
	}
	return o, nil
}

// Words that stand for a secret in somebody's example, and the length up to which something repeated over and over is no secret.
var exampleWords = []string{"changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "insecure", "example"}

const shortRepeat = 8

func checkSecret(name, s string) error {
	const advice = "make your own, such as by `openssl rand -base64 48`"
	if len(s) < secret.MinLength {
		return tooShort(name)
	}
	lower := strings.ToLower(s)
	if slices.ContainsFunc(exampleWords, func(w string) bool { return strings.Contains(lower, w) }) {
		return fmt.Errorf("%s is a known default: %s", name, advice)
	}
	for n := 1; n <= shortRepeat; n++ {
		if strings.Repeat(s[:n], len(s)/n+1)[:len(s)] == s {
			return fmt.Errorf("%s is something short over and over: %s", name, advice)
		}
	}
	return nil
}

func tooShort(name string) error {
	return fmt.Errorf("%s is too short: at least %d bytes, such as from `openssl rand -base64 48`", name, secret.MinLength)
}

// checkURL refuses what is no URL of the schemes. It never prints the value, which may hold a password.
func checkURL(name, value string, schemes []string) error {
	u, err := url.Parse(value)
	if err != nil {
		return fmt.Errorf("%s can't be parsed as a URL", name)
	}
	if !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("%s must begin with %s://", name, strings.Join(schemes, ":// or "))
	}
	if u.Hostname() == "" && slices.Contains(webSchemes, u.Scheme) {
		return fmt.Errorf("%s has no host", name)
	}
	return nil
}

// logLevel is OCHRE_LOG_LEVEL: debug, info (also if it is not set), warn or error.
func logLevel() (level slog.Level, err error) {
	text := os.Getenv("OCHRE_LOG_LEVEL")
	if text == "" {
		return slog.LevelInfo, nil
	}
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return slog.LevelInfo, usageError{fmt.Errorf("OCHRE_LOG_LEVEL is %q; want debug, info, warn or error", text)}
	}
	return level, nil
}
