package enclave

import (
	"crypto/rand"
	"time"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

const (
	keySize    = 32 // bytes of a key
	nonceSize  = 24 // bytes
	sealerMost = 4096
	sealerTime = time.Hour
)

// pair is a key that entries are sealed to, and what opens them.
type pair struct{ public, private [keySize]byte }

// newPair makes one.
func newPair() *pair {
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		panic("enclave: no random numbers: " + err.Error()) // the process would have ended
	}
	return &pair{*public, *private}
}

// pairOf makes a pair of a private key; nil: it is none.
func pairOf(private []byte) *pair {
	if len(private) != keySize {
		return nil
	}
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	if err != nil {
		return nil
	}
	return &pair{public: [keySize]byte(public), private: [keySize]byte(private)}
}

// sealer seals entries to a public key. A box is
//
//	public key of the sealer | nonce | box of NaCl
//
// as libsodium's sealed boxes are, but that one sealer makes many, each with a
// nonce of its own: a key exchange for each entry costs a hundred times as much as
// all the rest (measured). Whoever can read this process's memory can open what its
// sealer has sealed; nothing else here can.
type sealer struct {
	public, shared [keySize]byte // fixed
	until          time.Time     // fixed

	left int // boxes that it makes
}

func newSealer(to *[keySize]byte) *sealer {
	own := newPair()
	s := &sealer{public: own.public, until: time.Now().Add(sealerTime), left: sealerMost}
	box.Precompute(&s.shared, to, &own.private)
	clear(own.private[:])
	return s
}

// spent reports whether it is time for another one.
func (s *sealer) spent() bool { return s.left <= 0 || time.Now().After(s.until) }

func (s *sealer) seal(value []byte) []byte {
	s.left--
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the process would end
	out := make([]byte, 0, keySize+nonceSize+len(value)+box.Overhead)
	out = append(append(out, s.public[:]...), nonce[:]...)
	return box.SealAfterPrecomputation(out, value, &nonce, &s.shared)
}

// opener opens boxes of any sealers, those of one faster than those of many.
type opener struct {
	private [keySize]byte
	shared  map[[keySize]byte]*[keySize]byte // by public key of the sealer
}

// newOpener copies the private key; close wipes the copy.
func newOpener(p *pair) *opener {
	if p == nil {
		return nil
	}
	return &opener{private: p.private, shared: map[[keySize]byte]*[keySize]byte{}}
}

// open is the opposite of seal. A nil opener opens nothing.
func (o *opener) open(sealed []byte) (value []byte, ok bool) {
	if o == nil || len(sealed) < keySize+nonceSize+box.Overhead {
		return nil, false
	}
	public, nonce := [keySize]byte(sealed), [nonceSize]byte(sealed[keySize:])
	shared := o.shared[public]
	if shared == nil {
		shared = &[keySize]byte{}
		box.Precompute(shared, &public, &o.private)
		o.shared[public] = shared
	}
	return box.OpenAfterPrecomputation(nil, sealed[keySize+nonceSize:], &nonce, shared)
}

// close wipes the keys.
func (o *opener) close() {
	if o == nil {
		return
	}
	clear(o.private[:])
	for _, s := range o.shared {
		clear(s[:])
	}
}
