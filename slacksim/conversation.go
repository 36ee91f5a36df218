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
