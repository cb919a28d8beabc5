package vault

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/proto"

	"parley/messages/vaultpb"
)

const (
	lockKey    = "lock"    // of the record in the store
	secretRoot = "secret/" // of the keys of secrets in the store

	lockSchema   = 1
	secretSchema = 1 // first byte of a sealed secret
	saltBytes    = 16
)

// Cost is what argon2id costs.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint32
}

// DefaultCost takes 33 ms of a core and 19 MiB. Source: the least that OWASP's
// password storage cheat sheet asks of argon2id.
var DefaultCost = Cost{Memory: 19 << 10, Passes: 2, Lanes: 1}

var errWrong = errors.New("vault: it does not open")

// newLock makes the frame of a lock, without the wrapped key.
func newLock(c Cost) *vaultpb.Lock {
	l := &vaultpb.Lock{
		Schema: lockSchema, Memory: c.Memory, Passes: c.Passes, Lanes: c.Lanes,
		Salt: make([]byte, saltBytes), Nonce: make([]byte, chacha20poly1305.NonceSizeX),
	}
	_, _ = rand.Read(l.Salt) // it never fails: the process would end
	_, _ = rand.Read(l.Nonce)
	return l
}

// parseLock reads the record.
func parseLock(b []byte) (*vaultpb.Lock, error) {
	l := &vaultpb.Lock{}
	if err := proto.Unmarshal(b, l); err != nil {
		return nil, errors.New("vault: the record of the password makes no sense")
	}
	if l.GetSchema() > lockSchema {
		return nil, fmt.Errorf("vault: the record of the password has schema %d, and this version knows %d: start a newer version", l.GetSchema(), lockSchema)
	}
	if l.GetSchema() != lockSchema || len(l.GetNonce()) != chacha20poly1305.NonceSizeX ||
		len(l.GetWrapped()) != keyBytes+chacha20poly1305.Overhead || !derivable(request(l, "", 0)) {
		return nil, errors.New("vault: the record of the password makes no sense")
	}
	return l, nil
}

// request asks for the key that a password makes with a lock's parameters.
func request(l *vaultpb.Lock, password string, serial uint64) *vaultpb.DeriveRequest {
	return &vaultpb.DeriveRequest{
		Password: password, Salt: l.GetSalt(), Memory: l.GetMemory(), Passes: l.GetPasses(), Lanes: l.GetLanes(), Serial: serial,
	}
}

// lockContext is what a wrapped key belongs to.
var lockContext = []byte{'l', 'o', 'c', 'k', 0, lockSchema}

// wrap puts the data key into a lock.
func wrap(l *vaultpb.Lock, key []byte, data *Secret) error {
	a, err := chacha20poly1305.NewX(key)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	data.Open(func(b []byte) { l.Wrapped = a.Seal(nil, l.GetNonce(), b, lockContext) })
	return nil
}

// unwrap takes the data key out of a lock. It takes as long for a wrong key as
// for a right one.
func unwrap(l *vaultpb.Lock, key []byte) (*Secret, error) {
	a, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	b, err := a.Open(nil, l.GetNonce(), l.GetWrapped(), lockContext)
	if err != nil {
		return nil, errWrong
	}
	return NewSecret(b)
}

// secretContext is what a sealed secret belongs to: no other name, no other
// schema.
func secretContext(name string) []byte {
	return append([]byte{'s', 'e', 'c', 'r', 'e', 't', 0, secretSchema}, name...)
}

// sealSecret encrypts a secret under its name.
func sealSecret(data *Secret, name string, value []byte) (sealed []byte, err error) {
	data.Open(func(key []byte) {
		a, e := chacha20poly1305.NewX(key)
		if e != nil {
			err = fmt.Errorf("vault: %w", e)
			return
		}
		out := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(value)+chacha20poly1305.Overhead)
		out[0] = secretSchema
		nonce := out[1:]
		_, _ = rand.Read(nonce)
		sealed = a.Seal(out, nonce, value, secretContext(name))
	})
	return sealed, err
}

// openSecret decrypts what sealSecret made under that name.
func openSecret(data *Secret, name string, sealed []byte) (value []byte, err error) {
	if len(sealed) < 1+chacha20poly1305.NonceSizeX || sealed[0] != secretSchema {
		return nil, errWrong
	}
	nonce, box := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	data.Open(func(key []byte) {
		a, e := chacha20poly1305.NewX(key)
		if e != nil {
			err = fmt.Errorf("vault: %w", e)
			return
		}
		if value, e = a.Open(nil, nonce, box, secretContext(name)); e != nil {
			err = errWrong
		}
	})
	return value, err
}

const (
	nameMost   = 128      // bytes of a secret's name
	secretMost = 32 << 10 // bytes of a secret
)

// checkSecret says what is wrong with a secret, for people.
func checkSecret(s *vaultpb.Secret) string {
	name := s.GetName()
	if name == "" || len(name) > nameMost {
		return fmt.Sprintf("vault: the name of a secret has %d bytes, want 1 to %d", len(name), nameMost)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' && c != '/' {
			return fmt.Sprintf("vault: the name of a secret has the character %q: use a to z, 0 to 9 and ._-/", c)
		}
	}
	if n := len(s.GetValue()); n > secretMost {
		return fmt.Sprintf("vault: secret %q has %d bytes, at most %d", name, n, secretMost)
	}
	return ""
}
