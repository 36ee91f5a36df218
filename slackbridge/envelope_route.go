package slackbridge

// route says where an event goes: to the links of its channel (lane is the thread's ts), to the installation of a workspace, or, with a reason, nowhere.
type route struct {
	drop      string
	workspace bool
	lane      string
}

// contentSubtypes are the subtypes of messages that people, apps and workflows write; "" is a plain one.
var contentSubtypes = map[string]bool{"": true, "file_share": true, "thread_broadcast": true, "me_message": true, "bot_message": true}

// noticeSubtypes are the subtypes by which Slack tells of something else than a message, or tells again what another event told. They are dropped, and counted by name.
var noticeSubtypes = map[string]bool{
	"assistant_app_thread": true, "channel_archive": true, "channel_convert_to_private": true, "channel_convert_to_public": true, "channel_join": true,
	"channel_leave": true, "channel_name": true, "channel_posting_permissions": true, "channel_purpose": true, "channel_topic": true, "channel_unarchive": true,
	"document_mention": true, "ekm_access_denied": true, "file_comment": true, "file_mention": true, "group_archive": true, "group_join": true, "group_leave": true,
	"group_name": true, "group_purpose": true, "group_topic": true, "group_unarchive": true, "huddle_thread": true, "message_replied": true, "pinned_item": true,
	"unpinned_item": true, "reminder_add": true, "reply_broadcast": true, "tombstone": true, "bot_add": true, "bot_remove": true, "slackbot_response": true,
}

// route decides by the event alone.
func (e *Envelope) route() route {
	switch {
	case e.Type == "app_rate_limited":
		return route{drop: "app_rate_limited"}
	case e.Type != "event_callback":
		return route{drop: "unknown_envelope"}
	case IsWorkspaceEvent(e.Event.Type):
		return route{workspace: true}
	case e.Event.Type == "message":
		return e.Event.routeMessage()
	case e.Event.Type == "reaction_added" || e.Event.Type == "reaction_removed":
		if e.Event.Item.Type != "message" {
			return route{drop: "reaction_to_other"}
		}
		return route{lane: e.Event.Item.TS}
	case e.Event.Type == "app_mention":
		return route{drop: "app_mention"} // the same message comes as a message
	}
	return route{drop: "unknown_type"}
}

func (e *InnerEvent) routeMessage() route {
	switch e.Subtype {
	case "message_changed":
		now := decodeMessage(e.Changed)
		if now == nil {
			return route{drop: "changed_without_message"}
		}
		if reason := refuseSubtype(now.Subtype); reason != "" && now.Subtype != "tombstone" {
			return route{drop: reason}
		}
		before := decodeMessage(e.Previous)
		if before == nil {
			before = &slackMessage{}
		}
		return route{lane: firstTS(now.ThreadTS, before.ThreadTS, now.TS, before.TS)}
	case "message_deleted":
		before := decodeMessage(e.Previous)
		if before == nil {
			before = &slackMessage{}
		}
		return route{lane: firstTS(before.ThreadTS, e.ThreadTS, e.DeletedTS, before.TS)}
	}
	switch reason := refuseSubtype(e.Subtype); {
	case reason != "":
		return route{drop: reason}
	case e.Ephemeral:
		return route{drop: "ephemeral"}
	case e.Hidden && e.User == "" && decodeMessage(e.Changed) != nil:
		return route{drop: "subtype_message_replied"} // Slack leaves its subtype out over the Events API
	case e.Hidden:
		return route{drop: "hidden"}
	}
	return route{lane: firstTS(e.ThreadTS, e.TS)}
}

// refuseSubtype gives the reason for which messages of a subtype are dropped, "" for none. Names that are not known are not counted one by one.
func refuseSubtype(subtype string) string {
	switch {
	case contentSubtypes[subtype]:
		return ""
	case noticeSubtypes[subtype]:
		return "subtype_" + subtype
	}
	return "unknown_subtype"
}
