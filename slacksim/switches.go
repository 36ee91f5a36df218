package slacksim

import (
	"fmt"
	"slices"
	"strings"
)

// Switches answer the questions about Slack that nobody could answer for sure. The
// zero value is the likeliest Slack; an app should work under every setting. The
// JSON names are those of POST /control/switches. Where a switch is a word, the
// first word listed is what the empty string means.
type Switches struct {
	// RetrySameSignature sends a retry with the timestamp and signature of the first
	// attempt, instead of signing it anew.
	RetrySameSignature bool `json:"retrySameSignature"`
	// UsernameEcho is how a bot's post with username or icon looks: "user" (no subtype, the
	// bot user in user) or "bot_message" (that subtype, username, no user).
	UsernameEcho string `json:"usernameEcho"`
	// UninstallOrder is which event comes first: "app_uninstalled" or "tokens_revoked".
	UninstallOrder string `json:"uninstallOrder"`
	// EventMetadata is what an event shows of a message's metadata: "full", "type_only"
	// (an empty event_payload, as for types not declared in the manifest) or "absent".
	EventMetadata string `json:"eventMetadata"`
	// UserTokenBotProfile puts bot_profile on posts made with a person's token, beside the
	// bot_id and app_id that they always carry.
	UserTokenBotProfile bool `json:"userTokenBotProfile"`
	// ForeignEmailHidden leaves the e-mail out of users.info for another workspace's people.
	ForeignEmailHidden bool `json:"foreignEmailHidden"`
	// LookupForeignEmail lets users.lookupByEmail find people of connected workspaces.
	LookupForeignEmail bool `json:"lookupForeignEmail"`
	// KeepUsernamePosts refuses chat.delete of posts with username or icon: cant_delete_message.
	KeepUsernamePosts bool `json:"keepUsernamePosts"`
	// OuterTeam is the envelope's team_id: "source" (where the author is) or "installed".
	OuterTeam string `json:"outerTeam"`
	// Authorized is the installation an event names when several could get it: "last"
	// (installed last), "first", "source" (the author's, if installed) or "other" (not the
	// author's, if there is one).
	Authorized string `json:"authorized"`
	// UserProfile is the inline user_profile of foreign authors: "present", "absent" or
	// "empty" ({}).
	UserProfile string `json:"userProfile"`
	// DeadTokenError is what calls with a token of an uninstalled app get:
	// "account_inactive", "token_revoked" or "invalid_auth".
	DeadTokenError string `json:"deadTokenError"`
	// LongText is what becomes of a text above the limit: "truncate" (at 40,000 characters),
	// "error" (msg_too_long above 4,000) or "split" (several messages of 4,000).
	LongText string `json:"longText"`
	// TombstonePrevious is previous_message when a root with replies is deleted: "message" or
	// "empty_list" ([]).
	TombstonePrevious string `json:"tombstonePrevious"`
	// MessageReplied also sends the hidden message_replied for each reply, without its subtype.
	MessageReplied bool `json:"messageReplied"`
	// Unfurl adds an attachment to messages with links, and sends message_changed for it.
	Unfurl bool `json:"unfurl"`
	// ForeignTeamInfoHidden makes team.info refuse another workspace's id: team_not_found.
	ForeignTeamInfoHidden bool `json:"foreignTeamInfoHidden"`
	// FileSignIn is how a file refuses a wrong token: "redirect" (to the sign-in page) or
	// "page" (the page itself). Either ends in HTML with status 200.
	FileSignIn string `json:"fileSignIn"`
	// HistoryMax caps limit of history and replies; 0 means 999. 15 is the cap of apps that
	// are sold outside the Marketplace.
	HistoryMax int `json:"historyMax"`
	// DeclinedScopes are scopes that whoever installs the app leaves out.
	DeclinedScopes []string `json:"declinedScopes"`
	// ApprovalRequired makes installing wait for a workspace admin: no redirect happens.
	ApprovalRequired bool `json:"approvalRequired"`
}

// check reports a value that no switch has, and fills in the words that empty
// strings stand for.
func (sw *Switches) check() error {
	for _, word := range []struct {
		name    string
		value   *string
		allowed []string
	}{
		{"usernameEcho", &sw.UsernameEcho, []string{"user", "bot_message"}},
		{"uninstallOrder", &sw.UninstallOrder, []string{"app_uninstalled", "tokens_revoked"}},
		{"eventMetadata", &sw.EventMetadata, []string{"full", "type_only", "absent"}},
		{"outerTeam", &sw.OuterTeam, []string{"source", "installed"}},
		{"authorized", &sw.Authorized, []string{"last", "first", "source", "other"}},
		{"userProfile", &sw.UserProfile, []string{"present", "absent", "empty"}},
		{"deadTokenError", &sw.DeadTokenError, []string{"account_inactive", "token_revoked", "invalid_auth"}},
		{"longText", &sw.LongText, []string{"truncate", "error", "split"}},
		{"tombstonePrevious", &sw.TombstonePrevious, []string{"message", "empty_list"}},
		{"fileSignIn", &sw.FileSignIn, []string{"redirect", "page"}},
	} {
		if *word.value == "" {
			*word.value = word.allowed[0]
		}
		if !slices.Contains(word.allowed, *word.value) {
			return fmt.Errorf("switch %s is %q, not one of %s", word.name, *word.value, strings.Join(word.allowed, ", "))
		}
	}
	if sw.HistoryMax < 0 {
		return fmt.Errorf("switch historyMax is %d, below 0", sw.HistoryMax)
	}
	return nil
}
