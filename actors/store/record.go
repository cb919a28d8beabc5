package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/messages/storepb"
)

// Limits of what is written. Source: messages/storepb.
const (
	keyMost    = 256       // bytes
	valueMost  = 64 << 10  // bytes
	writeMost  = 192 << 10 // bytes of keys and values in one Write; badger takes 300 KiB in one transaction
	changeMost = 1000      // records in one Write; badger takes 3,000
)

// What badger's keys begin with.
const (
	liveSpace  = 'd' // records
	briefSpace = 'e' // records that expire: badger drops them, and the tally does not know them
	asideSpace = 'c' // damaged records, by the key they had
	ownSpace   = 'm' // the store's own
)

// tallyKey is where the tally is.
var tallyKey = spaced(ownSpace, "tally")

// spaced is a key as badger has it.
func spaced(space byte, key string) []byte { return append([]byte{space}, key...) }

// checkKey says what is wrong with a record's key.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > keyMost:
		return fmt.Errorf("store: key %.40q has %d bytes, want 1 to %d", key, len(key), keyMost)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("store: key %.40q has characters that cannot be printed", key)
	}
	return nil
}

// checkWrite says what is wrong with a Write, and how many bytes it holds.
func checkWrite(m *storepb.Write) (size int, err error) {
	if n := len(m.GetPuts()) + len(m.GetDeletes()); n > changeMost {
		return 0, fmt.Errorf("store: %d changes in one write, at most %d", n, changeMost)
	}
	seen := make(map[string]bool, len(m.GetPuts())+len(m.GetDeletes()))
	one := func(key string, bytes int) error {
		if err := checkKey(key); err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("store: key %.40q is in one write twice", key)
		}
		if bytes > valueMost {
			return fmt.Errorf("store: value of %.40q has %d bytes, at most %d", key, bytes, valueMost)
		}
		seen[key] = true
		size += len(key) + bytes
		return nil
	}
	for _, r := range m.GetPuts() {
		if err := one(r.GetKey(), len(r.GetValue())); err != nil {
			return 0, err
		}
	}
	for _, key := range m.GetDeletes() {
		if err := one(key, 0); err != nil {
			return 0, err
		}
	}
	if size > writeMost {
		return 0, fmt.Errorf("store: %d bytes in one write, at most %d", size, writeMost)
	}
	return size, nil
}

// A record in badger is an envelope: format, sequence number of the
// transaction that wrote it, check, and the value as it is.
const (
	envelopeFormat = 1
	checkBytes     = 16
	envelopeBytes  = 1 + 8 + checkBytes
)

// check is over key, sequence number and value of a record: none of them can
// change without it.
type check [checkBytes]byte

func checkOf(key []byte, seq uint64, value []byte) (c check) {
	h := sha256.New()
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], uint64(len(key)))
	binary.BigEndian.PutUint64(n[8:], seq)
	h.Write(n[:])
	h.Write(key)
	h.Write(value)
	copy(c[:], h.Sum(nil))
	return c
}

// seal makes the envelope of a record; key is as badger has it.
func seal(key []byte, seq uint64, value []byte) ([]byte, check) {
	c := checkOf(key, seq, value)
	out := make([]byte, 0, envelopeBytes+len(value))
	out = append(out, envelopeFormat)
	out = binary.BigEndian.AppendUint64(out, seq)
	out = append(out, c[:]...)
	return append(out, value...), c
}

// unseal opens an envelope; ok is false when it is not what was written. The
// check is the one in the envelope, even then.
func unseal(key, raw []byte) (value []byte, seq uint64, c check, ok bool) {
	if len(raw) < envelopeBytes {
		return nil, 0, c, false
	}
	seq = binary.BigEndian.Uint64(raw[1:])
	copy(c[:], raw[9:])
	value = raw[envelopeBytes:]
	return value, seq, c, raw[0] == envelopeFormat && checkOf(key, seq, value) == c
}

// tally is the checksum of all records: how many there are, and the sum of
// their checks, which does not depend on their order. It is written with every
// change, in the same transaction.
type tally struct {
	schema uint32
	seq    uint64 // of the transaction that it was written in
	count  uint64 // records
	sum    [2]uint64
}

func (t *tally) add(c check)    { t.change(c, 1) }
func (t *tally) remove(c check) { t.change(c, ^uint64(0)) }

// change adds or, for a sign of -1, takes away one record.
func (t *tally) change(c check, sign uint64) {
	t.count += sign
	for i := range t.sum {
		t.sum[i] += sign * binary.BigEndian.Uint64(c[8*i:])
	}
}

// same tells whether both are of the same records.
func (t *tally) same(o *tally) bool { return t.count == o.count && t.sum == o.sum }

const tallyBytes = 4 + 8 + 8 + 8 + 8

// append writes the tally's value, its seq included.
func (t *tally) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, t.schema)
	for _, n := range []uint64{t.seq, t.count, t.sum[0], t.sum[1]} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// parseTally reads what append wrote; nil: it is none.
func parseTally(b []byte) *tally {
	if len(b) != tallyBytes {
		return nil
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[4+8*i:]) }
	return &tally{schema: binary.BigEndian.Uint32(b), seq: n(0), count: n(1), sum: [2]uint64{n(2), n(3)}}
}
