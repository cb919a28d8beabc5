package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/messages/storepb"
)

// lifelike fills a database as a Node's would be, and returns what is in it.
func lifelike(t testing.TB, db *DB, writes int) map[string]string {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, uint64(writes)))
	want := map[string]string{}
	for i := range writes {
		m := &storepb.Write{}
		for range 1 + rng.IntN(3) {
			key := fmt.Sprintf("secret/%d", rng.IntN(40))
			if slices.ContainsFunc(m.Puts, func(r *storepb.Record) bool { return r.GetKey() == key }) {
				continue
			}
			value := strings.Repeat(fmt.Sprint(i, "."), rng.IntN(60))
			m.Puts = append(m.Puts, &storepb.Record{Key: key, Value: []byte(value)})
			want[key] = value
		}
		if gone := fmt.Sprintf("setup/%d", rng.IntN(5)); rng.IntN(4) == 0 {
			m.Deletes = append(m.Deletes, gone)
			delete(want, gone)
		} else if rng.IntN(4) == 0 {
			m.Puts = append(m.Puts, &storepb.Record{Key: gone, Value: []byte("v")})
			want[gone] = "v"
		}
		carry(t, db, m)
	}
	return want
}

// copyDir copies a directory as it is on the disk, the lock's state left out.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size := int64(len(b)) // mostly zeros, which take no time if they are a hole
		if err := os.WriteFile(filepath.Join(to, rel), bytes.TrimRight(b, "\x00"), 0o600); err != nil {
			return err
		}
		return os.Truncate(filepath.Join(to, rel), size)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// files lists what is in a database's directory.
func files(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != lockName {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// flip changes one bit of a file, and puts it back.
func flip(t testing.TB, path string, at int64, bit uint) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// verdict compares what a database serves with what was written: whatever is
// not there must have been reported, and nothing else may be.
func verdict(want, got map[string]string, corrupt []string, r Report) error {
	differ := 0
	for key, value := range got {
		if want[key] == value {
			if _, ok := want[key]; ok {
				continue
			}
		}
		if r.Undone == 0 && !r.Stale {
			return fmt.Errorf("serves %q = %.20q, which was %.20q", key, value, want[key])
		}
		differ++
	}
	missing := 0
	for key := range want {
		if _, ok := got[key]; !ok && !slices.Contains(corrupt, key) {
			missing++
		}
	}
	// A name may be damaged too; then it is reported as it is now.
	if missing > 0 && r.Undone == 0 && r.Lost+len(r.Corrupt) < missing {
		return fmt.Errorf("%d records are missing, report is %+v", missing, r)
	}
	return nil
}

// probe opens a copy of a directory with one bit flipped.
func probe(t *testing.T, from string, want map[string]string, name string, at int64, bit uint) (r Report, failed error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	copyDir(t, from, dir)
	flip(t, filepath.Join(dir, name), at, bit)
	db, err := Open(dir, OpenOptions{Log: quiet})
	if err != nil {
		return Report{}, err
	}
	r = db.Report()
	got, corrupt := all(t, db, "")
	if err := verdict(want, got, corrupt, r); err != nil {
		t.Errorf("%s at %d bit %d: %v; report %+v", name, at, bit, err, r)
	}
	if r.whole() {
		closeDB(t, db)
		return r, nil
	}
	put(t, db, "secret/after", "new") // it lives on
	closeDB(t, db)
	db = open(t, dir)
	if again := db.Report(); again.Lost > 0 || again.Undone > 0 || again.Stale || len(again.Damaged) > 0 || !slices.Equal(again.Corrupt, corrupt) {
		t.Errorf("%s at %d bit %d: reported again: %+v after %+v", name, at, bit, again, r)
	}
	got["secret/after"] = "new"
	if now, _ := all(t, db, ""); fmt.Sprint(now) != fmt.Sprint(got) {
		t.Errorf("%s at %d bit %d: has %v, had %v", name, at, bit, now, got)
	}
	closeDB(t, db)
	return r, nil
}

// sample picks offsets of a file: all of it matters, most of it is alike, and
// what is zero at the end of a log is nothing.
func sample(t testing.TB, path string, n int, rng *rand.Rand) (at []int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := int64(len(bytes.TrimRight(b, "\x00")))
	for range n {
		if used > 0 {
			at = append(at, rng.Int64N(used))
		}
	}
	for i := range int64(4) { // first and last bytes say how to read the rest
		if i < used {
			at = append(at, i*3, used-1-i)
		}
	}
	at = slices.DeleteFunc(at, func(a int64) bool { return a >= int64(len(b)) })
	slices.Sort(at)
	return slices.Compact(at)
}

// TestFlippedBits flips single bits anywhere in the files of a database that was
// closed, and of one that was killed.
func TestFlippedBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, killed := range []bool{false, true} {
		from := filepath.Join(t.TempDir(), "from")
		db := open(t, from)
		want := lifelike(t, db, 60)
		if killed { // half in tables, half in the log
			closeDB(t, db)
			db = open(t, from)
			for key, value := range lifelike(t, db, 59) {
				want[key] = value
			}
			got, _ := all(t, db, "")
			want = got
			live := from
			from = filepath.Join(t.TempDir(), "killed")
			copyDir(t, live, from)
		}
		closeDB(t, db)
		for _, path := range files(t, from) {
			rel, _ := filepath.Rel(from, path)
			at := sample(t, path, 8, rng)
			t.Run(fmt.Sprint("killed ", killed, " ", rel), func(t *testing.T) {
				t.Parallel() // most of it waits for the disk
				kinds := map[string]int{}
				for _, at := range at {
					r, err := probe(t, from, want, rel, at, uint(at%8))
					if err != nil {
						t.Errorf("at %d: %v", at, err)
					}
					kinds[kind(r)]++
				}
				t.Log(kinds)
			})
		}
	}
}

// kind is a report in a word.
func kind(r Report) string {
	switch {
	case r.whole():
		return "harmless"
	case r.Undone > 0:
		return "undone"
	case r.Lost > 0:
		return "lost"
	case r.Stale:
		return "stale"
	case len(r.Corrupt) > 0:
		return "corrupt"
	}
	return "mended"
}

// TestDamagedSecretIsNamed flips each byte of one value, where it lies in a
// table and where it lies in a log: that record is reported by its name, and
// the others are as they were.
func TestDamagedSecretIsNamed(t *testing.T) {
	const marker = "Xyzzy-4711"
	for _, in := range []string{".sst", logSuffix} {
		t.Run(in, func(t *testing.T) {
			live := filepath.Join(t.TempDir(), "live")
			db := open(t, live)
			put(t, db, "lock", "l", "secret/a", "aaaa", "secret/b", marker, "secret/c", "cccc")
			put(t, db, "setup/x", "1")
			from := live
			if in == ".sst" {
				closeDB(t, db)
			} else {
				from = filepath.Join(t.TempDir(), "killed")
				copyDir(t, live, from)
				defer closeDB(t, db)
			}
			found := 0
			for _, path := range files(t, from) {
				b, _ := os.ReadFile(path)
				at := bytes.Index(b, []byte(marker))
				if at < 0 || !strings.HasSuffix(path, in) {
					continue
				}
				found++
				rel, _ := filepath.Rel(from, path)
				for i := range len(marker) {
					checkNamed(t, from, rel, int64(at+i))
				}
			}
			if found != 1 {
				t.Fatalf("the marker is in %d files", found)
			}
		})
	}
}

func checkNamed(t *testing.T, from, rel string, at int64) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	copyDir(t, from, dir)
	flip(t, filepath.Join(dir, rel), at, 3)
	db := open(t, dir)
	defer closeDB(t, db)
	r := db.Report()
	got, corrupt := all(t, db, "secret/")
	if fmt.Sprint(got) != "map[secret/a:aaaa secret/c:cccc]" {
		t.Errorf("has %v", got)
	}
	if fmt.Sprint(corrupt) != "[secret/b]" || fmt.Sprint(r.Corrupt) != "[secret/b]" || r.Lost != 0 || r.Undone != 0 || r.Stale {
		t.Errorf("corrupt is %v, report %+v", corrupt, r)
	}
	put(t, db, "secret/b", "again")
	if got, corrupt := all(t, db, ""); got["secret/b"] != "again" || len(corrupt) > 0 {
		t.Errorf("written again it is %q, corrupt %v", got["secret/b"], corrupt)
	}
}

// TestCutLog cuts a log short, as a flipped byte does for badger itself.
func TestCutLog(t *testing.T) {
	live := filepath.Join(t.TempDir(), "live")
	db := open(t, live)
	put(t, db, "a", "1", "b", "2")
	put(t, db, "c", "3")
	put(t, db, "d", "4")
	put(t, db, "a", "5")
	dir := filepath.Join(t.TempDir(), "cut")
	copyDir(t, live, dir)
	closeDB(t, db)
	for _, path := range files(t, dir) {
		if strings.HasSuffix(path, logSuffix) {
			b, _ := os.ReadFile(path)
			at := bytes.Index(b, append([]byte{liveSpace}, "c\xff\xff\xff\xff"...)) // the key of c, with its version
			if at < 0 {
				t.Fatal("c is not in the log")
			}
			if err := os.Truncate(path, int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	db = open(t, dir)
	if r := db.Report(); r.Lost != 2 || r.Undone != 3 || len(r.Corrupt) > 0 {
		t.Errorf("report %+v, want 2 lost of 3 undone", r)
	}
	if got, _ := all(t, db, ""); fmt.Sprint(got) != "map[a:1 b:2]" {
		t.Errorf("has %v", got)
	}
	closeDB(t, db)
}

// TestMissingFiles removes each file in turn.
func TestMissingFiles(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	db := open(t, from)
	want := lifelike(t, db, 30)
	closeDB(t, db)
	for _, path := range files(t, from) {
		rel, _ := filepath.Rel(from, path)
		dir := filepath.Join(t.TempDir(), "copy")
		copyDir(t, from, dir)
		if err := os.Remove(filepath.Join(dir, rel)); err != nil {
			t.Fatal(err)
		}
		db, err := Open(dir, OpenOptions{Log: quiet})
		if err != nil {
			t.Errorf("%s: %v", rel, err)
			continue
		}
		got, corrupt := all(t, db, "")
		if err := verdict(want, got, corrupt, db.Report()); err != nil {
			t.Errorf("%s: %v", rel, err)
		}
		closeDB(t, db)
	}
}

// TestInterruptedRescue leaves the directory as a process that ended in the
// middle of a rescue does.
func TestInterruptedRescue(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(dir string) error
	}{
		{"copy half made", func(dir string) error { return os.MkdirAll(filepath.Join(dir, newName, "x"), 0o700) }},
		{"old files moved away", func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, liveName), filepath.Join(dir, newName)), os.Mkdir(filepath.Join(dir, damagedName), 0o700))
		}},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		db := open(t, dir)
		put(t, db, "a", "1")
		closeDB(t, db)
		if err := c.leave(dir); err != nil {
			t.Fatal(err)
		}
		db = open(t, dir)
		if got, _ := all(t, db, ""); fmt.Sprint(got) != "map[a:1]" {
			t.Errorf("%s: has %v", c.name, got)
		}
		if r := db.Report(); !r.whole() {
			t.Errorf("%s: report %+v", c.name, r)
		}
		closeDB(t, db)
	}
}
