package starclient

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
)

// Identity is a key, and the ids that are made from it.
type Identity struct {
	ID   string // as libp2p makes it: of a short key the key itself, 12D3KooW…, of others its sha2-256, Qm…
	Hash string // sha2-256 of any key, as old versions made it

	public []byte // protobuf PublicKey{1: type, 2: data}
	sign   func(message []byte) ([]byte, error)
}

// Types of keys in protobuf PublicKey.
const (
	keyRSA     = 0
	keyEd25519 = 1
)

// Multihashes: the code of the hash, and the length.
var (
	sha256Prefix   = []byte{0x12, sha256.Size}
	identityPrefix = []byte{0x00}
)

// inlineMost is the longest key that is its own id, bytes.
const inlineMost = 42

// NewRSA draws a key of so many bits, which takes a while.
func NewRSA(bits int) (*Identity, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("starclient: draw a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("starclient: %w", err)
	}
	return newIdentity(keyRSA, public, func(message []byte) ([]byte, error) {
		sum := sha256.Sum256(message)
		return rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	}), nil
}

// NewEd25519 draws a key.
func NewEd25519() (*Identity, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("starclient: draw a key: %w", err)
	}
	return newIdentity(keyEd25519, public, func(message []byte) ([]byte, error) { return ed25519.Sign(key, message), nil }), nil
}

func newIdentity(kind byte, key []byte, sign func([]byte) ([]byte, error)) *Identity {
	const typeField, dataField = 1 << 3, 2<<3 | 2
	i := &Identity{sign: sign, public: []byte{typeField, kind, dataField}}
	i.public = append(appendVarint(i.public, len(key)), key...)
	sum := sha256.Sum256(i.public)
	i.Hash = base58(append(slices.Clone(sha256Prefix), sum[:]...))
	if i.ID = i.Hash; len(i.public) <= inlineMost {
		i.ID = base58(append(append(slices.Clone(identityPrefix), byte(len(i.public))), i.public...))
	}
	return i
}

func appendVarint(dst []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// Address is one under which this identity may join, at a host of IPv4 and a
// port, of which nobody has to listen at either.
func (i *Identity) Address(host string, port int) string {
	return AddressOf(host, port, i.ID)
}

// AddressOf is Address of any id.
func AddressOf(host string, port int, id string) string {
	return fmt.Sprintf("/ip4/%s/tcp/%d/ws/p2p-websocket-star/ipfs/%s", host, port, id)
}

// PublicKey is what a join begins with: the key in hex.
func (i *Identity) PublicKey() string { return hex.EncodeToString(i.public) }

// nonceShape is two UUIDs joined. Nothing else is signed: a server could have a
// client sign what somebody else asks for.
var nonceShape = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}){2}$`)

// ErrNonce says that a server wanted something signed that is no nonce.
var ErrNonce = errors.New("starclient: the server asks for a signature of what is no nonce")

// Sign is the answer to a challenge, in hex.
func (i *Identity) Sign(nonce string) (string, error) {
	if !nonceShape.MatchString(nonce) {
		return "", ErrNonce
	}
	signature, err := i.sign([]byte(nonce))
	if err != nil {
		return "", fmt.Errorf("starclient: sign: %w", err)
	}
	return hex.EncodeToString(signature), nil
}

// alphabet is base 58 as libp2p writes it: without 0, O, I and l.
const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 writes a number of any length; each leading zero byte is a 1.
func base58(b []byte) string {
	var text []byte
	n, digit, base := new(big.Int).SetBytes(b), new(big.Int), big.NewInt(int64(len(alphabet)))
	for n.Sign() > 0 {
		n.DivMod(n, base, digit)
		text = append(text, alphabet[digit.Int64()])
	}
	for _, x := range b {
		if x != 0 {
			break
		}
		text = append(text, alphabet[0])
	}
	slices.Reverse(text)
	return string(text)
}
