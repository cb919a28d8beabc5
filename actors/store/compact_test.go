package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/messages/storepb"
)

// inFiles is which files below dir have text in them.
func inFiles(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it was there before
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.Contains(data, []byte(text)) {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestCompact: what was written over is in no file any more, and what was not is
// all there; with little and with much, and again after a restart.
func TestCompact(t *testing.T) {
	for _, size := range []int{100, 40 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			const all = 200
			put := func(db *DB, text string) {
				t.Helper()
				for i := range all {
					m := &storepb.Write{Puts: []*storepb.Record{
						{Key: fmt.Sprint("stays/", i), Value: []byte(text + strings.Repeat(".", size))},
						{Key: fmt.Sprint("goes/", i), Value: []byte(text + strings.Repeat(".", size)), Expires: 253402300799},
					}}
					if errs, _ := db.commit([]write{{m, 2 * size}}); errs[0] != nil {
						t.Fatal(errs[0])
					}
				}
			}
			check := func(db *DB, text string) {
				t.Helper()
				records, corrupt, err := db.read("stays/")
				brief, more, e := db.readBrief("goes/", "", "")
				if len(records) != all || len(brief) != all || len(corrupt)+len(more) > 0 || err != nil || e != nil {
					t.Fatalf("%d and %d records, corrupt %v %v, %v %v", len(records), len(brief), corrupt, more, err, e)
				}
				for _, r := range append(records, brief...) {
					if !strings.HasPrefix(string(r.GetValue()), text) {
						t.Fatalf("%s is %.20q", r.GetKey(), r.GetValue())
					}
				}
			}
			db := open(t, dir)
			put(db, "PLAIN")
			if size > 1<<10 { // some of it is in deeper tables then
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, dir)
			}
			put(db, "SEALED")
			if len(inFiles(t, dir, "PLAIN")) == 0 {
				t.Error("nothing is left to be removed")
			}
			for range 2 {
				if err := db.compact(); err != nil {
					t.Fatal(err)
				}
				if left := inFiles(t, dir, "PLAIN"); len(left) > 0 {
					t.Errorf("what was written over is in %v", left)
				}
				check(db, "SEALED")
				put(db, "SEALED")
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, dir)
			if r := db.Report(); !r.whole() {
				t.Errorf("%+v", r)
			}
			check(db, "SEALED")
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := db.compact(); err == nil {
				t.Error("a closed database was compacted")
			}
		})
	}
}

// TestCompactAsked: the answer says how it went; one at a time.
func TestCompactAsked(t *testing.T) {
	bubble(t, DefaultQueue, func(t *testing.T, b *bench) {
		for i := range 2 {
			b.ask(&storepb.Compact{Serial: uint64(i)})
		}
		b.finish()
		b.disk.fail = errors.New("torn")
		b.ask(&storepb.Compact{Serial: 2})
		b.finish()
		if want := "[1store: it is being compacted already: try again 0 2torn]"; fmt.Sprint(b.c.heard) != want {
			t.Errorf("heard %v, want %s", b.c.heard, want)
		}
	})
}
