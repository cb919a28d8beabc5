package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/storepb"
)

// brief is what there is of records that expire, by key.
func brief(t testing.TB, db *DB, prefix, from, to string) (out []string, corrupt []string) {
	t.Helper()
	rs, corrupt, err := db.readBrief(prefix, from, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		out = append(out, r.GetKey()+"="+string(r.GetValue()))
	}
	return out, corrupt
}

func expiring(key, value string, at time.Time) *storepb.Record {
	return &storepb.Record{Key: key, Value: []byte(value), Expires: uint64(at.Unix())}
}

// TestExpiringRecords keeps them apart from those that stay, gives them by range
// and over a restart, and has them gone when their time is over.
func TestExpiringRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	put(t, db, "h/2", "stays")
	m := &storepb.Write{}
	for i := range 5 {
		m.Puts = append(m.Puts, expiring(fmt.Sprint("h/", i), fmt.Sprint(i), later))
	}
	m.Puts = append(m.Puts, expiring("h/old", "x", before), expiring("i/1", "1", later))
	carry(t, db, m)
	check := func() {
		t.Helper()
		for _, test := range []struct{ prefix, from, to, want string }{
			{"h/", "", "", "[h/0=0 h/1=1 h/2=2 h/3=3 h/4=4]"},
			{"h/", "h/1", "h/3", "[h/1=1 h/2=2]"},
			{"h/", "h/4", "", "[h/4=4]"},
			{"h/", "a", "i", "[h/0=0 h/1=1 h/2=2 h/3=3 h/4=4]"},
			{"h/", "h/9", "", "[]"},
			{"", "", "", "[h/0=0 h/1=1 h/2=2 h/3=3 h/4=4 i/1=1]"},
		} {
			if got, corrupt := brief(t, db, test.prefix, test.from, test.to); fmt.Sprint(got) != test.want || len(corrupt) > 0 {
				t.Errorf("below %q from %q to %q is %v, want %s; corrupt %v", test.prefix, test.from, test.to, got, test.want, corrupt)
			}
		}
		if got, _ := all(t, db, ""); fmt.Sprint(got) != "map[h/2:stays]" {
			t.Errorf("has %v", got)
		}
	}
	check()
	for range 2 { // from the log, and from tables
		closeDB(t, db)
		db = open(t, dir)
		if r := db.Report(); !r.whole() {
			t.Errorf("report %+v", r)
		}
		check()
	}
	closeDB(t, db)
}

// TestExpiringRecordsAreRescued keeps what is left of them in damaged files, for
// as long as they had.
func TestExpiringRecordsAreRescued(t *testing.T) {
	live := filepath.Join(t.TempDir(), "live")
	db := open(t, live)
	put(t, db, "a", "1")
	soon := time.Now().Add(time.Hour)
	carry(t, db, &storepb.Write{Puts: []*storepb.Record{expiring("h/1", "Xyzzy", soon), expiring("h/2", "two", soon)}})
	put(t, db, "b", "2")
	for _, killed := range []bool{true, false} {
		from := live
		if killed {
			from = filepath.Join(t.TempDir(), "killed")
			copyDir(t, live, from)
		} else {
			closeDB(t, db)
		}
		found := false
		for _, path := range files(t, from) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(b), "Xyzzy")
			if at < 0 {
				continue
			}
			found = true
			flip(t, path, int64(at), 3)
		}
		if !found {
			t.Fatal("the marker is nowhere")
		}
		mended := open(t, from)
		if r := mended.Report(); r.Lost > 0 || r.Undone > 0 || r.Stale || len(r.Corrupt) > 0 || len(r.Damaged) != 1 {
			t.Errorf("killed %t: report %+v", killed, r)
		}
		rs, _, err := mended.readBrief("h/", "", "")
		if err != nil || len(rs) != 1 || string(rs[0].GetValue()) != "two" || rs[0].GetExpires() != uint64(soon.Unix()) {
			t.Errorf("killed %t: has %v, error %v", killed, rs, err)
		}
		if got, _ := all(t, mended, ""); fmt.Sprint(got) != "map[a:1 b:2]" {
			t.Errorf("killed %t: has %v", killed, got)
		}
		closeDB(t, mended)
	}
}

// TestManyExpiringRecords fills tables with them: nothing is missed when their
// time is over.
func TestManyExpiringRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	over := time.Now().Truncate(time.Second).Add(3 * time.Second) // records know whole seconds
	value := strings.Repeat("v", 4000)
	put(t, db, "stays", "1")
	for i := range 60 {
		m := &storepb.Write{}
		for j := range 40 {
			m.Puts = append(m.Puts, expiring(fmt.Sprintf("h/%d/%d", i, j), value, over))
		}
		carry(t, db, m)
	}
	closeDB(t, db)
	db = open(t, dir)
	defer closeDB(t, db)
	got, corrupt := brief(t, db, "h/", "", "")
	if r := db.Report(); !r.whole() || len(corrupt) > 0 {
		t.Errorf("report %+v, corrupt %v", r, corrupt)
	}
	if time.Now().Before(over) && len(got) != 2400 {
		t.Errorf("has %d of 2400", len(got))
	}
	if have, _ := all(t, db, ""); !slices.Equal([]string{have["stays"]}, []string{"1"}) {
		t.Errorf("has %v", have)
	}
}
