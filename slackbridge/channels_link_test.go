package slackbridge

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/store"
)

// wantCode checks a refusal: its code, the input field, and what its message says.
func wantCode(t *testing.T, err error, code ochre.Code, field string, says ...string) {
	t.Helper()
	e, ok := err.(*ochre.Error) //nolint:errorlint // a refusal is not wrapped
	if !ok || e.Code != code || !slices.Equal(e.Path, []string{"input", field}) {
		t.Errorf("got %v, want %s at %s", err, code, field)
		return
	}
	for _, s := range says {
		if !strings.Contains(e.Message, s) {
			t.Errorf("the message %q does not say %q", e.Message, s)
		}
	}
}

func TestLinkChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	globex := c.organization("Globex")
	c.events()
	link := func(in desk.LinkChannelInput) error {
		_, err := h.desk.LinkChannel(t.Context(), c.p, in)
		return err
	}
	stranger := h.tenant("Stranger")
	theirs := stranger.organization("Theirs")
	id, support := inst.GlobalID(), h.channel("support")
	nobody := ochre.NewID().Global(ochre.KindSlackInstallation)
	wantCode(t, link(desk.LinkChannelInput{InstallationID: nobody, SlackChannelID: support}), ochre.CodeNotFound, "installationId")
	wantCode(t, link(desk.LinkChannelInput{InstallationID: "x", SlackChannelID: support}), ochre.CodeNotFound, "installationId")
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: support, OrganizationID: theirs}), ochre.CodeNotFound, "organizationId")
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: support, OrganizationID: &id}), ochre.CodeNotFound, "organizationId")
	for _, bad := range []string{"", "support", "#support", "D0123456789", "C1", "c0123456789", "C0123456789\x00", "C01234567é9", "C" + strings.Repeat("0", 99)} {
		wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: bad}), ochre.CodeNotFound, "slackChannelId")
	}
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: "C0NOSUCHCHANNEL"}), ochre.CodeChannelNeedsInvite, "slackChannelId", "/invite", "check its id")
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: h.channel("globex-ochre")}), ochre.CodeOrganizationRequired, "organizationId")
	_, err := h.desk.LinkChannel(t.Context(), stranger.p, desk.LinkChannelInput{InstallationID: id, SlackChannelID: support})
	wantCode(t, err, ochre.CodeNotFound, "installationId")

	for _, f := range []struct {
		method, kind, code, says string
	}{
		{"conversations.info", "500", "", "http_500"}, {"conversations.info", "429", "", "ratelimited"}, {"conversations.info", "error", "missing_scope", "missing_scope"},
		{"conversations.join", "error", "restricted_action", "restricted_action"}, {"conversations.join", "close_before", "", "no_answer"},
	} {
		h.control("faults", args{"method": f.method, "kind": f.kind, "code": f.code, "retryAfter": 1})
		wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: support}), ochre.CodeSlackError, "slackChannelId", f.says)
	}
	h.control("faults", args{"method": "conversations.join", "kind": "error", "code": "method_not_supported_for_channel_type"})
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: support}), ochre.CodeChannelNeedsInvite, "slackChannelId", "/invite @Ochre")
	if told := c.events(); len(told) != 0 {
		t.Errorf("something was stored before Slack said yes: %q", told)
	}

	l, err := c.link(inst, "globex-ochre", globex)
	h.must(err)
	if !l.IsSlackConnect || l.OrganizationID == nil || l.OrganizationID.Global(ochre.KindOrganization) != *globex || l.SlackChannelName != "globex-ochre" {
		t.Errorf("link %+v", l)
	}
	if ch := c.known(inst, "globex-ochre"); ch == nil || !ch.IsBotMember {
		t.Errorf("the bot did not join: %+v", ch)
	}
	h.idle() // Slack also tells that the bot joined, before or after
	told := c.events()
	if slices.Sort(told); !slices.Equal(told, []string{"LINK_CHANGED", "SLACK_CHANNEL_CHANGED"}) {
		t.Errorf("told %q", told)
	}
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: h.channel("globex-ochre"), OrganizationID: globex}), ochre.CodeChannelAlreadyLinked, "slackChannelId")

	h.act("ada", "conversations.archive", args{"channel": support})
	wantCode(t, link(desk.LinkChannelInput{InstallationID: id, SlackChannelID: support}), ochre.CodeSlackError, "slackChannelId", "is_archived")
}

func TestLinkChannelOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	c.events()
	in := desk.LinkChannelInput{InstallationID: inst.GlobalID(), SlackChannelID: h.channel("support")}
	var mu sync.Mutex
	var all sync.WaitGroup
	done, refused := 0, 0
	for range 8 {
		all.Go(func() {
			_, err := h.desk.LinkChannel(t.Context(), c.p, in)
			mu.Lock()
			defer mu.Unlock()
			switch ochre.CodeOf(err) {
			case "":
				done++
			case ochre.CodeChannelAlreadyLinked:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if done != 1 || refused != 7 {
		t.Errorf("%d linked, %d refused", done, refused)
	}

	key := "again and again"
	in = desk.LinkChannelInput{InstallationID: inst.GlobalID(), SlackChannelID: h.channel("globex-launch"), OrganizationID: c.organization("Globex"), IdempotencyKey: &key}
	first, err := h.desk.LinkChannel(t.Context(), c.p, in)
	h.must(err)
	h.idle()
	h.control("faults", args{"method": "conversations.info", "kind": "500", "times": -1})
	again, err := h.desk.LinkChannel(t.Context(), c.p, in)
	if err != nil || again.ID != first.ID {
		t.Errorf("the same key and input: %v, %v", again, err)
	}
	other := in
	other.SlackChannelID = h.channel("support")
	_, err = h.desk.LinkChannel(t.Context(), c.p, other)
	wantCode(t, err, ochre.CodeIdempotencyConflict, "idempotencyKey")
}

func TestPauseResumeUnlink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	l, err := c.link(inst, "support", nil)
	h.must(err)
	id := l.GlobalID()
	stranger := h.tenant("Stranger")
	ops := map[string]func(context.Context, ochre.Principal, string) (*ochre.ChannelLink, error){
		"pause": h.desk.PauseChannelLink, "resume": h.desk.ResumeChannelLink, "unlink": h.desk.UnlinkChannel,
	}
	for _, op := range ops {
		_, err := op(t.Context(), stranger.p, id)
		wantCode(t, err, ochre.CodeNotFound, "channelLinkId")
		_, err = op(t.Context(), c.p, inst.GlobalID())
		wantCode(t, err, ochre.CodeNotFound, "channelLinkId")
	}
	for _, step := range []struct {
		op   string
		want ochre.ChannelLinkState
		told []string
	}{
		{"pause", ochre.LinkPaused, []string{"LINK_CHANGED"}}, {"pause", ochre.LinkPaused, []string{}},
		{"resume", ochre.LinkWatching, []string{"LINK_CHANGED"}}, {"resume", ochre.LinkWatching, []string{}},
		{"unlink", ochre.LinkUnlinked, []string{"LINK_CHANGED"}}, {"unlink", ochre.LinkUnlinked, []string{}},
	} {
		c.events()
		got, err := ops[step.op](t.Context(), c.p, id)
		h.must(err)
		if told := c.events(); got.State != step.want || !slices.Equal(told, step.told) {
			t.Errorf("%s: %s, told %q", step.op, got.State, told)
		}
	}
	for _, op := range []string{"pause", "resume"} {
		_, err := ops[op](t.Context(), c.p, id)
		wantCode(t, err, ochre.CodeChannelUnlinked, "channelLinkId")
	}
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, id, nil, false)
	wantCode(t, err, ochre.CodeChannelUnlinked, "channelLinkId")
	links, err := h.store.LinksOfChannel(t.Context(), l.SlackChannelID)
	if err != nil || len(links) != 0 {
		t.Errorf("an unlinked channel is watched: %v, %v", links, err)
	}
	anew, err := c.link(inst, "support", nil)
	if err != nil || anew.ID == l.ID {
		t.Errorf("linked anew: %v, %v", anew, err)
	}
}

func TestMoveToAnotherOrganization(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.tenant("Ochre Labs")
	inst := c.install("ada")
	before, after := c.organization("Globex"), c.organization("Globex Europe")
	l, err := c.link(inst, "globex-ochre", before)
	h.must(err)
	const many = 1203 // more than two batches
	h.must(h.store.Tx(t.Context(), c.p.TenantID, time.Now(), func(tx *store.Tx) error {
		for i := range many {
			id := ochre.NewID()
			if err := tx.InsertConversation(t.Context(), &ochre.Conversation{
				ID: id, Version: 1, Number: i + 1, Title: "t", Preview: "p", Status: ochre.StatusOpen, BaseStatus: ochre.StatusOpen, StatusAt: tx.Now(), Priority: ochre.PriorityNormal,
				OrganizationID: l.OrganizationID, LinkID: l.ID, CreatedAt: tx.Now(), LastActivityAt: tx.Now(),
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	c.events()
	got, err := h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), after, false)
	if err != nil || got.OrganizationID.Global(ochre.KindOrganization) != *after {
		t.Fatalf("%+v, %v", got, err)
	}
	if told := c.events(); !slices.Equal(told, []string{"LINK_CHANGED"}) {
		t.Errorf("told %q", told)
	}
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), after, true)
	h.must(err)
	told := c.events()
	told = append(told, c.events()...)
	if len(told) != many || slices.ContainsFunc(told, func(e string) bool { return e != "CONVERSATION_CHANGED" }) {
		t.Errorf("told of %d", len(told))
	}
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), after, true)
	h.must(err)
	if told := c.events(); len(told) != 0 {
		t.Errorf("moved twice: %d", len(told))
	}
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), nil, false)
	wantCode(t, err, ochre.CodeOrganizationRequired, "organizationId")
	_, err = h.desk.UpdateChannelLink(t.Context(), c.p, l.GlobalID(), h.tenant("Stranger").organization("Theirs"), false)
	wantCode(t, err, ochre.CodeNotFound, "organizationId")
}
