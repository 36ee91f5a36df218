package slackbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/ochrehq/ochre"
)

// MetadataType is the event_type of the metadata on each of our messages; its payload holds our message id.
const MetadataType = "ochre_message"

// metadataKey is the payload's key of our message id.
const metadataKey = "message_id"

// Post is a message to be sent. Text is what notifications show; Blocks, a JSON array, is what the channel shows.
type Post struct {
	Channel   string
	ThreadTS  string // of the thread's root; empty: a new top-level message
	Text      string // escaped mrkdwn
	Blocks    json.RawMessage
	Username  string
	IconURL   string
	MessageID string // global id, by which FindByMessageID finds it
}

// rawBlock lets blocks pass through slack-go as they are.
type rawBlock struct{ json.RawMessage }

func (rawBlock) BlockType() slack.MessageBlockType { return "" }
func (rawBlock) ID() string                        { return "" }

// content gives the options that a post and an edit share. Nothing is unfurled, and no name in the text is made a mention: what an agent
// wrote is all that Slack shows, and only what its blocks say pings anybody.
func content(text string, blocks json.RawMessage, messageID string) ([]slack.MsgOption, error) {
	var list []json.RawMessage
	if len(blocks) > 0 {
		if err := json.Unmarshal(blocks, &list); err != nil {
			return nil, &Outcome{Kind: Permanent, Code: "invalid_blocks", Err: fmt.Errorf("read the blocks: %w", err)}
		}
	}
	o := []slack.MsgOption{slack.MsgOptionText(text, false)}
	for _, b := range list {
		o = append(o, slack.MsgOptionBlocks(rawBlock{b}))
	}
	if messageID != "" {
		o = append(o, slack.MsgOptionMetadata(slack.SlackMetadata{EventType: MetadataType, EventPayload: map[string]any{metadataKey: messageID}}))
	}
	return o, nil
}

// PostMessage sends a message once and gives its ts. Slack has no idempotency key: after an Unclear outcome look with FindByMessageID
// before sending again. (chat.postMessage)
func (c *Client) PostMessage(ctx context.Context, inst *ochre.SlackInstallation, p Post) (ts string, err error) {
	o, err := content(p.Text, p.Blocks, p.MessageID)
	if err != nil {
		return "", err
	}
	o = append(o, slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	if p.ThreadTS != "" {
		o = append(o, slack.MsgOptionTS(p.ThreadTS))
	}
	if p.Username != "" {
		o = append(o, slack.MsgOptionUsername(p.Username))
	}
	if p.IconURL != "" {
		o = append(o, slack.MsgOptionIconURL(p.IconURL))
	}
	err = c.with(ctx, inst, func(ctx context.Context, token string) error {
		var err error
		_, ts, err = c.slackGo(token).PostMessageContext(ctx, p.Channel, o...)
		if err == nil && ts == "" { // slack-go takes ok false without an error for a yes
			return errors.New("Slack's answer has no ts")
		}
		return err
	})
	return ts, err
}

// UpdateMessage replaces text and blocks of a message of ours; its metadata stays. (chat.update)
func (c *Client) UpdateMessage(ctx context.Context, inst *ochre.SlackInstallation, channel, ts, text string, blocks json.RawMessage) error {
	o, err := content(text, blocks, "")
	if err != nil {
		return err
	}
	return c.with(ctx, inst, func(ctx context.Context, token string) error {
		_, got, _, err := c.slackGo(token).UpdateMessageContext(ctx, channel, ts, o...)
		if err == nil && got == "" {
			return errors.New("Slack's answer has no ts")
		}
		return err
	})
}

// DeleteMessage deletes a message of ours. (chat.delete)
func (c *Client) DeleteMessage(ctx context.Context, inst *ochre.SlackInstallation, channel, ts string) error {
	return c.with(ctx, inst, func(ctx context.Context, token string) error {
		_, got, err := c.slackGo(token).DeleteMessageContext(ctx, channel, ts)
		if err == nil && got == "" {
			return errors.New("Slack's answer has no ts")
		}
		return err
	})
}

// clockSkew is by how much Slack's clock may differ from ours when we look for a message by time.
const clockSkew = 5 * time.Minute

// maxPages bounds a look-up; at Slack's smallest page it covers 15,000 messages.
const maxPages = 1000

// FindByMessageID gives the ts of each message of our bot that carries our message id, oldest first: in the thread of threadTS, or among the
// channel's top-level messages if that is empty. It looks at what was posted since oldest, with some room for clocks that differ. Only
// our own bot's messages count: another company may put any metadata on its own. (conversations.replies, conversations.history)
func (c *Client) FindByMessageID(ctx context.Context, inst *ochre.SlackInstallation, channel, threadTS, messageID string, oldest time.Time) ([]string, error) {
	method := "conversations.history"
	args := url.Values{"channel": {channel}, "include_all_metadata": {"true"}, "limit": {"200"}}
	if threadTS != "" {
		method = "conversations.replies"
		args.Set("ts", threadTS)
	}
	if !oldest.IsZero() {
		us := oldest.Add(-clockSkew).UnixMicro()
		args.Set("oldest", fmt.Sprintf("%d.%06d", us/1e6, us%1e6))
	}
	var found []string
	for range maxPages {
		var p struct {
			Messages []foundMessage `json:"messages"`
			page
		}
		err := c.with(ctx, inst, func(ctx context.Context, token string) error { return c.call(ctx, token, method, args, &p) })
		if err != nil {
			return nil, err
		}
		for _, m := range p.Messages {
			if m.isOurs(inst) && m.messageID() == messageID {
				found = append(found, m.TS)
			}
		}
		if p.Metadata.NextCursor == "" {
			return oldestFirst(found), nil
		}
		args.Set("cursor", p.Metadata.NextCursor)
	}
	return nil, &Outcome{Kind: NotSent, Code: "too_many_messages", Err: errors.New("the channel has too many messages to look through")}
}

// foundMessage is what a look-up needs of a message.
type foundMessage struct {
	TS       string `json:"ts"`
	User     string `json:"user"`
	BotID    string `json:"bot_id"`
	Metadata struct {
		EventType    string          `json:"event_type"`
		EventPayload json.RawMessage `json:"event_payload"`
	} `json:"metadata"`
}

func (m *foundMessage) isOurs(inst *ochre.SlackInstallation) bool {
	if m.User != "" {
		return m.User == inst.BotUserID
	}
	return m.BotID != "" && m.BotID == inst.BotID
}

func (m *foundMessage) messageID() string {
	var payload map[string]any
	if m.Metadata.EventType != MetadataType || json.Unmarshal(m.Metadata.EventPayload, &payload) != nil {
		return ""
	}
	id, _ := payload[metadataKey].(string)
	return id
}

// ThreadRoot gives the message that a thread hangs on, as Slack's own JSON. thread_not_found if it is not there. (conversations.replies)
func (c *Client) ThreadRoot(ctx context.Context, inst *ochre.SlackInstallation, channel, ts string) (json.RawMessage, error) {
	args := url.Values{"channel": {channel}, "ts": {ts}, "limit": {strconv.Itoa(1)}, "include_all_metadata": {"true"}}
	var root json.RawMessage
	err := c.with(ctx, inst, func(ctx context.Context, token string) error {
		var p struct {
			Messages []json.RawMessage `json:"messages"`
		}
		if err := c.call(ctx, token, "conversations.replies", args, &p); err != nil {
			return err
		}
		for _, m := range p.Messages {
			var head struct {
				TS string `json:"ts"`
			}
			if json.Unmarshal(m, &head) == nil && head.TS == ts {
				root = m
				return nil
			}
		}
		return slack.SlackErrorResponse{Err: "thread_not_found"}
	})
	return root, err
}
