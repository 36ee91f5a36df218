//go:build unix

package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// stage is a world on which the same small story is played under each answer to what nobody knows about Slack.
type stage struct {
	*world
	t        *testing.T
	ochre    *company
	channel  string
	defaults object
	scene    int
}

func newStage(t *testing.T, channel, organization string) *stage {
	t.Helper()
	w, ochre := setUp(t, config{})
	s := &stage{world: w, ochre: ochre, t: t}
	_, s.channel = ochre.watch(channel, organization)
	w.slack.send(http.MethodGet, "/control/switches", nil, &s.defaults)
	return s
}

// plays runs a scene as a subtest: while it lasts, whatever fails in the world fails the scene.
func (s *stage) plays(name string, scene func(t *testing.T)) {
	s.t.Run(name, func(t *testing.T) {
		for _, who := range []*testing.TB{&s.world.t, &s.slack.t, &s.ochre.t, &s.ochre.browser.t} {
			former := *who
			*who = t
			defer func() { *who = former }()
		}
		scene(t)
	})
}

// under sets one switch, and the others back to what is likeliest.
func (s *stage) under(name string, answer any) {
	s.t.Helper()
	all := maps.Clone(s.defaults)
	if _, known := all[name]; !known && name != "" {
		s.t.Fatalf("there is no switch %s", name)
	}
	if name != "" {
		all[name] = answer
	}
	s.slack.control("switches", all)
	s.scene++
}

// text makes a text that no other scene has.
func (s *stage) text(words string) string { return fmt.Sprintf("%s (%d)", words, s.scene) }

// mainStory is question, reply, its edit, the customer's answer, the reply's deletion, with nothing doubled or lost on either side.
func (s *stage) mainStory(t *testing.T, who *person) {
	t.Helper()
	question := who.posts(s.channel, s.text("question"))
	c := s.ochre.conversationOf(s.text("question"))
	reply := s.ochre.reply(c.ID, s.text("reply"))
	s.ochre.delivery(c.ID, reply, "SENT")
	s.ochre.mutate("editReply", object{"messageId": reply, "body": s.text("edited")})
	who.answers(s.channel, question, s.text("thanks"))
	s.ochre.wantLines(c.ID, "INBOUND EndUser "+who.RealName+": "+s.text("question"), "OUTBOUND Agent Ada Ferrer: "+s.text("edited"),
		"INBOUND EndUser "+who.RealName+": "+s.text("thanks"))
	s.slack.delivered()
	texts := ""
	for _, m := range who.thread(s.channel, question) {
		texts += m.Text + "\n"
	}
	if want := s.text("question") + "\n" + s.text("edited") + "\n" + s.text("thanks") + "\n"; texts != want {
		t.Errorf("the thread holds\n%swant\n%s", texts, want)
	}
	s.ochre.mutate("deleteReply", object{"messageId": reply})
	eventually(t, "the deletion", func() string {
		if m := s.ochre.conversation(c.ID).message(reply); m.DeletedAt == nil || m.PendingChange != nil {
			return fmt.Sprintf("it stands as %+v", m.PendingChange)
		}
		return ""
	})
	s.quiet()
	if ms := s.ochre.conversation(c.ID).messages(); len(ms) != 3 || ms[1].Body != "" {
		t.Errorf("in the end the timeline is\n%s", s.ochre.conversation(c.ID).lines())
	}
}

// TestSwitchesOfMessages goes through what is not known about messages and their events.
func TestSwitchesOfMessages(t *testing.T) {
	t.Parallel()
	s := newStage(t, "globex-ochre", "Globex")
	iris := s.slack.person("iris")
	for _, sw := range []struct {
		name   string
		answer any
	}{
		{"", nil}, {"usernameEcho", "bot_message"}, {"eventMetadata", "type_only"}, {"eventMetadata", "absent"}, {"userTokenBotProfile", true},
		{"outerTeam", "installed"}, {"messageReplied", true}, {"unfurl", true}, {"longText", "error"}, {"longText", "split"}, {"foreignTeamInfoHidden", true},
	} {
		s.plays(fmt.Sprintf("%s=%v", sw.name, sw.answer), func(t *testing.T) {
			s.under(sw.name, sw.answer)
			s.mainStory(t, iris)
		})
	}
	s.plays("keepUsernamePosts=true", func(t *testing.T) {
		s.under("keepUsernamePosts", true)
		iris.posts(s.channel, s.text("question"))
		c := s.ochre.conversationOf(s.text("question"))
		reply := s.ochre.reply(c.ID, "stays")
		s.ochre.delivery(c.ID, reply, "SENT")
		s.ochre.mutate("deleteReply", object{"messageId": reply})
		eventually(t, "the refusal", func() string {
			m := s.ochre.conversation(c.ID).message(reply)
			if m.PendingChange == nil {
				return "there is no pending change"
			}
			return differs("the pending change", *m.PendingChange, struct{ Kind, State, ErrorCode string }{"DELETE", "FAILED", "cant_delete_message"}) +
				differs("the delivery", m.Delivery.State, "SENT")
		})
	})
	for _, same := range []bool{false, true} {
		s.plays(fmt.Sprintf("retrySameSignature=%t", same), func(t *testing.T) {
			s.under("retrySameSignature", same)
			s.balancer.target.Store(nil) // no node: Slack gets 502
			iris.posts(s.channel, s.text("tried again"))
			eventually(t, "the first attempt fails", func() string {
				ds := s.slack.deliveries()
				return differs("the status", ds[len(ds)-1].Status, http.StatusBadGateway)
			})
			s.balancer.send(s.node.url)
			s.ochre.conversationOf(s.text("tried again"))
		})
	}
	for _, previous := range []string{"message", "empty_list"} {
		s.plays("tombstonePrevious="+previous, func(t *testing.T) {
			s.under("tombstonePrevious", previous)
			root := iris.posts(s.channel, s.text("root"))
			c := s.ochre.conversationOf(s.text("root"))
			iris.answers(s.channel, root, s.text("below"))
			s.ochre.wantLines(c.ID, "INBOUND EndUser Iris Lindqvist: "+s.text("root"), "INBOUND EndUser Iris Lindqvist: "+s.text("below"))
			iris.deletes(s.channel, root)
			s.ochre.wantLines(c.ID, "INBOUND EndUser Iris Lindqvist: ", "INBOUND EndUser Iris Lindqvist: "+s.text("below"))
			if got := s.ochre.conversation(c.ID).Title; got != "(deleted message)" {
				t.Errorf("the title is %q", got)
			}
		})
	}
	s.plays("historyMax=15", func(t *testing.T) {
		s.under("historyMax", 15)
		question := iris.posts(s.channel, s.text("a long talk"))
		c := s.ochre.conversationOf(s.text("a long talk"))
		for i := range 20 {
			iris.answers(s.channel, question, fmt.Sprintf("part %d", i))
		}
		s.quiet()
		s.slack.control("switches", object{"eventMetadata": "absent"})
		s.slack.goesWrong(object{"method": "chat.postMessage", "kind": "lost_answer"})
		m := s.ochre.delivery(c.ID, s.ochre.reply(c.ID, "to sum up"), "SENT")
		if n := strings.Count(s.slack.stored(s.channel), `"text":"to sum up","blocks"`); n != 1 || m.Delivery.Attempts != 1 {
			t.Errorf("the reply is %d times in the thread after %d attempts", n, m.Delivery.Attempts)
		}
	})
	s.everythingApplied(s.channel)
}

// TestSwitchesOfPeople goes through what is not known about people of other workspaces: each answer with somebody whom nobody has met.
func TestSwitchesOfPeople(t *testing.T) {
	t.Parallel()
	s := newStage(t, "globex-ochre", "Globex")
	for i, sw := range []struct {
		name   string
		answer any
		email  string // as Ochre learns it
	}{
		{"userProfile", "present", "n0@globex.example"},
		{"userProfile", "absent", "n1@globex.example"},
		{"userProfile", "empty", "n2@globex.example"},
		{"foreignEmailHidden", true, ""},
		{"lookupForeignEmail", true, "n4@globex.example"},
	} {
		s.plays(fmt.Sprintf("%s=%v", sw.name, sw.answer), func(t *testing.T) {
			s.under(sw.name, sw.answer)
			name := fmt.Sprintf("n%d", i)
			s.slack.control("user", object{"team": "globex", "name": name, "realName": "New Face " + name})
			s.slack.control("invite", object{"channel": "globex-ochre", "user": name})
			who := s.slack.person(name)
			// An agent of ours who has that very address: it is a foreign profile's, so it makes nobody an agent.
			s.ochre.mutate("inviteAgent", object{"email": who.Email, "name": "Not " + name})
			s.quiet()
			s.mainStory(t, who)
			eventually(t, "the email", func() string {
				c := s.ochre.conversationOf(s.text("question"))
				return differs("it", s.ochre.conversation(c.ID).messages()[0].Author.Email, sw.email)
			})
		})
	}
}

// TestSwitchesOfSides goes through which installation Slack names when both companies of a Connect channel have the app.
func TestSwitchesOfSides(t *testing.T) {
	t.Parallel()
	s := newStage(t, "globex-ochre", "Globex")
	globex := s.company("Globex", "hank@globex.example")
	globex.connect("hank")
	globex.watch("globex-ochre", "Ochre Labs")
	iris := s.slack.person("iris")
	for _, authorized := range []string{"last", "first", "source", "other"} {
		for _, outer := range []string{"source", "installed"} {
			s.plays(authorized+" "+outer, func(t *testing.T) {
				s.under("authorized", authorized)
				s.slack.control("switches", object{"outerTeam": outer})
				iris.posts(s.channel, s.text("both sides"))
				ours, theirs := s.ochre.conversationOf(s.text("both sides")), globex.conversationOf(s.text("both sides"))
				s.ochre.delivery(ours.ID, s.ochre.reply(ours.ID, "answer"), "SENT")
				s.ochre.wantLines(ours.ID, "INBOUND EndUser Iris Lindqvist: "+s.text("both sides"), "OUTBOUND Agent Ada Ferrer: answer")
				globex.wantLines(theirs.ID, "OUTBOUND Teammate Iris Lindqvist: "+s.text("both sides"), "INBOUND SlackApp Ada Ferrer: answer")
			})
		}
	}
	s.quiet()
}
