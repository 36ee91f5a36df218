package slacksim

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// app is the app under test, as its settings pages show it.
type app struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	ClientID          string   `json:"clientId"`
	ClientSecret      string   `json:"clientSecret"`
	SigningSecret     string   `json:"signingSecret"`
	VerificationToken string   `json:"verificationToken"`
	AppToken          string   `json:"appToken"`
	EventsURL         string   `json:"eventsUrl"`
	RedirectURLs      []string `json:"redirectUrls"`
}

type team struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Domain  string `json:"domain"`
	Order   int    `json:"order"`
	Created int64  `json:"created"`
}

// user is a person or a bot user. A person's AppID and BotID are those of the app
// that their token belongs to; they show on what is posted with that token.
type user struct {
	ID         string `json:"id"`
	TeamID     string `json:"teamId"`
	Name       string `json:"name"`
	RealName   string `json:"realName"`
	Email      string `json:"email,omitempty"`
	Token      string `json:"token,omitempty"`
	AppID      string `json:"appId,omitempty"`
	BotID      string `json:"botId,omitempty"`
	IsBot      bool   `json:"isBot,omitempty"`
	IsAdmin    bool   `json:"isAdmin,omitempty"`
	IsGuest    bool   `json:"isGuest,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
	Order      int    `json:"order"`
	UpdatedSec int64  `json:"updated"`
}

type channel struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	IsPrivate  bool     `json:"isPrivate,omitempty"`
	IsArchived bool     `json:"isArchived,omitempty"`
	TeamIDs    []string `json:"teamIds"` // the host first
	MemberIDs  []string `json:"memberIds"`
	Creator    string   `json:"creator"`
	Created    int64    `json:"created"`
	Topic      string   `json:"topic,omitempty"`
	Purpose    string   `json:"purpose,omitempty"`
	PrevNames  []string `json:"prevNames,omitempty"`
	Order      int      `json:"order"`

	log messageLog // not in JSON: messages are entries of their own
}

func (c *channel) isExtShared() bool            { return len(c.TeamIDs) > 1 }
func (c *channel) hasMember(userID string) bool { return slices.Contains(c.MemberIDs, userID) }
func (c *channel) inTeam(teamID string) bool    { return slices.Contains(c.TeamIDs, teamID) }

// kind is Slack's channel_type of message events.
func (c *channel) kind() string {
	if c.IsPrivate {
		return "group"
	}
	return "channel"
}

// readScope and historyScope are the scopes that let an app see the channel.
func (c *channel) readScope() string {
	if c.IsPrivate {
		return "groups:read"
	}
	return "channels:read"
}

func (c *channel) historyScope() string {
	if c.IsPrivate {
		return "groups:history"
	}
	return "channels:history"
}

// installation is the app in one workspace. It stays known after an uninstall, so
// that its token is refused as dead and not as unknown.
type installation struct {
	TeamID      string   `json:"teamId"`
	BotUserID   string   `json:"botUserId"`
	BotID       string   `json:"botId"`
	Token       string   `json:"token"`
	Scopes      []string `json:"scopes"`
	InstallerID string   `json:"installerId"`
	Serial      int      `json:"serial"` // grows with each install, over all workspaces
	Active      bool     `json:"active"`
}

func (i *installation) hasScope(scope string) bool {
	return scope == "" || slices.Contains(i.Scopes, scope)
}

// token is what a caller shows. AllScopes marks the tokens of people's own apps.
type token struct {
	Token     string   `json:"token"`
	UserID    string   `json:"userId"`
	AppID     string   `json:"appId"`
	BotID     string   `json:"botId"`
	IsBot     bool     `json:"isBot"`
	AllScopes bool     `json:"allScopes,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	Dead      string   `json:"dead,omitempty"` // "uninstalled" or "revoked"
}

// world is everything the simulator keeps. It has no lock of its own: the server's
// guards it.
type world struct {
	now      func() time.Time
	journal  *journal
	seed     string
	serial   int // source of ids made after the start
	app      *app
	teams    map[string]*team
	users    map[string]*user
	channels map[string]*channel
	installs map[string]*installation // by team
	tokens   map[string]*token
	files    map[string]*file
	content  fileStore
}

func sorted[T any](m map[string]*T, order func(*T) int) []*T {
	all := make([]*T, 0, len(m))
	for _, v := range m {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *T) int { return cmp.Compare(order(a), order(b)) })
	return all
}

func (w *world) sortedTeams() []*team { return sorted(w.teams, func(t *team) int { return t.Order }) }
func (w *world) sortedUsers() []*user { return sorted(w.users, func(u *user) int { return u.Order }) }
func (w *world) sortedChannels() []*channel {
	return sorted(w.channels, func(c *channel) int { return c.Order })
}
func (w *world) sortedInstalls() []*installation {
	return sorted(w.installs, func(i *installation) int { return i.Serial })
}

// findUser takes an id, an e-mail or a name; names may repeat between workspaces, and
// then the first workspace's wins.
func (w *world) findUser(word string) *user {
	if u := w.users[word]; u != nil {
		return u
	}
	for _, u := range w.sortedUsers() {
		if u.Name == word || (u.Email != "" && strings.EqualFold(u.Email, word)) {
			return u
		}
	}
	return nil
}

// findChannel takes an id or a name with or without #.
func (w *world) findChannel(word string) *channel {
	if c := w.channels[word]; c != nil {
		return c
	}
	word = strings.TrimPrefix(word, "#")
	for _, c := range w.sortedChannels() {
		if c.Name == word {
			return c
		}
	}
	return nil
}

// shareChannel tells whether some channel joins the two workspaces.
func (w *world) shareChannel(teamA, teamB string) bool {
	for _, c := range w.channels {
		if c.inTeam(teamA) && c.inTeam(teamB) {
			return true
		}
	}
	return false
}

func (w *world) saveApp()                    { w.journal.put("app", w.app.ID, w.app) }
func (w *world) saveChannel(c *channel)      { w.journal.put("channel", c.ID, c) }
func (w *world) saveInstall(i *installation) { w.journal.put("install", i.TeamID, i) }
func (w *world) saveToken(t *token)          { w.tokens[t.Token] = t; w.journal.put("token", t.Token, t) }
func (w *world) saveMessage(m *message)      { w.journal.put("message", m.key(), m) }
func (w *world) saveFile(f *file)            { w.files[f.ID] = f; w.journal.put("file", f.ID, f) }
func (w *world) addTeam(t *team)             { w.teams[t.ID] = t; w.journal.put("team", t.ID, t) }
func (w *world) saveUser(u *user)            { w.users[u.ID] = u; w.journal.put("user", u.ID, u) }
func (w *world) addChannel(c *channel)       { w.channels[c.ID] = c; w.saveChannel(c) }
func (w *world) dropMessage(m *message)      { w.journal.put("message", m.key(), nil) }
func (w *world) nextSerial() int {
	w.serial++
	w.journal.put("serial", "serial", w.serial)
	return w.serial
}

// load applies one entry of the journal; a value of null forgets the entry.
func (w *world) load(kind, id string, value json.RawMessage) error {
	switch kind {
	case "seed":
		return json.Unmarshal(value, &w.seed)
	case "serial":
		return json.Unmarshal(value, &w.serial)
	case "app":
		return json.Unmarshal(value, &w.app)
	case "team":
		return loadInto(w.teams, id, value)
	case "user":
		return loadInto(w.users, id, value)
	case "channel":
		return loadInto(w.channels, id, value)
	case "install":
		return loadInto(w.installs, id, value)
	case "token":
		return loadInto(w.tokens, id, value)
	case "file":
		return loadInto(w.files, id, value)
	}
	return nil // an entry of a later version: kept in the journal's snapshot, not understood here
}

func loadInto[T any](m map[string]*T, id string, value json.RawMessage) error {
	v := new(T)
	if err := json.Unmarshal(value, v); err != nil {
		return err
	}
	m[id] = v
	return nil
}
