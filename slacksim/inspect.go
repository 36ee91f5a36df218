package slacksim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// serveWorld is GET /world: who and what there is, in an order that stays.
func (s *Server) serveWorld(w http.ResponseWriter, _ *http.Request) {
	s.writeLocked(w, func() (int, any) {
		teams := []object{}
		for _, t := range s.world.sortedTeams() {
			users := []object{}
			for _, u := range s.world.sortedUsers() {
				if u.TeamID == t.ID && !u.Deleted {
					users = append(users, userView(u))
				}
			}
			teams = append(teams, object{"id": t.ID, "name": t.Name, "domain": t.Domain, "users": users})
		}
		channels := []object{}
		for _, c := range s.world.sortedChannels() {
			channels = append(channels, channelView(c))
		}
		app := s.world.app
		return http.StatusOK, object{
			"app": object{
				"id": app.ID, "clientId": app.ClientID, "clientSecret": app.ClientSecret, "signingSecret": app.SigningSecret,
			},
			"teams": teams, "channels": channels,
		}
	})
}

func userView(u *user) object {
	return object{
		"id": u.ID, "name": u.Name, "realName": u.RealName, "email": u.Email, "token": u.Token, "isBot": u.IsBot,
	}
}

func channelView(c *channel) object {
	return object{
		"id": c.ID, "name": c.Name, "isPrivate": c.IsPrivate, "isExtShared": c.isExtShared(),
		"teamIds": c.TeamIDs, "memberIds": append([]string{}, c.MemberIDs...),
	}
}

// serveApp is GET /control/app: what /world doesn't tell about the app.
func (s *Server) serveApp(w http.ResponseWriter, _ *http.Request) {
	s.writeLocked(w, func() (int, any) {
		installs := []object{}
		for _, inst := range s.world.sortedInstalls() {
			installs = append(installs, object{
				"teamId": inst.TeamID, "botUserId": inst.BotUserID, "botId": inst.BotID, "token": inst.Token,
				"scopes": inst.Scopes, "active": inst.Active,
			})
		}
		return http.StatusOK, object{"app": s.world.app, "installations": installs}
	})
}

// serveRaw is GET /control/raw?channel=: the stored messages, oldest first, also
// those that a fault still hides, with what was sent.
func (s *Server) serveRaw(w http.ResponseWriter, r *http.Request) {
	s.writeLocked(w, func() (int, any) {
		c := s.world.findChannel(r.URL.Query().Get("channel"))
		if c == nil {
			return http.StatusNotFound, object{"error": "no such channel"}
		}
		return http.StatusOK, object{"messages": c.log.all()}
	})
}

// serveIdle waits until no event is on its way, retries included, at most ?wait=
// (a duration, default 5s): 200, or 504 if some still are.
func (s *Server) serveIdle(w http.ResponseWriter, r *http.Request) {
	wait := 5 * time.Second
	if text := r.URL.Query().Get("wait"); text != "" {
		parsed, err := time.ParseDuration(text)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		wait = parsed
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.deliverer.whenIdle():
		writeJSON(w, http.StatusOK, object{"pending": 0})
	case <-timer.C:
		_, pending := s.deliverer.recent()
		writeJSON(w, http.StatusGatewayTimeout, object{"pending": pending})
	case <-r.Context().Done():
	case <-s.done:
	}
}

func (s *Server) serveSwitches(w http.ResponseWriter, _ *http.Request) {
	s.writeLocked(w, func() (int, any) { return http.StatusOK, s.switches })
}

// serveSetSwitches changes the switches that the body names, and leaves the others.
func (s *Server) serveSetSwitches(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if !readBody(w, r, &body) {
		return
	}
	s.writeLocked(w, func() (int, any) {
		changed := s.switches
		if err := decodeStrict(body, &changed); err != nil {
			return http.StatusBadRequest, object{"error": err.Error()}
		}
		if err := changed.check(); err != nil {
			return http.StatusBadRequest, object{"error": err.Error()}
		}
		s.switches = changed
		return http.StatusOK, s.switches
	})
}

func (s *Server) serveAddFault(w http.ResponseWriter, r *http.Request) {
	f := new(Fault)
	if !readBody(w, r, f) {
		return
	}
	if err := f.check(); err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
		return
	}
	f.Hits = 0
	s.faults.add(f)
	writeJSON(w, http.StatusOK, object{"faults": s.faults.all()})
}

// readBody decodes the body, if there is one; a field that isn't known is refused,
// for it is likely a misspelt one. What is wrong is answered.
func readBody(w http.ResponseWriter, r *http.Request, into any) bool {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallBody))
	if err == nil && len(bytes.TrimSpace(raw)) > 0 {
		err = decodeStrict(raw, into)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
	}
	return err == nil
}

func decodeStrict(raw json.RawMessage, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
