// Package secret derives keys from the operator's secret and encrypts what must not stand in the database in the clear.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// MinLength is the least length of a secret in bytes.
const MinLength = 32

// Errors of this package. None of them ever holds a secret.
var (
	ErrTooShort   = fmt.Errorf("the secret must have at least %d bytes", MinLength)
	ErrUnknownKey = errors.New("sealed by a key that is not configured")
	ErrBroken     = errors.New("the sealed text is damaged or belongs elsewhere")
)

// Keys encrypts by the first secret and decrypts by any. It is safe for concurrent use.
type Keys struct{ masters [][]byte }

// New makes Keys of the current secret and the former ones, which are for reading only.
func New(current string, former ...string) (*Keys, error) {
	k := &Keys{}
	for _, s := range append([]string{current}, former...) {
		if len(s) < MinLength {
			return nil, ErrTooShort
		}
		k.masters = append(k.masters, []byte(s))
	}
	return k, nil
}

func derive(master []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, master, []byte("ochre"), purpose, 32)
	if err != nil {
		panic(err) // only for lengths that SHA-256 can't give
	}
	return key
}

func keyID(master []byte) []byte { return derive(master, "key id")[:8] }

// sealVersion begins every sealed text; then come the key's id (8 bytes), the nonce (12) and AES-256-GCM's output.
const sealVersion = 1

// Seal encrypts plain. The result can be opened only with the same context, which names where it belongs ("slack token T123").
func (k *Keys) Seal(plain []byte, context string) []byte {
	m := k.masters[0]
	aead := gcm(m)
	out := append([]byte{sealVersion}, keyID(m)...)
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	out = append(out, nonce...)
	return aead.Seal(out, nonce, plain, []byte(context))
}

// Open decrypts what Seal made under any of the secrets. Errors: ErrUnknownKey, ErrBroken.
func (k *Keys) Open(sealed []byte, context string) ([]byte, error) {
	const head = 1 + 8
	if len(sealed) < head+12+16 || sealed[0] != sealVersion {
		return nil, ErrBroken
	}
	for _, m := range k.masters {
		if !hmac.Equal(sealed[1:head], keyID(m)) {
			continue
		}
		aead := gcm(m)
		plain, err := aead.Open(nil, sealed[head:head+aead.NonceSize()], sealed[head+aead.NonceSize():], []byte(context))
		if err != nil {
			return nil, ErrBroken
		}
		return plain, nil
	}
	return nil, ErrUnknownKey
}

// NeedsReseal tells whether sealed was made under a former secret.
func (k *Keys) NeedsReseal(sealed []byte) bool {
	return len(sealed) > 9 && !hmac.Equal(sealed[1:9], keyID(k.masters[0]))
}

func gcm(master []byte) cipher.AEAD {
	block, err := aes.NewCipher(derive(master, "seal"))
	if err != nil {
		panic(err) // only for a wrong key length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// Sign gives a 16-byte MAC of msg for a purpose, by the current secret.
func (k *Keys) Sign(purpose string, msg []byte) []byte { return mac(k.masters[0], purpose, msg) }

// Verify tells whether sum is the MAC of msg for a purpose by any of the secrets.
func (k *Keys) Verify(purpose string, msg, sum []byte) bool {
	for _, m := range k.masters {
		if hmac.Equal(mac(m, purpose, msg), sum) {
			return true
		}
	}
	return false
}

func mac(master []byte, purpose string, msg []byte) []byte {
	h := hmac.New(sha256.New, derive(master, "sign "+purpose))
	h.Write(msg)
	return h.Sum(nil)[:16]
}

// Token is a new random secret of 256 bits in base64url, and the hash under which it is kept.
func Token() (token string, hash []byte) {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, Hash(token)
}

// Hash is how a token is kept: SHA-256, which is enough for 256 random bits.
func Hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
