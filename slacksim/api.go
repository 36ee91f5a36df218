package slacksim

import (
	"net/http"
	"strings"
	"time"
)

// maxCallBody bounds the body of a Web API call.
const maxCallBody = 4 << 20

// apiError is an answer with ok false.
type apiError struct {
	code  string
	extra object
}

func fail(code string) *apiError                   { return &apiError{code: code} }
func failWith(code string, extra object) *apiError { return &apiError{code, extra} }
func missingScope(needed string, has []string) *apiError {
	return failWith("missing_scope", object{"needed": needed, "provided": strings.Join(has, ",")})
}

func (e *apiError) json() object {
	out := object{"ok": false, "error": e.code}
	for key, value := range e.extra {
		out[key] = value
	}
	return out
}

// call is one Web API call. Its function runs under the server's lock.
type call struct {
	*Server
	args   arguments
	header http.Header
	basic  func() (string, string, bool)

	// Of the caller; nil for methods without a token.
	token  *token
	who    *user
	person bool          // through the person's own client, not an app
	hide   time.Duration // a fault: what is posted shows only after this
}

// method is one Web API method. scopes: one of them is enough; none: any token will
// do. open: needs no token.
type method struct {
	run    func(*call) (object, *apiError)
	scopes []string
	open   bool
}

// methodTable is what /api/ knows.
func methodTable() map[string]method {
	read, history := []string{"channels:read", "groups:read"}, []string{"channels:history", "groups:history"}
	manage := []string{"channels:manage", "groups:write", "channels:write"}
	return map[string]method{
		"auth.test":                      {run: (*call).authTest},
		"auth.revoke":                    {run: (*call).authRevoke},
		"apps.uninstall":                 {run: (*call).appsUninstall},
		"apps.event.authorizations.list": {run: (*call).authorizationsList, open: true},
		"apps.connections.open":          {run: (*call).connectionsOpen, open: true},
		"oauth.v2.access":                {run: (*call).oauthAccess, open: true},
		"api.test":                       {run: (*call).apiTest, open: true},
		"team.info":                      {run: (*call).teamInfo, scopes: []string{"team:read"}},
		"bots.info":                      {run: (*call).botsInfo, scopes: []string{"users:read"}},
		"users.info":                     {run: (*call).usersInfo, scopes: []string{"users:read"}},
		"users.list":                     {run: (*call).usersList, scopes: []string{"users:read"}},
		"users.lookupByEmail":            {run: (*call).usersLookup, scopes: []string{"users:read.email"}},
		"users.conversations":            {run: (*call).usersConversations, scopes: read},
		"conversations.list":             {run: (*call).conversationsList, scopes: read},
		"conversations.info":             {run: (*call).conversationsInfo, scopes: read},
		"conversations.members":          {run: (*call).conversationsMembers, scopes: read},
		"conversations.history":          {run: (*call).conversationsHistory, scopes: history},
		"conversations.replies":          {run: (*call).conversationsReplies, scopes: history},
		"conversations.join":             {run: (*call).conversationsJoin, scopes: []string{"channels:join"}},
		"conversations.leave":            {run: (*call).conversationsLeave, scopes: manage},
		"conversations.invite":           {run: (*call).conversationsInvite, scopes: manage},
		"conversations.kick":             {run: (*call).conversationsKick, scopes: manage},
		"conversations.create":           {run: (*call).conversationsCreate, scopes: manage},
		"conversations.rename":           {run: (*call).conversationsRename, scopes: manage},
		"conversations.archive":          {run: (*call).conversationsArchive, scopes: manage},
		"conversations.unarchive":        {run: (*call).conversationsUnarchive, scopes: manage},
		"chat.postMessage":               {run: (*call).postMessage, scopes: []string{"chat:write"}},
		"chat.meMessage":                 {run: (*call).meMessage, scopes: []string{"chat:write"}},
		"chat.update":                    {run: (*call).updateMessage, scopes: []string{"chat:write"}},
		"chat.delete":                    {run: (*call).deleteMessage, scopes: []string{"chat:write"}},
		"chat.getPermalink":              {run: (*call).getPermalink},
		"reactions.add":                  {run: (*call).reactionsAdd, scopes: []string{"reactions:write"}},
		"reactions.remove":               {run: (*call).reactionsRemove, scopes: []string{"reactions:write"}},
		"reactions.get":                  {run: (*call).reactionsGet, scopes: []string{"reactions:read"}},
		"files.info":                     {run: (*call).filesInfo, scopes: []string{"files:read"}},
		"files.getUploadURLExternal":     {run: (*call).filesGetUploadURL, scopes: []string{"files:write"}},
		"files.completeUploadExternal":   {run: (*call).filesCompleteUpload, scopes: []string{"files:write"}},
	}
}

// serveAPI answers /api/{method}: faults first, then the call, then the faults that
// come after it.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	args, argErr := readArguments(w, r)
	channelID := args["channel"]
	if channelID == "" {
		channelID = args["channel_id"]
	}
	fault := s.faults.takeCall(name, channelID)
	if fault != nil && s.failBefore(w, r, fault) {
		return
	}
	var out []byte
	if argErr != nil {
		out = encode(argErr.json())
	} else {
		out = s.answer(name, args, r, w.Header(), fault)
	}
	if fault != nil {
		s.failAfter(r, fault)
	}
	writeRaw(w, http.StatusOK, out)
}

// answer runs one call, and encodes what it answers, under the lock: the answer
// shares memory with the world.
func (s *Server) answer(name string, args arguments, r *http.Request, header http.Header, fault *Fault) []byte {
	known, found := s.methods[name]
	if !found {
		return encode(failWith("unknown_method", object{"req_method": name}).json())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Server: s, args: args, header: r.Header, basic: r.BasicAuth}
	if fault != nil && fault.Kind == "lost_answer_hidden" {
		c.hide = fault.delay()
	}
	if !known.open {
		if err := c.authenticate(); err != nil {
			return encode(err.json())
		}
		if !c.token.AllScopes {
			header.Set("X-OAuth-Scopes", strings.Join(c.token.Scopes, ","))
			header.Set("X-Accepted-OAuth-Scopes", strings.Join(known.scopes, ","))
		}
		if len(known.scopes) > 0 && !c.hasScope(known.scopes...) {
			return encode(missingScope(known.scopes[0], c.token.Scopes).json())
		}
	}
	return encode(c.finish(known))
}

func (c *call) finish(known method) object {
	out, err := known.run(c)
	if err != nil {
		return err.json()
	}
	if out == nil {
		out = object{}
	}
	out["ok"] = true
	return out
}

// authenticate finds who calls, by the token in the header or among the arguments.
func (c *call) authenticate() *apiError {
	shown := c.shownToken()
	if shown == "" {
		return fail("not_authed")
	}
	t := c.world.tokens[shown]
	switch {
	case t == nil:
		return fail("invalid_auth")
	case t.Dead == "revoked":
		return fail("token_revoked")
	case t.Dead != "":
		return fail(c.switches.DeadTokenError)
	}
	c.token, c.who = t, c.world.users[t.UserID]
	if c.who == nil || c.who.Deleted {
		return fail("account_inactive")
	}
	return nil
}

func (c *call) shownToken() string {
	if scheme, value, _ := strings.Cut(c.header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(value)
	}
	return c.args["token"]
}

// hasScope tells whether the token has one of the scopes.
func (c *call) hasScope(anyOf ...string) bool {
	if c.token.AllScopes {
		return true
	}
	for _, want := range anyOf {
		for _, has := range c.token.Scopes {
			if has == want {
				return true
			}
		}
	}
	return false
}

func (c *call) need(scope string) *apiError {
	if c.hasScope(scope) {
		return nil
	}
	return missingScope(scope, c.token.Scopes)
}

func writeJSON(w http.ResponseWriter, status int, value any) { writeRaw(w, status, encode(value)) }

func writeRaw(w http.ResponseWriter, status int, raw []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the caller may be gone, which is its business
}

// writeLocked answers with what build makes of the world under the lock, and writes
// it after: a reader that stalls must not stall the others.
func (s *Server) writeLocked(w http.ResponseWriter, build func() (int, any)) {
	s.mu.Lock()
	status, value := build()
	raw := encode(value)
	s.mu.Unlock()
	writeRaw(w, status, raw)
}
