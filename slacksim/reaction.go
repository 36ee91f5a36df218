package slacksim

import (
	"regexp"
	"slices"
)

var reactionName = regexp.MustCompile(`^[a-z0-9_+'-]{1,100}(?:::skin-tone-[2-6])?$`)

// reacted finds what a reaction call is about.
func (c *call) reacted() (*channel, *message, string, *apiError) {
	ch, err := c.reach("channel")
	if err != nil {
		return nil, nil, "", err
	}
	m, err := c.message(ch, c.args["timestamp"])
	if err != nil {
		return nil, nil, "", err
	}
	return ch, m, c.args["name"], nil
}

func (m *message) reaction(name string) int {
	return slices.IndexFunc(m.Reactions, func(r reaction) bool { return r.Name == name })
}

func (c *call) reactionsAdd() (object, *apiError) {
	ch, m, name, err := c.reacted()
	switch {
	case err != nil:
		return nil, err
	case !reactionName.MatchString(name):
		return nil, fail("invalid_name")
	case ch.IsArchived:
		return nil, fail("is_archived")
	case !ch.hasMember(c.who.ID):
		return nil, fail("not_in_channel")
	}
	at := m.reaction(name)
	if at < 0 {
		m.Reactions = append(m.Reactions, reaction{Name: name})
		at = len(m.Reactions) - 1
	}
	if slices.Contains(m.Reactions[at].Users, c.who.ID) {
		return nil, fail("already_reacted")
	}
	m.Reactions[at].Users = append(m.Reactions[at].Users, c.who.ID)
	c.world.saveMessage(m)
	c.emitReaction("reaction_added", ch, m, c.who, name)
	return nil, nil
}

func (c *call) reactionsRemove() (object, *apiError) {
	ch, m, name, err := c.reacted()
	if err != nil {
		return nil, err
	}
	at := m.reaction(name)
	if at < 0 || !slices.Contains(m.Reactions[at].Users, c.who.ID) {
		return nil, fail("no_reaction")
	}
	left := slices.DeleteFunc(slices.Clone(m.Reactions[at].Users), func(id string) bool { return id == c.who.ID })
	if m.Reactions[at].Users = left; len(left) == 0 {
		m.Reactions = slices.Delete(m.Reactions, at, at+1)
	}
	c.world.saveMessage(m)
	c.emitReaction("reaction_removed", ch, m, c.who, name)
	return nil, nil
}

func (c *call) reactionsGet() (object, *apiError) {
	ch, m, _, err := c.reacted()
	if err != nil {
		return nil, err
	}
	return object{"type": "message", "channel": ch.ID, "message": c.render(ch, m, c.viewer())}, nil
}
