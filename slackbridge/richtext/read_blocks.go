package richtext

import (
	"encoding/json"
	"strings"
)

// blocks reads the blocks of a message: the rich_text of a person, or whatever an app put together, in reading order.
func (r *reader) blocks(elements []element, depth int) document {
	if depth > maxDepth {
		return nil
	}
	var doc document
	for _, e := range elements {
		doc = append(doc, r.block(e, depth)...)
	}
	return doc
}

func (r *reader) block(e element, depth int) document {
	switch e.Type {
	case "rich_text":
		return r.richText(e.Elements, depth+1)
	case "header":
		return document{{kind: heading, level: 3, spans: r.object(e.Text).spans()}}
	case "divider":
		return document{{kind: rule}}
	case "section":
		return r.section(e, depth)
	case "context", "actions", "context_actions":
		return document{{spans: r.row(e.Elements, depth)}}
	case "markdown":
		return readMarkdown(clean(e.Text.text))
	case "table", "data_table":
		return r.table(e.rest().Rows, depth)
	case "image":
		return document{{spans: []span{image(e)}}}
	case "video":
		v := e.rest()
		title := span{text: clean(firstOf(v.Title.text, v.AltText, v.TitleURL)), url: clean(v.TitleURL)}
		return append(document{{spans: []span{title}}}, r.object(v.Description)...)
	}
	if strings.HasPrefix(e.Type, "rich_text_") {
		return r.richText([]element{e}, depth)
	}
	return r.unknown(e, depth)
}

func (r *reader) section(e element, depth int) document {
	doc := r.object(e.Text)
	for _, f := range e.rest().Fields {
		doc = append(doc, r.object(f)...)
	}
	if a := e.rest().Accessory; a != nil {
		doc = append(doc, block{spans: r.row([]element{*a}, depth)})
	}
	return doc
}

// row reads small elements that Slack shows beside each other: texts, images, buttons. A menu or a date picker says
// nothing by itself and is left out.
func (r *reader) row(elements []element, depth int) []span {
	if depth > maxDepth {
		return nil
	}
	var spans []span
	for _, e := range elements {
		var some []span
		switch e.Type {
		case "image":
			some = []span{image(e)}
		case "mrkdwn":
			some = r.mrkdwn(e.Text.text).spans()
		default:
			text := unescape(clean(firstOf(e.Text.text, e.rest().AltText)))
			some = append([]span{{text: text, url: clean(e.URL)}}, r.row(e.Elements, depth+1)...)
		}
		if plain(some) == "" {
			continue
		}
		if len(spans) > 0 {
			spans = append(spans, span{text: " · "})
		}
		spans = append(spans, some...)
	}
	return spans
}

// unknown keeps what can be read of a block this package doesn't know.
func (r *reader) unknown(e element, depth int) document {
	var doc document
	rest := e.rest()
	for _, t := range []textField{rest.Title, rest.Label, e.Text, rest.Description} {
		doc = append(doc, r.object(t)...)
	}
	if text := clean(firstOf(rest.AltText, r.files[rest.FileID])); doc.empty() && text != "" {
		doc = document{{spans: []span{{text: text, url: clean(e.URL)}}}}
	}
	for _, f := range rest.Fields {
		doc = append(doc, r.object(f)...)
	}
	return append(doc, r.blocks(e.Elements, depth+1)...)
}

// object reads a text object. Plain texts come with the same three escapes as mrkdwn.
func (r *reader) object(t textField) document {
	switch {
	case strings.TrimSpace(t.text) == "":
		return nil
	case t.kind == "mrkdwn":
		return r.mrkdwn(t.text)
	}
	return document{{spans: []span{{text: unescape(clean(t.text))}}}}
}

// table shows a table block as aligned text.
func (r *reader) table(rows [][]element, depth int) document {
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = make([]string, len(row))
		for j, c := range row {
			switch c.Type {
			case "raw_text", "raw_number":
				cells[i][j] = clean(c.Text.text)
			default:
				cells[i][j] = plain(r.blocks([]element{c}, depth+1).spans())
			}
		}
	}
	if len(cells) == 0 {
		return nil
	}
	return document{{kind: preformatted, spans: []span{{text: alignTable(cells)}}}}
}

func image(e element) span {
	i := e.rest()
	return span{text: clean(firstOf(i.AltText, i.Title.text, "image")), url: clean(i.ImageURL)}
}

// spans is the whole document as the content of one block.
func (d document) spans() []span {
	var spans []span
	for _, b := range d {
		if len(spans) > 0 && len(b.spans) > 0 {
			spans = append(spans, span{text: "\n"})
		}
		spans = append(spans, b.spans...)
	}
	return spans
}

// attachments reads a message's secondary attachments. Previews of links are read only if asked for.
func (r *reader) attachments(raw json.RawMessage, previews bool) document {
	var doc document
	for _, a := range decode[[]attachment](raw) {
		if a.preview() && !previews {
			continue
		}
		doc = append(doc, r.mrkdwn(a.Pretext)...)
		quote := r.nextQuote()
		for _, b := range r.attachment(a) {
			b.quote = quote
			doc = append(doc, b)
		}
	}
	return doc
}

func (r *reader) attachment(a attachment) document {
	var doc document
	line := func(text, url string, st style) {
		if text = unescape(clean(text)); strings.TrimSpace(text) != "" {
			doc = append(doc, block{spans: []span{{text: text, url: clean(url), style: st}}})
		}
	}
	line(a.AuthorName, a.AuthorLink, 0)
	line(a.Title, a.TitleLink, bold)
	doc = append(doc, r.attachmentBody(a)...)
	for _, f := range a.Fields {
		spans := r.mrkdwn(f.Value).spans()
		if title := unescape(clean(f.Title)); title != "" {
			spans = append([]span{{text: title + ":", style: bold}, {text: " "}}, spans...)
		}
		doc = append(doc, block{spans: spans})
	}
	if a.ImageURL != "" {
		line("image", a.ImageURL, 0)
	}
	line(a.Footer, "", 0)
	if doc.empty() && strings.TrimSpace(a.Pretext) == "" {
		doc = r.mrkdwn(a.Fallback)
	}
	return doc
}

// attachmentBody is the text of an attachment: of a forwarded message its blocks, which lose nothing.
func (r *reader) attachmentBody(a attachment) document {
	var doc document
	for _, m := range a.MessageBlocks {
		doc = append(doc, r.blocks(m.Message.Blocks, 0)...)
	}
	if doc.empty() {
		doc = r.blocks(a.Blocks, 0)
	}
	if doc.empty() {
		doc = r.mrkdwn(a.Text)
	}
	return doc
}
