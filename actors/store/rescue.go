package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// survey is what was found at open.
type survey struct {
	last  *tally // the newest that is in the database; nil: none
	found tally  // of what is there
	bad   []aside
	kept  []string // keys set aside at an earlier time
}

// aside is a record that is not what was written.
type aside struct {
	key string
	raw []byte
	was check // in its envelope, if there is one
}

// candidate is what all files together say of one key.
type candidate struct {
	value   []byte // the newest that is what was written
	seq     uint64 // of value; 0: there is none
	expires uint64 // likewise, Unix s; 0: it does not
	dead    uint64 // of the newest deletion
	bad     []byte // the newest that is not what was written
	badAt   uint64 // of bad; 0: there is none
}

// rescue copies what is left in damaged files to a fresh database, and puts it
// in their place. Each byte is read without badger. What follows a damage in a
// log is read too: the transactions there are whole.
func rescue(dir string, last *tally, o *OpenOptions) (survey, error) {
	all, err := gather(filepath.Join(dir, liveName))
	if err != nil {
		return survey{}, err
	}
	s := survey{}
	good := map[string]*candidate{} // by key as badger has it
	top := uint64(0)
	for key, c := range all {
		top = max(top, c.seq)
		switch newest := max(c.seq, c.dead, c.badAt); {
		case key == string(tallyKey):
			if t := parseTally(c.value); t != nil {
				s.last = t
			}
		case newest == c.dead: // no key is both written and deleted in one transaction
		case newest == c.seq:
			good[key] = c
			switch key[0] {
			case liveSpace:
				s.found.add(checkOf([]byte(key), c.seq, c.value))
			case asideSpace:
				s.kept = append(s.kept, key[1:])
			}
		case key[0] == liveSpace:
			bad := aside{key: key[1:], raw: c.bad}
			_, _, bad.was, _ = unseal([]byte(key), c.bad)
			s.bad = append(s.bad, bad)
		}
	}
	if last != nil {
		top = max(top, last.seq)
	}
	if s.last != nil {
		s.found.schema = s.last.schema
		top = max(top, s.last.seq)
	}
	s.found.seq = top + 1
	if err := renew(dir, good, s, o); err != nil {
		return survey{}, err
	}
	return s, swap(dir)
}

// gather reads all of badger's files.
func gather(dir string) (map[string]*candidate, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	all := map[string]*candidate{}
	for _, f := range files {
		walk := func([]byte) {}
		if _, isTable := table.ParseFileID(f.Name()); isTable {
			walk = func(data []byte) { walkTable(data, func(e entry) { weigh(all, e) }) }
		} else if strings.HasSuffix(f.Name(), logSuffix) {
			walk = func(data []byte) { walkLog(data, func(e entry) { weigh(all, e) }) }
		}
		err := mapped(filepath.Join(dir, f.Name()), func(data []byte) error {
			return guard(func() error { walk(data); return nil })
		})
		if err != nil {
			return nil, fmt.Errorf("store: cannot read what is left: %w", err)
		}
	}
	return all, nil
}

// weigh adds one entry to what is known of its key.
func weigh(all map[string]*candidate, e entry) {
	space := e.key[0]
	if space != liveSpace && space != briefSpace && space != asideSpace && space != ownSpace ||
		space != ownSpace && checkKey(string(e.key[1:])) != nil {
		return // badger's own, or a damaged key
	}
	c := all[string(e.key)]
	if c == nil {
		c = &candidate{}
		all[string(e.key)] = c
	}
	value, seq, _, ok := unseal(e.key, e.value)
	switch {
	case e.deleted:
		c.dead = max(c.dead, e.version)
	case ok && seq > c.seq: // the envelope, not badger, says when it was written
		c.seq, c.value, c.expires = seq, bytes.Clone(value), e.expires
	case !ok && e.version > c.badAt:
		c.badAt, c.bad = e.version, bytes.Clone(e.value)
	}
}

// renew writes a fresh database beside the damaged one.
func renew(dir string, good map[string]*candidate, s survey, o *OpenOptions) error {
	fresh := filepath.Join(dir, newName)
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return guard(func() (err error) {
		b, err := badger.OpenManaged(o.badger(fresh))
		if err != nil {
			return fmt.Errorf("store: cannot make a fresh database: %w", err)
		}
		defer func() {
			if e := b.Close(); err == nil && e != nil {
				err = fmt.Errorf("store: cannot write a fresh database: %w", e)
			}
		}()
		w := b.NewWriteBatchAt(s.found.seq)
		defer w.Cancel()
		found := tally{schema: s.found.schema, seq: s.found.seq}
		for key, old := range good {
			sealed, c := seal([]byte(key), found.seq, old.value)
			if key[0] == liveSpace {
				found.add(c)
			}
			e := badger.NewEntry([]byte(key), sealed)
			e.ExpiresAt = old.expires
			if err := w.SetEntry(e); err != nil {
				return fmt.Errorf("store: cannot write a fresh database: %w", err)
			}
		}
		for _, bad := range s.bad {
			key := spaced(asideSpace, bad.key)
			sealed, _ := seal(key, found.seq, bad.raw)
			if err := w.Set(key, sealed); err != nil {
				return fmt.Errorf("store: cannot write a fresh database: %w", err)
			}
		}
		sealed, _ := seal(tallyKey, found.seq, found.append(nil))
		if err := w.Set(tallyKey, sealed); err != nil {
			return fmt.Errorf("store: cannot write a fresh database: %w", err)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("store: cannot write a fresh database: %w", err)
		}
		return b.Sync()
	})
}
