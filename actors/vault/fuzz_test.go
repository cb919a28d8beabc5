package vault

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
)

// FuzzLock reads records of passwords that anything may have happened to. What
// is taken for one can be worked with, and opens with no other key.
func FuzzLock(f *testing.F) {
	data, err := NewSecret(make([]byte, keyBytes))
	if err != nil {
		f.Fatal(err)
	}
	defer data.Close()
	l := newLock(DefaultCost)
	if err := wrap(l, bytes.Repeat([]byte{1}, keyBytes), data); err != nil {
		f.Fatal(err)
	}
	b, err := proto.Marshal(l)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLock(b)
		if err != nil {
			return
		}
		if !derivable(request(l, "", 0)) {
			t.Errorf("takes %v", l)
		}
		if _, err := unwrap(l, make([]byte, keyBytes)); err != errWrong {
			t.Errorf("opens with another key: %v", err)
		}
	})
}

// FuzzSealed opens nothing but what was sealed under that name.
func FuzzSealed(f *testing.F) {
	data, err := NewSecret(make([]byte, keyBytes))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(data.Close)
	sealed, err := sealSecret(data, "name", []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("name", sealed)
	f.Add("nam", sealed)
	f.Add("name", sealed[:20])
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		// Other processes that fuzz seal with another nonce: what opens may be theirs.
		if value, err := openSecret(data, name, b); err == nil && (name != "name" || string(value) != "value") {
			t.Errorf("%q opens as %q", name, value)
		}
	})
}
