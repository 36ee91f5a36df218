package slackbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ochrehq/ochre"
)

// Envelope is what Slack posts for one event, as far as Ochre reads it. It is decoded so that Slack may send what it likes: a field of another type than
// it should have counts as absent. Its texts hold no NUL and are valid UTF-8.
type Envelope struct {
	Type           string          `json:"type"`
	EventID        string          `json:"event_id"`
	EventTime      int64           `json:"event_time"` // seconds
	APIAppID       string          `json:"api_app_id"`
	TeamID         string          `json:"team_id"`
	ContextTeamID  string          `json:"context_team_id"`
	Authorizations []Authorization `json:"authorizations"`
	Challenge      string          `json:"challenge"` // of url_verification
	Event          InnerEvent      `json:"event"`
}

// Authorization names one of the installations that may see an event; not a particular one.
type Authorization struct {
	TeamID string `json:"team_id"`
	UserID string `json:"user_id"`
	IsBot  bool   `json:"is_bot"`
}

// InnerEvent is the event itself: the fields of all types of event that Ochre knows, and those of a message.
type InnerEvent struct {
	Type      string    `json:"type"`
	EventTS   string    `json:"event_ts"`
	Channel   channelID `json:"channel"`
	Hidden    bool      `json:"hidden"`
	Ephemeral bool      `json:"is_ephemeral"`

	// Of message_changed and message_deleted.
	Changed   json.RawMessage `json:"message"`
	Previous  json.RawMessage `json:"previous_message"`
	DeletedTS string          `json:"deleted_ts"`

	// Of reactions.
	Reaction string `json:"reaction"`
	Item     struct {
		Type    string `json:"type"`
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	} `json:"item"`

	// Of channel_id_changed.
	OldChannelID string `json:"old_channel_id"`

	slackMessage
}

// channelID is an event's channel: its id alone, or an object that has it, as in channel_rename.
type channelID string

// UnmarshalJSON never fails: an error would end the decoding of the whole event.
func (c *channelID) UnmarshalJSON(b []byte) error {
	var o struct {
		ID string `json:"id"`
	}
	if len(b) > 0 && b[0] == '"' {
		_ = json.Unmarshal(b, &o.ID)
	} else {
		_ = json.Unmarshal(b, &o)
	}
	*c = channelID(o.ID)
	return nil
}

// errNotObject is the refusal of a body that is JSON and no object.
var errNotObject = errors.New("the body is not a JSON object")

// ParseEnvelope reads the body of an event. It fails only for what is not one JSON object.
func ParseEnvelope(body []byte) (Envelope, error) {
	var e Envelope
	if err := decodeObject(body, &e); err != nil {
		return Envelope{}, err
	}
	for _, s := range []*string{
		&e.Type, &e.EventID, &e.APIAppID, &e.TeamID, &e.ContextTeamID, &e.Challenge, &e.Event.Type, &e.Event.Subtype, (*string)(&e.Event.Channel),
		&e.Event.Item.Channel, &e.Event.OldChannelID, &e.Event.User,
	} {
		*s = clean(*s)
	}
	for i := range e.Authorizations {
		e.Authorizations[i].TeamID, e.Authorizations[i].UserID = clean(e.Authorizations[i].TeamID), clean(e.Authorizations[i].UserID)
	}
	return e, nil
}

// decodeObject fills v with what can be read of a JSON object. A field of a wrong type stays as it was.
func decodeObject(raw []byte, v any) error {
	if head := bytes.TrimLeft(raw, " \t\r\n"); len(head) == 0 || head[0] != '{' {
		return errNotObject
	}
	var wrongType *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, v); err != nil && !errors.As(err, &wrongType) {
		return err
	}
	return nil
}

// clean makes a text fit for PostgreSQL. encoding/json has replaced invalid UTF-8 and lone surrogates already.
func clean(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }

// Teams are the workspaces that the event may be meant for, the likeliest first. They decide only where no channel does.
func (e *Envelope) Teams() []string {
	var teams []string
	add := func(id string) {
		if id != "" && !slices.Contains(teams, id) {
			teams = append(teams, id)
		}
	}
	if len(e.Authorizations) > 0 {
		add(e.Authorizations[0].TeamID)
	}
	add(e.ContextTeamID)
	add(e.TeamID)
	return teams
}

// ParseWorkspaceEvent reads the body of an event that is for Channels.Handle.
func ParseWorkspaceEvent(body []byte) (WorkspaceEvent, error) {
	env, err := ParseEnvelope(body)
	if err != nil {
		return WorkspaceEvent{}, err
	}
	var raw struct {
		Event json.RawMessage `json:"event"`
	}
	if err := decodeObject(body, &raw); err != nil {
		return WorkspaceEvent{}, err
	}
	return WorkspaceEvent{SlackTeamIDs: env.Teams(), AppID: env.APIAppID, At: time.Unix(env.EventTime, 0).UTC(), Inner: raw.Event}, nil
}

// SlackChannelID is the channel that the event is about, "" for none.
func (e *Envelope) SlackChannelID() string {
	switch e.Event.Type {
	case "reaction_added", "reaction_removed":
		return e.Event.Item.Channel
	case "channel_id_changed":
		return e.Event.OldChannelID
	}
	return string(e.Event.Channel)
}

// validTS gives ts if Slack could have printed it, else "".
func validTS(ts string) string {
	if _, err := ochre.PositionOf(ts); err != nil {
		return ""
	}
	return ts
}

// firstTS gives the first of its arguments that is a ts.
func firstTS(tss ...string) string {
	for _, ts := range tss {
		if validTS(ts) != "" {
			return ts
		}
	}
	return ""
}
