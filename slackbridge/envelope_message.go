package slackbridge

import (
	"encoding/json"
)

// slackMessage is a message as Slack shows it: in an event, inside message_changed, as another's root, or in a history. (Page "message event")
type slackMessage struct {
	Subtype      string `json:"subtype"`
	TS           string `json:"ts"`
	ThreadTS     string `json:"thread_ts"`
	ParentUserID string `json:"parent_user_id"`
	User         string `json:"user"`
	Username     string `json:"username"`
	AppID        string `json:"app_id"`
	BotID        string `json:"bot_id"`
	BotProfile   struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		AppID  string `json:"app_id"`
		TeamID string `json:"team_id"`
	} `json:"bot_profile"`
	UserTeam    string `json:"user_team"`
	SourceTeam  string `json:"source_team"`
	Team        string `json:"team"`
	UserProfile struct {
		Team        string `json:"team"`
		RealName    string `json:"real_name"`
		DisplayName string `json:"display_name"`
		Name        string `json:"name"`
		Image72     string `json:"image_72"`
	} `json:"user_profile"`
	Edited struct {
		TS string `json:"ts"`
	} `json:"edited"`
	Metadata struct {
		EventType    string `json:"event_type"`
		EventPayload struct {
			MessageID string `json:"message_id"`
		} `json:"event_payload"`
	} `json:"metadata"`

	Text        json.RawMessage `json:"text"`
	Blocks      json.RawMessage `json:"blocks"`
	Attachments json.RawMessage `json:"attachments"`
	Files       json.RawMessage `json:"files"`
	File        json.RawMessage `json:"file"` // of file_share in old apps
	Root        json.RawMessage `json:"root"` // of thread_broadcast
}

// slackbot speaks for Slack itself, as a user of every workspace.
const slackbot = "USLACKBOT"

// decodeMessage reads a message; nil if raw is none. Slack has sent `[]` for a previous_message.
func decodeMessage(raw json.RawMessage) *slackMessage {
	var m slackMessage
	if decodeObject(raw, &m) != nil {
		return nil
	}
	return &m
}

// text gives the message's text, "" where it is none.
func (m *slackMessage) text() string {
	var s string
	_ = json.Unmarshal(m.Text, &s)
	return s
}
