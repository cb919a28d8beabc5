package store

import (
	"bytes"
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
	size := 0
	err = guard(func() error {
		err := walk(db.b, at, spaced(liveSpace, prefix), func(r record) error {
			if !r.whole {
				corrupt = append(corrupt, string(r.key[1:]))
				return nil
			}
			if size += len(r.key) + len(r.value); size > readMost {
				return fmt.Errorf("store: more than %d MiB are below %.40q: ask for less", readMost>>20, prefix)
			}
			records = append(records, &storepb.Record{Key: string(r.key[1:]), Value: bytes.Clone(r.value)})
			return nil
		})
		if err != nil {
			return err
		}
		return walk(db.b, at, spaced(asideSpace, prefix), func(r record) error {
			corrupt = append(corrupt, string(r.key[1:]))
			return nil
		})
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(corrupt)
	return records, slices.Compact(corrupt), nil
}

// walk shows each record whose key has a prefix, as of a transaction.
func walk(b *badger.DB, at uint64, prefix []byte, each func(record) error) error {
	txn := b.NewTransactionAt(at, false)
	defer txn.Discard()
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false
	o.Prefix = prefix
	it := txn.NewIterator(o)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(raw []byte) error {
			r := record{key: item.Key(), raw: raw}
			var seq uint64
			r.value, seq, r.sum, r.whole = unseal(r.key, raw)
			r.whole = r.whole && seq == item.Version()
			return each(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readAll looks at every record there is.
func readAll(b *badger.DB) (s survey, err error) {
	err = walk(b, math.MaxUint64, nil, func(r record) error {
		switch {
		case r.key[0] == asideSpace:
			s.kept = append(s.kept, string(r.key[1:]))
		case bytes.Equal(r.key, tallyKey):
			if r.whole {
				s.last = parseTally(r.value)
			}
		case r.key[0] != liveSpace:
		case r.whole:
			s.found.add(r.sum)
		default:
			s.bad = append(s.bad, aside{string(r.key[1:]), bytes.Clone(r.raw), r.sum})
		}
		return nil
	})
	return s, err
}
