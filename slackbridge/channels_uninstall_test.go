package slackbridge

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
)

func TestUninstall(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"app_uninstalled", "tokens_revoked"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			c := h.tenant("Ochre Labs")
			h.control("switches", args{"uninstallOrder": order})
			inst := c.install("ada")
			watching, err := c.link(inst, "support", nil)
			h.must(err)
			paused, err := c.link(inst, "globex-ochre", c.organization("Globex"))
			h.must(err)
			ended, err := c.link(inst, "globex-launch", c.organization("Globex"))
			h.must(err)
			_, err = h.desk.PauseChannelLink(t.Context(), c.p, paused.GlobalID())
			h.must(err)
			_, err = h.desk.UnlinkChannel(t.Context(), c.p, ended.GlobalID())
			h.must(err)
			states := func() (s [3]ochre.ChannelLinkState) {
				for i, l := range []*ochre.ChannelLink{watching, paused, ended} {
					now, err := h.store.ChannelLink(t.Context(), c.p.TenantID, l.ID)
					h.must(err)
					s[i] = now.State
				}
				return s
			}
			c.events()
			h.control("uninstall", args{})
			if now := c.installation(inst.ID); now.Connected || now.DisconnectedReason == nil {
				t.Errorf("still connected: %+v", now)
			}
			if told := c.events(); !slices.Equal(told, []string{"INSTALLATION_CHANGED", "LINK_CHANGED", "LINK_CHANGED"}) {
				t.Errorf("told %q", told)
			}
			if got := states(); got != [3]ochre.ChannelLinkState{"DISCONNECTED", "DISCONNECTED", "UNLINKED"} {
				t.Errorf("links are %v", got)
			}
			for _, op := range []func(context.Context, ochre.Principal, string) (*ochre.ChannelLink, error){h.desk.PauseChannelLink, h.desk.ResumeChannelLink} {
				_, err = op(t.Context(), c.p, watching.GlobalID())
				wantCode(t, err, ochre.CodeInstallationDisconnected, "channelLinkId")
			}
			_, err = c.link(inst, "initech-ochre", c.organization("Initech"))
			wantCode(t, err, ochre.CodeInstallationDisconnected, "installationId")

			h.pass(2 * time.Second) // nobody installs within the second of an uninstall
			again := c.install("ben")
			if again.ID != inst.ID || !again.Connected || again.DisconnectedReason != nil {
				t.Errorf("installed again: %+v", again)
			}
			if got := states(); got != [3]ochre.ChannelLinkState{"WATCHING", "PAUSED", "UNLINKED"} {
				t.Errorf("links are %v", got)
			}
			// Slack repeats old news for hours.
			h.event(inst, args{"type": "app_uninstalled"}, time.Now().Add(-time.Minute))
			h.event(inst, args{"type": "tokens_revoked", "tokens": args{"bot": []string{inst.BotUserID}}}, time.Now().Add(-time.Minute))
			if !c.installation(inst.ID).Connected {
				t.Error("cut off by old news")
			}
		})
	}
}

// event hands the house an event as if Slack had sent it at a time.
func (h *house) event(inst *ochre.SlackInstallation, inner args, at time.Time) {
	h.t.Helper()
	raw, err := json.Marshal(inner)
	h.must(err)
	h.must(h.channels.Handle(h.t.Context(), WorkspaceEvent{SlackTeamIDs: []string{inst.SlackTeamID}, AppID: inst.AppID, At: at, Inner: raw}))
}

func TestNewsThatDisconnectNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	now := time.Now().Add(time.Minute)
	other := *inst
	other.AppID = "A0ANOTHERAPP"
	h.event(&other, args{"type": "app_uninstalled"}, now)
	other = *inst
	other.SlackTeamID = "T0NOBODYS"
	h.event(&other, args{"type": "app_uninstalled"}, now)
	h.event(inst, args{"type": "tokens_revoked", "tokens": args{"oauth": []string{"U1"}, "bot": []string{}}}, now)
	h.event(inst, args{"type": "tokens_revoked", "tokens": args{"bot": []string{"UANOTHER"}}}, now)
	h.event(inst, args{"type": "tokens_revoked", "tokens": nil}, now)
	h.event(inst, args{"type": "emoji_changed"}, now)
	if !c.installation(inst.ID).Connected {
		t.Error("disconnected")
	}
	h.event(inst, args{"type": "tokens_revoked", "tokens": args{"bot": []string{"U1", inst.BotUserID}}}, now)
	if got := c.installation(inst.ID); got.Connected || *got.DisconnectedReason != "tokens_revoked" {
		t.Errorf("not disconnected: %+v", got)
	}
}

func TestACallThatFindsTheTokenDead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	old := c.install("ada")
	h.control("switches", args{"deadTokenError": "token_revoked"})
	h.control("faults", args{"event": true, "kind": "drop", "times": -1}) // Slack's own news never come
	h.control("uninstall", args{})
	if !c.installation(old.ID).Connected {
		t.Fatal("it was told")
	}
	_, err := c.link(old, "support", nil)
	wantCode(t, err, ochre.CodeInstallationDisconnected, "slackChannelId", "connect the workspace again")
	if got := c.installation(old.ID); got.Connected || *got.DisconnectedReason != "token_revoked" {
		t.Errorf("still connected: %+v", got)
	}
	// What an old token gets does not cut off the new one.
	again := c.install("ada")
	if _, err := h.client.Channel(t.Context(), old, h.channel("support")); ochre.CodeOf(err) != ochre.CodeInstallationDisconnected {
		t.Errorf("the old token: %v", err)
	}
	if !c.installation(again.ID).Connected {
		t.Error("the new token was cut off by the old one")
	}
}
