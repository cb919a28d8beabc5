package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinkInPlaceOfDirectory follows no link that another user has made: where
// it leads to, files would be made and removed in their stead.
func TestLinkInPlaceOfDirectory(t *testing.T) {
	base := t.TempDir()
	target, link := filepath.Join(base, "target"), filepath.Join(base, "daemon")
	precious := filepath.Join(target, newName)
	if err := os.MkdirAll(precious, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // nobody else can give a link away
		if err := os.Lchown(link, 1234, 1234); err != nil {
			t.Fatal(err)
		}
		db, err := Open(link, OpenOptions{})
		if err == nil {
			_ = db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "symbolic link that user 1234 has made") {
			t.Errorf("opened: %v", err)
		}
		if names, err := os.ReadDir(target); err != nil || len(names) != 1 {
			t.Errorf("behind the link: %v, %v", names, err)
		}
		if err := os.Lchown(link, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	db, err := Open(link, OpenOptions{})
	if err != nil {
		t.Fatalf("a link of one's own: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
