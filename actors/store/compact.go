package store

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/dgraph-io/badger/v4"

	"parley/actors/tree"
	"parley/messages/storepb"
)

// turnKey is written to be dropped again: badger writes out what is in memory and
// in its log before it drops keys, and puts its newest tables into those below.
var turnKey = spaced(ownSpace, "turn")

// compact writes all records to new files, and removes the old ones: nothing is
// left then of what was written over. Writes wait for the first part of it.
func (db *DB) compact() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.b == nil {
		return errClosed
	}
	if err := db.turn(); err != nil {
		return fmt.Errorf("store: not compacted: %w", err)
	}
	if err := guard(func() error { return db.b.Flatten(1) }); err != nil {
		return fmt.Errorf("store: not compacted: %w", err)
	}
	return nil
}

// turn has badger begin new files, which it does when it drops keys.
func (db *DB) turn() error {
	db.writes.Lock()
	defer db.writes.Unlock()
	sealed, _ := seal(turnKey, db.tally.seq+1, nil)
	err := db.apply(func(c *change) error { return c.txn.Set(turnKey, sealed) })
	if err != nil {
		return err
	}
	db.reads.Lock() // old versions go: nobody may be looking at them
	db.b.SetDiscardTs(db.tally.seq)
	db.reads.Unlock()
	err = guard(func() error { return db.b.DropPrefix(turnKey) })
	if errors.Is(err, badger.ErrBlockedWrites) {
		return err
	}
	if err != nil {
		db.broken = fmt.Errorf("store: an earlier write failed, and nothing more is written until a restart: %w", err)
		return err
	}
	return db.sync()
}

// compacted tells that a compaction is over; its asker knows.
type compacted struct{}

// IgnoreDeadLetterLogging marks messages that may find the store stopped.
func (compacted) IgnoreDeadLetterLogging() {}

// onCompact has what was written over removed, beside all else.
func (s *store) onCompact(ctx actor.Context, m *storepb.Compact) {
	if s.compacting {
		respond(ctx, &storepb.Compacted{Serial: m.GetSerial(), Error: "store: it is being compacted already: try again"})
		return
	}
	s.compacting = true
	sys, self, asker, disk := ctx.ActorSystem(), ctx.Self(), ctx.Sender(), s.disk
	tree.Go(sys, func() {
		answer := &storepb.Compacted{Serial: m.GetSerial()}
		if err := disk.compact(); err != nil {
			answer.Error = err.Error()
		}
		tell(sys, self, asker, answer)
		sys.Root.Send(self, compacted{})
	})
}
