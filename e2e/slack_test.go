//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ochrehq/ochre/slacksim"
)

// slack is the world's Slack, spoken to over HTTP only.
type slack struct {
	t    testing.TB
	url  string
	http *http.Client
	app  struct{ ID, ClientID, ClientSecret, SigningSecret string }
}

// person is somebody in Slack. What they do, they do by a Web API call with their own user token.
type person struct {
	slack                            *slack
	ID, Name, RealName, Email, Token string
	TeamID                           string
}

// slackMessage is a message as the Web API shows it.
type slackMessage struct {
	TS       string
	ThreadTS string `json:"thread_ts"`
	Text     string
	User     string
	Username string
	Icons    map[string]string
	Blocks   []struct{ Type string }
}

func newSlack(t testing.TB, c slacksim.Config) *slack {
	t.Helper()
	sim, err := slacksim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := sim.Close(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	s := &slack{t: t, url: server.URL, http: &http.Client{Transport: transport, Timeout: patience}}
	s.app = s.world().App
	return s
}

type slackWorld struct {
	App   struct{ ID, ClientID, ClientSecret, SigningSecret string }
	Teams []struct {
		ID, Name, Domain string
		Users            []struct{ ID, Name, RealName, Email, Token string }
	}
	Channels []struct{ ID, Name string }
}

func (s *slack) world() (w slackWorld) {
	s.t.Helper()
	s.send(http.MethodGet, "/world", nil, &w)
	return w
}

// send speaks JSON with the simulator's own routes.
func (s *slack) send(method, path string, body, into any) {
	s.t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			s.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s: status %d, %v: %s", method, path, resp.StatusCode, err, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

// object is a JSON object of a request.
type object = map[string]any

func (s *slack) control(route string, body object) {
	s.t.Helper()
	s.send(http.MethodPost, "/control/"+route, body, nil)
}

// goesWrong plants a fault; see the simulator's README.
func (s *slack) goesWrong(fault object) {
	s.t.Helper()
	s.control("faults", fault)
}

// faultsHit fails for each planted fault that never happened.
func (s *slack) faultsHit() {
	s.t.Helper()
	var got struct {
		Faults []struct {
			Method, Kind, Channel string
			Hits                  int
		}
	}
	s.send(http.MethodGet, "/control/faults", nil, &got)
	for _, f := range got.Faults {
		if f.Hits == 0 {
			s.t.Errorf("the fault %s of %s %s never happened", f.Kind, f.Method, f.Channel)
		}
	}
}

// delivered waits until no event is on its way, retries included.
func (s *slack) delivered() {
	s.t.Helper()
	s.send(http.MethodGet, "/control/idle?wait="+patience.String(), nil, nil)
}

// delivery is one attempt to bring an event.
type delivery struct {
	EventID, Type, Channel, Outcome, Body string
	Retry, Status                         int
}

func (s *slack) deliveries() []delivery {
	s.t.Helper()
	var got struct{ Deliveries []delivery }
	s.send(http.MethodGet, "/control/deliveries", nil, &got)
	return got.Deliveries
}

// acknowledged gives the events of a channel's messages that were answered with 200. Left out is what Ochre rightly drops at the door: that the bot has joined,
// which it does before the channel is watched, and the hidden message_replied, which Slack sends without its subtype.
func (s *slack) acknowledged(channel string) (eventIDs []string) {
	s.t.Helper()
	for _, d := range s.deliveries() {
		if d.Type != "message" || d.Channel != channel || d.Outcome != "ok" {
			continue
		}
		var body struct {
			Event struct {
				Subtype string
				Hidden  bool
			}
		}
		if err := json.Unmarshal([]byte(d.Body), &body); err != nil {
			s.t.Fatal(err)
		}
		if e := body.Event; e.Subtype != "channel_join" && (e.Subtype != "" || !e.Hidden) {
			eventIDs = append(eventIDs, d.EventID)
		}
	}
	slices.Sort(eventIDs)
	return slices.Compact(eventIDs)
}

// channel gives a channel's id.
func (s *slack) channel(name string) string {
	s.t.Helper()
	for _, c := range s.world().Channels {
		if c.Name == name {
			return c.ID
		}
	}
	s.t.Fatalf("Slack has no channel %s", name)
	return ""
}

func (s *slack) person(name string) *person {
	s.t.Helper()
	for _, t := range s.world().Teams {
		for _, u := range t.Users {
			if u.Name == name {
				return &person{slack: s, TeamID: t.ID, ID: u.ID, Name: u.Name, RealName: u.RealName, Email: u.Email, Token: u.Token}
			}
		}
	}
	s.t.Fatalf("nobody in Slack is called %s", name)
	return nil
}

// stored is a channel as Slack keeps it, hidden messages and all that was sent included.
func (s *slack) stored(channel string) string {
	s.t.Helper()
	var raw json.RawMessage
	s.send(http.MethodGet, "/control/raw?channel="+url.QueryEscape(channel), nil, &raw)
	return string(raw)
}

// posts writes a top-level message and gives its ts.
func (p *person) posts(channel, text string) string {
	p.slack.t.Helper()
	return p.call("chat.postMessage", url.Values{"channel": {channel}, "text": {text}}).TS
}

// answers writes into a thread.
func (p *person) answers(channel, thread, text string) string {
	p.slack.t.Helper()
	return p.call("chat.postMessage", url.Values{"channel": {channel}, "thread_ts": {thread}, "text": {text}}).TS
}

func (p *person) edits(channel, ts, text string) {
	p.slack.t.Helper()
	p.call("chat.update", url.Values{"channel": {channel}, "ts": {ts}, "text": {text}})
}

func (p *person) deletes(channel, ts string) {
	p.slack.t.Helper()
	p.call("chat.delete", url.Values{"channel": {channel}, "ts": {ts}})
}

func (p *person) reacts(channel, ts, emoji string) {
	p.slack.t.Helper()
	p.call("reactions.add", url.Values{"channel": {channel}, "timestamp": {ts}, "name": {emoji}})
}

// shares uploads a file into a thread.
func (p *person) shares(channel, thread, name, content, comment string) {
	p.slack.t.Helper()
	up := p.call("files.getUploadURLExternal", url.Values{"filename": {name}, "length": {fmt.Sprint(len(content))}})
	req, err := http.NewRequestWithContext(p.slack.t.Context(), http.MethodPost, up.UploadURL, strings.NewReader(content))
	if err != nil {
		p.slack.t.Fatal(err)
	}
	resp, err := p.slack.http.Do(req)
	if err != nil {
		p.slack.t.Fatal(err)
	}
	_ = resp.Body.Close()
	files, _ := json.Marshal([]object{{"id": up.FileID, "title": name}})
	p.call("files.completeUploadExternal", url.Values{
		"files": {string(files)}, "channel_id": {channel}, "thread_ts": {thread}, "initial_comment": {comment},
	})
}

// thread reads a thread, its root first.
func (p *person) thread(channel, ts string) []slackMessage {
	p.slack.t.Helper()
	return p.call("conversations.replies", url.Values{"channel": {channel}, "ts": {ts}, "limit": {"200"}}).Messages
}

// sees counts the messages of a thread that begin with a text.
func (p *person) sees(channel, thread, text string) int {
	p.slack.t.Helper()
	n := 0
	for _, m := range p.thread(channel, thread) {
		if strings.HasPrefix(m.Text, text) {
			n++
		}
	}
	return n
}

type slackAnswer struct {
	OK        bool
	Error, TS string
	Messages  []slackMessage
	UploadURL string `json:"upload_url"`
	FileID    string `json:"file_id"`
}

// call makes a Web API call that must succeed.
func (p *person) call(method string, args url.Values) (answer slackAnswer) {
	p.slack.t.Helper()
	req, err := http.NewRequestWithContext(p.slack.t.Context(), http.MethodPost, p.slack.url+"/api/"+method, strings.NewReader(args.Encode()))
	if err != nil {
		p.slack.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+p.Token)
	resp, err := p.slack.http.Do(req)
	if err != nil {
		p.slack.t.Fatalf("%s by %s: %v", method, p.Name, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || !answer.OK {
		p.slack.t.Fatalf("%s by %s: %v, %q", method, p.Name, err, answer.Error)
	}
	return answer
}
