package pipe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a user who is not the one of the tests.
const stranger = 54321

func fifo(t testing.TB, path string, mode uint32) {
	t.Helper()
	if err := unix.Mkfifo(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, os.FileMode(mode)); err != nil {
		t.Fatal(err)
	}
}

// TestOpen makes what is not there, and takes what it has made.
func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	for range 2 {
		p, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		for name, want := range map[string]os.FileMode{"": os.ModeDir | folderMode, nameIn: os.ModeNamedPipe | pipeMode, nameOut: os.ModeNamedPipe | pipeMode} {
			st, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || st.Mode() != want {
				t.Errorf("%q: %v, %v", name, st.Mode(), err)
			}
		}
	}
	if _, err := Open(filepath.Join(dir, "no", "such")); err == nil {
		t.Error("made two folders")
	}
}

// TestRefused: what is not ours alone is left as it is, and people are told what
// to do.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string) // of the pipe; its folder is there
		want string
	}{
		{"symbolic link to a pipe", func(t *testing.T, path string) {
			fifo(t, path+"2", pipeMode)
			link(t, path+"2", path)
		}, "is not a named pipe: move it away"},
		{"symbolic link to nothing", func(t *testing.T, path string) { link(t, path+"2", path) }, "is not a named pipe"},
		{"regular file", func(t *testing.T, path string) { write(t, path, "mine") }, "is not a named pipe"},
		{"folder", func(t *testing.T, path string) { _ = os.Mkdir(path, folderMode) }, "is not a named pipe"},
		{"socket", func(t *testing.T, path string) { _ = unix.Mknod(path, unix.S_IFSOCK|pipeMode, 0) }, "is not a named pipe"},
		{"open to a group", func(t *testing.T, path string) { fifo(t, path, 0o620) }, "run: chmod 600 '"},
		{"open to all", func(t *testing.T, path string) { fifo(t, path, 0o604) }, "run: chmod 600 '"},
		{"folder open to others", func(t *testing.T, path string) { _ = os.Chmod(filepath.Dir(path), 0o750) }, "run: chmod 700 '"},
		{"folder is a symbolic link", func(t *testing.T, path string) {
			dir := filepath.Dir(path)
			_ = os.Rename(dir, dir+"2")
			link(t, dir+"2", dir)
		}, "no symbolic link"},
		{"folder is a file", func(t *testing.T, path string) {
			_ = os.Remove(filepath.Dir(path))
			write(t, filepath.Dir(path), "mine")
		}, "it must be a folder"},
	} {
		for _, name := range []string{nameIn, nameOut} {
			dir := filepath.Join(t.TempDir(), "enclave")
			if err := os.Mkdir(dir, folderMode); err != nil {
				t.Fatal(err)
			}
			c.make(t, filepath.Join(dir, name))
			if p, err := Open(dir); p != nil || err == nil || !strings.HasPrefix(err.Error(), "pipe: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// TestForeign: what belongs to somebody else is not used.
func TestForeign(t *testing.T) {
	if os.Geteuid() != 0 { // nobody else can give files away, but there are some of root's
		if _, err := openFolder("/"); err == nil || !strings.Contains(err.Error(), "belongs to uid 0") {
			t.Error(err)
		}
		return
	}
	for _, name := range []string{"", nameIn, nameOut} {
		dir := filepath.Join(t.TempDir(), "enclave")
		p, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, name), stranger, stranger); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "belongs to uid 54321, not to the user of the node, uid 0") {
			t.Errorf("%q: %v", name, err)
		}
		if name != "" { // changed while the node runs
			if f, err := p.folder.open(name, os.O_RDONLY); f != nil || err == nil {
				t.Errorf("%q was opened: %v", name, err)
			}
		}
		p.Close()
	}
}

// TestSwaps: while somebody puts a link, a file and a pipe in turns where a pipe
// should be, nothing but a pipe is ever opened, and nothing is done to the rest.
func TestSwaps(t *testing.T) {
	const times = 10_000
	dir := filepath.Join(t.TempDir(), "enclave")
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "do not touch")
	path := filepath.Join(dir, nameOut)
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			spare := filepath.Join(dir, "spare")
			switch i % 3 {
			case 0:
				_ = os.Symlink(secret, spare)
			case 1:
				_ = os.WriteFile(spare, []byte("a file"), pipeMode)
			case 2:
				_ = unix.Mkfifo(spare, pipeMode)
			}
			_ = os.Rename(spare, path)
		}
	})
	opened, refused := 0, 0
	for i := range times {
		end := os.O_WRONLY
		if i%2 == 0 {
			end = os.O_RDONLY
		}
		f, err := p.folder.open(nameOut, end)
		switch {
		case err == nil:
			opened++
			if st, err := f.Stat(); err != nil || st.Mode() != os.ModeNamedPipe|pipeMode {
				t.Fatalf("opened %v, %v", st.Mode(), err)
			}
			_ = f.Close()
		case errors.Is(err, errNobody), errors.Is(err, syscall.ENOENT):
		default:
			refused++
		}
		if i%100 == 0 {
			_ = p.folder.make(nameOut)
		}
	}
	close(stop)
	swapper.Wait()
	if b, err := os.ReadFile(secret); err != nil || string(b) != "do not touch" {
		t.Errorf("%q, %v", b, err)
	}
	if opened == 0 || refused == 0 {
		t.Errorf("%d opened, %d refused", opened, refused)
	}
}

func link(t testing.TB, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
