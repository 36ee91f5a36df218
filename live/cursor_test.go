package live_test

import (
	"encoding/base64"
	"errors"
	"math"
	"testing"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/live"
)

func TestCursors(t *testing.T) {
	t.Parallel()
	tenant := ochre.NewID()
	cursors := live.NewCursors(keys(t, "new", "old"), "epoch")
	for _, seq := range []int64{0, 1, 1 << 40, math.MaxInt64} {
		if got, current, err := cursors.Decode(tenant, cursors.Encode(tenant, seq)); got != seq || !current || err != nil {
			t.Errorf("%d became %d, %t, %v", seq, got, current, err)
		}
	}
	if seq, current, err := cursors.Decode(tenant, live.NewCursors(keys(t, "old"), "epoch").Encode(tenant, 7)); seq != 7 || !current || err != nil {
		t.Errorf("signed by the former key: %d, %t, %v", seq, current, err)
	}
	for _, epoch := range []string{"another epoch", "", "epoch2"} {
		if _, current, err := cursors.Decode(tenant, live.NewCursors(keys(t, "new"), epoch).Encode(tenant, 7)); current || err != nil {
			t.Errorf("of epoch %q: %t, %v", epoch, current, err)
		}
	}
}

func TestForgedCursors(t *testing.T) {
	t.Parallel()
	tenant := ochre.NewID()
	cursors := live.NewCursors(keys(t, "new", "old"), "epoch")
	good := cursors.Encode(tenant, 7)
	bad := map[string]ochre.EventCursor{
		"empty": "", "text": "no cursor", "NUL": "\x00", "a letter more": good + "A", "padded": good + "=", "twice": good + good, "a letter less": good[1:],
		"another tenant's": cursors.Encode(ochre.NewID(), 7), "another key's": live.NewCursors(keys(t, "other"), "epoch").Encode(tenant, 7),
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(good))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 1
		bad["byte changed "+string(rune('A'+i))] = ochre.EventCursor(base64.RawURLEncoding.EncodeToString(changed))
	}
	for i := 1; i < len(raw); i++ {
		bad["cut at "+string(rune('A'+i))] = ochre.EventCursor(base64.RawURLEncoding.EncodeToString(raw[:i]))
	}
	for name, cursor := range bad {
		var refused *ochre.Error
		if _, _, err := cursors.Decode(tenant, cursor); !errors.As(err, &refused) || refused.Code != ochre.CodeInvalidCursor {
			t.Errorf("%s: %v", name, err)
		}
	}
}
