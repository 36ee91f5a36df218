package slackbridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
)

// organization makes a customer company and gives its global id.
func (c *tenant) organization(name string) *string {
	c.t.Helper()
	o, err := c.desk.UpsertOrganization(c.t.Context(), c.p, desk.OrganizationInput{Name: name, ExternalID: &name})
	c.must(err)
	id := o.GlobalID()
	return &id
}

func (c *tenant) refresh(inst *ochre.SlackInstallation) {
	c.t.Helper()
	c.must(c.channels.Refresh(c.t.Context(), inst))
}

// known gives what is stored of a channel, nil if nothing is.
func (c *tenant) known(inst *ochre.SlackInstallation, name string) *ochre.SlackChannel {
	c.t.Helper()
	ch, err := c.store.SlackChannelBySlackID(c.t.Context(), c.p.TenantID, inst.ID, c.channel(name))
	if err == ochre.ErrNotFound { //nolint:errorlint // the store's own
		return nil
	}
	c.must(err)
	return ch
}

func TestChannelsAreListed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	h.control("invite", args{"channel": "support"})
	c.refresh(inst)
	for name, want := range map[string]ochre.SlackChannel{
		"support":      {IsBotMember: true},
		"globex-ochre": {IsSlackConnect: true},
	} {
		got := c.known(inst, name)
		if got == nil || got.Name != name || got.IsBotMember != want.IsBotMember || got.IsSlackConnect != want.IsSlackConnect || got.IsPrivate || got.IsArchived {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := c.known(inst, "escalations"); got != nil {
		t.Errorf("a private channel without us: %+v", got)
	}
	c.events()
	c.refresh(inst)
	if told := c.events(); len(told) != 0 {
		t.Errorf("nothing changed, and screens were told %q", told)
	}
	for _, method := range []string{"users.conversations", "conversations.list"} {
		h.control("faults", args{"method": method, "kind": "500"})
		if err := h.channels.Refresh(t.Context(), inst); OutcomeOf(err).Kind != Unclear {
			t.Errorf("%s fails: %v", method, err)
		}
	}
	if told := c.events(); len(told) != 0 || c.known(inst, "support") == nil {
		t.Errorf("half a list made channels go: %q", told)
	}
}

func TestRefreshInManyPagesWaitsForSlack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	limited := 0
	w := newWire(t, nil)
	w.server.Config.Handler = pagesOf(1203, &limited)
	w.inst.TenantID, w.inst.ID, w.inst.Scopes = inst.TenantID, inst.ID, inst.Scopes
	channels := NewChannels(w.Client, h.store, h.desk, h.channels.log)
	h.must(channels.Refresh(t.Context(), w.inst))
	stored, err := h.store.ChannelStamps(t.Context(), inst.TenantID, inst.ID)
	h.must(err)
	if len(stored) != 1203 || limited != 1 {
		t.Errorf("%d channels stored, waited %d times", len(stored), limited)
	}
}

func TestAnInvitedPrivateChannelAppears(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	c.refresh(inst)
	c.events()
	_, err := c.link(inst, "escalations", nil)
	wantCode(t, err, ochre.CodeChannelNeedsInvite, "slackChannelId", "/invite @Ochre")
	h.control("invite", args{"channel": "escalations"})
	if told := c.events(); !slices.Equal(told, []string{"SLACK_CHANNEL_CHANGED"}) {
		t.Errorf("told %q", told)
	}
	got := c.known(inst, "escalations")
	if got == nil || !got.IsPrivate || !got.IsBotMember || got.Name != "escalations" {
		t.Fatalf("stored %+v", got)
	}
	l, err := c.link(inst, "escalations", nil)
	h.must(err)
	if l.State != ochre.LinkWatching || l.IsSlackConnect || l.OrganizationID != nil || l.SlackTeamID != inst.SlackTeamID {
		t.Errorf("link %+v", l)
	}
	// A person who joins is no news, and costs Slack no question.
	h.idle()
	c.events()
	h.control("faults", args{"method": "conversations.info", "kind": "500"})
	h.control("invite", args{"channel": "escalations", "user": "chloe"})
	if told := c.events(); len(told) != 0 {
		t.Errorf("told %q of a person", told)
	}
	if err := h.channels.Look(t.Context(), inst, h.channel("escalations")); OutcomeOf(err).Kind != Unclear {
		t.Errorf("Slack was asked before: %v", err)
	}
	// Thrown out: linked, so it stays, as one that the bot is not in. Slack's word for it goes to the rest of the channel.
	h.act("ada", "conversations.kick", args{"channel": h.channel("escalations"), "user": inst.BotUserID})
	h.must(h.channels.Look(t.Context(), inst, h.channel("escalations")))
	if got := c.known(inst, "escalations"); got == nil || got.IsBotMember {
		t.Errorf("after it was thrown out: %+v", got)
	}
	_, err = h.desk.UnlinkChannel(t.Context(), c.p, l.GlobalID())
	h.must(err)
	c.events()
	h.must(h.channels.Look(t.Context(), inst, h.channel("escalations")))
	if got, told := c.known(inst, "escalations"), c.events(); got != nil || !slices.Equal(told, []string{"OBJECT_REMOVED"}) {
		t.Errorf("not linked and not seen: %+v, told %q", got, told)
	}
}

func TestTwoTenantsWatchTheirSidesOfOneChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ours, theirs := h.tenant("Ochre Labs"), h.tenant("Globex")
	a, b := ours.install("ada"), theirs.install("hank")
	if a.SlackTeamID == b.SlackTeamID || a.TenantID == b.TenantID {
		t.Fatalf("%+v and %+v", a, b)
	}
	la, err := ours.link(a, "globex-ochre", ours.organization("Globex"))
	h.must(err)
	lb, err := theirs.link(b, "globex-ochre", theirs.organization("Ochre Labs"))
	h.must(err)
	links, err := h.store.LinksOfChannel(t.Context(), h.channel("globex-ochre"))
	h.must(err)
	if len(links) != 2 || links[0].ID != la.ID || links[1].ID != lb.ID {
		t.Errorf("links %+v", links)
	}
	ours.events()
	theirs.events()
	// One delivery names one workspace; both sides hear of the new name.
	h.act("ada", "conversations.rename", args{"channel": h.channel("globex-ochre"), "name": "globex-vip"})
	for _, c := range []*tenant{ours, theirs} {
		l, err := h.store.LiveLink(t.Context(), c.p.TenantID, h.channel("globex-ochre"))
		h.must(err)
		if told := c.events(); l.SlackChannelName != "globex-vip" || !slices.Equal(told, []string{"SLACK_CHANNEL_CHANGED", "LINK_CHANGED"}) {
			t.Errorf("%s, told %q", l.SlackChannelName, told)
		}
	}
	h.control("uninstall", args{"team": "globex"})
	if !ours.installation(a.ID).Connected || theirs.installation(b.ID).Connected {
		t.Error("the wrong side was cut off")
	}
}

func TestChannelsLiveTheirLives(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	l, err := c.link(inst, "support", nil)
	h.must(err)
	support := h.channel("support")
	c.events()
	h.act("ada", "conversations.archive", args{"channel": support})
	if ch := c.known(inst, "support"); !ch.IsArchived {
		t.Errorf("archived: %+v", ch)
	}
	h.act("ada", "conversations.unarchive", args{"channel": support})
	if ch := c.known(inst, "support"); ch.IsArchived {
		t.Errorf("unarchived: %+v", ch)
	}
	if told := c.events(); len(told) == 0 || slices.ContainsFunc(told, func(e string) bool { return e != "SLACK_CHANNEL_CHANGED" }) {
		t.Errorf("told %q", told)
	}

	// Slack gives a channel another id, here by hand; the link follows, and what happens to the old id is no longer its news.
	const newID = "C0ANOTHERID1"
	w := newWire(t, answering(fmt.Sprintf(`{"ok":true,"channel":{"id":%q,"name":"support-2","is_member":true,"is_ext_shared":true}}`, newID)))
	channels := NewChannels(w.Client, h.store, h.desk, h.channels.log)
	inner := json.RawMessage(fmt.Sprintf(`{"type":"channel_id_changed","old_channel_id":%q,"new_channel_id":%q}`, support, newID))
	for range 2 {
		h.must(channels.Handle(t.Context(), WorkspaceEvent{SlackTeamIDs: []string{inst.SlackTeamID}, AppID: inst.AppID, Inner: inner}))
	}
	now, err := h.store.ChannelLink(t.Context(), c.p.TenantID, l.ID)
	h.must(err)
	if now.SlackChannelID != newID || now.SlackChannelName != "support-2" || now.State != ochre.LinkWatching {
		t.Errorf("the link became %+v", now)
	}
	if now.IsSlackConnect {
		t.Error("a shared channel without an organization is an ordinary one until it gets one")
	}
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), nil, false)
	wantCode(t, err, ochre.CodeOrganizationRequired, "organizationId")
	now, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), c.organization("Globex"), false)
	if err != nil || !now.IsSlackConnect || now.OrganizationID == nil {
		t.Errorf("with an organization: %+v, %v", now, err)
	}
}

func TestOlderNewsNeverWin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	now := time.Now().UTC().Truncate(time.Microsecond)
	say := func(name string, asked time.Time) {
		h.must(h.desk.PutSlackChannels(t.Context(), inst, []ochre.SlackChannel{{SlackChannelID: h.channel("support"), Name: name, UpdatedAt: asked}}))
	}
	say("newer", now)
	say("older", now.Add(-time.Second))
	if ch := c.known(inst, "support"); ch.Name != "newer" {
		t.Errorf("the name is %q", ch.Name)
	}
	h.must(h.desk.DropSlackChannels(t.Context(), inst, []string{h.channel("support")}, now.Add(-time.Second)))
	if c.known(inst, "support") == nil {
		t.Error("dropped by older news")
	}
	h.must(h.desk.DropSlackChannels(t.Context(), inst, []string{h.channel("support")}, now.Add(time.Second)))
	if c.known(inst, "support") != nil {
		t.Error("not dropped")
	}
}
