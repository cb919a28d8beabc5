package store

import (
	"crypto/sha256"
	"fmt"
	"os"
)

// head is a file beside badger's with the last tally. A log that was cut short
// is a whole one of an earlier time; only what is kept elsewhere can tell. It is
// written behind each synced transaction and not synced itself: after power
// loss it may be older than the database, never newer.
type head struct{ f *os.File }

const (
	headName  = "head"
	headSlots = 2    // in turns: one that was torn leaves the other
	slotBytes = 4096 // apart: no disk tears both
)

// openHead opens the file, and reads the newest tally in it; nil: none.
func openHead(path string) (*head, *tally, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	var last *tally
	for slot := range int64(headSlots) {
		b := make([]byte, tallyBytes+checkBytes)
		if _, err := f.ReadAt(b, slot*slotBytes); err != nil {
			continue // too short: never written
		}
		t := parseTally(b[:tallyBytes])
		if headCheck(b[:tallyBytes]) == check(b[tallyBytes:]) && (last == nil || t.seq > last.seq) {
			last = t
		}
	}
	return &head{f}, last, nil
}

func headCheck(b []byte) (c check) {
	sum := sha256.Sum256(b)
	copy(c[:], sum[:])
	return c
}

// write notes a tally whose transaction is safe.
func (h *head) write(t *tally) error {
	b := t.append(make([]byte, 0, tallyBytes+checkBytes))
	c := headCheck(b)
	if _, err := h.f.WriteAt(append(b, c[:]...), int64(t.seq%headSlots)*slotBytes); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (h *head) close() error {
	err := h.f.Sync()
	if e := h.f.Close(); err == nil {
		err = e
	}
	return err
}
