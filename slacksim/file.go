package slacksim

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxFileSize bounds one uploaded file.
const maxFileSize = 32 << 20

// file is an uploaded file; its bytes are in the fileStore. A file without Channels
// is not shared yet.
type file struct {
	ID       string   `json:"id"`
	TeamID   string   `json:"teamId"`
	UserID   string   `json:"userId"`
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Mimetype string   `json:"mimetype"`
	Size     int      `json:"size"`
	Created  int64    `json:"created"`
	Ticket   string   `json:"ticket,omitempty"` // of the upload URL, until it is used
	Uploaded bool     `json:"uploaded"`
	Channels []string `json:"channels,omitempty"`
}

// fileStore keeps file contents in the data folder, or in memory without one.
type fileStore struct {
	dir    string
	mu     sync.Mutex
	memory map[string][]byte
}

func (fs *fileStore) path(id string) string { return filepath.Join(fs.dir, "files", id) }

func (fs *fileStore) write(id string, content []byte) error {
	if fs.dir != "" {
		return os.WriteFile(fs.path(id), content, 0o600)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.memory[id] = content
	return nil
}

func (fs *fileStore) read(id string) ([]byte, error) {
	if fs.dir != "" {
		return os.ReadFile(fs.path(id))
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	content, ok := fs.memory[id]
	if !ok {
		return nil, os.ErrNotExist
	}
	return content, nil
}

// fileJSON is the whole file object, as files.info and history give it.
func (s *Server) fileJSON(f *file) object {
	path := s.baseURL + "/files-pri/" + f.TeamID + "-" + f.ID + "/"
	kind := strings.TrimPrefix(filepath.Ext(f.Name), ".")
	if kind == "" {
		kind = "binary"
	}
	return object{
		"id": f.ID, "created": f.Created, "timestamp": f.Created, "name": f.Name, "title": f.Title, "mimetype": f.Mimetype,
		"filetype": kind, "pretty_type": strings.ToUpper(kind), "user": f.UserID, "user_team": f.TeamID, "editable": false,
		"size": f.Size, "mode": "hosted", "is_external": false, "external_type": "", "is_public": true,
		"public_url_shared": false, "display_as_bot": false, "username": "", "media_display_type": "unknown",
		"url_private": path + f.Name, "url_private_download": path + "download/" + f.Name,
		"permalink": s.baseURL + "/files/" + f.UserID + "/" + f.ID + "/" + f.Name, "has_rich_preview": false,
		"file_access": "visible", "channels": append([]string{}, f.Channels...), "groups": []string{}, "ims": []string{},
		"comments_count": 0,
	}
}

// renderFiles gives whole files, but only stubs in the events of Connect channels.
func (s *Server) renderFiles(c *channel, m *message, v viewer) []object {
	out := make([]object, 0, len(m.Files))
	for _, id := range m.Files {
		f := s.world.files[id]
		switch {
		case f == nil:
			out = append(out, object{"id": id, "mode": "tombstone"})
		case v.event && c.isExtShared():
			out = append(out, object{
				"id": id, "mode": "file_access", "file_access": "check_file_info", "created": 0, "timestamp": 0, "user": "",
			})
		default:
			out = append(out, s.fileJSON(f))
		}
	}
	return out
}

// maySee tells whether the user owns the file or is where it was shared.
func (s *Server) maySee(u *user, f *file) bool {
	if f.UserID == u.ID {
		return true
	}
	for _, id := range f.Channels {
		c := s.world.channels[id]
		if c != nil && c.inTeam(u.TeamID) && (c.hasMember(u.ID) || !c.IsPrivate && !u.IsBot) {
			return true
		}
	}
	return false
}

func (c *call) filesInfo() (object, *apiError) {
	f := c.world.files[c.args["file"]]
	if f == nil || !c.maySee(c.who, f) {
		return nil, fail("file_not_found")
	}
	return object{"file": c.fileJSON(f), "comments": []object{}, "response_metadata": object{"next_cursor": ""}}, nil
}

func (c *call) filesGetUploadURL() (object, *apiError) {
	name, size := filepath.Base(c.args["filename"]), atoi(c.args["length"])
	if c.args["filename"] == "" || size <= 0 {
		return nil, fail("invalid_arguments")
	}
	if size > maxFileSize {
		return nil, fail("file_upload_size_restricted")
	}
	f := &file{
		ID: c.world.id("F", "file/"+timestamp(int64(c.world.nextSerial()))), TeamID: c.who.TeamID, UserID: c.who.ID,
		Name: name, Title: name, Size: size, Created: c.now().Unix(), Ticket: newUUID(),
		Mimetype: mimetype(name),
	}
	c.world.saveFile(f)
	return object{"upload_url": c.baseURL + "/upload/v1/" + f.Ticket, "file_id": f.ID}, nil
}

func mimetype(name string) string {
	kind, _, _ := strings.Cut(mime.TypeByExtension(filepath.Ext(name)), ";")
	if kind == "" {
		return "application/octet-stream"
	}
	return kind
}

// readUpload takes the bytes as the body, or as the first part of a form that isn't
// the token: slack-go names it file, the Node client body.
func readUpload(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return io.ReadAll(r.Body)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, err // io.EOF too: a form without a file
		}
		if part.FormName() != "token" {
			return io.ReadAll(part)
		}
	}
}

// serveUpload takes the bytes of one file, once.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFileSize+1<<20)
	content, err := readUpload(r)
	if err != nil {
		http.Error(w, "can't read the upload", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.world.files {
		if f.Ticket == "" || f.Ticket != r.PathValue("ticket") {
			continue
		}
		if err := s.world.content.write(f.ID, content); err != nil {
			http.Error(w, "can't store the upload", http.StatusInternalServerError)
			return
		}
		f.Size, f.Ticket, f.Uploaded = len(content), "", true
		s.world.saveFile(f)
		_, _ = io.WriteString(w, "OK - "+itoa(len(content)))
		return
	}
	http.Error(w, "no such upload", http.StatusNotFound)
}

// filesCompleteUpload makes the files real, and shares them as one file_share message
// if a channel is given. As in Slack, the answer doesn't tell the message's ts.
func (c *call) filesCompleteUpload() (object, *apiError) {
	var wanted []struct{ ID, Title string }
	if json.Unmarshal([]byte(c.args["files"]), &wanted) != nil || len(wanted) == 0 {
		return nil, fail("invalid_arguments")
	}
	var files []*file
	for _, one := range wanted {
		f := c.world.files[one.ID]
		if f == nil || f.UserID != c.who.ID || !f.Uploaded {
			return nil, fail("file_not_found")
		}
		if one.Title != "" {
			f.Title = one.Title
		}
		files = append(files, f)
	}
	target := c.args["channel_id"]
	if target == "" {
		target, _, _ = strings.Cut(c.args["channels"], ",")
	}
	if target != "" {
		if err := c.shareFiles(target, files); err != nil {
			return nil, err
		}
	}
	out := make([]object, 0, len(files))
	for _, f := range files {
		c.world.saveFile(f)
		out = append(out, c.fileJSON(f))
	}
	return object{"files": out}, nil
}

func (c *call) shareFiles(target string, files []*file) *apiError {
	c.args["channel"], c.args["text"] = target, c.args["initial_comment"]
	ch, err := c.writable()
	if err != nil {
		return err
	}
	m := &message{Channel: ch.ID, Team: c.who.TeamID, User: c.who.ID, Sent: c.args.sent()}
	for _, f := range files {
		m.Files = append(m.Files, f.ID)
	}
	for _, name := range []string{"username", "icon_url", "icon_emoji"} {
		delete(c.args, name) // these don't apply to files
	}
	if err := c.fillAuthor(m); err != nil {
		return err
	}
	if err := c.fillThread(ch, m); err != nil {
		return err
	}
	texts, err := c.fillContent(m)
	if err != nil {
		return err
	}
	for _, f := range files {
		f.Channels = append(f.Channels, ch.ID)
	}
	c.fillText(m, texts[0])
	c.store(ch, m)
	return nil
}

// serveFile gives a file to who shows a token that may see it; others end at the
// sign-in page, with status 200, as at Slack.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	_, id, _ := strings.Cut(r.PathValue("ids"), "-")
	s.mu.Lock()
	c := &call{Server: s, header: r.Header, args: arguments{}}
	f := s.world.files[id]
	refused := c.authenticate()
	allowed := refused == nil && f != nil && c.hasScope("files:read") && s.maySee(c.who, f)
	asPage := s.switches.FileSignIn == "page"
	var found file
	if allowed {
		found = *f
	}
	s.mu.Unlock()
	if !allowed {
		if asPage {
			s.serveSignIn(w, r)
			return
		}
		http.Redirect(w, r, "/signin?redir="+r.URL.EscapedPath(), http.StatusFound)
		return
	}
	content, err := s.world.content.read(found.ID)
	if err != nil {
		http.Error(w, "the file's content is gone", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", found.Mimetype)
	w.Header().Set("Content-Security-Policy", "sandbox") // an uploaded page is not a page of ours
	if strings.HasPrefix(r.PathValue("path"), "download/") {
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": found.Name}))
	}
	_, _ = w.Write(content)
}

func (s *Server) serveSignIn(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body><h1>Sign in to your workspace</h1></body></html>\n")
}
