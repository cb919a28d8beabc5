package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sys/unix"
)

// OpenOptions change how Open works.
type OpenOptions struct {
	Log *slog.Logger // of what was found damaged; nil: slog.Default()

	steps []migration                  // nil: migrations
	room  func(string) (uint64, error) // nil: roomLeft
}

// badger is how the database is opened: small, for it lives beside what matters.
// With the library's defaults it takes up to 1 GB of memory, so 10 MB.
func (o *OpenOptions) badger(dir string) badger.Options {
	b := badger.DefaultOptions(dir).WithLogger(nil).WithMetricsEnabled(false)
	b.MemTableSize = 2 << 20
	b.NumMemtables = 2
	b.BaseTableSize = 1 << 20
	b.BaseLevelSize = 4 << 20
	b.ValueLogFileSize = 4 << 20
	b.ValueThreshold = valueMost + 1<<10 // our largest value in its envelope: the value log stays empty
	b.NumLevelZeroTables = 2
	b.NumCompactors = 2
	b.Compression = options.None
	b.BlockCacheSize = 0
	b.DetectConflicts = false // one writer
	return b
}

// Report is what Open found.
type Report struct {
	Schema  uint32
	Corrupt []string // keys of records that are not what was written, sorted; they are set aside until they are written again
	Lost    int      // records that are gone
	Undone  uint64   // transactions that were safe once and are gone: the latest ones
	Stale   bool     // some record is older than it was, and nothing tells which
	Damaged []string // files that were not what was written, sorted; a copy of what was left is used
}

// whole tells whether there is nothing to say.
func (r *Report) whole() bool {
	return len(r.Corrupt) == 0 && r.Lost == 0 && r.Undone == 0 && !r.Stale && len(r.Damaged) == 0
}

// DB is an open database. Its methods may be called by any goroutine.
type DB struct {
	dir    string // fixed at open, as all of this block
	o      OpenOptions
	lock   *os.File
	head   *head
	report Report

	seq   atomic.Uint64 // of the last transaction that is safe
	reads sync.RWMutex  // held for reading by reads: what they look at stays

	mu     sync.RWMutex // held for reading while b is used; Close takes it
	b      *badger.DB   // nil: closed
	left   *badger.DB   // was b, and could not be closed; nil: none
	writes sync.Mutex   // guards what follows, and is held by who writes
	tally  tally        // of what is safe
	broken error        // why nothing can be written until the next start
	aside  map[string]bool
	names  []string // of log files that are safe
}

var errClosed = errors.New("store: the database is closed")

// Open opens the database in dir, which is made when it is not there. It fails
// when others use it (*InUseError) or can read it, when the disk is full, and when a newer
// version wrote it. What is damaged is reported, see Report.
func Open(dir string, o OpenOptions) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.room == nil {
		o.room = roomLeft
	}
	if o.steps == nil {
		o.steps = migrations
	}
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{dir: dir, o: o, lock: lock, aside: map[string]bool{}}
	if err := db.open(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if !db.report.whole() {
		r := &db.report
		o.Log.Error("database damaged", slog.String("directory", dir), slog.Any("corrupt", r.Corrupt), slog.Int("lost", r.Lost),
			slog.Uint64("undone", r.Undone), slog.Bool("stale", r.Stale), slog.Any("files", r.Damaged))
	}
	return db, nil
}

func (db *DB) open() error {
	live := filepath.Join(db.dir, liveName)
	if err := db.o.checkRoom(db.dir); err != nil {
		return err
	}
	if err := finishSwap(db.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(live, 0o700); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	h, last, err := openHead(filepath.Join(db.dir, headName))
	if err != nil {
		return err
	}
	db.head = h
	damaged, err := inspect(live)
	if err != nil {
		return err
	}
	var s survey
	rescued := false
	if len(damaged) == 0 {
		s, err = db.try(live)
		var system unix.Errno
		if errors.As(err, &system) { // the files are not to blame
			return err
		}
		if err != nil {
			damaged = []string{liveName}
		}
	}
	if len(damaged) > 0 {
		rescued = true
		if s, err = rescue(db.dir, last, &db.o); err != nil {
			return fmt.Errorf("store: %q is damaged (%v) and could not be mended; move it away to begin anew, or bring a copy back: %w", db.dir, damaged, err)
		}
		if _, err = db.try(live); err != nil {
			return err
		}
	}
	slices.Sort(damaged)
	db.report = judge(s, last)
	db.report.Damaged = damaged
	return db.begin(s, last, rescued)
}

// try opens badger and reads everything.
func (db *DB) try(live string) (s survey, err error) {
	err = guard(func() (err error) {
		db.b, err = badger.OpenManaged(db.o.badger(live))
		if err != nil {
			db.b = nil // closed by badger itself
			return fmt.Errorf("store: cannot open the database in %q: %w", db.dir, err)
		}
		s, err = readAll(db.b)
		return err
	})
	if err != nil && db.b != nil {
		b := db.b
		db.b = nil
		err = errors.Join(err, guard(b.Close))
	}
	return s, err
}

// judge compares what was found with what was written.
func judge(s survey, last *tally) (r Report) {
	for _, bad := range s.bad {
		r.Corrupt = append(r.Corrupt, bad.key)
	}
	r.Corrupt = append(r.Corrupt, s.kept...)
	slices.Sort(r.Corrupt)
	r.Corrupt = slices.Compact(r.Corrupt)
	want := s.last
	if last != nil && (want == nil || last.seq > want.seq) {
		r.Undone = last.seq
		if want != nil {
			r.Undone -= want.seq
		}
		want = last
	}
	if want == nil {
		r.Stale = s.found.count > 0
		return r
	}
	if there := s.found.count + uint64(len(s.bad)); want.count > there {
		r.Lost = int(want.count - there)
		return r
	}
	with := s.found
	for _, bad := range s.bad {
		with.add(bad.was) // right if only its value was damaged
	}
	r.Stale = r.Undone == 0 && !with.same(want)
	return r
}

// begin makes what was found the state to go on from.
func (db *DB) begin(s survey, last *tally, rescued bool) error {
	db.tally = s.found
	if s.last != nil {
		db.tally.schema, db.tally.seq = s.last.schema, s.last.seq
	}
	if s.last == nil && last != nil {
		db.tally.schema = last.schema
	}
	if last != nil {
		db.tally.seq = max(db.tally.seq, last.seq)
	}
	for _, key := range s.kept {
		db.aside[key] = true
	}
	if rescued { // it was written as found
		fresh, err := readAll(db.b)
		if err != nil {
			return err
		}
		db.tally = fresh.found
		db.tally.schema, db.tally.seq = fresh.last.schema, fresh.last.seq
		for _, key := range fresh.kept {
			db.aside[key] = true
		}
		s.bad = nil
	}
	db.seq.Store(db.tally.seq)
	db.b.SetDiscardTs(db.tally.seq)
	if s.last == nil && last == nil && s.found.count > 0 {
		db.tally.schema = uint32(len(db.o.steps)) // nothing tells; it is reported as stale
	}
	if int(db.tally.schema) > len(db.o.steps) {
		return fmt.Errorf("store: %q was written by a newer version (schema %d, this one knows %d): start that version, or choose another data-directory",
			db.dir, db.tally.schema, len(db.o.steps))
	}
	if !db.report.whole() {
		if err := db.settle(s.bad); err != nil {
			return err
		}
	}
	if err := db.migrate(); err != nil {
		return err
	}
	db.report.Schema = db.tally.schema
	if last == nil || last.seq != db.tally.seq {
		return db.head.write(&db.tally)
	}
	return nil
}

// Report is what Open found.
func (db *DB) Report() Report { return db.report }

// Close ends what is under way and closes the files. Whatever comes later is
// refused. On a full disk it fails, and loses nothing: all that was written is
// safe. The files then stay open, and in use, until the process ends or Close is
// called again and there is room.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.b != nil {
		db.left, db.b = db.b, nil
	}
	var errs []error
	if db.left != nil {
		// badger writes what is in memory to a new table through a memory map, on a
		// goroutine of its own: where there is no room for that, it ends the process.
		if err := db.o.checkRoom(db.dir); err != nil {
			return fmt.Errorf("store: left as after a power cut, nothing is lost: %w", err)
		}
		errs = append(errs, guard(db.left.Close))
		db.left = nil
	}
	if db.head != nil {
		errs = append(errs, db.head.close())
		db.head = nil
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
		db.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("store: cannot close %q: %w", db.dir, err)
	}
	return nil
}
