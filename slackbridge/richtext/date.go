package richtext

import (
	"regexp"
	"strings"
	"time"
)

var dateToken = regexp.MustCompile(`\{[a-z_]+\}`)

// dateLayouts are Slack's date tokens. The pretty ones say "today" to a reader; a stored text has no today.
var dateLayouts = map[string]string{
	"{date_num}":           "2006-01-02",
	"{date_slash}":         "01/02/2006",
	"{date}":               "January 2, 2006",
	"{date_pretty}":        "January 2, 2006",
	"{date_short}":         "Jan 2, 2006",
	"{date_short_pretty}":  "Jan 2, 2006",
	"{date_long}":          "Monday, January 2, 2006",
	"{date_long_pretty}":   "Monday, January 2, 2006",
	"{date_long_full}":     "Monday, January 2, 2006",
	"{day_divider_pretty}": "Monday, January 2, 2006",
	"{time}":               "15:04 UTC",
	"{time_secs}":          "15:04:05 UTC",
	"{ago}":                "2006-01-02 15:04 UTC",
}

// date is a moment that Slack shows in each reader's time zone, here in UTC. An unknown format shows date and time.
func date(unix int64, format string) string {
	const lastYear = 253402300799 // 9999-12-31
	if unix < -lastYear || unix > lastYear {
		return ""
	}
	at := time.Unix(unix, 0).UTC()
	known := false
	text := dateToken.ReplaceAllStringFunc(format, func(token string) string {
		layout, ok := dateLayouts[token]
		if !ok {
			return token
		}
		known = true
		return at.Format(layout)
	})
	if !known {
		return at.Format("2006-01-02 15:04 UTC")
	}
	// "15:04 UTC" in the middle of several times would repeat the zone.
	if n := strings.Count(text, " UTC"); n > 1 {
		text = strings.Replace(text, " UTC", "", n-1)
	}
	return text
}
