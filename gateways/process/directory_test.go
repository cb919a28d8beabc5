package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// self is whom give is to make directories for: as root, another user.
func self() account {
	if asRoot {
		return account{uid: someoneUID, gid: someoneGroup, drop: true}
	}
	return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
}

// stat returns owner, group and permissions.
func look(t *testing.T, path string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	sys := st.Sys().(*syscall.Stat_t)
	return sys.Uid, sys.Gid, st.Mode().Perm()
}

func TestDirectoryIsMadeAndGiven(t *testing.T) {
	a := self()
	dir := folder(t)
	for _, name := range []string{"there", "volume"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		must(t, os.Chmod(filepath.Join(dir, name), 0o755)) // whatever the umask is
	}
	must(t, os.Mkdir(filepath.Join(dir, "volume", "lost+found"), 0o700))
	must(t, os.Symlink("there", filepath.Join(dir, "link")))
	must(t, os.Symlink(dir+"/link/../link", filepath.Join(dir, "chain")))
	for path, at := range map[string]string{
		"new": "new", "there/new": "there/new", "a/b/../c": "a/c", "link/x": "there/x", "chain/y": "there/y", "volume": "volume",
	} {
		for range 2 { // the second time it is there
			if err := give(dir+"/"+path, a); err != nil {
				t.Error(err)
			}
		}
		uid, gid, mode := look(t, filepath.Join(dir, at))
		if uid != a.uid || gid != a.gid || mode != 0o700 && (asRoot || path != "volume") {
			t.Errorf("%s belongs to %d:%d and has mode %o", path, uid, gid, mode)
		}
	}
	if _, _, mode := look(t, filepath.Join(dir, "a")); asRoot && mode != passMode || !asRoot && mode&0o077 != 0 {
		t.Errorf("a folder on the way has mode %o", mode)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryIsRefused(t *testing.T) {
	dir := folder(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Symlink(dir, path("link")))
	must(t, os.Symlink("round", path("round")))
	must(t, os.WriteFile(path("file"), nil, 0o600))
	must(t, os.Mkdir(path("open"), 0o700))
	must(t, os.Chmod(path("open"), 0o777))
	must(t, os.Mkdir(path("closed"), 0o700))
	must(t, os.Mkdir(path("full"), 0o700))
	must(t, os.WriteFile(filepath.Join(path("full"), "file"), nil, 0o600))
	cases := map[string]string{
		"relative":      "is not absolute",
		"":              "is not absolute",
		"/":             "the root directory",
		path("link"):    "is a symbolic link; give the directory",
		path("round/x"): "too many symbolic links",
		path("file"):    "is no directory",
		path("file/x"):  "is no directory",
		path("open"):    "others may write to",
		"/proc/sys/x":   "in \"/proc/sys\": ",
	}
	if asRoot {
		must(t, os.Mkdir(path("foreign"), 0o700))
		must(t, os.Lchown(path("foreign"), 7, 7))
		must(t, os.Symlink("full", path("theirs")))
		must(t, os.Lchown(path("theirs"), 7, 7))
		cases[path("foreign")] = fmt.Sprintf("belongs to uid 7, and the Node runs as uid %d; choose another data-directory, or run: chown -R", someoneUID)
		cases[path("closed/x")] = fmt.Sprintf("cannot pass through %q to its data directory %q; run: chmod o+x", path("closed"), path("closed/x"))
		cases[path("full")] = "holds files of root"
		cases[path("theirs/x")] = "is a symbolic link made by uid 7"
		cases["/etc"] = "holds files of root"
	} else {
		must(t, os.Chmod(path("closed"), 0))
		cases[path("closed/x")] = "permission denied; choose another data-directory"
		cases["/etc"] = "belongs to uid 0"
	}
	before := openFiles(t)
	for p, want := range cases {
		if err := give(p, self()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", p, err, want)
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors became %d", before, after)
	}
}

// A user's own folder is not shut to others if it was open to read.
func TestOwnDirectoryStaysAsItIs(t *testing.T) {
	a, dir := self(), filepath.Join(folder(t), "own")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o750))
	if asRoot {
		must(t, os.Chown(dir, int(a.uid), int(a.gid)))
	}
	must(t, give(dir, a))
	if _, _, mode := look(t, dir); mode != 0o750 {
		t.Errorf("mode is %o", mode)
	}
}

// The group of a folder on the way decides where it is the user's own.
func TestWayThroughAGroup(t *testing.T) {
	a, dir := self(), folder(t)
	way := filepath.Join(dir, "way")
	must(t, os.Mkdir(way, 0o700))
	must(t, os.Chown(way, -1, int(a.gid)))
	must(t, os.Chmod(way, 0o710))
	must(t, give(way+"/x", a))
	if asRoot {
		must(t, os.Chmod(way, 0o701)) // for all but the group
		if err := give(way+"/y", a); err == nil {
			t.Error("the group's bit was not looked at")
		}
	}
}
