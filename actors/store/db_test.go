package store

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"parley/messages/storepb"
)

// quiet logs nothing: most of these tests damage things.
var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := Open(dir, OpenOptions{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func closeDB(t testing.TB, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// put writes pairs of key and value in one Write.
func put(t testing.TB, db *DB, pairs ...string) {
	t.Helper()
	m := &storepb.Write{}
	for i := 0; i < len(pairs); i += 2 {
		m.Puts = append(m.Puts, &storepb.Record{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	carry(t, db, m)
}

func carry(t testing.TB, db *DB, m *storepb.Write) {
	t.Helper()
	size, err := checkWrite(m)
	if err != nil {
		t.Fatal(err)
	}
	if errs, _ := db.commit([]write{{m, size}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
}

// all is what a database serves, as text.
func all(t testing.TB, db *DB, prefix string) (records map[string]string, corrupt []string) {
	t.Helper()
	rs, corrupt, err := db.read(prefix)
	if err != nil {
		t.Fatal(err)
	}
	records = map[string]string{}
	for _, r := range rs {
		records[r.GetKey()] = string(r.GetValue())
	}
	return records, corrupt
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	db := open(t, dir)
	put(t, db, "setup/ip", "1.2.3.4", "setup/chain", "dev", "lock", "x")
	put(t, db, "setup/ip", "")
	carry(t, db, &storepb.Write{Deletes: []string{"lock", "nothing"}})
	for range 3 {
		got, corrupt := all(t, db, "")
		if fmt.Sprint(got) != "map[setup/chain:dev setup/ip:]" || len(corrupt) > 0 {
			t.Fatalf("has %v and corrupt %v", got, corrupt)
		}
		closeDB(t, db)
		db = open(t, dir)
		if r := db.Report(); !r.whole() || r.Schema != 1 {
			t.Fatalf("report is %+v", r)
		}
	}
	closeDB(t, db)
}
