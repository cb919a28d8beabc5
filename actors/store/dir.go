package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Names in the directory. See doc.go.
const (
	lockName    = "lock"
	liveName    = "db"
	newName     = "new"
	damagedName = "damaged"
)

// spare is how many bytes must be free on the disk before anything is written:
// badger writes through memory maps, and a full disk ends a process that does.
// It writes some megabytes more than it is told to, to compact.
const spare = 32 << 20

// privateDir makes the directory, or checks that it is nobody else's.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: cannot make the directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("store: %w", &fs.PathError{Op: "stat", Path: dir, Err: err})
	}
	me := os.Geteuid()
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		// Root would follow the link of anybody, and files go there and are removed.
		if st.Uid != 0 && int(st.Uid) != me {
			return fmt.Errorf("store: directory %q is a symbolic link that user %d has made: remove it, or give another data-directory", dir, st.Uid)
		}
		if err := unix.Stat(dir, &st); err != nil {
			return fmt.Errorf("store: %w", &fs.PathError{Op: "stat", Path: dir, Err: err})
		}
	}
	if int(st.Uid) != me {
		return fmt.Errorf("store: directory %q belongs to user %d, and this process runs as user %d: give it another data-directory", dir, st.Uid, me)
	}
	if mode := st.Mode & 0o777; mode&0o077 != 0 {
		return fmt.Errorf("store: directory %q is open to others (mode %#o), and passwords are kept in it: chmod 700 it", dir, mode)
	}
	return nil
}

// InUseError says that another process has the directory open. If that is about
// to end, it is worth another try.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("store: directory %q is in use: a Daemon or Node may already be running there; stop it, or choose another data-directory", e.Dir)
}

// lockDir keeps other processes out until the file is closed.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &InUseError{dir}
	}
	return nil, fmt.Errorf("store: cannot lock %q: %w", dir, err)
}

// roomLeft is how many bytes may still be written.
func roomLeft(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("store: %w", &fs.PathError{Op: "statfs", Path: dir, Err: err})
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// checkRoom fails when too little is left.
func (o *OpenOptions) checkRoom(dir string) error {
	left, err := o.room(dir)
	if err != nil || left >= spare {
		return err
	}
	return fmt.Errorf("store: the disk of %q is full: %d MiB are left, %d are needed; free some space", dir, left>>20, spare>>20)
}

// finishSwap brings the directory into order after a process that ended while
// it put a fresh copy in place of damaged files.
func finishSwap(dir string) error {
	live, fresh := filepath.Join(dir, liveName), filepath.Join(dir, newName)
	if _, err := os.Stat(live); errors.Is(err, fs.ErrNotExist) {
		err := os.Rename(fresh, live) // it is whole, or the live files would still be there
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: %w", err)
		}
		return syncDir(dir)
	}
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// swap puts the fresh copy in place of the damaged files.
func swap(dir string) error {
	live, fresh, damaged := filepath.Join(dir, liveName), filepath.Join(dir, newName), filepath.Join(dir, damagedName)
	if err := os.RemoveAll(damaged); err != nil { // of an earlier time: one is enough for people to look at
		return fmt.Errorf("store: %w", err)
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	if err := os.Rename(live, damaged); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := os.Rename(fresh, live); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes the names of new and renamed files safe.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("store: cannot sync %q: %w", dir, err)
	}
	return nil
}

// logs lists badger's log files, whose names badger does not make safe itself.
func logs(dir string) ([]string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var names []string
	for _, e := range all {
		if strings.HasSuffix(e.Name(), logSuffix) {
			names = append(names, e.Name())
		}
	}
	return slices.Clip(names), nil
}
