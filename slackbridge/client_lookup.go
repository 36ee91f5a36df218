package slackbridge

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/ochrehq/ochre"
)

// oldestFirst sorts ts, which are of one length for centuries.
func oldestFirst(ts []string) []string {
	slices.Sort(ts)
	return slices.Compact(ts)
}

// Profile is a person as users.info shows them to one installation. Email is "" where Slack doesn't tell; that of a foreign workspace is set
// by its own admin.
type Profile struct {
	SlackTeamID string
	SlackUserID string
	Name        string
	AvatarURL   string // https, or of the API's own host; "" for none
	Email       string
	IsBot       bool
	IsStranger  bool // shares no channel with us
}

// User looks up a person of any workspace. user_not_found and user_not_visible are Permanent. (users.info)
func (c *Client) User(ctx context.Context, inst *ochre.SlackInstallation, slackUserID string) (*Profile, error) {
	return c.user(ctx, inst, "users.info", url.Values{"user": {slackUserID}})
}

// UserByEmail looks up a person of the installation's own workspace. users_not_found is Permanent. (users.lookupByEmail)
func (c *Client) UserByEmail(ctx context.Context, inst *ochre.SlackInstallation, email string) (*Profile, error) {
	return c.user(ctx, inst, "users.lookupByEmail", url.Values{"email": {email}})
}

func (c *Client) user(ctx context.Context, inst *ochre.SlackInstallation, method string, args url.Values) (*Profile, error) {
	var got struct {
		User struct {
			ID         string `json:"id"`
			TeamID     string `json:"team_id"`
			Name       string `json:"name"`
			RealName   string `json:"real_name"`
			IsBot      bool   `json:"is_bot"`
			IsStranger bool   `json:"is_stranger"`
			Profile    struct {
				RealName    string `json:"real_name"`
				DisplayName string `json:"display_name"`
				Email       string `json:"email"`
				Image192    string `json:"image_192"`
				Image72     string `json:"image_72"`
			} `json:"profile"`
		} `json:"user"`
	}
	err := c.with(ctx, inst, func(ctx context.Context, token string) error {
		return c.call(ctx, token, method, args, &got)
	})
	if err != nil {
		return nil, err
	}
	u := got.User
	return &Profile{
		SlackTeamID: u.TeamID, SlackUserID: u.ID, Email: u.Profile.Email, IsBot: u.IsBot, IsStranger: u.IsStranger,
		Name:      firstOf(u.Profile.RealName, u.RealName, u.Profile.DisplayName, u.Name),
		AvatarURL: firstOf(c.avatar(u.Profile.Image192), c.avatar(u.Profile.Image72)),
	}, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}

// avatar gives an address that a browser may be sent to: https, or the API's own host.
func (c *Client) avatar(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && !c.isAPIHost(u) {
		return ""
	}
	return address
}

// File is a file as files.info shows it. URL is where Download reads the bytes.
type File struct {
	ID       string
	Name     string
	MimeType string
	Size     int64
	URL      string
	State    ochre.AttachmentState
}

// File looks up a file, which events of Slack Connect channels name by its id only. A file that was deleted or that Slack keeps from us is no
// error: State tells. (files.info)
func (c *Client) File(ctx context.Context, inst *ochre.SlackInstallation, slackFileID string) (*File, error) {
	var got struct {
		File fileJSON `json:"file"`
	}
	err := c.with(ctx, inst, func(ctx context.Context, token string) error {
		return c.call(ctx, token, "files.info", url.Values{"file": {slackFileID}}, &got)
	})
	switch o := OutcomeOf(err); {
	case o.Kind == Permanent && o.Code == "file_deleted":
		return &File{ID: slackFileID, State: ochre.AttachmentDeleted}, nil
	case o.Kind == Permanent && (o.Code == "file_not_found" || o.Code == "access_denied"):
		return &File{ID: slackFileID, State: ochre.AttachmentDenied}, nil
	case err != nil:
		return nil, err
	}
	return got.File.file(slackFileID), nil
}

// fileJSON is what matters of Slack's file object.
type fileJSON struct {
	Name               string `json:"name"`
	Title              string `json:"title"`
	Mimetype           string `json:"mimetype"`
	Mode               string `json:"mode"`
	FileAccess         string `json:"file_access"`
	Size               int64  `json:"size"`
	URLPrivate         string `json:"url_private"`
	URLPrivateDownload string `json:"url_private_download"`
}

func (f *fileJSON) file(id string) *File {
	out := &File{ID: id, Name: firstOf(f.Name, f.Title), MimeType: f.Mimetype, Size: f.Size, State: ochre.AttachmentAvailable}
	out.URL = firstOf(f.URLPrivateDownload, f.URLPrivate)
	switch {
	case f.Mode == "tombstone":
		out.State, out.URL = ochre.AttachmentDeleted, ""
	case f.FileAccess == "check_file_info":
		out.State, out.URL = ochre.AttachmentPending, ""
	case f.Mode == "hidden_by_limit", f.FileAccess == "access_denied", out.URL == "":
		out.State, out.URL = ochre.AttachmentDenied, ""
	}
	return out
}

// errNotSlack refuses to send the token anywhere else.
var errNotSlack = errors.New("the address of the file is not Slack's")

// Download opens a file's bytes under the bot token. Only where Slack keeps files is asked, and only Slack's own hosts over https and the API's
// own host are followed to, since the address of an external file is whatever its creator chose: one of the Web API would be a call
// in our name. The caller closes the body. Permanent file_not_found where Slack shows its sign-in page instead of the file, which it
// does with status 200.
func (c *Client) Download(ctx context.Context, inst *ochre.SlackInstallation, address string) (*http.Response, error) {
	u, err := url.Parse(address)
	if err != nil || !c.mayHaveToken(u) || !isFilePath(u.Path) {
		return nil, &Outcome{Kind: Permanent, Code: "file_not_found", Err: errNotSlack}
	}
	var resp *http.Response
	err = c.with(ctx, inst, func(ctx context.Context, token string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err = c.downloads.Do(req) //nolint:bodyclose // the caller's, or closed below
		if err != nil {
			return err
		}
		if err := refusedFile(resp); err != nil {
			_ = resp.Body.Close()
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func refusedFile(resp *http.Response) error {
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusForbidden {
		return slack.SlackErrorResponse{Err: "file_not_found"}
	}
	if resp.StatusCode != http.StatusOK {
		return slack.StatusCodeError{Code: resp.StatusCode, Status: resp.Status}
	}
	// A file is served as a download or by its type; Slack's sign-in page is neither. An HTML file comes with a disposition.
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "text/html" && resp.Header.Get("Content-Disposition") == "" {
		return slack.SlackErrorResponse{Err: "file_not_found"}
	}
	return nil
}

// checkRedirect keeps a download on Slack's hosts.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 3 || !c.mayHaveToken(req.URL) {
		return &Outcome{Kind: Permanent, Code: "file_not_found", Err: fmt.Errorf("redirected to %s: %w", req.URL.Host, errNotSlack)}
	}
	return nil
}

// isFilePath tells whether Slack keeps files there: /files-pri/TEAM-FILE/… in url_private and url_private_download. (Page "file object")
func isFilePath(p string) bool { return strings.HasPrefix(p, "/files-pri/") && path.Clean(p) == p }

func (c *Client) mayHaveToken(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" && strings.HasSuffix(host, ".slack.com") || c.isAPIHost(u)
}

func (c *Client) isAPIHost(u *url.URL) bool {
	return u.Scheme == c.apiURL.Scheme && strings.EqualFold(u.Host, c.apiURL.Host)
}
