package richtext

import (
	"strings"
	"unicode/utf8"
)

// maxColumn is how wide a column is made so that its cells stand below each other; longer cells just stick out.
const maxColumn = 40

// alignTable writes a table as text to be shown with a fixed font: the first row, a line, the other rows.
func alignTable(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
			if i == len(widths) {
				widths = append(widths, 1)
			}
			widths[i] = max(widths[i], min(utf8.RuneCountInString(row[i]), maxColumn))
		}
	}
	lines := make([]string, 0, len(rows)+1)
	for i, row := range rows {
		lines = append(lines, alignRow(row, widths))
		if i == 0 && len(rows) > 1 {
			dashes := make([]string, len(widths))
			for j, w := range widths {
				dashes[j] = strings.Repeat("-", w)
			}
			lines = append(lines, strings.Join(dashes, "-+-"))
		}
	}
	return strings.Join(lines, "\n")
}

func alignRow(cells []string, widths []int) string {
	var sb strings.Builder
	for i, c := range cells {
		if i > 0 {
			sb.WriteString(" | ")
		}
		sb.WriteString(c)
		if i < len(cells)-1 {
			sb.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c))))
		}
	}
	return strings.TrimRight(sb.String(), " ")
}
