package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/messages/storepb"
)

// dirEnv is where another process of this test program works.
const dirEnv = "STORE_TEST_DIR"

func init() {
	roles["hold"] = hold
	roles["write"] = writeOn
}

// hold opens the directory, says so, and keeps it until stdin ends.
func hold() {
	db, err := Open(os.Getenv(dirEnv), OpenOptions{Log: quiet})
	fmt.Println("open:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if db != nil {
		_ = db.Close()
	}
}

// another starts this test program in a role. It ends with the test.
func another(t *testing.T, role, dir string) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, in, bufio.NewReader(pipe)
}

func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	cmd, in, out := another(t, "hold", dir)
	if line, _ := out.ReadString('\n'); line != "open: <nil>\n" {
		t.Fatalf("the other one says %q", line)
	}
	db, err := Open(dir, OpenOptions{Log: quiet})
	if err == nil {
		closeDB(t, db)
		t.Fatal("two processes have the database")
	}
	if text := err.Error(); !strings.Contains(text, fmt.Sprintf("%q", dir)) || !strings.Contains(text, "may already be running") {
		t.Errorf("says %q", text)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	closeDB(t, open(t, dir))
}

func TestUnfitDirectories(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		make       func(dir string) error
	}{
		{"below a file", "cannot make the directory", func(dir string) error {
			return os.Symlink(file, filepath.Dir(dir))
		}},
		{"open to others", "chmod 700", func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o755))
		}},
		{"open to the group", "chmod 700", func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o710))
		}},
		{"a directory where a file should be", "is a directory", func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, lockName), 0o700)
		}},
		{"no database where it should be", "not a directory", func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, liveName), nil, 0o600))
		}},
	} {
		dir := filepath.Join(base, c.name, "d")
		if err := c.make(dir); err != nil {
			if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), c.make(dir)); err != nil {
				t.Fatal(err)
			}
		}
		db, err := Open(dir, OpenOptions{Log: quiet})
		if err == nil {
			closeDB(t, db)
			t.Errorf("%s: opened", c.name)
		} else if !strings.HasPrefix(err.Error(), "store: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: says %q, want %q", c.name, err, c.want)
		}
	}
}

// TestForeignDirectory is somebody else's; only root can make one.
func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const somebody = 54321
	if err := os.Chown(dir, somebody, -1); err != nil {
		dir = "/" // root's, then
	}
	_, err := Open(dir, OpenOptions{Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("says %v", err)
	}
}

// TestFullDisk refuses writes before badger would write to a full disk, and
// goes on when there is room again.
func TestFullDisk(t *testing.T) {
	left := uint64(spare)
	o := OpenOptions{Log: quiet, room: func(string) (uint64, error) { return left, nil }}
	dir := filepath.Join(t.TempDir(), "d")
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "a", "1")
	left = spare - 1
	m := &storepb.Write{Puts: []*storepb.Record{{Key: "a", Value: []byte("2")}}}
	errs, _ := db.commit([]write{{m, 2}})
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "is full: 31 MiB are left, 32 are needed") {
		t.Errorf("says %v", errs[0])
	}
	if got, _ := all(t, db, ""); got["a"] != "1" {
		t.Errorf("has %v", got)
	}
	left = spare
	carry(t, db, m)
	left = 0
	for range 2 { // badger would write as it closes
		if err := db.Close(); err == nil || !strings.Contains(err.Error(), "nothing is lost") || !strings.Contains(err.Error(), "is full") {
			t.Errorf("closes with %v", err)
		}
	}
	if errs, _ := db.commit([]write{{m, 2}}); errs[0] != errClosed {
		t.Errorf("writes: %v", errs[0])
	}
	left = spare
	if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opens with %v while badger has it", err)
	}
	closeDB(t, db)
	left = 0
	if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("opens with %v", err)
	}
	left = spare
	if db, err = Open(dir, o); err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, db, ""); got["a"] != "2" {
		t.Errorf("has %v", got)
	}
	closeDB(t, db)
}

func TestClosed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "d"))
	closeDB(t, db)
	closeDB(t, db)
	if errs, _ := db.commit([]write{{&storepb.Write{Deletes: []string{"a"}}, 1}}); errs[0] != errClosed {
		t.Errorf("writes: %v", errs[0])
	}
	if _, _, err := db.read(""); err != errClosed {
		t.Errorf("reads: %v", err)
	}
}

func TestMigrations(t *testing.T) {
	first := migrations[0]
	rename := func(c *change) error {
		return errors.Join(c.put("setup/new", []byte("v")), c.remove("setup/old"))
	}
	fail := func(c *change) error {
		return errors.Join(c.put("setup/half", []byte("v")), errors.New("it does not fit"))
	}
	dir := filepath.Join(t.TempDir(), "d")
	with := func(steps ...migration) (*DB, error) { return Open(dir, OpenOptions{Log: quiet, steps: steps}) }
	db, err := with(first)
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "setup/old", "v")
	closeDB(t, db)

	if _, err := with(first, rename, fail); err == nil || !strings.Contains(err.Error(), "from schema 2 to 3: ") {
		t.Errorf("a migration that fails: %v", err)
	}
	db, err = with(first, rename)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, db, ""); fmt.Sprint(got) != "map[setup/new:v]" || db.Report().Schema != 2 {
		t.Errorf("has %v, schema %d", got, db.Report().Schema)
	}
	closeDB(t, db)
	if _, err := with(first); err == nil || !strings.Contains(err.Error(), "newer version (schema 2, this one knows 1): start that version") {
		t.Errorf("an older version: %v", err)
	}
	db, err = with(first, rename) // it did no harm
	if err != nil {
		t.Fatal(err)
	}
	if r := db.Report(); !r.whole() {
		t.Errorf("report %+v", r)
	}
	closeDB(t, db)
}

// TestFixture opens what the first version wrote.
func TestFixture(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	copyDir(t, filepath.Join("testdata", "schema1"), dir)
	db := open(t, dir)
	if r := db.Report(); !r.whole() {
		t.Errorf("report %+v", r)
	}
	got, _ := all(t, db, "")
	if fmt.Sprint(got) != "map[lock:locked secret/past-neighbors:sealed setup/chain:dev]" {
		t.Errorf("has %v", got)
	}
	closeDB(t, db)
}

func TestBounds(t *testing.T) {
	big := make([]byte, valueMost)
	record := func(key string, value []byte) *storepb.Record { return &storepb.Record{Key: key, Value: value} }
	many := &storepb.Write{}
	for i := range changeMost + 1 {
		many.Deletes = append(many.Deletes, fmt.Sprint(i))
	}
	for _, c := range []struct {
		name, want string
		m          *storepb.Write
	}{
		{"empty", "", &storepb.Write{}},
		{"largest", "", &storepb.Write{Puts: []*storepb.Record{record(strings.Repeat("k", keyMost), big)}}},
		{"no key", "has 0 bytes", &storepb.Write{Deletes: []string{""}}},
		{"long key", "has 257 bytes", &storepb.Write{Deletes: []string{strings.Repeat("k", keyMost+1)}}},
		{"control", "cannot be printed", &storepb.Write{Puts: []*storepb.Record{record("a\nb", nil)}}},
		{"no text", "cannot be printed", &storepb.Write{Puts: []*storepb.Record{record("a\xff", nil)}}},
		{"long value", "has 65537 bytes", &storepb.Write{Puts: []*storepb.Record{record("a", append(big, 0))}}},
		{"twice", "twice", &storepb.Write{Puts: []*storepb.Record{record("a", nil)}, Deletes: []string{"a"}}},
		{"too much", "at most 196608", &storepb.Write{Puts: []*storepb.Record{record("a", big), record("b", big), record("c", big)}}},
		{"too many", "1001 changes", many},
	} {
		_, err := checkWrite(c.m)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestLargest carries out the largest writes there may be, in one commit.
func TestLargest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	var batch []write
	for i := range 8 {
		m := &storepb.Write{}
		for j := range 2 {
			m.Puts = append(m.Puts, &storepb.Record{Key: fmt.Sprint("big/", i, "/", j), Value: make([]byte, valueMost)})
		}
		few := &storepb.Write{}
		for j := range changeMost {
			few.Puts = append(few.Puts, &storepb.Record{Key: fmt.Sprint("small/", j), Value: []byte(fmt.Sprint(i))})
		}
		for _, m := range []*storepb.Write{m, few} {
			size, err := checkWrite(m)
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, write{m, size})
		}
	}
	errs, syncs := db.commit(batch)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if syncs != len(batch) {
		t.Errorf("%d transactions", syncs)
	}
	for range 2 {
		big, _ := all(t, db, "big/")
		small, _ := all(t, db, "small/")
		if len(big) != 16 || len(small) != changeMost || small["small/17"] != "7" {
			t.Errorf("has %d and %d records", len(big), len(small))
		}
		closeDB(t, db)
		db = open(t, dir)
		if r := db.Report(); !r.whole() {
			t.Errorf("report %+v", r)
		}
	}
	closeDB(t, db)
}
