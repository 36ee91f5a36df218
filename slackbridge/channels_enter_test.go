package slackbridge

import (
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
)

// TestEnterAfterANewInstall removes the app, which takes its bot out of all channels, and installs it again.
func TestEnterAfterANewInstall(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	link := func(channel string, organization *string) *ochre.ChannelLink {
		l, err := c.link(inst, channel, organization)
		h.must(err)
		return l
	}
	h.control("invite", args{"channel": "escalations"})
	link("support", nil)
	link("escalations", nil)
	paused, ended := link("globex-ochre", c.organization("Globex")), link("globex-launch", c.organization("Globex"))
	_, err := h.desk.PauseChannelLink(t.Context(), c.p, paused.GlobalID())
	h.must(err)
	_, err = h.desk.UnlinkChannel(t.Context(), c.p, ended.GlobalID())
	h.must(err)
	in := func() (names []string) {
		for _, name := range []string{"escalations", "globex-launch", "globex-ochre", "initech-ochre", "support"} {
			ch, err := h.client.info(t.Context(), c.installation(inst.ID), h.channel(name))
			if err != nil {
				continue // a private one, that the bot is not in
			}
			stored, err := h.store.SlackChannelBySlackID(t.Context(), c.p.TenantID, inst.ID, ch.SlackChannelID)
			h.must(err)
			if stored.IsBotMember != ch.IsBotMember {
				t.Errorf("#%s is stored with %t for being in it", name, stored.IsBotMember)
			}
			if ch.IsBotMember {
				names = append(names, name)
			}
		}
		return names
	}
	h.control("uninstall", args{})
	h.pass(2 * time.Second) // nobody installs within the second of an uninstall
	now := c.install("ada")

	h.control("faults", args{"method": "conversations.join", "kind": "500"})
	if err := h.channels.Enter(t.Context(), now); OutcomeOf(err).Kind == OK {
		t.Error("Slack failed, and nobody was told")
	}
	h.must(h.channels.Enter(t.Context(), now))
	if got := in(); !slices.Equal(got, []string{"globex-ochre", "support"}) {
		t.Errorf("the bot is in %q", got)
	}
	private, err := h.store.SlackChannelBySlackID(t.Context(), c.p.TenantID, inst.ID, h.channel("escalations"))
	h.must(err)
	if private.IsBotMember {
		t.Error("the private channel is shown as if the bot was in it")
	}
	c.events()
	h.must(h.channels.Enter(t.Context(), now))
	if told := c.events(); len(told) != 0 {
		t.Errorf("entering again told %q", told)
	}
}

// TestOneThatLetsNobodyIn goes on with the other channels.
func TestOneThatLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	for _, channel := range []string{"support", "globex-ochre"} {
		_, err := c.link(inst, channel, c.organization("Globex"))
		h.must(err)
	}
	h.control("uninstall", args{})
	h.pass(2 * time.Second)
	now := c.install("ada")
	h.control("faults", args{"method": "conversations.join", "kind": "error", "code": "restricted_action"})
	h.must(h.channels.Enter(t.Context(), now))
	outside, err := h.store.ChannelsToEnter(t.Context(), c.p.TenantID, inst.ID)
	h.must(err)
	if len(outside) != 1 {
		t.Errorf("%d linked channels are left without the bot", len(outside))
	}
}
