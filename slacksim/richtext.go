package slacksim

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

var (
	bulletLine   = regexp.MustCompile(`^((?:    )*)(?:• |◦ |▪︎ |- )(.+)$`)
	orderedLine  = regexp.MustCompile(`^((?:    )*)(\d{1,4})\. (.+)$`)
	codeFence    = "```"
	quotePrefix  = "&gt;"
	triplePrefix = "&gt;&gt;&gt;"
)

// richText makes the rich_text block that Slack makes of a stored text which came
// without blocks. A text of nothing has no block.
func richText(stored string, mrkdwn bool, blockID string) json.RawMessage {
	if stored == "" {
		return nil
	}
	var elements []object
	if mrkdwn {
		elements = richElements(stored)
	} else {
		elements = []object{section([]object{{"type": "text", "text": unescapeText(stored)}})}
	}
	if len(elements) == 0 {
		return nil
	}
	return encode([]object{{"type": "rich_text", "block_id": blockID, "elements": elements}})
}

func section(inline []object) object {
	return object{"type": "rich_text_section", "elements": inline}
}

// richElements splits the text at code fences and parses what is between them line
// by line.
func richElements(text string) []object {
	var out []object
	for {
		before, rest, open := strings.Cut(text, codeFence)
		code, after, closed := strings.Cut(rest, codeFence)
		if !open || !closed || strings.TrimSpace(code) == "" {
			return append(out, lineElements(text)...)
		}
		out = append(out, lineElements(strings.TrimSuffix(before, "\n"))...)
		code = strings.TrimSuffix(strings.TrimPrefix(code, "\n"), "\n")
		out = append(out, object{"type": "rich_text_preformatted", "border": 0, "elements": []object{{"type": "text", "text": unescapeText(code)}}})
		text = strings.TrimPrefix(after, "\n")
		if text == "" {
			return out
		}
	}
}

// lineKind is what a line belongs to; neighbours of one kind make one element.
type lineKind struct {
	name   string // "section", "quote", "bullet" or "ordered"
	indent int
}

func classify(line string) (lineKind, string, int) {
	if rest, quoted := strings.CutPrefix(line, quotePrefix); quoted {
		return lineKind{"quote", 0}, strings.TrimPrefix(rest, " "), 0
	}
	if found := bulletLine.FindStringSubmatch(line); found != nil {
		return lineKind{"bullet", len(found[1]) / 4}, found[2], 0
	}
	if found := orderedLine.FindStringSubmatch(line); found != nil {
		return lineKind{"ordered", len(found[1]) / 4}, found[3], atoi(found[2])
	}
	return lineKind{"section", 0}, line, 0
}

func lineElements(text string) []object {
	if text == "" {
		return nil
	}
	var out []object
	var group []string
	var kind lineKind
	var first int
	flush := func() {
		if len(group) > 0 {
			out = append(out, groupElement(kind, group, first))
		}
		group = nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if rest, triple := strings.CutPrefix(line, triplePrefix); triple {
			flush()
			kind, group = lineKind{"quote", 0}, append([]string{strings.TrimPrefix(rest, " ")}, lines[i+1:]...)
			break
		}
		k, content, number := classify(line)
		if k != kind {
			flush()
			kind, first = k, number
		}
		group = append(group, content)
	}
	flush()
	return out
}

func groupElement(kind lineKind, lines []string, first int) object {
	switch kind.name {
	case "quote":
		return object{"type": "rich_text_quote", "elements": inlineElements(strings.Join(lines, "\n"), style{})}
	case "bullet", "ordered":
		items := make([]object, 0, len(lines))
		for _, line := range lines {
			items = append(items, section(inlineElements(line, style{})))
		}
		list := object{"type": "rich_text_list", "style": kind.name, "indent": kind.indent, "border": 0, "elements": items}
		if first > 1 {
			list["offset"] = first - 1
		}
		return list
	}
	return section(inlineElements(strings.Join(lines, "\n"), style{}))
}

func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
