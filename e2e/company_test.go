//go:build unix

package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
)

// company is a tenant, and at the same time its admin's API access.
type company struct {
	client
	w            *world
	browser      *browser // signed in
	installation string
}

// connect walks through Slack's pages as a browser: a person of a workspace allows the app. Connecting again renews.
func (co *company) connect(installer string) {
	co.t.Helper()
	page := co.authorizePage(co.browser)
	at, status, text := co.browser.open(page.address, page.answer(installer, "allow"))
	if status != http.StatusOK || !strings.HasPrefix(at.String(), co.w.url+"/") || at.Path != "/" {
		co.t.Fatalf("connecting ended at %s with %d:\n%s", at, status, tail(text, 2000))
	}
	team := co.w.slack.person(installer).TeamID
	for _, i := range co.installations() {
		if i.TeamID == team && i.Connected {
			co.installation = i.ID
			return
		}
	}
	co.t.Fatalf("no installation is connected: %+v", co.installations())
}

// authorize is Slack's page that asks whether the app may be installed.
type authorize struct {
	address string
	hidden  url.Values
}

func (a authorize) answer(person, action string) url.Values {
	a.hidden.Set("user", person)
	a.hidden.Set("action", action)
	return a.hidden
}

// authorizePage goes from Ochre's settings to Slack's page.
func (co *company) authorizePage(b *browser) authorize {
	co.t.Helper()
	var got struct {
		StartSlackInstall struct {
			AuthorizeURL string
			UserErrors   []refusal
		}
	}
	co.query(`mutation { startSlackInstall(input: {}) { authorizeUrl userErrors { code } } }`, nil, &got)
	at, status, text := b.open(got.StartSlackInstall.AuthorizeURL, nil)
	if status != http.StatusOK || !strings.HasPrefix(at.String(), co.w.slack.url+"/oauth/v2/authorize?") {
		co.t.Fatalf("the way to Slack ended at %s with %d:\n%s", at, status, tail(text, 2000))
	}
	return authorize{co.w.slack.url + at.Path, at.Query()}
}

type installation struct {
	ID, TeamID         string
	Connected          bool
	DisconnectedReason string
	MissingScopes      []string
}

func (co *company) installations() []installation {
	co.t.Helper()
	var got struct{ SlackInstallations []installation }
	co.query(`{ slackInstallations { id teamId connected disconnectedReason missingScopes } }`, nil, &got)
	return got.SlackInstallations
}

func (co *company) organization(name string) string {
	co.t.Helper()
	var got struct {
		UpsertOrganization struct {
			Organization struct{ ID string }
			UserErrors   []refusal
		}
	}
	co.query(`mutation($i: UpsertOrganizationInput!) { upsertOrganization(input: $i) { organization { id } userErrors { code } } }`,
		object{"i": object{"by": object{"externalId": strings.ToLower(name)}, "name": name}}, &got)
	return got.UpsertOrganization.Organization.ID
}

// watch links a channel, to an organization if one is named, and gives the link's id and Slack's id of the channel.
func (co *company) watch(channel, organization string) (link, slackChannel string) {
	co.t.Helper()
	slackChannel = co.w.slack.channel(channel)
	input := object{"installationId": co.installation, "slackChannelId": slackChannel}
	if organization != "" {
		input["organizationId"] = co.organization(organization)
	}
	var got struct {
		LinkChannel struct {
			ChannelLink *struct{ ID string }
			UserErrors  []refusal
		}
	}
	co.query(`mutation($i: LinkChannelInput!) { linkChannel(input: $i) { channelLink { id } userErrors { code path } } }`, object{"i": input}, &got)
	if got.LinkChannel.ChannelLink == nil {
		co.t.Fatalf("#%s was not linked: %+v", channel, got.LinkChannel.UserErrors)
	}
	return got.LinkChannel.ChannelLink.ID, slackChannel
}

type channelLink struct {
	State         string
	DroppedEvents int
}

func (co *company) link(id string) channelLink {
	co.t.Helper()
	var got struct{ Node channelLink }
	co.query(`query($id: ID!) { node(id: $id) { ... on ChannelLink { state droppedEvents } } }`, object{"id": id}, &got)
	return got.Node
}

// everythingApplied checks promise 1 in the database: each event that Slack has a 200 for is there, applied once, and no lane holds a dead letter.
func (w *world) everythingApplied(channel string) {
	w.t.Helper()
	w.slack.delivered()
	eventually(w.t, "every stored event is applied", func() string {
		return differs("the number of events that wait", w.sql(`SELECT count(*) FROM slack_events WHERE outcome IS NULL`), 0)
	})
	acknowledged := w.slack.acknowledged(channel)
	for _, id := range acknowledged {
		if n := w.sql(`SELECT count(*) FROM slack_events e JOIN channel_links l ON l.id = e.link_id WHERE l.slack_channel_id = $1 AND e.event_id = $2`, channel, id); n != 1 {
			w.t.Errorf("event %s was acknowledged and is stored %d times", id, n)
		}
	}
	if len(acknowledged) == 0 {
		w.t.Error("no event of the channel was acknowledged")
	}
	if dead := w.sql(`SELECT count(*) FROM lane_items WHERE dead_at IS NOT NULL`); dead != 0 {
		w.t.Errorf("%d dead letters", dead)
	}
}
