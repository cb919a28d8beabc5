package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// inspect reads badger's files before badger does. It names those that are not
// what was written; badger must not see them. Files that hold nothing of ours
// are removed when they could stop badger: it makes them anew.
func inspect(dir string) (damaged []string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	tables, whole, err := manifestTables(dir)
	if err != nil {
		return nil, err
	}
	if !whole {
		damaged = append(damaged, badger.ManifestFilename)
	}
	for _, f := range files {
		name, path := f.Name(), filepath.Join(dir, f.Name())
		ok := true
		switch {
		case name == badger.KeyRegistryFileName, name == "DISCARD", strings.HasSuffix(name, ".vlog"):
			// For encryption and for values over the threshold: we have neither.
			err = os.Remove(path)
		case strings.HasSuffix(name, logSuffix):
			ok, err = inspectLog(path)
		default:
			id, isTable := table.ParseFileID(name)
			if !isTable || !tables[id] {
				continue // tables that the manifest does not name were never finished
			}
			delete(tables, id)
			ok, err = inspectTable(path)
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		if !ok {
			damaged = append(damaged, name)
		}
	}
	for id := range tables {
		damaged = append(damaged, table.IDToFilename(id))
	}
	return damaged, nil
}

// manifestTables reads which tables there are. Without a manifest there are none.
func manifestTables(dir string) (ids map[uint64]bool, whole bool, err error) {
	ids = map[uint64]bool{}
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		some, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		return ids, len(some) == 0, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("store: %w", err)
	}
	var m badger.Manifest
	var end int64
	broken := guard(func() (err error) {
		m, end, err = badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
		return err
	})
	if broken != nil {
		return ids, false, nil
	}
	for id := range m.Tables {
		ids[id] = true
	}
	return ids, end == st.Size(), nil // a cut one would have badger remove the tables that it does not name any more
}

func inspectTable(path string) (ok bool, err error) {
	err = mapped(path, func(data []byte) error {
		ok = walkTable(data, func(entry) {})
		return nil
	})
	return ok, err
}

// inspectLog checks a log, and cuts off a transaction that was never finished.
func inspectLog(path string) (ok bool, err error) {
	var end int
	var tail bool
	err = mapped(path, func(data []byte) error {
		var damaged bool
		end, damaged = walkLog(data, func(entry) {})
		ok = !damaged
		tail = len(bytes.TrimRight(data[end:], "\x00")) > 0
		return nil
	})
	switch {
	case err != nil || !ok:
		return ok, err
	case end < logHeader: // it was being made: badger cannot read it
		return true, os.Remove(path)
	case tail:
		return true, os.Truncate(path, int64(end))
	}
	return true, nil
}

// mapped shows a file's bytes to f, without a copy on the heap: files are large
// and this happens at every start. The bytes are gone when f returns.
func mapped(path string, f func(data []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return err
	}
	if st.Size() == 0 {
		return f(nil)
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return &fs.PathError{Op: "mmap", Path: path, Err: err}
	}
	defer func() { _ = unix.Munmap(data) }()
	return f(data)
}

// guard makes an error of a panic: badger has some, over damaged files.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store: the database failed: %.500v", r)
		}
	}()
	return f()
}
