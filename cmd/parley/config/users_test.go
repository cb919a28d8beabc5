package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccounts(t *testing.T) {
	all := parseAccounts([]byte("anna:x:1000:1001:Anna:/home/anna:/bin/sh\nanna:x:0:0::/root:\n# no user\nx:x:-1:0::/:\ny:x:1:99999999999::/:\n+::::::\nz:x:5:6::/z"))
	want := accounts{"anna": {1000, 1001, "/home/anna"}, "z": {5, 6, "/z"}}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(account{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	uids, unknown := all.resolve([]string{"z", "7", "anna", "1000", "ben", "carl"})
	if diff := cmp.Diff([]uint32{5, 7, 1000}, uids); diff != "" || unknown != "ben" {
		t.Errorf("unknown %q\n%s", unknown, diff)
	}
}

func TestWithoutAccountsNumbersDo(t *testing.T) {
	opts := machine("PARLEY_UI_USERS=7", "HOME=/h")
	opts.Accounts = func() ([]byte, error) { return nil, errors.New("no such file") }
	if got := mustLoad(t, opts).Node(); !cmp.Equal(got.UIUsers, []uint32{7}) {
		t.Errorf("got %v", got.UIUsers)
	}
}

func TestDefaultRealUser(t *testing.T) {
	for _, c := range []struct {
		user          int
		environ, want string
	}{
		{1000, "", ""},
		{1000, "SUDO_UID=1001 SUDO_GID=1001", ""},
		{0, "", "65533:65533:/nonexistent"},
		{0, "SUDO_UID=1000 SUDO_GID=1000", "1000:1000:/home/anna"},
		{0, "SUDO_UID=2000 SUDO_GID=2000", "2000:2000:/nonexistent"},
		{0, "SUDO_UID=0 SUDO_GID=0", "65533:65533:/nonexistent"},
		{0, "SUDO_UID=1000", "65533:65533:/nonexistent"},
		{0, "SUDO_UID=x SUDO_GID=1", "65533:65533:/nonexistent"},
	} {
		opts := machine(strings.Fields(c.environ)...)
		opts.User = func() int { return c.user }
		if got := mustLoad(t, opts).String(optRealUser); got != c.want {
			t.Errorf("user %d, %q: got %q, want %q", c.user, c.environ, got, c.want)
		}
	}
	opts := machine()
	opts.User, opts.Accounts = func() int { return 0 }, func() ([]byte, error) { return []byte("nobody:x:0:0::/root:\n"), nil }
	if got := mustLoad(t, opts).String(optRealUser); got != "65534:65534:/nonexistent" {
		t.Errorf("a nobody who is root: got %q", got)
	}
}

func TestDefaultDataDirectory(t *testing.T) {
	for _, c := range []struct {
		user          int
		environ, want string
	}{
		{0, "HOME=/root XDG_DATA_HOME=/x", "/var/lib/parley"},
		{1000, "HOME=/h", "/h/.local/share/parley"},
		{1000, "HOME=/h XDG_DATA_HOME=/x", "/x/parley"},
		{1000, "HOME=/h XDG_DATA_HOME=x", "/h/.local/share/parley"},
		{1000, "HOME=h", "/home/anna/.local/share/parley"},
		{1000, "", "/home/anna/.local/share/parley"},
		{7, "PARLEY_DATA_DIRECTORY=/d", "/d"},
	} {
		opts := machine(strings.Fields(c.environ)...)
		opts.User = func() int { return c.user }
		if got := mustLoad(t, opts).Node().DataDirectory; got != c.want {
			t.Errorf("user %d, %q: got %q, want %q", c.user, c.environ, got, c.want)
		}
	}
	opts := machine()
	opts.User = func() int { return 7 }
	want := []string{"config: data-directory: is not set, and this user has no home directory; name a directory with --data-directory or PARLEY_DATA_DIRECTORY"}
	if diff := cmp.Diff(want, problemsOf(t, opts)); diff != "" {
		t.Error(diff)
	}
}

func TestRelativeDataDirectoryIsOfTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	opts := machine()
	opts.Flags = parsed(t, parley, "--data-directory", "d/../e")
	if got := mustLoad(t, opts).Node(); got.DataDirectory != dir+"/e" || got.Directory() != dir+"/e/node" {
		t.Errorf("got %q", got.DataDirectory)
	}
	opts = machine()
	opts.File = writeTemp(t, "f.toml", "data-directory = \"d\"\n")
	if got := mustLoad(t, opts).Node().DataDirectory; got != strings.TrimSuffix(opts.File, "f.toml")+"d" {
		t.Errorf("got %q", got)
	}
}

func FuzzRealUser(f *testing.F) {
	for _, seed := range []string{"1000:1000:/home/anna", "0:0:/root", "1:1:", ":::", "1:1:/a:b", "4294967295:1:/", "+1:1:/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		uid, gid, home, cause := parseRealUser(text)
		if cause != "" {
			return
		}
		if uid == 0 || gid == 0 || uid > maxID || gid > maxID || fmt.Sprintf("%d:%d:%s", uid, gid, home) != text {
			t.Errorf("%q is read as %d, %d, %q", text, uid, gid, home)
		}
	})
}
