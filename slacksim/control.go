package slacksim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// defaultScopes is what POST /control/install grants when it is not told.
var defaultScopes = []string{
	"channels:read", "channels:history", "channels:join", "groups:read", "groups:history", "chat:write", "chat:write.customize",
	"users:read", "users:read.email", "team:read", "files:read", "files:write", "reactions:read", "reactions:write",
	"conversations.connect:read", "metadata.message:read",
}

func (s *Server) controlRoutes(mux *http.ServeMux) {
	post := func(path string, run func(*Server, controlArgs) (any, error)) {
		mux.HandleFunc("POST /control/"+path, func(w http.ResponseWriter, r *http.Request) { s.serveControl(w, r, run) })
	}
	post("config", (*Server).controlConfig)
	post("install", (*Server).controlInstall)
	post("uninstall", (*Server).controlUninstall)
	post("invite", (*Server).controlInvite)
	post("channel", (*Server).controlChannel)
	post("user", (*Server).controlUser)
	post("team", (*Server).controlTeam)
	post("share", (*Server).controlShare)
	post("unshare", (*Server).controlUnshare)
	post("channel-id", (*Server).controlChannelID)
	post("event", (*Server).controlEvent)
	post("unfurl", (*Server).controlUnfurl)
	post("reveal", (*Server).controlReveal)
	post("act", (*Server).controlAct)
	mux.HandleFunc("POST /control/verify", s.serveVerify)
	mux.HandleFunc("POST /control/switches", s.serveSetSwitches)
	mux.HandleFunc("GET /control/switches", s.serveSwitches)
	mux.HandleFunc("POST /control/faults", s.serveAddFault)
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"faults": s.faults.all()})
	})
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /control/app", s.serveApp)
	mux.HandleFunc("GET /control/raw", s.serveRaw)
	mux.HandleFunc("GET /control/deliveries", func(w http.ResponseWriter, _ *http.Request) {
		list, pending := s.deliverer.recent()
		writeJSON(w, http.StatusOK, object{"deliveries": list, "pending": pending})
	})
	mux.HandleFunc("GET /control/idle", s.serveIdle)
}

// controlArgs are the fields that the control routes take; each uses some of them.
// Users and channels may be named by id or by name, teams by id or domain.
type controlArgs struct {
	EventsURL    *string           `json:"eventsUrl"`
	RedirectURLs []string          `json:"redirectUrls"`
	BaseURL      *string           `json:"baseUrl"`
	Team         string            `json:"team"`
	Teams        []string          `json:"teams"`
	User         string            `json:"user"`
	Users        []string          `json:"users"`
	Channel      string            `json:"channel"`
	TS           string            `json:"ts"`
	Name         string            `json:"name"`
	RealName     string            `json:"realName"`
	Email        *string           `json:"email"`
	Domain       string            `json:"domain"`
	Private      bool              `json:"private"`
	Admin        bool              `json:"admin"`
	Guest        bool              `json:"guest"`
	Scopes       []string          `json:"scopes"`
	Event        json.RawMessage   `json:"event"`
	Method       string            `json:"method"`
	Args         map[string]string `json:"args"`
}

// controlError is a request to /control that can't be done.
type controlError string

func (e controlError) Error() string { return string(e) }

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request, run func(*Server, controlArgs) (any, error)) {
	var args controlArgs
	if !readBody(w, r, &args) {
		return
	}
	s.writeLocked(w, func() (int, any) {
		out, err := run(s, args)
		if err != nil {
			return http.StatusBadRequest, object{"error": err.Error()}
		}
		return http.StatusOK, out
	})
}

func (s *Server) controlConfig(args controlArgs) (any, error) {
	app := s.world.app
	if args.EventsURL != nil {
		app.EventsURL = *args.EventsURL
	}
	if args.RedirectURLs != nil {
		app.RedirectURLs = args.RedirectURLs
	}
	if args.BaseURL != nil {
		s.baseURL = *args.BaseURL
	}
	s.world.saveApp()
	return object{"eventsUrl": app.EventsURL, "redirectUrls": app.RedirectURLs, "baseUrl": s.baseURL}, nil
}

func (s *Server) findTeam(word string) *team {
	for _, t := range s.world.sortedTeams() {
		if word == "" || t.ID == word || t.Domain == word {
			return t
		}
	}
	return nil
}

// controlInstall installs the app without its OAuth: team (default ours), scopes.
func (s *Server) controlInstall(args controlArgs) (any, error) {
	t := s.findTeam(args.Team)
	if t == nil {
		return nil, controlError("no such team")
	}
	scopes := args.Scopes
	if scopes == nil {
		scopes = defaultScopes
	}
	for _, u := range s.world.sortedUsers() {
		if u.TeamID == t.ID && u.IsAdmin {
			inst := s.install(u, scopes)
			return object{
				"teamId": t.ID, "token": inst.Token, "botUserId": inst.BotUserID, "botId": inst.BotID, "scopes": inst.Scopes,
			}, nil
		}
	}
	return nil, controlError("the team has no admin")
}

func (s *Server) controlUninstall(args controlArgs) (any, error) {
	t := s.findTeam(args.Team)
	if t == nil || s.world.installs[t.ID] == nil || !s.world.installs[t.ID].Active {
		return nil, controlError("the app is not installed there")
	}
	s.uninstall(s.world.installs[t.ID])
	return object{}, nil
}

// controlInvite brings the app's bot (of team, default ours) or a user into a channel.
func (s *Server) controlInvite(args controlArgs) (any, error) {
	c, t := s.world.findChannel(args.Channel), s.findTeam(args.Team)
	if c == nil || t == nil {
		return nil, controlError("no such channel or team")
	}
	u := s.world.findUser(args.User)
	if args.User == "" {
		if inst := s.world.installs[t.ID]; inst != nil && inst.Active {
			u = s.world.users[inst.BotUserID]
		}
	}
	switch {
	case u == nil:
		return nil, controlError("no such user, or the app is not installed")
	case !c.inTeam(u.TeamID):
		return nil, controlError("the channel is not in the user's workspace")
	case c.hasMember(u.ID):
		return object{"already": true}, nil
	}
	inviter := c.Creator
	if inviter == u.ID {
		inviter = ""
	}
	s.enter(c, u, inviter)
	return object{}, nil
}

// controlChannel makes a channel: name, teams (the host first; default ours), users, private.
func (s *Server) controlChannel(args controlArgs) (any, error) {
	if args.Name == "" || len(args.Teams) == 0 && s.findTeam("") == nil {
		return nil, controlError("a channel needs a name")
	}
	if len(args.Teams) == 0 {
		args.Teams = []string{""}
	}
	var teamIDs, memberIDs []string
	for _, word := range args.Teams {
		t := s.findTeam(word)
		if t == nil {
			return nil, controlError("no such team: " + word)
		}
		teamIDs = append(teamIDs, t.ID)
	}
	for _, word := range args.Users {
		u := s.world.findUser(word)
		if u == nil || !slices.Contains(teamIDs, u.TeamID) {
			return nil, controlError("no such user in these teams: " + word)
		}
		memberIDs = append(memberIDs, u.ID)
	}
	c := s.world.makeChannel(args.Name, args.Private, teamIDs, memberIDs, s.now())
	s.watchers.tell(c.ID)
	return channelView(c), nil
}

// controlUser makes a person: team, name, realName, email ("" for none), admin, guest.
func (s *Server) controlUser(args controlArgs) (any, error) {
	t := s.findTeam(args.Team)
	if t == nil || args.Name == "" {
		return nil, controlError("a user needs a known team and a name")
	}
	if s.world.users[s.world.id("U", t.Domain+"/"+args.Name)] != nil {
		return nil, controlError("the name is taken")
	}
	if args.RealName == "" {
		args.RealName = args.Name
	}
	u := s.world.makePerson(t, seedUser{args.Name, args.RealName, args.Admin, args.Guest}, s.now())
	if args.Email != nil {
		u.Email = *args.Email
		s.world.saveUser(u)
	}
	return userView(u), nil
}

// controlTeam makes a workspace: name, domain.
func (s *Server) controlTeam(args controlArgs) (any, error) {
	if args.Name == "" || args.Domain == "" || s.world.teams[s.world.id("T", args.Domain)] != nil {
		return nil, controlError("a team needs a name and a domain of its own")
	}
	t := s.world.makeTeam(args.Name, args.Domain, s.now())
	return object{"id": t.ID, "name": t.Name, "domain": t.Domain}, nil
}

// controlEvent delivers an inner event exactly as given, in the envelope of team
// (default ours); channel decides is_ext_shared_channel and event_context.
func (s *Server) controlEvent(args controlArgs) (any, error) {
	var head struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(args.Event, &head) != nil || head.Type == "" {
		return nil, controlError("event must be an object with a type")
	}
	t := s.findTeam(args.Team)
	if t == nil {
		return nil, controlError("no such team")
	}
	inst := s.world.installs[t.ID]
	if inst == nil {
		return nil, controlError("the app was never installed there")
	}
	s.send(inst, s.world.findChannel(args.Channel), "", head.Type, args.Event, 0)
	return object{}, nil
}

func (s *Server) controlUnfurl(args controlArgs) (any, error) {
	c := s.world.findChannel(args.Channel)
	if c == nil || c.log.byTS[args.TS] == nil {
		return nil, controlError("no such message")
	}
	return object{"unfurled": s.unfurl(c, c.log.byTS[args.TS])}, nil
}

// controlReveal shows at once what lost_answer_hidden still hides.
func (s *Server) controlReveal(controlArgs) (any, error) {
	shownNow := 0
	for _, c := range s.world.channels {
		for _, m := range c.log.byTS {
			if !m.ShowAt.IsZero() {
				m.ShowAt = time.Time{}
				s.world.saveMessage(m)
				shownNow++
			}
		}
	}
	return object{"shown": shownNow}, nil
}

// personal are the methods that a person's own client has a use for.
var personal = regexp.MustCompile(`^(chat|conversations|reactions|files|users|team)\.`)

// controlAct runs a Web API method as a person in their own Slack client: what is
// posted so names no app and has a client_msg_id.
func (s *Server) controlAct(args controlArgs) (any, error) {
	u := s.world.findUser(args.User)
	known, found := s.methods[args.Method]
	if u == nil || u.IsBot || !found || known.open || !personal.MatchString(args.Method) {
		return nil, controlError("no such user or method")
	}
	c := &call{Server: s, args: args.Args, header: http.Header{}, who: u, person: true, token: &token{UserID: u.ID, AllScopes: true}}
	if c.args == nil {
		c.args = arguments{}
	}
	return c.finish(known), nil
}
