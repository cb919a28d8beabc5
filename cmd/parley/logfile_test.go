package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLogFileIsWhatItSays has somebody put other things in the place of a log
// file that is opened anew.
func TestLogFileIsWhatItSays(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "parley.log"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		what    string
		put     func() error
		written bool // to other
	}{
		{"a pipe that nobody reads", func() error { return unix.Mkfifo(name, 0o600) }, false},
		{"a folder", func() error { return os.Mkdir(name, 0o700) }, false},
		{"a link of our own", func() error { return os.Symlink(other, name) }, true},
		{"a link of somebody else", func() error {
			if err := os.Symlink(other, name); err != nil {
				return err
			}
			return os.Lchown(name, 1234, 1234) // root may; to others every link in their folder is their own
		}, os.Geteuid() != 0},
	} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := c.put(); err != nil && os.Geteuid() == 0 {
			t.Fatal(err)
		}
		l.Reopen() // does not wait
		if n, err := l.Write([]byte(c.what + "\n")); err != nil || n != len(c.what)+1 {
			t.Errorf("%s: %d, %v", c.what, n, err)
		}
		b, err := os.ReadFile(other)
		if err != nil || strings.Contains(string(b), c.what) != c.written {
			t.Errorf("%s: %q, %v", c.what, b, err)
		}
	}
}
