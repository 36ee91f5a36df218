//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client speaks GraphQL over HTTP as one agent.
type client struct {
	t     testing.TB
	url   string
	token string
}

// graphqlError is what stands in errors[].
type graphqlError struct {
	Message    string
	Extensions struct{ Code string }
}

// refusal is what stands in userErrors.
type refusal struct {
	Code string
	Path []string
}

// at gives the same client at another address, a node's own.
func (c client) at(url string) client {
	c.url = url
	return c
}

// http sends one request. Besides the answer it gives what kept it from coming.
func (c client) http(method, address string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// try sends a request and gives what came back, whatever it is.
func (c client) try(query string, variables object, into any) (status int, problems []graphqlError, err error) {
	body, err := json.Marshal(object{"query": query, "variables": variables})
	if err != nil {
		return 0, nil, err
	}
	status, raw, err := c.http(http.MethodPost, c.url+"/graphql", body)
	if err != nil {
		return 0, nil, err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []graphqlError
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return status, nil, fmt.Errorf("status %d: %w: %s", status, err, raw)
	}
	if into != nil && len(answer.Data) > 0 && len(answer.Errors) == 0 {
		err = json.Unmarshal(answer.Data, into)
	}
	return status, answer.Errors, err
}

// query sends a request that must succeed. A read that is told UNAVAILABLE, as on a machine that is very busy, is sent again, as the README asks of clients.
func (c client) query(query string, variables object, into any) {
	c.t.Helper()
	status, problems, err := c.try(query, variables, into)
	for tries := 0; tries < 5 && status == http.StatusServiceUnavailable && !strings.HasPrefix(strings.TrimSpace(query), "mutation"); tries++ {
		status, problems, err = c.try(query, variables, into)
	}
	if err != nil || len(problems) > 0 {
		c.t.Fatalf("status %d, %v, errors %+v of\n%s\n%v", status, err, problems, query, variables)
	}
}

// message, note and activity in one, as a timeline holds them.
type entry struct {
	Typename            string `json:"__typename"`
	ID                  string
	Version             int
	Body                string
	Direction           string
	SlackTS             string `json:"slackTs"`
	EditedAt, DeletedAt *time.Time
	Kind                string
	Author              *struct {
		Typename string `json:"__typename"`
		Name     string
		Email    string
	}
	Delivery *struct {
		State     string
		Attempts  int
		ErrorCode string
	}
	PendingChange *struct{ Kind, State, ErrorCode string }
	Reactions     []struct {
		Emoji string
		Count int
	}
	Attachments []attachment
}

type attachment struct{ ID, State, Name, MimeType, URL string }

type conversation struct {
	ID, Title, Preview, Status, WaitingOn string
	Number                                int
	Organization, EndUser                 *struct{ ID, Name string }
	Timeline                              struct{ Nodes []entry }
}

const entryFields = `__typename id version
	... on Message { body direction slackTs editedAt deletedAt
		author { __typename ... on EndUser { name email } ... on Agent { name } ... on Teammate { name } ... on SlackApp { name } }
		delivery { state attempts errorCode } pendingChange { kind state errorCode } reactions { emoji count } attachments { id state name mimeType url } }
	... on Note { body }
	... on Activity { kind }`

const conversationFields = `id number title preview status waitingOn organization { id name } endUser { id name }`

// conversation reads a conversation with its timeline.
func (c client) conversation(id string) *conversation {
	c.t.Helper()
	var got struct{ Conversation *conversation }
	c.query(`query($id: ID!) { conversation(by: {id: $id}) { `+conversationFields+` timeline(first: 100) { nodes { `+entryFields+` } } } }`, object{"id": id}, &got)
	if got.Conversation == nil {
		c.t.Fatalf("there is no conversation %s", id)
	}
	return got.Conversation
}

// conversations lists them, the newest first, without their timelines.
func (c client) conversations() []conversation {
	c.t.Helper()
	var got struct {
		Conversations struct{ Nodes []conversation }
	}
	c.query(`{ conversations(first: 50, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { `+conversationFields+` } } }`, nil, &got)
	return got.Conversations.Nodes
}

// conversationOf waits for the conversation that a message began.
func (c client) conversationOf(title string) *conversation {
	c.t.Helper()
	var found conversation
	eventually(c.t, "a conversation "+title, func() string {
		all := c.conversations()
		n := 0
		for _, one := range all {
			if one.Title == title {
				found = one
				n++
			}
		}
		return differs(fmt.Sprintf("the number of them (of %d)", len(all)), n, 1)
	})
	return &found
}

// messages gives the messages of a timeline, without notes and activities.
func (c *conversation) messages() (ms []entry) {
	for _, e := range c.Timeline.Nodes {
		if e.Typename == "Message" {
			ms = append(ms, e)
		}
	}
	return ms
}

// lines shows a timeline's messages: who wrote them, on which side, and what.
func (c *conversation) lines() (lines string) {
	for _, m := range c.messages() {
		kind, name := "nobody", ""
		if m.Author != nil {
			kind, name = m.Author.Typename, m.Author.Name
		}
		lines += fmt.Sprintf("%s %s %s: %s\n", m.Direction, kind, name, m.Body)
	}
	return lines
}

func (c *conversation) message(id string) *entry {
	for i, e := range c.Timeline.Nodes {
		if e.ID == id {
			return &c.Timeline.Nodes[i]
		}
	}
	return nil
}

// reply answers in a conversation and gives the message's id.
func (c client) reply(conversation, body string) string {
	c.t.Helper()
	id, refused := c.tryReply(conversation, body, "")
	if len(refused) > 0 {
		c.t.Fatalf("the reply was refused: %+v", refused)
	}
	return id
}

const postReply = `mutation($i: PostReplyInput!) { postReply(input: $i) { message { id } userErrors { code path } } }`

func (c client) tryReply(conversation, body, key string) (id string, refused []refusal) {
	c.t.Helper()
	input := object{"conversationId": conversation, "body": body}
	if key != "" {
		input["idempotencyKey"] = key
	}
	var got struct {
		PostReply struct {
			Message    *struct{ ID string }
			UserErrors []refusal
		}
	}
	c.query(postReply, object{"i": input}, &got)
	if m := got.PostReply.Message; m != nil {
		id = m.ID
	}
	return id, got.PostReply.UserErrors
}

// mutate runs a mutation of one input, which nothing may speak against.
func (c client) mutate(name string, input object) {
	c.t.Helper()
	if refused := c.tryMutate(name, input); len(refused) > 0 {
		c.t.Fatalf("%s was refused: %+v", name, refused)
	}
}

func (c client) tryMutate(name string, input object) []refusal {
	c.t.Helper()
	var got map[string]struct{ UserErrors []refusal }
	kind := string(name[0]-'a'+'A') + name[1:] + "Input"
	c.query(`mutation($i: `+kind+`!) { `+name+`(input: $i) { userErrors { code path } } }`, object{"i": input}, &got)
	return got[name].UserErrors
}

// delivery waits until a reply's delivery stands so, and gives it.
func (c client) delivery(conversation, message, state string) *entry {
	c.t.Helper()
	var m *entry
	within(c.t, 3*patience, "the delivery of "+message, func() string {
		if m = c.conversation(conversation).message(message); m == nil || m.Delivery == nil {
			return "it has none"
		}
		return differs(fmt.Sprintf("its state (%+v)", *m.Delivery), m.Delivery.State, state)
	})
	return m
}

func (c client) latestCursor() string {
	c.t.Helper()
	var got struct{ LatestEventCursor string }
	c.query(`{ latestEventCursor }`, nil, &got)
	return got.LatestEventCursor
}
