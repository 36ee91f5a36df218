package slacksim

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
)

// authRevoke kills the token it is called with.
func (c *call) authRevoke() (object, *apiError) {
	if c.args.bool("test") {
		return object{"revoked": false}, nil
	}
	c.token.Dead = "revoked"
	c.world.saveToken(c.token)
	inst := c.world.installs[c.who.TeamID]
	if inst != nil && inst.Active && c.token.AppID == c.world.app.ID {
		oauth, bot := []string{}, []string{}
		if c.token.IsBot {
			bot = append(bot, c.who.ID)
			inst.Active = false
			c.world.saveInstall(inst)
		} else {
			oauth = append(oauth, c.who.ID)
		}
		c.send(inst, nil, "", "tokens_revoked", encode(revokedEvent(oauth, bot, timestamp(c.now().UnixMicro()))), 0)
	}
	return object{"revoked": true}, nil
}

// appsUninstall removes the app from the workspace of its bot token.
func (c *call) appsUninstall() (object, *apiError) {
	if err := c.credentials(); err != nil {
		return nil, err
	}
	inst := c.world.installs[c.who.TeamID]
	if inst == nil || !inst.Active || c.token.AppID != c.world.app.ID {
		return nil, fail("client_id_token_mismatch")
	}
	c.uninstall(inst)
	return nil, nil
}

// uninstall ends an installation: its tokens die, the bot leaves its channels, and
// the app is told twice, in the order of the switch.
func (s *Server) uninstall(inst *installation) {
	w := s.world
	inst.Active = false
	w.saveInstall(inst)
	bot := w.users[inst.BotUserID]
	bot.Deleted = true
	w.saveUser(bot)
	oauth := []string{}
	for _, t := range w.tokens {
		u := w.users[t.UserID]
		if t.AppID != w.app.ID || u == nil || u.TeamID != inst.TeamID || t.Dead != "" {
			continue
		}
		if !t.IsBot {
			oauth = append(oauth, t.UserID)
		}
		t.Dead = "uninstalled"
		w.saveToken(t)
	}
	for _, c := range w.channels {
		if c.hasMember(inst.BotUserID) {
			c.MemberIDs = slices.DeleteFunc(c.MemberIDs, func(id string) bool { return id == inst.BotUserID })
			w.saveChannel(c)
		}
	}
	at := timestamp(s.now().UnixMicro())
	gone := s.wrap(inst, nil, "", "app_uninstalled", encode(object{"type": "app_uninstalled", "event_ts": at}))
	revoked := s.wrap(inst, nil, "", "tokens_revoked", encode(revokedEvent(oauth, []string{inst.BotUserID}, at)))
	if s.switches.UninstallOrder == "tokens_revoked" {
		gone, revoked = revoked, gone
	}
	s.deliverer.enqueue(gone, revoked)
	s.watchers.tell("")
}

func revokedEvent(oauth, bot []string, at string) object {
	return object{"type": "tokens_revoked", "tokens": object{"oauth": oauth, "bot": bot}, "event_ts": at}
}

// authorizationsList is apps.event.authorizations.list: every installation that may
// see an event. Only the app-level token will do, and only in the header.
func (c *call) authorizationsList() (object, *apiError) {
	if c.header.Get("Authorization") != "Bearer "+c.world.app.AppToken {
		return nil, fail("not_allowed_token_type")
	}
	event, ok := parseEventContext(c.args["event_context"])
	ch := c.world.channels[event.Channel]
	if !ok || ch == nil {
		return nil, fail("invalid_event_context")
	}
	var list []authorization
	for _, inst := range c.listeners(ch, "") {
		list = append(list, inst.authorization())
	}
	part, meta, err := page(c, list, func(a authorization) string { return a.TeamID }, 100, 1000)
	return object{"authorizations": append([]authorization{}, part...), "response_metadata": meta}, err
}

// connectionsOpen refuses: this simulator speaks HTTP only.
func (c *call) connectionsOpen() (object, *apiError) {
	return nil, fail("not_allowed")
}

func itoa(n int) string { return strconv.Itoa(n) }

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

const blockIDLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// blockID makes an id as Slack gives blocks that came without one.
func (s *Server) blockID() string {
	var b [5]byte
	_, _ = rand.Read(b[:])
	for i := range b {
		b[i] = blockIDLetters[int(b[i])%len(blockIDLetters)]
	}
	return string(b[:])
}
