package slackbridge

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge/richtext"
)

func (m *slackMessage) source() richtext.Source {
	return richtext.Source{Text: m.text(), Blocks: m.Blocks, Attachments: m.Attachments, Files: m.Files}
}

// original gives what a message says as Slack sent it; see desk.SlackEvent.
func (m *slackMessage) original() []byte {
	b, err := json.Marshal(struct {
		Text        json.RawMessage `json:"text,omitempty"`
		Blocks      json.RawMessage `json:"blocks,omitempty"`
		Attachments json.RawMessage `json:"attachments,omitempty"`
		Files       json.RawMessage `json:"files,omitempty"`
	}{m.Text, m.Blocks, m.Attachments, m.Files})
	if err != nil {
		return []byte("{}") // can't be: the parts were decoded from JSON
	}
	return b
}

// slackFile is a file of a message. (Page "file object"; page "Slack Connect", about file_access)
type slackFile struct {
	ID          string `json:"id"`
	Mode        string `json:"mode"`
	FileAccess  string `json:"file_access"`
	Name        string `json:"name"`
	Title       string `json:"title"`
	MimeType    string `json:"mimetype"`
	Size        *int64 `json:"size"`
	URL         string `json:"url_private"`
	DownloadURL string `json:"url_private_download"`
	IsExternal  bool   `json:"is_external"`
}

// files gives a message's files, each once.
func (m *slackMessage) files() []desk.SlackFile {
	var raws []json.RawMessage
	if json.Unmarshal(m.Files, &raws) != nil || len(raws) == 0 {
		raws = []json.RawMessage{m.File}
	}
	var fs []desk.SlackFile
	for _, raw := range raws {
		var f slackFile
		if decodeObject(raw, &f) != nil || f.ID == "" {
			continue
		}
		file := f.translate()
		if !slices.ContainsFunc(fs, func(had desk.SlackFile) bool { return had.SlackID == file.SlackID }) {
			fs = append(fs, file)
		}
	}
	return fs
}

func (f *slackFile) translate() desk.SlackFile {
	out := desk.SlackFile{SlackID: clean(f.ID), State: f.state()}
	if out.State == ochre.AttachmentPending || out.State == ochre.AttachmentDeleted {
		return out
	}
	out.Name, out.MimeType = clean(firstOf(f.Name, f.Title)), clean(f.MimeType)
	if f.Size != nil && *f.Size >= 0 {
		out.Size = f.Size
	}
	if out.State == ochre.AttachmentAvailable {
		out.URL = clean(firstOf(f.DownloadURL, f.URL))
	}
	return out
}

// state tells where a file stands. In a Connect channel an event holds no more than that files.info is to be asked.
func (f *slackFile) state() ochre.AttachmentState {
	switch {
	case f.Mode == "tombstone":
		return ochre.AttachmentDeleted
	case f.Mode == "hidden_by_limit" || f.FileAccess == "access_denied":
		return ochre.AttachmentDenied
	case f.IsExternal || f.Mode == "external": // it lies at another service, which our token must never be shown to
		return ochre.AttachmentDenied
	case f.FileAccess == "check_file_info" || f.URL == "" && f.DownloadURL == "":
		return ochre.AttachmentPending
	}
	return ochre.AttachmentAvailable
}

// sameContent tells whether two states of a message say the same: text, blocks and files. Previews of links and counts of replies come and go without that.
func sameContent(a, b *slackMessage) bool {
	return a.text() == b.text() && sameJSON(a.Blocks, b.Blocks) && reflect.DeepEqual(a.files(), b.files())
}

// sameJSON compares two values whatever the order of their keys. Absent, null and an empty list are the same.
func sameJSON(a, b json.RawMessage) bool {
	value := func(raw json.RawMessage) any {
		var v any
		if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
			return nil
		}
		if list, ok := v.([]any); ok && len(list) == 0 {
			return nil
		}
		return v
	}
	return reflect.DeepEqual(value(a), value(b))
}
