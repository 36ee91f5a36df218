package slacksim

import (
	"slices"
	"strings"
)

// conversationsJoin joins a public channel; private ones need an invitation.
func (c *call) conversationsJoin() (object, *apiError) {
	ch, err := c.reach("channel")
	switch {
	case err != nil:
		return nil, err
	case ch.IsPrivate:
		return nil, fail("method_not_supported_for_channel_type")
	case ch.IsArchived:
		return nil, fail("is_archived")
	case ch.hasMember(c.who.ID):
		return object{
			"channel": c.channelJSON(ch), "warning": "already_in_channel",
			"response_metadata": object{"warnings": []string{"already_in_channel"}},
		}, nil
	}
	c.enter(ch, c.who, "")
	return object{"channel": c.channelJSON(ch)}, nil
}

// enter makes the user a member, with the message and the event that come with it.
func (s *Server) enter(ch *channel, u *user, inviter string) {
	ch.MemberIDs = append(ch.MemberIDs, u.ID)
	s.world.saveChannel(ch)
	s.emitMember("member_joined_channel", ch, u, inviter)
	m := &message{
		Channel: ch.ID, TS: ch.log.nextTS(s.now()), Team: u.TeamID, User: u.ID, Inviter: inviter,
		Subtype: "channel_join", Text: "<@" + u.ID + "> has joined the channel",
	}
	ch.log.insert(m)
	s.world.saveMessage(m)
	s.emitMessage(ch, m, 0)
}

// depart ends a membership. A bot that leaves hears it as channel_left.
func (s *Server) depart(ch *channel, u *user, by *user) {
	s.emitMember("member_left_channel", ch, u, "")
	if inst := s.world.installs[u.TeamID]; inst != nil && inst.Active && inst.BotUserID == u.ID {
		kind := "channel_left"
		if ch.IsPrivate {
			kind = "group_left"
		}
		s.send(inst, ch, "", kind, encode(object{"type": kind, "channel": ch.ID, "actor_id": by.ID, "event_ts": ch.log.nextTS(s.now())}), 0)
	}
	ch.MemberIDs = slices.DeleteFunc(ch.MemberIDs, func(id string) bool { return id == u.ID })
	s.world.saveChannel(ch)
}

func (c *call) conversationsLeave() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	if !ch.hasMember(c.who.ID) {
		return object{"not_in_channel": true}, nil
	}
	c.depart(ch, c.who, c.who)
	return nil, nil
}

func (c *call) conversationsInvite() (object, *apiError) {
	ch, err := c.memberOf("channel")
	if err != nil {
		return nil, err
	}
	var invited []*user
	for id := range strings.SplitSeq(c.args["users"], ",") {
		u := c.world.users[strings.TrimSpace(id)]
		switch {
		case u == nil || u.Deleted || !ch.inTeam(u.TeamID):
			return nil, failWith("user_not_found", object{"errors": []object{{"user": id, "ok": false, "error": "user_not_found"}}})
		case u.ID == c.who.ID:
			return nil, fail("cant_invite_self")
		case ch.hasMember(u.ID):
			return nil, failWith("already_in_channel", object{"errors": []object{{"user": id, "ok": false, "error": "already_in_channel"}}})
		}
		invited = append(invited, u)
	}
	for _, u := range invited {
		c.enter(ch, u, c.who.ID)
	}
	return object{"channel": c.channelJSON(ch)}, nil
}

func (c *call) conversationsKick() (object, *apiError) {
	ch, err := c.memberOf("channel")
	if err != nil {
		return nil, err
	}
	u := c.world.users[c.args["user"]]
	switch {
	case u == nil:
		return nil, fail("user_not_found")
	case u.ID == c.who.ID:
		return nil, fail("cant_kick_self")
	case !ch.hasMember(u.ID):
		return nil, fail("not_in_channel")
	}
	c.depart(ch, u, c.who)
	return object{"errors": object{}}, nil
}

// memberOf finds a channel in which the caller may change something.
func (c *call) memberOf(name string) (*channel, *apiError) {
	ch, err := c.reach(name)
	switch {
	case err != nil:
		return nil, err
	case !ch.hasMember(c.who.ID):
		return nil, fail("not_in_channel")
	case ch.IsArchived:
		return nil, fail("is_archived")
	}
	return ch, nil
}
