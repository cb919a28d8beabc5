package pipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Names of the pipes, as programs find them.
const (
	nameIn  = "in"  // front end → node
	nameOut = "out" // node → front end
)

const (
	folderMode = 0o700
	pipeMode   = 0o600
	others     = 0o077 // bits that nobody else may have
)

// errNobody says that nobody has a pipe open for reading.
var errNobody = errors.New("pipe: nobody reads")

// folder is the folder of both pipes, held open: what its path leads to later
// does not matter.
type folder struct {
	path string
	fd   int
}

// openFolder makes the folder, unless it is there, and refuses one that others
// could change.
func openFolder(path string) (*folder, error) {
	if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("pipe: folder %q: %w; it must be a folder, and no symbolic link: move away what is there", path, err)
	}
	f := &folder{path: path, fd: fd}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = f.own(path, &st, unix.S_IFDIR)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folder) close() { _ = unix.Close(f.fd) }

// make makes a pipe, unless it is there, and refuses what is none of ours.
func (f *folder) make(name string) error {
	err := unix.Mknodat(f.fd, name, unix.S_IFIFO|pipeMode, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("pipe: cannot make %q: %w", f.at(name), err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("pipe: %q: %w", f.at(name), err)
	}
	return f.own(f.at(name), &st, unix.S_IFIFO)
}

// open opens a pipe at one end, O_RDONLY or O_WRONLY, without waiting for the
// other. What is opened is looked at, not what was there before. Nobody at the
// other end of one for writing: errNobody.
func (f *folder) open(name string, end int) (*os.File, error) {
	fd, err := unix.Openat(f.fd, name, end|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, unix.ENXIO):
		return nil, errNobody
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("pipe: %q is a symbolic link: remove it", f.at(name))
	case err != nil:
		return nil, fmt.Errorf("pipe: %q: %w", f.at(name), err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = f.own(f.at(name), &st, unix.S_IFIFO)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.at(name)), nil
}

// is reports whether name still is what was opened as file.
func (f *folder) is(name string, file *os.File) bool {
	var now, then unix.Stat_t
	if unix.Fstatat(f.fd, name, &now, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	ok := false
	raw, err := file.SyscallConn()
	if err != nil || raw.Control(func(fd uintptr) { ok = unix.Fstat(int(fd), &then) == nil }) != nil {
		return false
	}
	return ok && now.Dev == then.Dev && now.Ino == then.Ino
}

// own says what is wrong with a file: of another kind, of somebody else, or open
// to others.
func (f *folder) own(path string, st *unix.Stat_t, kind uint32) error {
	what, mode := "a named pipe", uint32(pipeMode)
	switch kind {
	case unix.S_IFDIR:
		what, mode = "a folder", folderMode
	case unix.S_IFREG:
		what = "a file"
	}
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return fmt.Errorf("pipe: %q is not %s: move it away", path, what)
	case st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("pipe: %q belongs to uid %d, not to the user of the node, uid %d: remove it", path, st.Uid, os.Geteuid())
	case st.Mode&others != 0:
		return fmt.Errorf("pipe: others may use %q; run: chmod %o '%s'", path, mode, path)
	}
	return nil
}

func (f *folder) at(name string) string { return filepath.Join(f.path, name) }
