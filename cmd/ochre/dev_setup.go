package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"
)

// simWorld is what the simulator's GET /world tells.
type simWorld struct {
	App   struct{ ID, ClientID, ClientSecret, SigningSecret string }
	Teams []struct {
		ID, Name string
		Users    []struct {
			ID, Name, RealName, Email, Token string
			IsBot                            bool
		}
	}
	Channels []struct {
		ID, Name               string
		IsPrivate, IsExtShared bool
		TeamIDs, MemberIDs     []string
	}
}

func (d *dev) world(ctx context.Context) (*simWorld, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.sim+"/world", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var w simWorld
	if err := json.NewDecoder(resp.Body).Decode(&w); err != nil {
		return nil, fmt.Errorf("read the simulator's world: %w", err)
	}
	return &w, nil
}

// graphql sends a request to the node under the admin's token, as any client would.
func (d *dev) graphql(ctx context.Context, query string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.PublicURL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer (status %d): %w", resp.StatusCode, err)
	}
	if len(answer.Errors) > 0 {
		return errors.New(answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, into)
}

type userErrors []struct{ Message, Code string }

func (u userErrors) err() error {
	if len(u) == 0 {
		return nil
	}
	return fmt.Errorf("%s (%s)", u[0].Message, u[0].Code)
}

// setUp connects the simulated workspace and links the first channel, over HTTP and by the API as an admin's browser would; what is done already is left.
func (d *dev) setUp(ctx context.Context, n *node) error {
	w, err := d.world(ctx)
	if err != nil {
		return err
	}
	if err := d.waitServing(ctx); err != nil {
		return err
	}
	installation, linked, err := d.state(ctx)
	if err != nil {
		return err
	}
	if installation == "" {
		d.say("Slack: installing the app by its OAuth pages")
		if err := d.install(ctx); err != nil {
			return fmt.Errorf("install the app: %w", err)
		}
		if installation, _, err = d.state(ctx); err != nil {
			return err
		}
	}
	for _, c := range w.Channels {
		if linked == "" && c.IsExtShared {
			d.say("Slack: linking #%s", c.Name)
			if err := d.link(ctx, installation, c.ID); err != nil {
				return fmt.Errorf("link #%s: %w", c.Name, err)
			}
			linked = c.Name
		}
	}
	if linked == "" {
		return errors.New("the simulator has no Slack Connect channel")
	}
	link, err := n.desk.SignInLink(ctx, devAdmin)
	if err != nil {
		return err
	}
	d.greet(w, link, linked) // first: who waits for /readyz may read it at once
	close(d.ready)
	return nil
}

func (d *dev) waitServing(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.config.PublicURL+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// state gives the connected installation and the name of the first linked channel, "" for none.
func (d *dev) state(ctx context.Context) (installation, channel string, err error) {
	var got struct {
		SlackInstallations []struct {
			ID        string
			Connected bool
		}
		ChannelLinks struct {
			Nodes []struct{ SlackChannelName string }
		}
	}
	err = d.graphql(ctx, `{ slackInstallations { id connected } channelLinks(first: 1) { nodes { slackChannelName } } }`, nil, &got)
	if err != nil {
		return "", "", err
	}
	for _, i := range got.SlackInstallations {
		if i.Connected {
			installation = i.ID
		}
	}
	if len(got.ChannelLinks.Nodes) > 0 {
		channel = got.ChannelLinks.Nodes[0].SlackChannelName
	}
	return installation, channel, nil
}

// install walks Slack's pages as the admin's browser does, with its cookies.
func (d *dev) install(ctx context.Context) error {
	var got struct {
		StartSlackInstall struct {
			AuthorizeURL string
			UserErrors   userErrors
		}
	}
	err := d.graphql(ctx, `mutation { startSlackInstall(input: {}) { authorizeUrl userErrors { message code } } }`, nil, &got)
	if err = errors.Join(err, got.StartSlackInstall.UserErrors.err()); err != nil {
		return err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Timeout: 45 * time.Second}
	page, err := d.visit(ctx, browser, http.MethodGet, got.StartSlackInstall.AuthorizeURL, nil)
	if err != nil {
		return err
	}
	w, err := d.world(ctx)
	if err != nil {
		return err
	}
	form := page.Query() // what the page's form sends, hidden fields and all
	form.Set("user", w.Teams[0].Users[0].ID)
	form.Set("action", "allow")
	page.RawQuery = ""
	_, err = d.visit(ctx, browser, http.MethodPost, page.String(), form)
	return err
}

// visit opens a page, follows where it leads, and gives the address it ended at.
func (d *dev) visit(ctx context.Context, browser *http.Client, method, address string, form url.Values) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := browser.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return nil, fmt.Errorf("%s answered %d: %s", resp.Request.URL.Path, resp.StatusCode, text)
	}
	return resp.Request.URL, nil
}

func (d *dev) link(ctx context.Context, installation, channel string) error {
	var org struct {
		UpsertOrganization struct {
			Organization struct{ ID string }
			UserErrors   userErrors
		}
	}
	err := d.graphql(ctx, `mutation { upsertOrganization(input: {by: {externalId: "globex"}, name: "Globex", domain: "globex.example"}) { organization { id } userErrors { message code } } }`, nil, &org)
	if err = errors.Join(err, org.UpsertOrganization.UserErrors.err()); err != nil {
		return err
	}
	var link struct {
		LinkChannel struct{ UserErrors userErrors }
	}
	err = d.graphql(ctx, `mutation($i: LinkChannelInput!) { linkChannel(input: $i) { userErrors { message code } } }`, map[string]any{"i": map[string]any{
		"installationId": installation, "slackChannelId": channel, "organizationId": org.UpsertOrganization.Organization.ID,
	}}, &link)
	return errors.Join(err, link.LinkChannel.UserErrors.err())
}

// greet says where everything is and what to try.
func (d *dev) greet(w *simWorld, signIn, channel string) {
	customer := "a customer"
	for _, t := range w.Teams[1:] {
		if len(t.Users) > 0 {
			customer = t.Users[0].RealName
			break
		}
	}
	d.say(`
Ochre is ready (%s).

  Ochre       %s
  sign in     %s   (once, as %s)
  GraphiQL    %s/graphiql
  Slack       %s   (the simulator)
  API token   %s

Try: open the simulator, choose %s, write in #%s, and see the conversation:

  curl -s %s/graphql -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \
    -d '{"query":"{ conversations { nodes { number title waitingOn organization { name } } } }"}'

Then answer it in GraphiQL with postReply, and look at the thread in the simulator. Ctrl-C ends it all.`,
		time.Since(d.began).Round(100*time.Millisecond), d.config.PublicURL, signIn, devAdmin, d.config.PublicURL, d.sim, d.token, customer, channel, d.config.PublicURL, d.token)
}
