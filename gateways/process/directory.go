package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	linksMost  = 40    // symbolic links on the way to a directory, as in the kernel
	dirMode    = 0o700 // of a data directory
	passMode   = 0o711 // of folders made on the way to it, when another user must pass
	writeOther = 0o022 // may be written by group or others
)

// give makes the directory at path, and makes it a's. Between looking at a
// folder and using it others may put another in its place, so the way there is
// walked by descriptors. Symbolic links on the way are followed if root or this
// process's user made them; the directory itself must be none. One that has
// another owner, or holds files of root, is refused: it is not for the Node.
func give(path string, a account) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("process: data directory %q is not absolute", path)
	}
	w := &walk{a: a, path: filepath.Clean(path), links: linksMost, way: "/"}
	w.left = strings.Split(strings.Trim(w.path, "/"), "/")
	if w.path == "/" {
		return errors.New("process: the root directory cannot be a data directory")
	}
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("process: data directory: %w", err)
	}
	w.at = at
	defer func() { _ = unix.Close(w.at) }()
	for len(w.left) > 0 {
		if err := w.step(); err != nil {
			return err
		}
	}
	return w.take()
}

// walk is on its way to a data directory.
type walk struct {
	a     account
	path  string   // asked for
	at    int      // where we are
	way   string   // how we came there
	left  []string // names still to go
	links int      // that may still be followed
}

// step goes one name on.
func (w *walk) step() error {
	name := w.left[0]
	w.left = w.left[1:]
	if name == "" || name == "." {
		return nil
	}
	if err := w.passable(); err != nil {
		return err
	}
	next, err := w.enter(name)
	if errors.Is(err, unix.ENOENT) {
		if err = w.make(name); err == nil {
			next, err = w.enter(name)
		}
	}
	if err != nil {
		return fmt.Errorf("process: data directory %q: %q in %q: %w; choose another data-directory", w.path, name, w.way, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(next, &st); err != nil {
		_ = unix.Close(next)
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		defer func() { _ = unix.Close(next) }()
		return w.follow(name, next, &st)
	case unix.S_IFDIR:
		_ = unix.Close(w.at)
		w.at, w.way = next, filepath.Join(w.way, name)
		return nil
	}
	_ = unix.Close(next)
	return fmt.Errorf("process: data directory %q: %q is no directory; choose another data-directory", w.path, filepath.Join(w.way, name))
}

func (w *walk) enter(name string) (int, error) {
	return unix.Openat(w.at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// passable says whether the Node's user may go through where we are.
func (w *walk) passable() error {
	if !w.a.drop {
		return nil // it is us: the kernel tells
	}
	var st unix.Stat_t
	if err := unix.Fstat(w.at, &st); err != nil {
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	}
	search := uint32(unix.S_IXOTH)
	switch {
	case st.Uid == w.a.uid:
		search = unix.S_IXUSR
	case st.Gid == w.a.gid:
		search = unix.S_IXGRP
	}
	if st.Mode&search != 0 {
		return nil
	}
	return fmt.Errorf("process: uid %d, whom the Node runs as, cannot pass through %q to its data directory %q; run: chmod o+x '%s', or choose another data-directory",
		w.a.uid, w.way, w.path, w.way)
}

// make makes the folder name where we are. The last one is for its owner only;
// the ones before must let the Node's user pass.
func (w *walk) make(name string) error {
	if err := unix.Mkdirat(w.at, name, dirMode); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if len(w.left) == 0 || !w.a.drop {
		return nil
	}
	fd, err := unix.Openat(w.at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Fchmod(fd, passMode)
}

// follow goes where the link name points to, on the next step.
func (w *walk) follow(name string, link int, st *unix.Stat_t) error {
	at := filepath.Join(w.way, name)
	if len(w.left) == 0 {
		return fmt.Errorf("process: data directory %q is a symbolic link; give the directory that it points to", at)
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("process: data directory %q: %q is a symbolic link made by uid %d; choose another data-directory", w.path, at, st.Uid)
	}
	if w.links--; w.links < 0 {
		return fmt.Errorf("process: data directory %q: too many symbolic links", w.path)
	}
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", b)
	if err != nil {
		return fmt.Errorf("process: data directory %q: %q: %w", w.path, at, err)
	}
	target := string(b[:n])
	w.left = append(strings.Split(target, "/"), w.left...)
	if !strings.HasPrefix(target, "/") {
		return nil
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	}
	_ = unix.Close(w.at)
	w.at, w.way = root, "/"
	return nil
}

// take makes the directory where we are the Node's.
func (w *walk) take() error {
	var st unix.Stat_t
	if err := unix.Fstat(w.at, &st); err != nil {
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	}
	mine := w.a.drop && st.Uid == uint32(os.Geteuid())
	switch {
	case st.Uid != w.a.uid && !mine:
		return fmt.Errorf("process: data directory %q belongs to uid %d, and the Node runs as uid %d; choose another data-directory, or run: chown -R %d:%d '%s'",
			w.path, st.Uid, w.a.uid, w.a.uid, w.a.gid, w.path)
	case st.Mode&writeOther != 0:
		return fmt.Errorf("process: others may write to data directory %q; run: chmod go-w '%s'", w.path, w.path)
	case !mine:
		return nil
	}
	if empty, err := w.empty(); err != nil {
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	} else if !empty {
		return fmt.Errorf("process: data directory %q holds files of root, and the Node runs as uid %d; choose another data-directory, or run: chown -R %d:%d '%s'",
			w.path, w.a.uid, w.a.uid, w.a.gid, w.path)
	}
	if err := unix.Fchownat(w.at, "", int(w.a.uid), int(w.a.gid), unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("process: data directory %q: %w", w.path, err)
	}
	return nil
}

// empty reports whether the directory holds nothing but what a fresh volume does;
// if so it becomes its owner's only.
func (w *walk) empty() (bool, error) {
	fd, err := unix.Openat(w.at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	d := os.NewFile(uintptr(fd), w.path)
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(0)
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if n != "lost+found" {
			return false, nil
		}
	}
	return true, d.Chmod(dirMode)
}
