package pipe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// races is how often pipes are opened. PARLEY_RACES says another number than what
// suffices for a change.
func races(t *testing.T) int {
	const few = 10_000
	text := os.Getenv("PARLEY_RACES")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PARLEY_RACES is %q, want a number from 1 on", text)
	}
	return n
}

// stolen is what a hostile file says: a command, if it is read.
const stolen = `{"cmd":"alias","alias":"stolen"}` + "\n"

// hostileFiles are what somebody puts where a pipe should be. Each makes one at a
// path where nothing is.
func hostileFiles(secret string) []func(path string) {
	return []func(string){
		func(path string) { _ = os.Symlink(secret, path) },
		func(path string) { _ = os.Symlink("/dev/zero", path) },
		func(path string) { _ = os.WriteFile(path, []byte(stolen), pipeMode) },
		func(path string) { _ = unix.Mknod(path, unix.S_IFSOCK|pipeMode, 0) },
		func(path string) { _, _ = unix.Mkfifo(path, pipeMode), os.Chmod(path, 0o666) },
		func(path string) { _ = unix.Mkfifo(path, pipeMode) },
		func(string) {}, // nothing at all
	}
}

// TestRaces has thousands of front ends open and close the pipes of a node, with
// whole lines, half ones and none, with and without reading, while somebody puts
// other things where they should be. The node reads and writes nothing but pipes
// of its own, takes each whole line once at most, and works on in the end.
func TestRaces(t *testing.T) {
	b := newBack(t)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, stolen)
	times, seed := races(t), rand.Uint64()
	t.Logf("%d opens, seed %d", times, seed)
	race := func(times int, salt uint64) {
		const rows = 4
		var openers sync.WaitGroup
		for row := range rows {
			rng := rand.New(rand.NewPCG(seed, salt+uint64(row)))
			openers.Go(func() {
				for i := row; i < times; i += rows {
					if rng.IntN(2) == 0 {
						b.glance(rng)
					} else {
						b.mutter(rng, fmt.Sprint(salt, "-", i))
					}
					if i%64 == 0 {
						b.tell(i, 10)
					}
				}
			})
		}
		openers.Wait()
	}
	race(times/2, 0)
	calm := len(b.ids(t))
	var swapper sync.WaitGroup
	stop := make(chan struct{})
	swapper.Go(func() { swap(b, rand.New(rand.NewPCG(seed, 1)), hostileFiles(secret), stop) })
	race(times-times/2, 10)
	close(stop)
	swapper.Wait()
	if text, err := os.ReadFile(secret); err != nil || string(text) != stolen {
		t.Errorf("%q, %v", text, err)
	}
	for _, name := range []string{nameIn, nameOut} { // the node makes them anew
		_ = os.RemoveAll(b.at(name))
		until(t, "new pipe", func() bool {
			st, err := os.Lstat(b.at(name))
			return err == nil && st.Mode() == os.ModeNamedPipe|pipeMode
		})
	}
	b.say(t, `{"cmd":"list","id":"last"}`)
	until(t, "last command", func() bool { return slices.Contains(b.ids(t), "last") })
	out := b.listen(t)
	for !strings.Contains(out.line(t), `"id":"last"`) {
	}
	t.Logf("%d commands were heard in %d opens, and %d more while pipes were swapped", calm, times/2, b.heard()-calm)
	if calm == 0 {
		t.Error("nothing was heard")
	}
}

// TestRacesOfOpening opens a pipe as a node does, at both ends, while somebody puts
// other things there: nothing is ever opened but a pipe that is the node's alone.
func TestRacesOfOpening(t *testing.T) {
	b := &back{dir: filepath.Join(t.TempDir(), "enclave")}
	p, err := Open(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, stolen)
	times, seed := races(t), rand.Uint64()
	var swapper sync.WaitGroup
	stop := make(chan struct{})
	swapper.Go(func() { swap(b, rand.New(rand.NewPCG(seed, 0)), hostileFiles(secret), stop) })
	opened, refused := 0, 0
	for i := range times {
		f, err := p.folder.open([]string{nameIn, nameOut}[i%2], []int{os.O_RDONLY, os.O_WRONLY}[i/2%2])
		if err != nil {
			refused++
			continue
		}
		opened++
		if st, err := f.Stat(); err != nil || st.Mode() != os.ModeNamedPipe|pipeMode {
			t.Fatalf("seed %d: opened %v, %v", seed, st.Mode(), err)
		}
		_ = f.Close()
	}
	close(stop)
	swapper.Wait()
	t.Logf("%d opened, %d refused", opened, refused)
	if text, err := os.ReadFile(secret); err != nil || string(text) != stolen {
		t.Errorf("%q, %v", text, err)
	}
}

// swap replaces one of a node's pipes again and again.
func swap(b *back, rng *rand.Rand, files []func(string), stop <-chan struct{}) {
	spare := filepath.Join(b.dir, "spare")
	for {
		select {
		case <-stop:
			return
		default:
		}
		path := b.at([]string{nameIn, nameOut}[rng.IntN(2)])
		files[rng.IntN(len(files))](spare)
		if os.Rename(spare, path) != nil {
			_ = os.Remove(path)
		}
	}
}

// glance opens the pipe of events, and may read a little.
func (b *back) glance(rng *rand.Rand) {
	f, err := os.OpenFile(b.at(nameOut), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Type() != os.ModeNamedPipe || rng.IntN(2) == 0 {
		return
	}
	raw, err := f.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = syscall.Read(int(fd), make([]byte, 1+rng.IntN(200))) })
	}
}

// mutter opens the pipe of commands, and may write a line to it, or half of one.
func (b *back) mutter(rng *rand.Rand, id string) {
	f, err := os.OpenFile(b.at(nameIn), os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Type() != os.ModeNamedPipe {
		return
	}
	line := fmt.Sprintf(`{"cmd":"list","id":%q}`+"\n", id)
	switch rng.IntN(4) {
	case 0:
	case 1:
		line = line[:len(line)/2]
		fallthrough
	default:
		raw, err := f.SyscallConn()
		if err == nil {
			_ = raw.Control(func(fd uintptr) { _, _ = syscall.Write(int(fd), []byte(line)) })
		}
	}
}

// ids are those of all commands. None may be there twice, and no command may be
// one that nobody has written to a pipe.
func (b *back) ids(t *testing.T) (all []string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]bool{}
	for _, c := range b.commands {
		if c.GetList() == nil || c.GetId() == "" || seen[c.GetId()] {
			t.Fatalf("heard %v", c)
		}
		seen[c.GetId()] = true
		all = append(all, c.GetId())
	}
	return all
}

// FuzzLines compares what an inlet makes of any bytes, in any parts, with what a
// plain splitter makes of them whole. A tilde stands for most of a line.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb \r\n\n c"), []byte{1, 2, 3})
	f.Add([]byte("~\n~~\n~x~\nz\n~~"), []byte{7})
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		const most = 10 // tildes: time is for lines
		if bytes.Count(b, []byte("~")) > most {
			return
		}
		b = bytes.ReplaceAll(b, []byte("~"), bytes.Repeat([]byte("y"), lineMost*2/3))
		var parts []string
		rest := string(b)
		for _, c := range cuts {
			n := min(int(c)*int(c), len(rest))
			if n > 0 { // an empty part would be a writer's end
				parts, rest = append(parts, rest[:n]), rest[n:]
			}
		}
		if rest != "" {
			parts = append(parts, rest)
		}
		if got, want := lines(append(parts, "")...), plainLines(string(b)); !slices.Equal(got, want) {
			t.Fatalf("%.200q became %.200q, not %.200q", b, got, want)
		}
	})
}

// plainLines takes a text apart whose writer has closed.
func plainLines(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case len(line) > lineMost:
			all = append(all, "(too long)")
		case trimmed != "":
			all = append(all, trimmed)
		}
	}
	return all
}
