package peerid

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/mr-tron/base58"
	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of keys and signatures. Larger RSA keys would cost more to check than
// who sends them; smaller ones prove nothing.
const (
	rsaLeast = 2048 // bits
	rsaBits  = 4096 // bits, at most

	// KeyMost is how many bytes a public key may have in a join: an RSA key of
	// 4,096 bits has 554.
	KeyMost = 600
	// SignatureMost is how many bytes a signature may have: those of such keys.
	SignatureMost = rsaBits / 8

	inlineMost = 42 // bytes of a public key that is its own id
)

// Types of keys. Source: gateways/star/PROTOCOL.md, Challenge.
const (
	typeRSA       = 0
	typeEd25519   = 1
	typeSecp256k1 = 2
)

// Codes that ids begin with.
const (
	hashIdentity = 0x00
	hashSHA256   = 0x12
)

var (
	errMalformed = errors.New("peerid: malformed public key")
	errType      = errors.New("peerid: unknown type of key")
	errSize      = errors.New("peerid: RSA key too large or too small")
)

// Key is a public key.
type Key struct {
	raw    []byte // as it was sent
	verify func(message, signature []byte) bool
}

// ParseKey reads a public key as it is in a join: a protobuf message of a type
// and of data, which are PKIX for RSA, 32 bytes for Ed25519 and a point for
// secp256k1. It keeps raw. What is too large is refused before it costs anything.
func ParseKey(raw []byte) (*Key, error) {
	if len(raw) > KeyMost {
		return nil, errSize
	}
	kind, data, err := fields(raw)
	if err != nil {
		return nil, err
	}
	k := &Key{raw: raw}
	switch kind {
	case typeRSA:
		k.verify, err = rsaKey(data)
	case typeEd25519:
		k.verify, err = ed25519Key(data)
	case typeSecp256k1:
		k.verify, err = secp256k1Key(data)
	default:
		err = errType
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Numbers of the fields of a public key.
const (
	fieldType = 1
	fieldData = 2
)

// fields reads a message that has each of its two fields once, and no other: the
// id is made from its bytes, and one key must not have many.
func fields(raw []byte) (kind uint64, data []byte, err error) {
	var seen [fieldData + 1]bool
	for len(raw) > 0 {
		number, wire, n := protowire.ConsumeTag(raw)
		if n < 0 || number < fieldType || number > fieldData || seen[number] {
			return 0, nil, errMalformed
		}
		raw, seen[number] = raw[n:], true
		switch {
		case number == fieldType && wire == protowire.VarintType:
			kind, n = protowire.ConsumeVarint(raw)
		case number == fieldData && wire == protowire.BytesType:
			data, n = protowire.ConsumeBytes(raw)
		default:
			n = -1
		}
		if n < 0 {
			return 0, nil, errMalformed
		}
		raw = raw[n:]
	}
	if !seen[fieldType] || !seen[fieldData] {
		return 0, nil, errMalformed
	}
	return kind, data, nil
}

type verifier = func(message, signature []byte) bool

func rsaKey(der []byte) (verifier, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("peerid: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errMalformed
	}
	if bits := key.N.BitLen(); bits < rsaLeast || bits > rsaBits {
		return nil, errSize
	}
	return func(message, signature []byte) bool {
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}, nil
}

func ed25519Key(data []byte) (verifier, error) {
	if len(data) != ed25519.PublicKeySize {
		return nil, errMalformed
	}
	return func(message, signature []byte) bool {
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(data, message, signature)
	}, nil
}

func secp256k1Key(data []byte) (verifier, error) {
	key, err := secp256k1.ParsePubKey(data)
	if err != nil {
		return nil, fmt.Errorf("peerid: %w", err)
	}
	return func(message, signature []byte) bool {
		parsed, err := ecdsa.ParseDERSignature(signature)
		digest := sha256.Sum256(message)
		return err == nil && parsed.Verify(digest[:], key)
	}, nil
}

// Verify tells whether signature is the key's, of message: PKCS #1 v1.5 with
// SHA-256 for RSA, Ed25519, or DER of ECDSA over SHA-256 for secp256k1.
func (k *Key) Verify(message, signature []byte) bool { return k.verify(message, signature) }

// ID is the id that is made from the key: itself if it is short, its hash
// otherwise.
func (k *Key) ID() string {
	if len(k.raw) <= inlineMost {
		return k.inlined()
	}
	return k.hashed()
}

// Has tells whether id is made from the key. Short keys have two: old clients
// hash those, too.
func (k *Key) Has(id string) bool {
	return id != "" && (id == k.hashed() || len(k.raw) <= inlineMost && id == k.inlined())
}

func (k *Key) hashed() string {
	digest := sha256.Sum256(k.raw)
	return base58.Encode(append([]byte{hashSHA256, sha256.Size}, digest[:]...))
}

func (k *Key) inlined() string {
	return base58.Encode(append([]byte{hashIdentity, byte(len(k.raw))}, k.raw...))
}
