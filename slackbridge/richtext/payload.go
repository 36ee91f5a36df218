package richtext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// element is any object of Slack's Block Kit: a block, a part of a rich_text block, an inline element. One struct with
// tolerant field types decodes all of them in one pass, whatever they hold: a field of an unexpected type stays empty.
// A long message has thousands of them, so what few have stands apart.
type element struct {
	Type      string     `json:"type"`
	Elements  []element  `json:"elements"`
	Text      textField  `json:"text"`
	Style     styleField `json:"style"`
	URL       string     `json:"url"`
	UserID    string     `json:"user_id"`
	ChannelID string     `json:"channel_id"`
	Name      string     `json:"name"`
	Unicode   string     `json:"unicode"`
	Indent    number     `json:"indent"`
	Offset    number     `json:"offset"`
	Border    number     `json:"border"`
	*Rest
}

// Rest is exported because encoding/json doesn't fill embedded pointers to unexported types.
type Rest struct {
	UsergroupID string      `json:"usergroup_id"`
	TeamID      string      `json:"team_id"`
	FileID      string      `json:"file_id"`
	Range       string      `json:"range"`
	SkinTone    number      `json:"skin_tone"`
	Timestamp   number      `json:"timestamp"`
	Format      string      `json:"format"`
	Fallback    string      `json:"fallback"`
	Value       string      `json:"value"`
	Language    string      `json:"language"`
	Label       textField   `json:"label"`
	Title       textField   `json:"title"`
	TitleURL    string      `json:"title_url"`
	Description textField   `json:"description"`
	AltText     string      `json:"alt_text"`
	ImageURL    string      `json:"image_url"`
	Fields      []textField `json:"fields"`
	Accessory   *element    `json:"accessory"`
	Rows        [][]element `json:"rows"`
}

// rest returns the fields that few elements have.
func (e element) rest() *Rest {
	if e.Rest == nil {
		return &Rest{}
	}
	return e.Rest
}

// attachment is a secondary attachment: an older app's message, a link preview or a forwarded message.
type attachment struct {
	Blocks        []element `json:"blocks"`
	MessageBlocks []struct {
		Message struct {
			Blocks []element `json:"blocks"`
		} `json:"message"`
	} `json:"message_blocks"`
	Fallback   string `json:"fallback"`
	Pretext    string `json:"pretext"`
	AuthorName string `json:"author_name"`
	AuthorLink string `json:"author_link"`
	Title      string `json:"title"`
	TitleLink  string `json:"title_link"`
	Text       string `json:"text"`
	Fields     []struct {
		Title string `json:"title"`
		Value string `json:"value"`
	} `json:"fields"`
	ImageURL    string `json:"image_url"`
	Footer      string `json:"footer"`
	FromURL     string `json:"from_url"`
	OriginalURL string `json:"original_url"`
	IsShare     bool   `json:"is_share"`
	IsMsgUnfurl bool   `json:"is_msg_unfurl"`
}

// preview tells whether Slack added the attachment by itself because the message holds a link.
func (a attachment) preview() bool {
	return !a.IsShare && (a.IsMsgUnfurl || a.FromURL != "" || a.OriginalURL != "")
}

type file struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title"`
}

// decode fills v with what can be read of raw. A wrong type costs only its own field; malformed JSON gives nothing,
// because what stands before the fault is not the message.
func decode[T any](raw json.RawMessage) T {
	var v, zero T
	if len(raw) == 0 {
		return zero
	}
	var wrongType *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, &v); err != nil && !errors.As(err, &wrongType) {
		return zero
	}
	return v
}

func decodeElements(raw json.RawMessage) []element { return decode[[]element](raw) }

// textField is a text that is a plain string in inline elements and a text object in blocks.
type textField struct {
	kind string // mrkdwn, plain_text, or "" for a plain string
	text string
}

// UnmarshalJSON never fails: an error would end the decoding of the whole message.
func (t *textField) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.text)
	}
	var object struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if len(b) > 0 && b[0] == '{' {
		_ = json.Unmarshal(b, &object)
		t.kind, t.text = object.Type, object.Text
	}
	return nil
}

// styleField is the look of an element: a set of inline styles in text, the kind of a list in a rich_text_list.
type styleField struct {
	set  style
	list string
}

// UnmarshalJSON never fails; see textField.
func (s *styleField) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &s.list)
	}
	var flags struct {
		Bold   bool `json:"bold"`
		Italic bool `json:"italic"`
		Strike bool `json:"strike"`
		Code   bool `json:"code"`
	}
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	_ = json.Unmarshal(b, &flags)
	for _, f := range []struct {
		on    bool
		style style
	}{{flags.Bold, bold}, {flags.Italic, italic}, {flags.Strike, strike}, {flags.Code, code}} {
		if f.on {
			s.set |= f.style
		}
	}
	return nil
}

// number is an integer that some apps send as a string or with a fraction.
type number int64

// UnmarshalJSON never fails; see textField.
func (n *number) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = number(whole)
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && f > -1e15 && f < 1e15 {
		*n = number(f)
	}
	return nil
}

// within is n limited to low..high.
func (n number) within(low, high int) int {
	return int(min(max(int64(n), int64(low)), int64(high)))
}
