package store

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"parley/messages/storepb"
)

// change is a transaction that is being made.
type change struct {
	db    *DB
	txn   *badger.Txn
	tally tally // as it will be
	clean []string
	dirty []string
}

// put writes a record.
func (c *change) put(key string, value []byte) error {
	k := spaced(liveSpace, key)
	if err := c.forget(k); err != nil {
		return err
	}
	sealed, sum := seal(k, c.tally.seq, value)
	c.tally.add(sum)
	if c.db.aside[key] { // it is right again
		c.clean = append(c.clean, key)
		if err := c.txn.Delete(spaced(asideSpace, key)); err != nil {
			return err
		}
	}
	return c.txn.Set(k, sealed)
}

// putBriefly writes a record that expires; expires is in Unix s.
func (c *change) putBriefly(key string, value []byte, expires uint64) error {
	k := spaced(briefSpace, key)
	sealed, _ := seal(k, c.tally.seq, value)
	e := badger.NewEntry(k, sealed)
	e.ExpiresAt = expires
	return c.txn.SetEntry(e)
}

// remove deletes a record; one that is not there is no error.
func (c *change) remove(key string) error {
	k := spaced(liveSpace, key)
	if err := c.forget(k); err != nil {
		return err
	}
	if c.db.aside[key] {
		c.clean = append(c.clean, key)
		if err := c.txn.Delete(spaced(asideSpace, key)); err != nil {
			return err
		}
	}
	return c.txn.Delete(k)
}

// setAside moves a damaged record out of the way. The tally does not have it.
func (c *change) setAside(bad aside) error {
	k := spaced(asideSpace, bad.key)
	sealed, _ := seal(k, c.tally.seq, bad.raw)
	c.dirty = append(c.dirty, bad.key)
	if err := c.txn.Set(k, sealed); err != nil {
		return err
	}
	return c.txn.Delete(spaced(liveSpace, bad.key))
}

// forget takes a record that will change out of the tally.
func (c *change) forget(k []byte) error {
	item, err := c.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return item.Value(func(raw []byte) error {
		_, _, sum, _ := unseal(k, raw)
		c.tally.remove(sum)
		return nil
	})
}

// apply makes one transaction, and returns when it is safe. Its caller holds
// writes and mu.
func (db *DB) apply(f func(*change) error) error {
	if db.broken != nil {
		return db.broken
	}
	if err := db.o.checkRoom(db.dir); err != nil {
		return err
	}
	c := &change{db: db, tally: db.tally}
	c.tally.seq++
	sent := false
	err := guard(func() error {
		c.txn = db.b.NewTransactionAt(db.tally.seq, true)
		defer c.txn.Discard()
		if err := f(c); err != nil {
			return err
		}
		sealed, _ := seal(tallyKey, c.tally.seq, c.tally.append(nil))
		if err := c.txn.Set(tallyKey, sealed); err != nil {
			return err
		}
		sent = true
		if err := c.txn.CommitAt(c.tally.seq, nil); err != nil {
			return err
		}
		return db.sync()
	})
	if err != nil {
		err = fmt.Errorf("store: not written: %w", err)
		if sent { // whether it is on the disk is known at the next start only
			db.broken = fmt.Errorf("store: an earlier write failed, and nothing more is written until a restart: %w", err)
		}
		return err
	}
	db.settled(c)
	return nil
}

// sync makes what was written safe, and the names of new log files with it:
// badger leaves those to the system.
func (db *DB) sync() error {
	if err := db.b.Sync(); err != nil {
		return err
	}
	dir := db.b.Opts().Dir
	names, err := logs(dir)
	if err != nil || slices.Equal(names, db.names) {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	db.names = names
	return nil
}

// settled makes a transaction that is safe the state to go on from.
func (db *DB) settled(c *change) {
	db.tally = c.tally
	for _, key := range c.clean {
		delete(db.aside, key)
	}
	for _, key := range c.dirty {
		db.aside[key] = true
	}
	db.seq.Store(c.tally.seq)
	if db.reads.TryLock() { // else next time: old versions wait for who looks at them
		db.b.SetDiscardTs(c.tally.seq)
		db.reads.Unlock()
	}
	if err := db.head.write(&db.tally); err != nil { // it only helps to notice a loss
		db.o.Log.Warn("database head not written", slog.Any("error", err))
	}
}

// write is a valid Write and the bytes in it.
type write struct {
	m    *storepb.Write
	size int
}

// commit carries out writes in their order, each all or none, and returns when
// they are safe: one error for each, and how often it went to the disk.
func (db *DB) commit(writes []write) (errs []error, syncs int) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	db.writes.Lock()
	defer db.writes.Unlock()
	errs = make([]error, len(writes))
	for from := 0; from < len(writes); {
		to := portion(writes, from)
		err := errClosed
		if db.b != nil {
			syncs++
			err = db.apply(func(c *change) error { return c.carryOut(writes[from:to]) })
		}
		for i := from; i < to; i++ {
			errs[i] = err
		}
		from = to
	}
	return errs, syncs
}

// portion says up to where writes go in one transaction.
func portion(writes []write, from int) (to int) {
	size, n := 0, 0
	for to = from; to < len(writes); to++ {
		w := &writes[to]
		size, n = size+w.size, n+len(w.m.GetPuts())+len(w.m.GetDeletes())
		if to > from && (size > writeMost || n > changeMost) {
			return to
		}
	}
	return to
}

func (c *change) carryOut(writes []write) error {
	for _, w := range writes {
		for _, r := range w.m.GetPuts() {
			err := error(nil)
			if expires := r.GetExpires(); expires > 0 {
				err = c.putBriefly(r.GetKey(), r.GetValue(), expires)
			} else {
				err = c.put(r.GetKey(), r.GetValue())
			}
			if err != nil {
				return err
			}
		}
		for _, key := range w.m.GetDeletes() {
			if err := c.remove(key); err != nil {
				return err
			}
		}
	}
	return nil
}
