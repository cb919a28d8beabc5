package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"parley/messages/storepb"
)

// readMost is how many bytes one question may bring to light.
const readMost = 16 << 20

// record is one that is being looked at; its bytes are badger's.
type record struct {
	key   []byte // as badger has it
	raw   []byte // the envelope
	value []byte
	sum   check // in the envelope
	whole bool  // it is what was written

	expires uint64 // Unix s; 0: it does not
}

// read returns the records below a prefix, and the keys of those that are not
// what was written, both sorted.
func (db *DB) read(prefix string) (records []*storepb.Record, corrupt []string, err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.b == nil {
		return nil, nil, errClosed
	}
	db.reads.RLock()
	defer db.reads.RUnlock()
	at := db.seq.Load()
	var s sight
	err = guard(func() error {
		if err := walk(db.b, at, spaced(liveSpace, prefix), nil, s.add); err != nil {
			return err
		}
		return walk(db.b, at, spaced(asideSpace, prefix), nil, func(r record) error {
			s.corrupt = append(s.corrupt, string(r.key[1:]))
			return nil
		})
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(s.corrupt)
	return s.records, slices.Compact(s.corrupt), nil
}

// readBrief is read for records that expire, and for keys from from on that are
// before to; empty ones are no bounds.
func (db *DB) readBrief(prefix, from, to string) (records []*storepb.Record, corrupt []string, err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.b == nil {
		return nil, nil, errClosed
	}
	db.reads.RLock()
	defer db.reads.RUnlock()
	var s sight
	err = guard(func() error {
		return walk(db.b, db.seq.Load(), spaced(briefSpace, prefix), spaced(briefSpace, max(prefix, from)), func(r record) error {
			if to != "" && string(r.key[1:]) >= to {
				return errEnough
			}
			return s.add(r)
		})
	})
	if err != nil {
		return nil, nil, err
	}
	return s.records, s.corrupt, nil
}

// sight is what a question brings to light.
type sight struct {
	records []*storepb.Record
	corrupt []string
	size    int // bytes
}

func (s *sight) add(r record) error {
	key := string(r.key[1:])
	if !r.whole {
		s.corrupt = append(s.corrupt, key)
		return nil
	}
	if s.size += len(r.key) + len(r.value); s.size > readMost {
		return fmt.Errorf("store: more than %d MiB are asked for, up to %.40q: ask for less", readMost>>20, key)
	}
	s.records = append(s.records, &storepb.Record{Key: key, Value: bytes.Clone(r.value), Expires: r.expires})
	return nil
}

// errEnough ends a walk.
var errEnough = errors.New("store: enough was read")

// walk shows each record whose key has a prefix, as of a transaction, from a key
// on; nil: the first there is. It ends without an error at errEnough.
func walk(b *badger.DB, at uint64, prefix, from []byte, each func(record) error) error {
	txn := b.NewTransactionAt(at, false)
	defer txn.Discard()
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false
	o.Prefix = prefix
	it := txn.NewIterator(o)
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(raw []byte) error {
			r := record{key: item.Key(), raw: raw, expires: item.ExpiresAt()}
			var seq uint64
			r.value, seq, r.sum, r.whole = unseal(r.key, raw)
			r.whole = r.whole && seq == item.Version()
			return each(r)
		})
		if err == errEnough {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readAll looks at every record that stays. Those that expire may be many, and
// are looked at when somebody asks for them.
func readAll(b *badger.DB) (s survey, err error) {
	for _, space := range []byte{asideSpace, liveSpace, ownSpace} {
		err = walk(b, math.MaxUint64, []byte{space}, nil, func(r record) error {
			s.note(space, r)
			return nil
		})
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *survey) note(space byte, r record) {
	switch {
	case space == asideSpace:
		s.kept = append(s.kept, string(r.key[1:]))
	case bytes.Equal(r.key, tallyKey):
		if r.whole {
			s.last = parseTally(r.value)
		}
	case space != liveSpace:
	case r.whole:
		s.found.add(r.sum)
	default:
		s.bad = append(s.bad, aside{string(r.key[1:]), bytes.Clone(r.raw), r.sum})
	}
}
