package slacksim

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// envelope is what Slack posts for one event, in Slack's order of fields.
type envelope struct {
	Token               string          `json:"token"`
	TeamID              string          `json:"team_id"`
	ContextTeamID       string          `json:"context_team_id"`
	ContextEnterpriseID *string         `json:"context_enterprise_id"`
	APIAppID            string          `json:"api_app_id"`
	Event               json.RawMessage `json:"event"`
	Type                string          `json:"type"`
	EventID             string          `json:"event_id"`
	EventTime           int64           `json:"event_time"`
	Authorizations      []authorization `json:"authorizations"`
	IsExtSharedChannel  bool            `json:"is_ext_shared_channel"`
	EventContext        string          `json:"event_context,omitempty"`
}

type authorization struct {
	EnterpriseID        *string `json:"enterprise_id"`
	TeamID              string  `json:"team_id"`
	UserID              string  `json:"user_id"`
	IsBot               bool    `json:"is_bot"`
	IsEnterpriseInstall bool    `json:"is_enterprise_install"`
}

func (i *installation) authorization() authorization {
	return authorization{TeamID: i.TeamID, UserID: i.BotUserID, IsBot: true}
}

// eventContext names event, team, app and channel, as Slack's does.
type eventContext struct {
	Type    string `json:"et"`
	Team    string `json:"tid"`
	App     string `json:"aid"`
	Channel string `json:"cid"`
}

func (e eventContext) String() string {
	return "4-" + base64.RawURLEncoding.EncodeToString(encode(e))
}

func parseEventContext(text string) (e eventContext, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "4-"))
	return e, err == nil && json.Unmarshal(raw, &e) == nil
}

// listeners are the installations that may see the channel's events: the bot is a
// member and has the scope.
func (s *Server) listeners(c *channel, scope string) []*installation {
	var out []*installation
	for _, inst := range s.world.sortedInstalls() {
		if inst.Active && inst.hasScope(scope) && c.hasMember(inst.BotUserID) {
			out = append(out, inst)
		}
	}
	return out
}

// pick chooses the one installation that an event names. Slack sends an event once
// per app, however many of its installations may see it.
func (s *Server) pick(candidates []*installation, sourceTeam string) *installation {
	wantSource := s.switches.Authorized == "source"
	if wantSource || s.switches.Authorized == "other" {
		for _, inst := range candidates {
			if (inst.TeamID == sourceTeam) == wantSource {
				return inst
			}
		}
	}
	if s.switches.Authorized == "first" {
		return candidates[0]
	}
	return candidates[len(candidates)-1]
}

// emit sends an event of a channel. build makes the inner event for the workspace
// that the event names.
func (s *Server) emit(c *channel, scope, sourceTeam string, build func(*installation) object) {
	candidates := s.listeners(c, scope)
	if len(candidates) == 0 {
		return
	}
	inst := s.pick(candidates, sourceTeam)
	inner := build(inst)
	s.send(inst, c, sourceTeam, inner["type"].(string), encode(inner), 0)
}

// send wraps an inner event and hands it to the deliverer. c may be nil.
func (s *Server) send(inst *installation, c *channel, sourceTeam, kind string, inner json.RawMessage, wait time.Duration) {
	d := s.wrap(inst, c, sourceTeam, kind, inner)
	d.wait = wait
	s.deliverer.enqueue(d)
}

// wrap puts an inner event into its envelope, with an event_id of its own.
func (s *Server) wrap(inst *installation, c *channel, sourceTeam, kind string, inner json.RawMessage) *delivery {
	w := s.world
	env := envelope{
		Token: w.app.VerificationToken, TeamID: inst.TeamID, ContextTeamID: inst.TeamID, APIAppID: w.app.ID,
		Event: inner, Type: "event_callback", EventID: newEventID(), EventTime: s.now().Unix(),
		Authorizations: []authorization{inst.authorization()},
	}
	if sourceTeam != "" && s.switches.OuterTeam == "source" {
		env.TeamID = sourceTeam
	}
	d := &delivery{eventID: env.EventID, kind: kind}
	if c != nil {
		d.channel = c.ID
		env.IsExtSharedChannel = c.isExtShared()
		env.EventContext = eventContext{kind, inst.TeamID, w.app.ID, c.ID}.String()
	}
	d.body = encode(env)
	return d
}

func newEventID() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails, says crypto/rand
	return "Ev" + base32.StdEncoding.EncodeToString(random[:])[:11]
}

func (s *Server) eventViewer(inst *installation) viewer {
	v := viewer{teamID: inst.TeamID, event: true, metadata: "absent"}
	if inst.hasScope("metadata.message:read") {
		v.metadata = s.switches.EventMetadata
	}
	return v
}

// emitMessage tells about a new message, wait after now.
func (s *Server) emitMessage(c *channel, m *message, wait time.Duration) {
	candidates := s.listeners(c, c.historyScope())
	if len(candidates) > 0 {
		inst := s.pick(candidates, m.Team)
		event := s.render(c, m, s.eventViewer(inst))
		event["channel"], event["channel_type"], event["event_ts"] = c.ID, c.kind(), m.TS
		s.send(inst, c, m.Team, "message", encode(event), wait)
	}
	if m.isReply() && s.switches.MessageReplied {
		s.emitReplied(c, c.log.byTS[m.ThreadTS])
	}
	s.watchers.tell(c.ID)
}

// emitReplied sends message_replied as Slack does over the Events API: without its
// subtype.
func (s *Server) emitReplied(c *channel, root *message) {
	if root == nil {
		return
	}
	ts := c.log.nextTS(s.now())
	s.emit(c, c.historyScope(), root.Team, func(inst *installation) object {
		return object{
			"type": "message", "hidden": true, "channel": c.ID, "channel_type": c.kind(), "ts": ts, "event_ts": ts,
			"message": s.render(c, root, s.eventViewer(inst)),
		}
	})
}

// emitChanged tells that a message changed. before renders what it was.
func (s *Server) emitChanged(c *channel, m *message, before func(viewer) any) {
	ts := c.log.nextTS(s.now())
	s.emit(c, c.historyScope(), m.Team, func(inst *installation) object {
		v := s.eventViewer(inst)
		return object{
			"type": "message", "subtype": "message_changed", "hidden": true,
			"message": s.render(c, m, v), "previous_message": before(v),
			"channel": c.ID, "channel_type": c.kind(), "ts": ts, "event_ts": ts,
		}
	})
	s.watchers.tell(c.ID)
}

// emitDeleted tells that a message is gone; gone is what it was.
func (s *Server) emitDeleted(c *channel, gone *message) {
	ts := c.log.nextTS(s.now())
	s.emit(c, c.historyScope(), gone.Team, func(inst *installation) object {
		return object{
			"type": "message", "subtype": "message_deleted", "hidden": true,
			"deleted_ts": gone.TS, "previous_message": s.render(c, gone, s.eventViewer(inst)),
			"channel": c.ID, "channel_type": c.kind(), "ts": ts, "event_ts": ts,
		}
	})
	s.watchers.tell(c.ID)
}

func (s *Server) emitReaction(kind string, c *channel, m *message, by *user, name string) {
	ts := c.log.nextTS(s.now())
	s.emit(c, "reactions:read", by.TeamID, func(*installation) object {
		event := object{
			"type": kind, "user": by.ID, "reaction": name, "event_ts": ts,
			"item": object{"type": "message", "channel": c.ID, "ts": m.TS},
		}
		if m.User != "" {
			event["item_user"] = m.User
		}
		return event
	})
	s.watchers.tell(c.ID)
}

// emitMember tells that somebody joined or left.
func (s *Server) emitMember(kind string, c *channel, who *user, inviter string) {
	ts := c.log.nextTS(s.now())
	letter := "C"
	if c.IsPrivate {
		letter = "G"
	}
	s.emit(c, c.readScope(), who.TeamID, func(*installation) object {
		event := object{"type": kind, "user": who.ID, "channel": c.ID, "channel_type": letter, "team": who.TeamID, "event_ts": ts}
		if inviter != "" {
			event["inviter"] = inviter
		}
		return event
	})
	s.watchers.tell(c.ID)
}

// emitChannel sends an event about the channel itself. Those of private channels
// have twins named group_*.
func (s *Server) emitChannel(kind string, c *channel, by *user, fields object) {
	if c.IsPrivate {
		kind = "group_" + strings.TrimPrefix(kind, "channel_")
	}
	ts := c.log.nextTS(s.now())
	s.emit(c, c.readScope(), by.TeamID, func(*installation) object {
		event := object{"type": kind, "event_ts": ts}
		for key, value := range fields {
			event[key] = value
		}
		return event
	})
	s.watchers.tell(c.ID)
}
