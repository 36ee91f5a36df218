package slacksim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Slack's limits of a message.
const (
	maxBlocks      = 50
	maxSectionText = 3000
	maxHeaderText  = 150
	maxFields      = 10
	maxFieldText   = 2000
	maxAttachments = 100
	maxText        = 40_000
	maxUpdateText  = 4_000
)

var blockTypes = []string{
	"rich_text", "section", "divider", "header", "context", "actions", "image", "markdown", "table", "file", "video", "input", "context_actions",
}

var inlineTypes = []string{
	"text", "link", "emoji", "user", "usergroup", "channel", "team", "broadcast", "date", "color",
}

type blockText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type anyBlock struct {
	Type     string            `json:"type"`
	BlockID  string            `json:"block_id"`
	Text     json.RawMessage   `json:"text"`
	Fields   []blockText       `json:"fields"`
	Elements []json.RawMessage `json:"elements"`
}

// checkBlocks refuses what Slack refuses: too many blocks, unknown types, texts out
// of their limits, rich text with nothing in it. It returns the parsed heads.
func checkBlocks(raw json.RawMessage) ([]anyBlock, *apiError) {
	var blocks []anyBlock
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, fail("invalid_blocks_format")
	}
	if len(blocks) > maxBlocks {
		return nil, invalidBlocks("no more than %d items allowed [json-pointer:/blocks]", maxBlocks)
	}
	tables := 0
	for i, b := range blocks {
		if !slices.Contains(blockTypes, b.Type) {
			return nil, invalidBlocks("unsupported type: %s [json-pointer:/blocks/%d]", b.Type, i)
		}
		if b.Type == "table" {
			tables++
		}
		if problem := b.check(); problem != "" {
			return nil, invalidBlocks("%s [json-pointer:/blocks/%d]", problem, i)
		}
	}
	if tables > 1 {
		return nil, invalidBlocks("only_one_table_allowed")
	}
	return blocks, nil
}

func invalidBlocks(format string, args ...any) *apiError {
	message := fmt.Sprintf(format, args...)
	return failWith("invalid_blocks", object{
		"errors": []string{message}, "response_metadata": object{"messages": []string{"[ERROR] " + message}},
	})
}

func (b anyBlock) check() string {
	switch b.Type {
	case "rich_text":
		return checkRichText(b.Elements)
	case "section", "header":
		return b.checkText()
	}
	return ""
}

func (b anyBlock) checkText() string {
	if len(b.Fields) > maxFields {
		return "no more than 10 items allowed in fields"
	}
	for _, f := range b.Fields {
		if n := utf8.RuneCountInString(f.Text); n == 0 || n > maxFieldText {
			return "field text must be between 1 and 2000 characters"
		}
	}
	if len(b.Text) == 0 {
		if len(b.Fields) > 0 {
			return ""
		}
		return "missing required field: text"
	}
	var text blockText
	if err := json.Unmarshal(b.Text, &text); err != nil {
		return "text must be an object"
	}
	limit := maxSectionText
	if b.Type == "header" {
		limit = maxHeaderText
	}
	if n := utf8.RuneCountInString(text.Text); n == 0 || n > limit {
		return fmt.Sprintf("text must be between 1 and %d characters", limit)
	}
	return ""
}

type richElement struct {
	Type     string            `json:"type"`
	Text     *string           `json:"text"`
	URL      string            `json:"url"`
	UserID   string            `json:"user_id"`
	Name     string            `json:"name"`
	Range    string            `json:"range"`
	Style    json.RawMessage   `json:"style"`
	Elements []json.RawMessage `json:"elements"`
}

func checkRichText(elements []json.RawMessage) string {
	for _, raw := range elements {
		var e richElement
		if err := json.Unmarshal(raw, &e); err != nil {
			return "rich text element must be an object"
		}
		switch e.Type {
		case "rich_text_section", "rich_text_quote", "rich_text_preformatted":
			if problem := checkInline(e.Elements); problem != "" {
				return problem
			}
		case "rich_text_list":
			if s := string(e.Style); s != `"bullet"` && s != `"ordered"` {
				return "rich_text_list needs style bullet or ordered"
			}
			if problem := checkRichText(e.Elements); problem != "" {
				return problem
			}
		default:
			return "unsupported rich text element: " + e.Type
		}
	}
	return ""
}

func checkInline(elements []json.RawMessage) string {
	for _, raw := range elements {
		var e richElement
		if err := json.Unmarshal(raw, &e); err != nil {
			return "rich text element must be an object"
		}
		switch {
		case !slices.Contains(inlineTypes, e.Type):
			return "unsupported rich text element: " + e.Type
		case e.Type == "text" && (e.Text == nil || *e.Text == ""):
			return "text element must have more than 0 characters"
		case e.Type == "link" && e.URL == "", e.Type == "user" && e.UserID == "",
			e.Type == "emoji" && e.Name == "", e.Type == "broadcast" && e.Range == "":
			return "missing field in a " + e.Type + " element"
		}
	}
	return ""
}

// withBlockIDs gives each block without block_id one, and leaves all other bytes as
// they were sent.
func withBlockIDs(raw json.RawMessage, heads []anyBlock, newID func() string) json.RawMessage {
	var blocks []json.RawMessage
	if json.Unmarshal(raw, &blocks) != nil {
		return raw
	}
	for i, b := range blocks {
		b = bytes.TrimSpace(b)
		if heads[i].BlockID == "" && bytes.HasPrefix(b, []byte("{")) {
			b = append([]byte(`{"block_id":"`+newID()+`",`), b[1:]...)
		}
		blocks[i] = b
	}
	return append(append([]byte("["), bytes.Join(rawBytes(blocks), []byte(","))...), ']')
}

func rawBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, raw := range list {
		out[i] = raw
	}
	return out
}

// encode is json.Marshal without the escapes of < and >, for values that can't fail.
func encode(value any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic("slacksim: encode: " + err.Error()) // only values made here come this way
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
