//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// event is one of a subscription.
type event struct {
	Typename     string `json:"__typename"`
	Cursor       string
	Conversation *conversation
	Entry        *entry
	Installation *installation
	SlackChannel *struct{ Name, SlackChannelID string }
	ChannelLink  *struct{ ID, State string }
}

const eventFields = `__typename cursor
	... on ConversationCreated { conversation { id title organization { name } endUser { name } } }
	... on ConversationChanged { conversation { id title status waitingOn } }
	... on TimelineEntryAdded { conversation { id } entry { ` + entryFields + ` } }
	... on TimelineEntryChanged { conversation { id } entry { ` + entryFields + ` } }
	... on SlackInstallationChanged { installation { id connected disconnectedReason } }
	... on SlackChannelChanged { slackChannel { name slackChannelId } }
	... on ChannelLinkChanged { channelLink { id state } }`

// screen is an agent's open inbox: one graphql-transport-ws socket with one subscription.
type screen struct {
	t      testing.TB
	conn   *websocket.Conn
	events chan event
	closed chan struct{}
	status websocket.StatusCode // set before closed is closed; -1 for no close frame
	last   string               // cursor of the last event that next gave
}

type frame struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// opens begins to watch the inbox, after a cursor unless it is "".
func (c client) opens(after string) *screen {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetReadLimit(4 << 20)
	s := &screen{t: c.t, conn: conn, events: make(chan event, 1000), closed: make(chan struct{})}
	c.t.Cleanup(func() {
		conn.CloseNow()
		<-s.closed
	})
	variables := object{}
	if after != "" {
		variables["after"] = after
	}
	s.write(ctx, "connection_init", "", object{"authorization": "Bearer " + c.token})
	var ack frame
	if err := wsjson.Read(ctx, conn, &ack); err != nil || ack.Type != "connection_ack" {
		close(s.closed)
		c.t.Fatalf("no connection_ack: %v, %+v", err, ack)
	}
	s.write(ctx, "subscribe", "inbox", object{
		"query": `subscription($after: EventCursor) { inboxEvents(after: $after) { ` + eventFields + ` } }`, "variables": variables,
	})
	go s.read()
	return s
}

func (s *screen) write(ctx context.Context, kind, id string, payload any) {
	s.t.Helper()
	body, err := json.Marshal(payload)
	if err == nil {
		err = wsjson.Write(ctx, s.conn, frame{ID: id, Type: kind, Payload: body})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// read takes frames until the socket ends.
func (s *screen) read() {
	defer close(s.closed)
	for {
		var f frame
		if err := wsjson.Read(context.Background(), s.conn, &f); err != nil {
			s.status = websocket.CloseStatus(err)
			return
		}
		switch f.Type {
		case "ping":
			_ = wsjson.Write(context.Background(), s.conn, frame{Type: "pong"})
		case "next":
			var payload struct {
				Data   struct{ InboxEvents event }
				Errors []graphqlError
			}
			if err := json.Unmarshal(f.Payload, &payload); err != nil || len(payload.Errors) > 0 {
				s.t.Errorf("a bad event: %v, %s", err, f.Payload)
				return
			}
			s.events <- payload.Data.InboxEvents
		case "error", "complete":
			s.t.Errorf("the subscription ended: %s %s", f.Type, f.Payload)
			return
		}
	}
}

// next gives the next event.
func (s *screen) next() event {
	s.t.Helper()
	select {
	case e := <-s.events:
		s.last = e.Cursor
		return e
	default:
	}
	select {
	case e := <-s.events:
		s.last = e.Cursor
		return e
	case <-s.closed:
		s.t.Fatalf("the socket was closed with %d", s.status)
	case <-time.After(patience):
		s.t.Fatal("no event comes")
	}
	return event{}
}

// until skips to the first event of a type that fits.
func (s *screen) until(typename string, fits func(event) bool) event {
	s.t.Helper()
	for {
		if e := s.next(); e.Typename == typename && (fits == nil || fits(e)) {
			return e
		}
	}
}

// caughtUp skips to where what follows is live, and gives what came before.
func (s *screen) caughtUp() (missed []event) {
	s.t.Helper()
	for {
		e := s.next()
		if e.Typename == "CaughtUp" {
			return missed
		}
		missed = append(missed, e)
	}
}

// seesConversation waits for a new conversation.
func (s *screen) seesConversation(title string) *conversation {
	s.t.Helper()
	return s.until("ConversationCreated", func(e event) bool { return e.Conversation.Title == title }).Conversation
}

// seesMessage waits for a message that was added with this text.
func (s *screen) seesMessage(body string) *entry {
	s.t.Helper()
	return s.until("TimelineEntryAdded", func(e event) bool { return e.Entry.Typename == "Message" && e.Entry.Body == body }).Entry
}

// seesDelivery waits until a reply stands so.
func (s *screen) seesDelivery(message, state string) *entry {
	s.t.Helper()
	return s.until("TimelineEntryChanged", func(e event) bool {
		return e.Entry.ID == message && e.Entry.Delivery != nil && e.Entry.Delivery.State == state
	}).Entry
}
