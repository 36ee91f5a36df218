package slacksim

import "slices"

func (c *call) apiTest() (object, *apiError) {
	if code := c.args["error"]; code != "" {
		return nil, fail(code)
	}
	return object{"args": object{}}, nil
}

func (c *call) authTest() (object, *apiError) {
	t := c.world.teams[c.who.TeamID]
	out := object{
		"url": "https://" + t.Domain + ".slack.com/", "team": t.Name, "user": c.who.Name, "team_id": t.ID,
		"user_id": c.who.ID, "is_enterprise_install": false,
	}
	if c.token.IsBot {
		out["bot_id"], out["app_id"], out["app_name"] = c.token.BotID, c.token.AppID, c.appName(c.token.AppID)
	}
	return out, nil
}

// teamInfo tells about the caller's workspace, or about a connected one.
func (c *call) teamInfo() (object, *apiError) {
	id := c.args["team"]
	if id == "" {
		id = c.who.TeamID
	}
	t := c.world.teams[id]
	foreign := id != c.who.TeamID
	if t == nil || foreign && (c.switches.ForeignTeamInfoHidden || !c.world.shareChannel(id, c.who.TeamID)) {
		return nil, fail("team_not_found")
	}
	icon := c.avatarURL(t.ID)
	out := object{
		"id": t.ID, "name": t.Name, "domain": t.Domain, "url": "https://" + t.Domain + ".slack.com/",
		"icon": object{"image_34": icon, "image_68": icon, "image_132": icon, "image_default": true},
	}
	if !foreign {
		out["email_domain"] = t.Domain + ".example"
	}
	return object{"team": out}, nil
}

// botsInfo finds the app's bots and those of people's own apps.
func (c *call) botsInfo() (object, *apiError) {
	id := c.args["bot"]
	for _, u := range c.world.users {
		if u.BotID != id || id == "" {
			continue
		}
		bot := c.botProfile(u.BotID, u.AppID, u.TeamID)
		delete(bot, "team_id")
		if u.IsBot {
			bot["user_id"] = u.ID
		}
		return object{"bot": bot}, nil
	}
	return nil, fail("bot_not_found")
}

// userJSON is a user as the caller may see them.
func (c *call) userJSON(u *user) object {
	foreign := u.TeamID != c.who.TeamID
	image := c.avatarURL(u.ID)
	profile := object{
		"real_name": u.RealName, "real_name_normalized": u.RealName, "display_name": u.Name, "display_name_normalized": u.Name,
		"first_name": firstWord(u.RealName), "team": u.TeamID, "avatar_hash": c.world.hex("avatar/"+u.ID, 12),
		"image_24": image, "image_32": image, "image_48": image, "image_72": image, "image_192": image, "image_512": image,
		"title": "", "phone": "", "skype": "", "status_text": "", "status_emoji": "", "status_expiration": 0,
	}
	if u.IsBot {
		profile["bot_id"], profile["api_app_id"], profile["always_active"] = u.BotID, u.AppID, false
	}
	if u.Email != "" && c.hasScope("users:read.email") && (!foreign || !c.switches.ForeignEmailHidden) {
		profile["email"] = u.Email
	}
	out := object{
		"id": u.ID, "team_id": u.TeamID, "name": u.Name, "deleted": u.Deleted, "real_name": u.RealName, "color": "9f69e7",
		"tz": "Europe/Berlin", "tz_label": "Central European Time", "tz_offset": 3600, "profile": profile,
		"is_admin": u.IsAdmin, "is_owner": u.IsAdmin, "is_primary_owner": false, "is_restricted": u.IsGuest,
		"is_ultra_restricted": u.IsGuest, "is_bot": u.IsBot, "is_app_user": false, "updated": u.UpdatedSec,
	}
	if foreign {
		out["is_stranger"] = !c.knows(u)
		for _, key := range []string{"is_admin", "is_owner", "is_primary_owner"} {
			delete(out, key)
		}
	}
	return out
}

// knows tells whether the caller shares a channel with the user.
func (c *call) knows(u *user) bool {
	for _, ch := range c.world.channels {
		if ch.hasMember(u.ID) && ch.hasMember(c.who.ID) {
			return true
		}
	}
	return false
}

func (c *call) usersInfo() (object, *apiError) {
	u := c.world.users[c.args["user"]]
	if u == nil {
		return nil, fail("user_not_found")
	}
	if u.TeamID != c.who.TeamID && !c.world.shareChannel(u.TeamID, c.who.TeamID) {
		return nil, fail("user_not_visible")
	}
	return object{"user": c.userJSON(u)}, nil
}

// usersList lists the caller's own workspace; people of connected ones aren't in it.
func (c *call) usersList() (object, *apiError) {
	list := slices.DeleteFunc(c.world.sortedUsers(), func(u *user) bool { return u.TeamID != c.who.TeamID })
	part, meta, err := page(c, list, func(u *user) string { return u.ID }, 1000, 1000)
	if err != nil {
		return nil, err
	}
	members := make([]object, 0, len(part))
	for _, u := range part {
		members = append(members, c.userJSON(u))
	}
	return object{"members": members, "cache_ts": c.now().Unix(), "response_metadata": meta}, nil
}

func (c *call) usersLookup() (object, *apiError) {
	email := c.args["email"]
	for _, u := range c.world.sortedUsers() {
		foreign := u.TeamID != c.who.TeamID
		if u.Email == "" || u.Email != email || u.Deleted {
			continue
		}
		if !foreign || c.switches.LookupForeignEmail && c.world.shareChannel(u.TeamID, c.who.TeamID) {
			return object{"user": c.userJSON(u)}, nil
		}
	}
	return nil, fail("users_not_found")
}
