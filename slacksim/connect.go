package slacksim

import "slices"

// controlShare brings another workspace into a channel, as when it accepts an
// invitation to Slack Connect: channel, team.
func (s *Server) controlShare(args controlArgs) (any, error) {
	c, t := s.world.findChannel(args.Channel), s.findTeam(args.Team)
	if c == nil || t == nil || c.inTeam(t.ID) {
		return nil, controlError("no such channel or team, or it is in there already")
	}
	c.TeamIDs = append(c.TeamIDs, t.ID)
	s.world.saveChannel(c)
	s.emitConnect("channel_shared", c, object{"connected_team_id": t.ID, "channel": c.ID})
	return channelView(c), nil
}

// controlUnshare puts a workspace that is not the host out of a channel, with its
// members: channel, team.
func (s *Server) controlUnshare(args controlArgs) (any, error) {
	c, t := s.world.findChannel(args.Channel), s.findTeam(args.Team)
	if c == nil || t == nil || !c.inTeam(t.ID) || c.TeamIDs[0] == t.ID {
		return nil, controlError("no such channel or team, or the team is its host")
	}
	c.TeamIDs = slices.DeleteFunc(slices.Clone(c.TeamIDs), func(id string) bool { return id == t.ID })
	s.emitConnect("channel_unshared", c, object{
		"previously_connected_team_id": t.ID, "channel": c.ID, "is_ext_shared": c.isExtShared(),
	})
	c.MemberIDs = slices.DeleteFunc(slices.Clone(c.MemberIDs), func(id string) bool { return s.world.users[id].TeamID == t.ID })
	s.world.saveChannel(c)
	return channelView(c), nil
}

// controlChannelID gives a channel another id, as Slack does when a private one
// begins to be shared. Old ids find nothing afterwards.
func (s *Server) controlChannelID(args controlArgs) (any, error) {
	c := s.world.findChannel(args.Channel)
	if c == nil {
		return nil, controlError("no such channel")
	}
	w, old := s.world, c.ID
	w.journal.put("channel", old, nil)
	delete(w.channels, old)
	c.ID = w.id("C", "moved/"+itoa(w.nextSerial()))
	w.addChannel(c)
	for _, m := range c.log.all() {
		w.dropMessage(m)
		m.Channel = c.ID
		w.saveMessage(m)
	}
	for _, f := range w.files {
		if at := slices.Index(f.Channels, old); at >= 0 {
			f.Channels[at] = c.ID
			w.saveFile(f)
		}
	}
	s.emitConnect("channel_id_changed", c, object{"old_channel_id": old, "new_channel_id": c.ID})
	return channelView(c), nil
}

// emitConnect tells about the sharing of a channel; these events have no twins for
// private channels.
func (s *Server) emitConnect(kind string, c *channel, fields object) {
	ts := c.log.nextTS(s.now())
	s.emit(c, c.readScope(), "", func(*installation) object {
		event := object{"type": kind, "event_ts": ts}
		for key, value := range fields {
			event[key] = value
		}
		return event
	})
	s.watchers.tell("")
}
