package slackbridge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/ochrehq/ochre"
)

// message is one of Slack's, with metadata of ours.
func message(ts, author, messageID string) string {
	return fmt.Sprintf(`{"ts":%q,%s,"metadata":{"event_type":"ochre_message","event_payload":{"message_id":%q}}}`, ts, author, messageID)
}

func TestFindByMessageID(t *testing.T) {
	t.Parallel()
	var asked []string
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked = append(asked, r.URL.Path+" "+r.PostForm.Get("ts")+" "+r.PostForm.Get("oldest")+" "+r.PostForm.Get("include_all_metadata"))
		if r.Header.Get("Authorization") != "Bearer "+testToken {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		if r.PostForm.Get("cursor") == "" {
			_, _ = fmt.Fprintf(rw, `{"ok":true,"has_more":true,"response_metadata":{"next_cursor":"more"},"messages":[%s,%s,%s,%s]}`,
				message("1700000000.000500", `"user":"UBOT","bot_id":"BBOT"`, "msg_1"),
				message("1700000000.000600", `"user":"UBOT"`, "msg_2"),
				message("1700000000.000700", `"user":"UMALLORY","bot_id":"BBOT"`, "msg_1"), // a person's copy
				message("1700000000.000800", `"bot_id":"BOTHER"`, "msg_1"))                 // another app's
			return
		}
		_, _ = fmt.Fprintf(rw, `{"ok":true,"messages":[%s,{"ts":"1700000000.000900","metadata":{"event_payload":[]}},{"ts":"1.1","blocks":[{"odd":[]}]}]}`,
			message("1700000000.000400", `"subtype":"bot_message","bot_id":"BBOT","username":"Ada"`, "msg_1"))
	})
	found, err := w.FindByMessageID(t.Context(), w.inst, "C1", "1699999999.000100", "msg_1", time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1700000000.000400", "1700000000.000500"}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if len(asked) != 2 || asked[0] != "/api/conversations.replies 1699999999.000100 1699999700.000000 true" {
		t.Errorf("asked %q", asked)
	}
	asked = nil
	if _, err := w.FindByMessageID(t.Context(), w.inst, "C1", "", "msg_1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if asked[0] != "/api/conversations.history   true" {
		t.Errorf("asked %q", asked)
	}
}

func TestFindByMessageIDDoesNotGuess(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("cursor") != "" {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(rw, `{"ok":true,"response_metadata":{"next_cursor":"more"},"messages":[]}`)
	})
	if _, err := w.FindByMessageID(t.Context(), w.inst, "C1", "", "msg_1", time.Time{}); err == nil {
		t.Error("half a look-up is none")
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	w := newWire(t, answering(`{"ok":true,"user":{"id":"U9","team_id":"T9","name":"iris","real_name":"Iris L","is_bot":false,"is_stranger":true,
		"profile":{"real_name":" Iris Lindqvist ","display_name":"iris","image_192":"javascript:alert(1)","image_72":"https://a.slack-edge.com/i.png"}}}`))
	got, err := w.User(t.Context(), w.inst, "U9")
	want := Profile{SlackTeamID: "T9", SlackUserID: "U9", Name: "Iris Lindqvist", AvatarURL: "https://a.slack-edge.com/i.png", IsStranger: true}
	if err != nil || *got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		want   File
	}{
		"there": {`{"ok":true,"file":{"id":"F1","name":"a.txt","mimetype":"text/plain","size":3,"mode":"hosted","url_private":"https://files.slack.com/a","url_private_download":"https://files.slack.com/download/a"}}`,
			File{"F1", "a.txt", "text/plain", 3, "https://files.slack.com/download/a", ochre.AttachmentAvailable}},
		"stub":      {`{"ok":true,"file":{"id":"F1","mode":"file_access","file_access":"check_file_info"}}`, File{ID: "F1", State: ochre.AttachmentPending}},
		"tombstone": {`{"ok":true,"file":{"id":"F1","mode":"tombstone"}}`, File{ID: "F1", State: ochre.AttachmentDeleted}},
		"hidden":    {`{"ok":true,"file":{"id":"F1","name":"a","mode":"hidden_by_limit","url_private":"https://files.slack.com/a"}}`, File{ID: "F1", Name: "a", State: ochre.AttachmentDenied}},
		"deleted":   {`{"ok":false,"error":"file_deleted"}`, File{ID: "F1", State: ochre.AttachmentDeleted}},
		"not ours":  {`{"ok":false,"error":"file_not_found"}`, File{ID: "F1", State: ochre.AttachmentDenied}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, answering(c.answer))
			got, err := w.File(t.Context(), w.inst, "F1")
			if err != nil || *got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	w := newWire(t, answering(`{"ok":false,"error":"internal_error"}`))
	if _, err := w.File(t.Context(), w.inst, "F1"); err == nil {
		t.Error("Slack's own failure says nothing of the file")
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody else was asked") }))
	t.Cleanup(elsewhere.Close)
	w := newWire(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/files-pri/a":
			if r.Header.Get("Authorization") != "Bearer "+testToken {
				t.Errorf("authorization %q", r.Header.Get("Authorization"))
			}
			rw.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(rw, "abc")
		case "/files-pri/page.html":
			rw.Header().Set("Content-Type", "text/html")
			rw.Header().Set("Content-Disposition", "attachment")
		case "/files-pri/here":
			http.Redirect(rw, r, "/files-pri/a", http.StatusFound)
		case "/files-pri/elsewhere":
			http.Redirect(rw, r, elsewhere.URL+"/steal", http.StatusFound)
		case "/files-pri/loop":
			http.Redirect(rw, r, "/files-pri/loop", http.StatusFound)
		case "/files-pri/signin":
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		case "/api/chat.delete":
			t.Error("the API was called")
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	})
	for address, want := range map[string]Kind{
		w.server.URL + "/files-pri/a": OK, w.server.URL + "/files-pri/here": OK, w.server.URL + "/files-pri/page.html": OK,
		w.server.URL + "/files-pri/elsewhere": Permanent, w.server.URL + "/files-pri/loop": Permanent, w.server.URL + "/files-pri/signin": Permanent,
		w.server.URL + "/files-pri/none": Permanent, elsewhere.URL + "/files-pri/a": Permanent, w.server.URL + "/api/chat.delete?ts=1": Permanent,
		w.server.URL + "/files-pri/../api/chat.delete": Permanent, w.server.URL + "/files-pri/%2e%2e/api/chat.delete": Permanent, w.server.URL + "/files-pri%2f..%2fapi/chat.delete": Permanent,
		"https://slack.com.example.com/files-pri/a": Permanent, "https://evilslack.com/files-pri/a": Permanent,
		"http://files.slack.com/files-pri/a": Permanent, "file:///etc/passwd": Permanent, "": Permanent, "https://files.slack.com@" + elsewhere.Listener.Addr().String() + "/files-pri/a": Permanent,
	} {
		resp, err := w.Download(t.Context(), w.inst, address)
		if o := OutcomeOf(err); o.Kind != want {
			t.Errorf("%s: %s, %v", address, o.Kind, err)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}

func TestNewClientChecksTheURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"slack.com/api/", "https://slack.com/api", "ftp://slack.com/api/", "https://", "::"} {
		if _, err := NewClient(ClientOptions{APIURL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	c, err := NewClient(ClientOptions{})
	if err != nil || c.apiURL.String() != DefaultAPIURL {
		t.Errorf("the default is %v, %v", c.apiURL, err)
	}
	for address, may := range map[string]bool{
		"https://files.slack.com/a": true, "https://slack.com/a": true, "https://FILES.SLACK.COM/a": true, "https://files-slack.com/": false, "http://slack.com/": false,
	} {
		r := httptest.NewRequest(http.MethodGet, address, nil)
		if c.mayHaveToken(r.URL) != may {
			t.Errorf("%s: may have the token: %t", address, !may)
		}
	}
}
