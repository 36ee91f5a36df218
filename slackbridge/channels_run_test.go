package slackbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/internal/secret"
)

// pagesOf is a Slack whose workspace has n public channels, and that asks to wait once.
func pagesOf(n int, limited *int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/users.conversations" {
			_, _ = io.WriteString(w, `{"ok":true,"channels":[]}`)
			return
		}
		from, _ := strconv.Atoi(r.PostFormValue("cursor"))
		if from > 0 && *limited == 0 {
			*limited++
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		limit, _ := strconv.Atoi(r.PostFormValue("limit"))
		to := min(from+limit, n)
		var page []map[string]any
		for i := from; i < to; i++ {
			page = append(page, map[string]any{"id": fmt.Sprintf("C%010d", i), "name": fmt.Sprintf("c%d", i)})
		}
		next := ""
		if to < n {
			next = strconv.Itoa(to)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channels": page, "response_metadata": map[string]any{"next_cursor": next}})
	})
}

// running runs the refreshing until the test ends.
func (h *house) running() {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { h.channels.Run(ctx) })
	h.t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
}

// waitFor waits for something that another goroutine does.
func (h *house) waitFor(what string, is func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			h.t.Fatalf("waited in vain for %s; logged: %s", what, h.log)
		}
	}
}

func TestANewInstallationIsRefreshedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.oauth.o.Installed = func(*ochre.SlackInstallation) { h.channels.Due() }
	h.running()
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	h.waitFor("the channels", func() bool { return c.known(inst, "support") != nil })
}

func TestRefreshIsClaimedOnceAndComesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	if !h.channels.refreshNext(t.Context()) {
		t.Fatal("a new installation is not due")
	}
	if h.channels.refreshNext(t.Context()) {
		t.Error("refreshed again at once")
	}
	h.pass(RefreshEvery + time.Second)
	h.control("faults", args{"method": "users.conversations", "kind": "500"})
	if !h.channels.refreshNext(t.Context()) {
		t.Error("not due after its time")
	}
	if h.channels.refreshNext(t.Context()) {
		t.Error("tried again at once after a failure")
	}
	h.pass(refreshRetry + time.Second)
	if !h.channels.refreshNext(t.Context()) {
		t.Error("not due soon after a failure")
	}
	h.pass(RefreshEvery + time.Second)
	h.must(h.desk.Disconnect(t.Context(), inst.TenantID, inst.ID, "app_uninstalled"))
	if h.channels.refreshNext(t.Context()) {
		t.Error("a workspace that is cut off was refreshed")
	}
}

func TestRefreshFindsWhatEventsMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	h.control("invite", args{"channel": "escalations"})
	_, err := c.link(inst, "support", nil)
	h.must(err)
	c.refresh(inst)
	h.control("faults", args{"event": true, "kind": "drop", "times": -1})
	h.act("ada", "conversations.archive", args{"channel": h.channel("support")})
	h.act("ada", "conversations.archive", args{"channel": h.channel("globex-launch")})
	h.act("ada", "conversations.kick", args{"channel": h.channel("escalations"), "user": inst.BotUserID})
	c.refresh(inst)
	if ch := c.known(inst, "support"); ch == nil || !ch.IsArchived {
		t.Errorf("a linked channel that was archived: %+v", ch)
	}
	for _, name := range []string{"globex-launch", "escalations"} {
		if ch := c.known(inst, name); ch != nil {
			t.Errorf("%s is still there: %+v", name, ch)
		}
	}
}

func TestResealTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	former := strings.Repeat("k", secret.MinLength)
	next, err := secret.New(strings.Repeat("n", secret.MinLength), former)
	h.must(err)
	d := &desk.Desk{Store: h.store, Keys: next, Now: h.now}
	for i, want := range []int{1, 0} {
		if n, err := d.ResealTokens(t.Context()); err != nil || n != want {
			t.Errorf("time %d: %d, %v", i+1, n, err)
		}
	}
	now := c.installation(inst.ID)
	alone, err := secret.New(strings.Repeat("n", secret.MinLength))
	h.must(err)
	if token, err := alone.Open(now.TokenSealed, desk.TokenContext(now.SlackTeamID)); err != nil || !strings.HasPrefix(string(token), "xoxb-") {
		t.Errorf("not readable by the new secret alone: %v", err)
	}
	lost, err := secret.New(strings.Repeat("x", secret.MinLength))
	h.must(err)
	d.Keys = lost
	if n, err := d.ResealTokens(t.Context()); n != 0 || err == nil || strings.Contains(err.Error(), "xoxb") {
		t.Errorf("a token of a secret that is gone: %d, %v", n, err)
	}
	if got := c.installation(inst.ID); string(got.TokenSealed) != string(now.TokenSealed) {
		t.Error("an unreadable token was changed")
	}
}
