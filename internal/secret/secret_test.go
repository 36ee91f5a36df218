package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ochrehq/ochre/internal/secret"
)

func TestSealedTextOpensUnderFormerKeyAndOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	former, current := strings.Repeat("a", 32), strings.Repeat("b", 32)
	old, err := secret.New(former)
	if err != nil {
		t.Fatal(err)
	}
	sealed := old.Seal([]byte("xoxb-1"), "slack token T1")
	now, err := secret.New(current, former)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := now.Open(sealed, "slack token T1")
	if err != nil || string(plain) != "xoxb-1" {
		t.Fatalf("open under a former key: %q, %v", plain, err)
	}
	if !now.NeedsReseal(sealed) || now.NeedsReseal(now.Seal(plain, "slack token T1")) {
		t.Error("only what a former key sealed needs sealing anew")
	}
	if _, err := now.Open(sealed, "slack token T2"); !errors.Is(err, secret.ErrBroken) {
		t.Errorf("another place: %v, want ErrBroken", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := now.Open(sealed, "slack token T1"); !errors.Is(err, secret.ErrBroken) {
		t.Errorf("one bit changed: %v, want ErrBroken", err)
	}
	alone, err := secret.New(current)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alone.Open(old.Seal(nil, ""), ""); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("key gone: %v, want ErrUnknownKey", err)
	}
	if _, err := secret.New("short"); !errors.Is(err, secret.ErrTooShort) {
		t.Errorf("short secret: %v", err)
	}
}
