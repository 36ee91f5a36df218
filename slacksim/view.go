package slacksim

import (
	"encoding/json"
	"slices"
	"strings"
)

// object is a JSON object on its way out.
type object = map[string]any

// viewer says for whom a message is rendered.
type viewer struct {
	teamID   string // authors of other workspaces are foreign to it
	event    bool   // as events show it: file stubs, no reactions
	metadata string // "full", "type_only" or "absent"
}

// render is the message as Slack's JSON.
func (s *Server) render(c *channel, m *message, v viewer) object {
	w := s.world
	out := object{"type": "message", "ts": m.TS, "text": m.Text}
	if m.Tombstone {
		out["subtype"], out["user"], out["hidden"] = "tombstone", "USLACKBOT", true
		s.renderThread(c, m, out)
		return out
	}
	s.renderAuthor(m, out)
	for key, value := range map[string]string{"client_msg_id": m.ClientMsgID, "inviter": m.Inviter} {
		if value != "" {
			out[key] = value
		}
	}
	for key, value := range map[string]json.RawMessage{"blocks": m.Blocks, "attachments": m.Attachments} {
		if len(value) > 0 {
			out[key] = value
		}
	}
	switch {
	case m.Subtype != "":
		out["subtype"] = m.Subtype
	case len(m.Files) > 0:
		out["subtype"] = "file_share"
	case m.Broadcast:
		out["subtype"] = "thread_broadcast"
	}
	if root := c.log.byTS[m.ThreadTS]; m.Broadcast && root != nil {
		out["root"] = s.render(c, root, v)
	}
	if len(m.Files) > 0 {
		out["files"] = s.renderFiles(c, m, v)
		out["upload"], out["display_as_bot"] = false, false
	}
	if out["subtype"] != "file_share" {
		out["team"] = m.Team // Slack leaves it out of file_share
	}
	if m.Edited != nil {
		out["edited"] = m.Edited
	}
	s.renderMetadata(m, v, out)
	if len(m.Reactions) > 0 && !v.event {
		out["reactions"] = renderReactions(m.Reactions)
	}
	if author := w.users[m.User]; author != nil && author.TeamID != v.teamID {
		s.renderForeign(author, out)
	}
	s.renderThread(c, m, out)
	return out
}

func (s *Server) renderAuthor(m *message, out object) {
	w := s.world
	bot := m.isBotPost(w)
	named := m.Username != "" || len(m.Icons) > 0
	if bot && named && s.switches.UsernameEcho == "bot_message" {
		out["subtype"] = "bot_message"
	} else if m.User != "" {
		out["user"] = m.User
	}
	if m.BotID != "" {
		out["bot_id"], out["app_id"] = m.BotID, m.AppID
		if bot && out["subtype"] != "bot_message" || !bot && s.switches.UserTokenBotProfile {
			out["bot_profile"] = s.botProfile(m.BotID, m.AppID, m.Team)
		}
	}
	if m.Username != "" {
		out["username"] = m.Username
	}
	if len(m.Icons) > 0 {
		out["icons"] = m.Icons
	}
}

func (s *Server) botProfile(botID, appID, teamID string) object {
	return object{
		"id": botID, "app_id": appID, "team_id": teamID, "name": s.appName(appID), "deleted": false,
		"updated": s.world.teams[teamID].Created,
		"icons": object{
			"image_36": s.avatarURL(botID), "image_48": s.avatarURL(botID), "image_72": s.avatarURL(botID),
		},
	}
}

// appName is the app's, or a made-up one of a person's own app.
func (s *Server) appName(appID string) string {
	if appID == s.world.app.ID {
		return s.world.app.Name
	}
	for _, u := range s.world.users {
		if u.AppID == appID {
			return u.Name + "'s app"
		}
	}
	return "another app"
}

func (s *Server) renderForeign(author *user, out object) {
	out["user_team"], out["source_team"] = author.TeamID, author.TeamID
	switch s.switches.UserProfile {
	case "empty":
		out["user_profile"] = object{}
	case "present":
		out["user_profile"] = object{
			"avatar_hash": s.world.hex("avatar/"+author.ID, 12), "image_72": s.avatarURL(author.ID),
			"first_name": firstWord(author.RealName), "real_name": author.RealName,
			"display_name": author.Name, "name": author.Name, "team": author.TeamID,
			"is_restricted": author.IsGuest, "is_ultra_restricted": author.IsGuest,
		}
	}
}

func (s *Server) renderMetadata(m *message, v viewer, out object) {
	if len(m.Metadata) == 0 || v.metadata == "absent" || v.metadata == "" {
		return
	}
	if v.metadata == "full" {
		out["metadata"] = m.Metadata
		return
	}
	var parsed struct {
		EventType string `json:"event_type"`
	}
	if json.Unmarshal(m.Metadata, &parsed) == nil {
		out["metadata"] = object{"event_type": parsed.EventType, "event_payload": object{}}
	}
}

func renderReactions(reactions []reaction) []object {
	out := make([]object, 0, len(reactions))
	for _, r := range reactions {
		out = append(out, object{"name": r.Name, "users": r.Users, "count": len(r.Users)})
	}
	return out
}

// renderThread adds what ties a message to its thread.
func (s *Server) renderThread(c *channel, m *message, out object) {
	if m.isReply() {
		out["thread_ts"] = m.ThreadTS
		if root := c.log.byTS[m.ThreadTS]; root != nil && root.User != "" {
			out["parent_user_id"] = root.User
		}
		return
	}
	replies := shown(c.log.threads[m.TS], s.now())
	if len(replies) == 0 {
		return
	}
	var authors []string
	for _, r := range replies {
		author := r.User
		if author == "" {
			author = r.BotID
		}
		if !slices.Contains(authors, author) {
			authors = append(authors, author)
		}
	}
	out["thread_ts"] = m.TS
	out["reply_count"] = len(replies)
	out["reply_users_count"] = len(authors)
	out["reply_users"] = authors[:min(len(authors), 5)]
	out["latest_reply"] = replies[len(replies)-1].TS
	out["is_locked"], out["subscribed"] = false, false
}

func firstWord(text string) string {
	first, _, _ := strings.Cut(text, " ")
	return first
}

func (s *Server) avatarURL(id string) string { return s.baseURL + "/avatar/" + id + ".png" }
