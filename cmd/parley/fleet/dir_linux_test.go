package fleet

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweep removes what nobody holds any more, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, mode os.FileMode) string {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, mode); err != nil {
			t.Fatal(err)
		}
		return at
	}
	dead, alive := make(dirPrefix+"1", 0o700), make(dirPrefix+"2", 0o700)
	young, strange, shared := make(dirPrefix+"3", 0o700), make("other", 0o700), make(dirPrefix+"4", 0o755)
	for _, at := range []string{dead, alive, strange, shared} {
		h, err := hold(at)
		if err != nil {
			t.Fatal(err)
		}
		if at == alive {
			defer h.Close()
			continue
		}
		_ = h.Close()
	}
	if err := os.Symlink(dead, filepath.Join(dir, dirPrefix+"5")); err != nil {
		t.Fatal(err)
	}
	sweep(dir)
	for _, at := range []string{alive, young, strange, shared, filepath.Join(dir, dirPrefix+"5")} {
		if _, err := os.Lstat(at); err != nil {
			t.Errorf("%s: %v", filepath.Base(at), err)
		}
	}
	if _, err := os.Lstat(dead); !os.IsNotExist(err) {
		t.Errorf("what a dead one left: %v", err)
	}
}
