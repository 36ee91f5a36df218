package slackbridge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The bounds of one request to the events endpoint.
const (
	maxEventBody  = 1 << 20                 // bytes
	maxClockSkew  = 5 * time.Minute         // between Slack's timestamp and our clock, both ways
	eventDeadline = 2300 * time.Millisecond // from the request's arrival to our answer; Slack waits for 3 s
)

// EventsOptions configures the events endpoint.
type EventsOptions struct {
	SigningSecret string // without one every request is refused
	Inbox         *Inbox
	Now           func() time.Time
	Count         func(outcome string) // told of each request that is refused before it is an event; must not block
	Log           *slog.Logger
}

type events struct{ EventsOptions }

// NewEvents makes the handler of POST /slack/events, Slack's request URL of the Events API. It answers 200 only after the event is durable or is known not to
// concern us, 503 if it could not be stored in time, 401 for a signature that isn't Slack's, 400, 413 and 415 for what can't be an event.
func NewEvents(o EventsOptions) http.Handler { return &events{o} }

// ServeHTTP implements http.Handler.
func (h *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), eventDeadline)
	defer cancel()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, http.StatusMethodNotAllowed, "bad_method")
		return
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		h.refuse(w, http.StatusUnsupportedMediaType, "bad_encoding") // Slack sends none, and a signature is over the bytes as sent
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEventBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		h.refuse(w, http.StatusRequestEntityTooLarge, "too_large")
		return
	case err != nil:
		h.refuse(w, http.StatusBadRequest, "unreadable")
		return
	}
	if !signed(h.SigningSecret, r.Header, body, h.Now()) {
		h.refuse(w, http.StatusUnauthorized, "bad_signature")
		return
	}
	h.take(ctx, w, body)
}

// take answers a body that Slack has signed.
func (h *events) take(ctx context.Context, w http.ResponseWriter, body []byte) {
	env, err := ParseEnvelope(body)
	if err == nil && env.Type == "url_verification" && env.Challenge == "" {
		err = errNoChallenge
	}
	if err != nil {
		w.Header().Set("X-Slack-No-Retry", "1") // it would be the same again
		h.Log.Warn("a signed event can't be read", "error", err)
		h.refuse(w, http.StatusBadRequest, "malformed")
		return
	}
	if env.Type == "url_verification" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, env.Challenge) // Slack's own text, given back to Slack
		return
	}
	if err := h.Inbox.Add(ctx, &env, body); err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

var errNoChallenge = errors.New("a url_verification without a challenge")

func (h *events) refuse(w http.ResponseWriter, status int, outcome string) {
	h.Count(outcome)
	http.Error(w, http.StatusText(status), status)
}

// signed tells whether Slack has signed body within the last five minutes. (Page "Verifying requests from Slack")
func signed(secret string, header http.Header, body []byte, now time.Time) bool {
	stamp := header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if secret == "" || err != nil {
		return false
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew > maxClockSkew || skew < -maxClockSkew {
		return false
	}
	text, ok := strings.CutPrefix(header.Get("X-Slack-Signature"), "v0=")
	given, err := hex.DecodeString(text)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("v0:" + stamp + ":"))
	_, _ = mac.Write(body)
	return hmac.Equal(given, mac.Sum(nil))
}
