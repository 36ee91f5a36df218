package slacksim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// derive makes bytes that depend on the world's seed and the label alone.
func (w *world) derive(label string) []byte {
	mac := hmac.New(sha256.New, []byte("slacksim seed "+w.seed))
	mac.Write([]byte(label))
	return mac.Sum(nil)
}

// id makes an id of Slack's form: the prefix letter, a zero and nine characters.
func (w *world) id(prefix, label string) string {
	return prefix + "0" + base32.StdEncoding.EncodeToString(w.derive(prefix + "/" + label))[:9]
}

func (w *world) digits(label string, n int) string {
	number := binary.BigEndian.Uint64(w.derive("digits/" + label))
	return fmt.Sprintf("%020d", number)[20-n:]
}

func (w *world) hex(label string, n int) string {
	return hex.EncodeToString(w.derive("hex/" + label))[:n]
}

// secretToken makes a token of Slack's form, without being one that Slack ever gave.
func (w *world) secretToken(kind, label string) string {
	return fmt.Sprintf("%s-%s-%s-%s", kind, w.digits("t1/"+label, 12), w.digits("t2/"+label, 13), w.hex(kind+"/"+label, 32))
}

type seedUser struct {
	name, realName string
	admin, guest   bool
}

type seedTeam struct {
	name, domain string
	users        []seedUser
}

type seedChannel struct {
	name    string
	private bool
	teams   []string // domains, the host first
	members []string // names of users
}

var seedTeams = []seedTeam{
	{"Ochre Labs", "ochre-labs", []seedUser{
		{name: "ada", realName: "Ada Ferrer", admin: true}, {name: "ben", realName: "Ben Okafor"},
		{name: "chloe", realName: "Chloe Marchetti"}, {name: "dev", realName: "Dev Raman"},
		{name: "gil", realName: "Gil Sato", guest: true},
	}},
	{"Globex", "globex", []seedUser{
		{name: "hank", realName: "Hank Moreau", admin: true}, {name: "iris", realName: "Iris Lindqvist"},
		{name: "joao", realName: "João Pereira"},
	}},
	{"Initech", "initech", []seedUser{
		{name: "milton", realName: "Milton Adeyemi", admin: true}, {name: "nina", realName: "Nina Kovač"},
	}},
}

var seedChannels = []seedChannel{
	{name: "globex-ochre", teams: []string{"ochre-labs", "globex"}, members: []string{"ada", "ben", "chloe", "hank", "iris", "joao"}},
	{name: "globex-launch", teams: []string{"ochre-labs", "globex"}, members: []string{"ada", "dev", "hank", "iris"}},
	{name: "support", teams: []string{"ochre-labs"}, members: []string{"ada", "ben", "chloe", "dev", "gil"}},
	{name: "escalations", private: true, teams: []string{"ochre-labs"}, members: []string{"ada", "ben"}},
	{name: "initech-ochre", teams: []string{"ochre-labs", "initech"}, members: []string{"ada", "chloe", "milton", "nina"}},
}

// plant fills an empty world. Its order is the order of GET /world.
func (w *world) plant() {
	w.journal.put("seed", "seed", w.seed)
	w.app = &app{
		ID:                w.id("A", "app"),
		Name:              "Ochre",
		ClientID:          w.digits("client1", 12) + "." + w.digits("client2", 13),
		ClientSecret:      w.hex("client secret", 32),
		SigningSecret:     w.hex("signing secret", 32),
		VerificationToken: w.hex("verification token", 24),
		AppToken:          "xapp-1-" + w.id("A", "app") + "-" + w.digits("app token", 13) + "-" + w.hex("app token", 64),
	}
	now := w.now()
	byDomain := map[string]*team{}
	for _, st := range seedTeams {
		t := w.makeTeam(st.name, st.domain, now)
		byDomain[st.domain] = t
		for _, su := range st.users {
			w.makePerson(t, su, now)
		}
	}
	for _, sc := range seedChannels {
		var teamIDs, memberIDs []string
		for _, domain := range sc.teams {
			teamIDs = append(teamIDs, byDomain[domain].ID)
		}
		for _, name := range sc.members {
			memberIDs = append(memberIDs, w.findUser(name).ID)
		}
		w.makeChannel(sc.name, sc.private, teamIDs, memberIDs, now)
	}
}

func (w *world) makeTeam(name, domain string, now time.Time) *team {
	t := &team{ID: w.id("T", domain), Name: name, Domain: domain, Order: w.nextSerial(), Created: now.Unix()}
	w.addTeam(t)
	return t
}

// makePerson adds a person with a token of their own app. A guest's address is of
// another domain, as guests' are.
func (w *world) makePerson(t *team, su seedUser, now time.Time) *user {
	label := t.Domain + "/" + su.name
	email := su.name + "@" + t.Domain + ".example"
	if su.guest {
		email = su.name + "@freelance.example"
	}
	u := &user{
		ID: w.id("U", label), TeamID: t.ID, Name: su.name, RealName: su.realName, Email: email,
		AppID: w.id("A", label), BotID: w.id("B", label), Token: w.secretToken("xoxp", label),
		IsAdmin: su.admin, IsGuest: su.guest, Order: w.nextSerial(), UpdatedSec: now.Unix(),
	}
	w.saveUser(u)
	w.saveToken(&token{Token: u.Token, UserID: u.ID, AppID: u.AppID, BotID: u.BotID, AllScopes: true})
	return u
}

func (w *world) makeChannel(name string, private bool, teamIDs, memberIDs []string, now time.Time) *channel {
	order := w.nextSerial()
	c := &channel{
		ID: w.id("C", fmt.Sprintf("%d/%s", order, name)), Name: name, IsPrivate: private,
		TeamIDs: teamIDs, MemberIDs: memberIDs, Created: now.Unix(), Order: order,
	}
	if len(memberIDs) > 0 {
		c.Creator = memberIDs[0]
	}
	w.addChannel(c)
	return c
}
