package socket

import (
	"fmt"
	"strings"
	"testing"
)

func TestTextHeader(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0:         "81 00",
		125:       "81 7d",
		126:       "81 7e 00 7e",
		1<<16 - 1: "81 7e ff ff",
		1 << 16:   "81 7f 00 00 00 00 00 01 00 00",
	} {
		if got := fmt.Sprintf("% x", textHeader(n, 3)); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// TestTruncate: a close reason may have 123 bytes and must be UTF-8.
func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aéé", 4, "aé"}, {"ééé", 1, ""}, {"a😀", 4, "a"},
	} {
		if got := truncate(tc.s, tc.n); got != tc.want {
			t.Errorf("%q %d: got %q, want %q", tc.s, tc.n, got, tc.want)
		}
	}
	if f := closeFrame(4409, strings.Repeat("é", 100)); len(f) != 4+122 || f[1] != 124 {
		t.Errorf("got %d bytes, length %d", len(f), f[1])
	}
}

// FuzzParse: what strangers send never panics, and what is accepted keeps the rules.
func FuzzParse(f *testing.F) {
	for _, s := range []string{initGood, subscribe("1", "hang"), complete("1"), `{"type":"subscribe","id":"x","payload":{"query":1}}`, "null", "[]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMessage(data)
		if err != nil {
			if m.typ == "subscribe" && len(err.Error()) > maxReason {
				t.Error("a reason too long to send")
			}
			return
		}
		if (m.typ == "subscribe" || m.typ == "complete") && (m.id == "" || len(m.id) > maxID) {
			t.Errorf("id %q", m.id)
		}
		op, err := parseOperation(m.payload)
		if err == nil && (len(op.Variables) > 0 && op.Variables[0] != '{' || len(op.Extensions) > 0 && op.Extensions[0] != '{') {
			t.Errorf("accepted %s", data)
		}
	})
}
