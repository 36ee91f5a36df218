//go:build unix

package localredis

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func open(t *testing.T) (*Server, *redis.Client) {
	t.Helper()
	s, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is still there: %v", err)
		}
	})
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return s, client
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	s, client := open(t)
	for name, end := range map[string]func() error{"Stop": s.Stop, "Kill": s.Kill} {
		if err := client.Set(t.Context(), "word", "kept", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Errorf("answers after %s", name)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		if err := client.Get(t.Context(), "word").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("after %s and a restart: %v", name, err)
		}
	}
	if err := s.Restart(t.Context()); err == nil {
		t.Error("a running server was started again")
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s, client := open(t)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := client.Ping(short).Err(); err == nil {
		t.Error("a frozen server answered")
	}
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("after Continue: %v", err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop of a frozen server: %v", err)
	}
}
