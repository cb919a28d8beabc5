package store

import "fmt"

// migration takes the database from one schema to the next, in one transaction.
type migration func(*change) error

// migrations are all there are, the one from schema 0 first. A new one goes to
// the end, and those that were released never change.
var migrations = []migration{
	func(*change) error { return nil }, // 0: nothing was ever written
}

// migrate brings the database to the newest schema.
func (db *DB) migrate() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	db.writes.Lock()
	defer db.writes.Unlock()
	for int(db.tally.schema) < len(db.o.steps) {
		from := db.tally.schema
		err := db.apply(func(c *change) error {
			c.tally.schema++
			return db.o.steps[from](c)
		})
		if err != nil {
			return fmt.Errorf("store: cannot bring %q from schema %d to %d: %w", db.dir, from, from+1, err)
		}
	}
	return nil
}

// settle sets damaged records aside, and takes what is left for what is.
func (db *DB) settle(bad []aside) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	db.writes.Lock()
	defer db.writes.Unlock()
	for {
		some := bad
		size := 0
		for i, b := range bad {
			if size += len(b.key) + len(b.raw); size > writeMost && i > 0 {
				some = bad[:i]
				break
			}
		}
		err := db.apply(func(c *change) error {
			for _, b := range some {
				if err := c.setAside(b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if bad = bad[len(some):]; len(bad) == 0 {
			return nil
		}
	}
}
