package peerid

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"

	"github.com/mr-tron/base58"
	"google.golang.org/protobuf/encoding/protowire"
)

// vector is a join that a client of the public kind made.
type vector struct {
	Type      string `json:"type"`
	ID        string `json:"peerId"`
	IDHex     string `json:"peerIdHex"`
	Address   string `json:"multiaddr"`
	Key       string `json:"ssJoinKeyHex"`
	Nonce     string `json:"nonce"`
	Signature string `json:"ssJoinSignatureHex"`
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := os.ReadFile("testdata/star-keys.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Type, func(t *testing.T) {
			k, err := ParseKey(unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			if k.ID() != v.ID || !k.Has(v.ID) || OfAddress(v.Address) != v.ID || !IsStar(v.Address) || !IsHarmless(v.Address) {
				t.Errorf("id %q, want %q", k.ID(), v.ID)
			}
			if raw, err := base58.Decode(k.ID()); err != nil || hex.EncodeToString(raw) != v.IDHex {
				t.Errorf("id is %x, want %s", raw, v.IDHex)
			}
			signature := unhex(t, v.Signature)
			if !k.Verify([]byte(v.Nonce), signature) {
				t.Error("the right signature is wrong")
			}
			if k.Verify([]byte(v.Nonce+"x"), signature) {
				t.Error("a signature of something else is right")
			}
			for i := range signature {
				wrong := bytes.Clone(signature)
				wrong[i] ^= 0x10
				if k.Verify([]byte(v.Nonce), wrong) || k.Verify([]byte(v.Nonce), signature[:i]) {
					t.Errorf("wrong at byte %d is right", i)
				}
			}
			if k.Verify([]byte(v.Nonce), append(bytes.Clone(signature), 0)) {
				t.Error("a signature with more behind it is right")
			}
		})
	}
}

func TestShortKeysHaveTwoIDs(t *testing.T) {
	for _, v := range vectors(t) {
		k, err := ParseKey(unhex(t, v.Key))
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(unhex(t, v.Key))
		hashed := base58.Encode(append([]byte{hashSHA256, sha256.Size}, digest[:]...))
		if !k.Has(hashed) {
			t.Errorf("%s: is not %q", v.Type, hashed)
		}
		for _, other := range vectors(t) {
			if other.Type != v.Type && k.Has(other.ID) {
				t.Errorf("%s: is also %q", v.Type, other.ID)
			}
		}
		if k.Has("") || k.Has(k.ID()+"1") || v.Type == "RSA" && k.Has(k.inlined()) {
			t.Errorf("%s: has an id that it has not", v.Type)
		}
	}
}

// keyOf is a public key as in a join.
func keyOf(kind uint64, data []byte) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, fieldType, protowire.VarintType), kind)
	return protowire.AppendBytes(protowire.AppendTag(b, fieldData, protowire.BytesType), data)
}

func pkix(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// modulus is an RSA public key of so many bits. It has no private one.
func modulus(t testing.TB, bits int) []byte {
	t.Helper()
	n := bytes.Repeat([]byte{0xff}, bits/8)
	key := &rsa.PublicKey{E: 65537}
	key.N = new(big.Int).SetBytes(n)
	return pkix(t, key)
}

func TestSizesOfRSA(t *testing.T) {
	for bits, ok := range map[int]bool{512: false, 1024: false, 2040: false, 2048: true, 3072: true, 4096: true, 4104: false, 8192: false, 16384: false} {
		_, err := ParseKey(keyOf(typeRSA, modulus(t, bits)))
		if (err == nil) != ok || !ok && !errors.Is(err, errSize) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestLargestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, rsaLeast)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(keyOf(typeRSA, modulus(t, rsaBits))); n > KeyMost {
		t.Errorf("a key of %d bits has %d bytes", rsaBits, n)
	}
	digest := sha256.Sum256([]byte("nonce"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(keyOf(typeRSA, pkix(t, &key.PublicKey)))
	if err != nil || !k.Verify([]byte("nonce"), signature) {
		t.Errorf("not verified: %v", err)
	}
}

func TestMalformedKeys(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := unhex(t, vectors(t)[1].Key)
	tag := func(n protowire.Number, w protowire.Type) []byte { return protowire.AppendTag(nil, n, w) }
	for name, raw := range map[string][]byte{
		"empty":              {},
		"type only":          good[:2],
		"data only":          good[2:],
		"cut":                good[:len(good)-1],
		"type twice":         append([]byte{8, 1}, good...),
		"data twice":         append(bytes.Clone(good), good[2:]...),
		"another field":      append(bytes.Clone(good), append(tag(3, protowire.VarintType), 1)...),
		"field 0":            append(bytes.Clone(good), 0),
		"type is bytes":      append(tag(1, protowire.BytesType), 0),
		"data is a number":   {8, 1, 16, 1},
		"endless number":     append([]byte{8}, bytes.Repeat([]byte{0xff}, 20)...),
		"data is too long":   {8, 1, 18, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"unknown type":       keyOf(3, make([]byte, 32)),
		"large type":         keyOf(1<<63, make([]byte, 32)),
		"RSA: no DER":        keyOf(typeRSA, []byte("key")),
		"RSA: other key":     keyOf(typeRSA, pkix(t, &p256.PublicKey)),
		"RSA: more behind":   keyOf(typeRSA, append(modulus(t, 2048), 0)),
		"Ed25519: short":     keyOf(typeEd25519, make([]byte, ed25519.PublicKeySize-1)),
		"Ed25519: long":      keyOf(typeEd25519, make([]byte, ed25519.PublicKeySize+1)),
		"secp256k1: empty":   keyOf(typeSecp256k1, nil),
		"secp256k1: short":   keyOf(typeSecp256k1, make([]byte, 32)),
		"secp256k1: nowhere": keyOf(typeSecp256k1, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)),
		"huge":               keyOf(typeRSA, make([]byte, 1<<20)),
	} {
		if _, err := ParseKey(raw); err == nil {
			t.Errorf("%s: taken for a key", name)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Key), unhex(f, v.Signature))
	}
	f.Add(keyOf(typeRSA, modulus(f, 2048)), []byte{1})
	f.Add(keyOf(typeRSA, modulus(f, 4096)), []byte{1})
	f.Add([]byte{8, 0, 18, 0}, []byte{})
	f.Fuzz(func(t *testing.T, raw, signature []byte) {
		k, err := ParseKey(raw)
		if err != nil {
			return
		}
		if !k.Has(k.ID()) || !isID(k.ID()) {
			t.Errorf("id %q", k.ID())
		}
		k.Verify([]byte("another nonce"), signature)
	})
}

// BenchmarkRefuseHugeKey is what somebody costs who sends RSA keys that are too
// large.
func BenchmarkRefuseHugeKey(b *testing.B) {
	raw := keyOf(typeRSA, modulus(b, 16384))
	for b.Loop() {
		if _, err := ParseKey(raw); err == nil {
			b.Fatal("taken")
		}
	}
}

func BenchmarkKey(b *testing.B) {
	for _, v := range vectors(b) {
		raw, signature := unhex(b, v.Key), unhex(b, v.Signature)
		b.Run("parse"+v.Type, func(b *testing.B) {
			for b.Loop() {
				if k, err := ParseKey(raw); err != nil || !k.Has(v.ID) {
					b.Fatal(err)
				}
			}
		})
		b.Run("verify"+v.Type, func(b *testing.B) {
			k, err := ParseKey(raw)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if !k.Verify([]byte(v.Nonce), signature) {
					b.Fatal("wrong")
				}
			}
		})
	}
}
