package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/ochrehq/ochre"
)

// readyLimit is how long the checks of one /readyz may take together.
const readyLimit = 2 * time.Second

// Check is one thing that must hold before a node may be sent requests. Func's error is shown to whoever asks if it is an
// *ochre.Error, otherwise only that the check failed.
type Check struct {
	Name string
	Func func(context.Context) error
}

// healthz says that the process lives and answers.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness is what /readyz answers: 200 once every check holds, else 503 with what does not.
type readiness struct {
	Ready    bool              `json:"ready"`
	Draining bool              `json:"draining,omitempty"`
	NotReady map[string]string `json:"notReady,omitempty"` // why, by check
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	answer := readiness{Draining: s.draining.Load(), NotReady: map[string]string{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range s.checks {
		all.Go(func() {
			if err := c.Func(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				answer.NotReady[c.Name] = reason(err)
			}
		})
	}
	all.Wait()
	answer.Ready = len(answer.NotReady) == 0 && !answer.Draining
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, answer)
}

func reason(err error) string {
	var e *ochre.Error
	switch {
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "does not answer"
	}
	return "failed"
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", typeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went needs no answer
}
