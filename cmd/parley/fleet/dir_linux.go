package fleet

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// dirPrefix begins the names of fleets' directories.
const dirPrefix = "parley-fleet-"

// A fleet's directory holds a file that is locked as long as the fleet lives; it
// gets its name when it is. The kernel lets go of the lock however that ends.
const (
	lockName = "lock"
	lockMade = "lock.new"
)

// hold marks a directory as one that is in use, until it is closed.
func hold(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockMade), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, lockName))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes what fleets left that were killed. It is no error if it cannot.
func sweep(dir string) {
	all, err := filepath.Glob(filepath.Join(dir, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, d := range all {
		if i, err := os.Lstat(d); err == nil && i.IsDir() && left(i) && free(d) {
			_ = os.RemoveAll(d)
		}
	}
}

// left reports whether a directory is this user's own, and nobody else's to write.
func left(i os.FileInfo) bool {
	s, ok := i.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && i.Mode().Perm() == 0o700
}

// free reports whether the fleet of a directory lives no more. One without a lock
// is perhaps about to get it.
func free(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
