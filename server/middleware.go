package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
)

// How long a client may take to read an answer, and a file.
const (
	replyLimit = 60 * time.Second
	fileLimit  = 30 * time.Minute
)

// requestInfo is what the log tells of a request besides the request itself.
type requestInfo struct {
	id        string
	principal ochre.Principal
}

type infoKey struct{}

// RequestID is the id of the request that ctx belongs to, "" outside of one.
func RequestID(ctx context.Context) string {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info.id
	}
	return ""
}

// admitted is ctx under a principal, which the access log will name.
func admitted(ctx context.Context, p ochre.Principal) context.Context {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		info.principal = p
	}
	return ochre.WithPrincipal(ctx, p)
}

// observed gives every request an id, answers panics, and logs and counts what was answered. The log has the path only: query
// strings may hold sign-in tokens and OAuth codes.
func observed(next http.Handler, log *slog.Logger, metrics *Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := &requestInfo{id: r.Header.Get("X-Request-Id")}
		if !isRequestID(info.id) {
			info.id = strings.ToLower(rand.Text())
		}
		w.Header().Set("X-Request-Id", info.id)
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		rec := &recorder{ResponseWriter: w}
		defer func() {
			took := time.Since(start)
			streamed := rec.streamed(r)
			metrics.request(route(r), rec.status, took, streamed)
			attrs := []slog.Attr{
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Duration("took", took), slog.String("request_id", info.id), slog.String("remote", r.RemoteAddr),
			}
			if !info.principal.AgentID.IsZero() {
				attrs = append(attrs, slog.String("tenant", info.principal.TenantID.String()), slog.String("agent", info.principal.AgentID.String()))
			}
			log.LogAttrs(r.Context(), level(r, rec.status), "request", attrs...)
		}()
		defer rec.recover(r, log)
		next.ServeHTTP(rec, r)
	})
}

// level keeps what load balancers ask all the time out of the usual log.
func level(r *http.Request, status int) slog.Level {
	if status < 400 && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics") {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// route is the mux's pattern that served the request.
func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// isRequestID tells whether an id that came from outside may stand in our logs.
func isRequestID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0 before the header; 101 if the connection was taken over
	bytes  int64
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *recorder) streamed(r *http.Request) bool {
	if w.status == 0 && isWebSocket(r) {
		w.status = http.StatusSwitchingProtocols // hijacked
	} else if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.status == http.StatusSwitchingProtocols || strings.HasPrefix(w.Header().Get("Content-Type"), typeStream)
}

// recover answers a panic of a handler with INTERNAL and the request's id.
func (w *recorder) recover(r *http.Request, log *slog.Logger) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it too
		panic(p)
	}
	id := RequestID(r.Context())
	log.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()), "request_id", id)
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer has begun: cut it
	}
	e := refusal(ochre.CodeInternal, "Something went wrong in Ochre. Its log tells more under the request id.")
	e.Extensions["requestId"] = id
	writeErrors(w, errorType(r), http.StatusInternalServerError, e)
}

// received gives each request until limit for its body. A server-wide ReadTimeout would end event streams too, hence per request.
func received(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(limit)) // a ResponseWriter without deadlines is a test's
			r.Body = &timedBody{r.Body, rc}
		}
		next.ServeHTTP(w, r)
	})
}

// replied gives the client until limit to take the answer. WebSockets and event streams set their own; the innermost counts.
func replied(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the read deadline once the body has come whole: what is read then is only whether the client is still there.
type timedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// hardened sets the headers that every answer has unless its handler says otherwise.
func hardened(next http.Handler, https bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		if https {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
