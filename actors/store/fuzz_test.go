package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seedFiles adds the files of a database to a corpus.
func seedFiles(f *testing.F, suffix string) {
	f.Helper()
	dir := filepath.Join(f.TempDir(), "d")
	db := open(f, dir)
	lifelike(f, db, 5)
	if suffix == ".sst" {
		closeDB(f, db)
	} else {
		defer closeDB(f, db)
	}
	for _, path := range files(f, dir) {
		if strings.HasSuffix(path, suffix) {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b[:min(len(b), 4096)])
			f.Add(b[max(0, len(b)-4096):])
		}
	}
}

// FuzzTable reads tables that anything may have happened to. No panic is
// guarded there.
func FuzzTable(f *testing.F) {
	seedFiles(f, ".sst")
	f.Fuzz(func(_ *testing.T, data []byte) {
		all := map[string]*candidate{}
		walkTable(data, func(e entry) { weigh(all, e) })
		walkBlock(data, nil, func(e entry) { weigh(all, e) })
	})
}

// FuzzLog is FuzzTable for logs.
func FuzzLog(f *testing.F) {
	seedFiles(f, logSuffix)
	f.Fuzz(func(t *testing.T, data []byte) {
		all := map[string]*candidate{}
		if end, _ := walkLog(data, func(e entry) { weigh(all, e) }); end > len(data) {
			t.Errorf("ends at %d of %d", end, len(data))
		}
	})
}

// FuzzEnvelope never takes for right what seal did not make.
func FuzzEnvelope(f *testing.F) {
	sealed, _ := seal([]byte("dkey"), 7, []byte("value"))
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, seq, _, ok := unseal([]byte("dkey"), raw)
		if again, _ := seal([]byte("dkey"), seq, value); ok && string(again) != string(raw) {
			t.Errorf("opens %x", raw)
		}
		parseTally(raw)
	})
}
