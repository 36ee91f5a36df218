package slacksim

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// post makes one attempt. again tells whether Slack would retry after it.
func (d *deliverer) post(item *delivery) (status int, outcome string, again bool) {
	d.sim.mu.Lock()
	target, secret, sameSignature := d.sim.world.app.EventsURL, d.sim.world.app.SigningSecret, d.sim.switches.RetrySameSignature
	d.sim.mu.Unlock()
	if target == "" {
		return 0, "no_url", false
	}
	if item.skipFirst && item.attempt == 0 {
		return 0, "http_timeout", true
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, target, bytes.NewReader(item.body))
	if err != nil {
		return 0, "unknown_error", true
	}
	if item.sentAt == "" || !sameSignature {
		item.sentAt = strconv.FormatInt(d.sim.now().Unix(), 10)
	}
	sign(req, secret, item.sentAt, item.body)
	if item.attempt > 0 {
		req.Header.Set("X-Slack-Retry-Num", strconv.Itoa(item.attempt))
		req.Header.Set("X-Slack-Retry-Reason", item.reason)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, failureReason(err), true
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 == 2 {
		return resp.StatusCode, "ok", false
	}
	return resp.StatusCode, "http_error", resp.Header.Get("X-Slack-No-Retry") != "1"
}

// sign sets the headers by which the app knows that it is Slack who calls.
func sign(req *http.Request, secret, at string, body []byte) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + at + ":"))
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	req.Header.Set("X-Slack-Request-Timestamp", at)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

func failureReason(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errTooManyRedirects):
		return "too_many_redirects"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "http_timeout"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return "ssl_error"
	}
	return "connection_failed"
}

// verification is what Slack posts when a request URL is entered.
type verification struct {
	Token     string `json:"token"`
	Challenge string `json:"challenge"`
	Type      string `json:"type"`
}

// serveVerify is POST /control/verify: it asks the events URL for the challenge, as
// Slack does when the URL is entered, and tells what came back.
func (s *Server) serveVerify(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	app := *s.world.app
	s.mu.Unlock()
	challenge := newUUID()
	body := encode(verification{app.VerificationToken, challenge, "url_verification"})
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, app.EventsURL, bytes.NewReader(body))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
		return
	}
	sign(req, app.SigningSecret, strconv.FormatInt(s.now().Unix(), 10), body)
	resp, err := s.deliverer.client.Do(req)
	if err != nil {
		writeJSON(w, http.StatusOK, object{"verified": false, "error": failureReason(err)})
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	writeJSON(w, http.StatusOK, object{
		"verified": err == nil && resp.StatusCode/100 == 2 && strings.Contains(string(answer), challenge),
		"status":   resp.StatusCode, "body": string(answer),
	})
}
