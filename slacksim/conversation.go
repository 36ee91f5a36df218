package slacksim

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// page cuts a list at the cursor and the limit of the call. key names an item, so
// that a page goes on rightly after items came or went.
func page[T any](c *call, list []T, key func(T) string, fallback, most int) ([]T, object, *apiError) {
	limit, err := c.args.limit(fallback, most)
	if err != nil {
		return nil, nil, err
	}
	start := 0
	if cursor := c.args["cursor"]; cursor != "" {
		raw, decodeErr := base64.StdEncoding.DecodeString(cursor)
		want, named := strings.CutPrefix(string(raw), "next:")
		if decodeErr != nil || !named {
			return nil, nil, fail("invalid_cursor")
		}
		start = slices.IndexFunc(list, func(item T) bool { return key(item) == want })
		if start < 0 {
			return nil, nil, fail("invalid_cursor")
		}
	}
	next := ""
	end := min(start+limit, len(list))
	if end < len(list) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + key(list[end])))
	}
	return list[start:end], object{"next_cursor": next}, nil
}

// channelJSON is a channel as the caller's workspace sees it.
func (c *call) channelJSON(ch *channel) object {
	mine := c.who.TeamID
	var others []string
	for _, id := range ch.TeamIDs {
		if id != mine {
			others = append(others, id)
		}
	}
	out := object{
		"id": ch.ID, "name": ch.Name, "name_normalized": ch.Name, "created": ch.Created, "updated": ch.Created * 1000,
		"creator": ch.Creator, "is_channel": !ch.IsPrivate, "is_group": ch.IsPrivate, "is_im": false, "is_mpim": false,
		"is_private": ch.IsPrivate, "is_archived": ch.IsArchived, "is_general": false, "is_member": ch.hasMember(c.who.ID),
		"is_shared": ch.isExtShared(), "is_ext_shared": ch.isExtShared(), "is_org_shared": false,
		"is_pending_ext_shared": false, "is_frozen": false, "unlinked": 0, "pending_shared": []string{},
		"pending_connected_team_ids": []string{}, "shared_team_ids": ch.TeamIDs, "context_team_id": mine,
		"parent_conversation": nil, "previous_names": append([]string{}, ch.PrevNames...),
		"topic":       object{"value": ch.Topic, "creator": "", "last_set": 0},
		"purpose":     object{"value": ch.Purpose, "creator": "", "last_set": 0},
		"num_members": len(ch.MemberIDs),
	}
	if ch.isExtShared() {
		out["conversation_host_id"] = ch.TeamIDs[0]
		out["internal_team_ids"], out["connected_team_ids"] = []string{mine}, others
	}
	return out
}

// listable are the channels of the caller's workspace that the call asks for and the
// caller may know of.
func (c *call) listable() ([]*channel, *apiError) {
	types := c.args["types"]
	if types == "" {
		types = "public_channel"
	}
	var public, private bool
	for kind := range strings.SplitSeq(types, ",") {
		switch strings.TrimSpace(kind) {
		case "public_channel":
			public = true
		case "private_channel":
			private = true
		case "im", "mpim": // nobody has any here
		default:
			return nil, fail("invalid_types")
		}
	}
	if public {
		if err := c.need("channels:read"); err != nil {
			return nil, err
		}
	}
	if private {
		if err := c.need("groups:read"); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(c.world.sortedChannels(), func(ch *channel) bool {
		return !ch.inTeam(c.who.TeamID) || ch.IsArchived && c.args.bool("exclude_archived") ||
			ch.IsPrivate && (!private || !ch.hasMember(c.who.ID)) || !ch.IsPrivate && !public
	}), nil
}

func (c *call) listed(channels []*channel) (object, *apiError) {
	part, meta, err := page(c, channels, func(ch *channel) string { return ch.ID }, 100, 1000)
	if err != nil {
		return nil, err
	}
	out := make([]object, 0, len(part))
	for _, ch := range part {
		one := c.channelJSON(ch)
		delete(one, "connected_team_ids") // only conversations.info tells
		out = append(out, one)
	}
	return object{"channels": out, "response_metadata": meta}, nil
}

func (c *call) conversationsList() (object, *apiError) {
	channels, err := c.listable()
	if err != nil {
		return nil, err
	}
	return c.listed(channels)
}

func (c *call) usersConversations() (object, *apiError) {
	member := c.who
	if id := c.args["user"]; id != "" {
		member = c.world.users[id]
		if member == nil {
			return nil, fail("user_not_found")
		}
	}
	channels, err := c.listable()
	if err != nil {
		return nil, err
	}
	return c.listed(slices.DeleteFunc(channels, func(ch *channel) bool { return !ch.hasMember(member.ID) }))
}

func (c *call) conversationsInfo() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	if err := c.need(ch.readScope()); err != nil {
		return nil, err
	}
	out := c.channelJSON(ch)
	if !c.args.bool("include_num_members") {
		delete(out, "num_members")
	}
	return object{"channel": out}, nil
}

func (c *call) conversationsMembers() (object, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, err
	}
	if err := c.need(ch.readScope()); err != nil {
		return nil, err
	}
	part, meta, err := page(c, ch.MemberIDs, func(id string) string { return id }, 100, 1000)
	if err != nil {
		return nil, err
	}
	return object{"members": append([]string{}, part...), "response_metadata": meta}, nil
}

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

var channelName = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{1,80}$`)

func (c *call) freeName() (string, *apiError) {
	name := c.args["name"]
	if name == "" {
		return "", fail("invalid_name_required")
	}
	if !channelName.MatchString(name) {
		return "", fail("invalid_name_specials")
	}
	for _, ch := range c.world.channels {
		if ch.Name == name && ch.inTeam(c.who.TeamID) {
			return "", fail("name_taken")
		}
	}
	return name, nil
}

func (c *call) conversationsCreate() (object, *apiError) {
	name, err := c.freeName()
	if err != nil {
		return nil, err
	}
	ch := c.world.makeChannel(name, c.args.bool("is_private"), []string{c.who.TeamID}, []string{c.who.ID}, c.now())
	c.watchers.tell(ch.ID)
	return object{"channel": c.channelJSON(ch)}, nil
}

func (c *call) conversationsRename() (object, *apiError) {
	ch, err := c.memberOf("channel")
	if err != nil {
		return nil, err
	}
	name, err := c.freeName()
	if err != nil {
		return nil, err
	}
	ch.PrevNames, ch.Name = append(ch.PrevNames, ch.Name), name
	c.world.saveChannel(ch)
	c.emitChannel("channel_rename", ch, c.who, object{"channel": object{
		"id": ch.ID, "name": name, "name_normalized": name, "created": ch.Created, "is_channel": !ch.IsPrivate, "is_mpim": false,
	}})
	return object{"channel": c.channelJSON(ch)}, nil
}

func (c *call) conversationsArchive() (object, *apiError) {
	ch, err := c.memberOf("channel")
	if err != nil {
		if err.code == "is_archived" {
			return nil, fail("already_archived")
		}
		return nil, err
	}
	ch.IsArchived = true
	c.world.saveChannel(ch)
	c.emitChannel("channel_archive", ch, c.who, object{"channel": ch.ID, "user": c.who.ID})
	return nil, nil
}

func (c *call) conversationsUnarchive() (object, *apiError) {
	ch, err := c.reach("channel")
	switch {
	case err != nil:
		return nil, err
	case !ch.IsArchived:
		return nil, fail("not_archived")
	}
	ch.IsArchived = false
	c.world.saveChannel(ch)
	c.emitChannel("channel_unarchive", ch, c.who, object{"channel": ch.ID, "user": c.who.ID})
	return nil, nil
}
