package slackbridge

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/testenv"
	"github.com/ochrehq/ochre/store"
)

// TestAWalkWithoutDatabase has PostgreSQL frozen, so that it takes connections and never answers: who walks is told soon.
func TestAWalkWithoutDatabase(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	st, err := store.Open(t.Context(), pg.URL("ochre"), store.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	walk := NewOAuth(&desk.Desk{Store: st, PublicURL: "https://ochre.example", Now: time.Now}, nil, OAuthOptions{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := pg.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pg.Continue(); err != nil {
			t.Error(err)
		}
	}()
	for _, address := range []string{InstallPath + "?state=x", CallbackPath + "?state=x&code=y"} {
		w := httptest.NewRecorder()
		start := time.Now()
		walk.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
		if took := time.Since(start); took >= 3*time.Second {
			t.Errorf("%s took %v", address, took)
		}
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "Next step:") {
			t.Errorf("%s: %d %s", address, w.Code, w.Body)
		}
	}
}

// TestTheWalksCookie: over https browsers take it from this host only.
func TestTheWalksCookie(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"https://ochre.example": "__Host-ochre_slack_install=b; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080": "ochre_slack_install=b; Path=/slack; Max-Age=900; HttpOnly; SameSite=Lax",
	} {
		walk := NewOAuth(&desk.Desk{PublicURL: public}, nil, OAuthOptions{})
		if got := walk.cookie("b").String(); got != want {
			t.Errorf("%s: %s, want %s", public, got, want)
		}
	}
}
