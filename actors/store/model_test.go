package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/messages/storepb"
)

// TestModel compares a database with a map: through writes, deletes and restarts.
func TestModel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	rapid.Check(t, func(rt *rapid.T) {
		want := map[string]string{}
		clean := &storepb.Write{}
		got, _ := all(t, db, "")
		for key := range got {
			clean.Deletes = append(clean.Deletes, key)
		}
		carry(t, db, clean)
		key := rapid.SampledFrom([]string{"a", "a/b", "a/c", "ab", "b", "ü"})
		value := rapid.SampledFrom([]string{"", "x", strings.Repeat("y", 5000)})
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var batch []write
				for range rapid.IntRange(1, 4).Draw(t, "writes") {
					m := &storepb.Write{}
					used := map[string]bool{}
					for range rapid.IntRange(0, 4).Draw(t, "changes") {
						k := key.Draw(t, "key")
						if used[k] {
							continue
						}
						used[k] = true
						if rapid.Bool().Draw(t, "delete") {
							m.Deletes = append(m.Deletes, k)
							delete(want, k)
							continue
						}
						v := value.Draw(t, "value")
						m.Puts = append(m.Puts, &storepb.Record{Key: k, Value: []byte(v)})
						want[k] = v
					}
					size, err := checkWrite(m)
					if err != nil {
						t.Fatal(err)
					}
					batch = append(batch, write{m, size})
				}
				errs, _ := db.commit(batch)
				for _, err := range errs {
					if err != nil {
						t.Fatal(err)
					}
				}
			},
			"read": func(rt *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "a", "a/", "c", "ü"}).Draw(rt, "prefix")
				part := map[string]string{}
				for k, v := range want {
					if strings.HasPrefix(k, prefix) {
						part[k] = v
					}
				}
				if got, corrupt := all(t, db, prefix); fmt.Sprint(got) != fmt.Sprint(part) || len(corrupt) > 0 {
					rt.Fatalf("below %q is %v, want %v; corrupt %v", prefix, got, part, corrupt)
				}
			},
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") > 0 {
					return
				}
				closeDB(t, db)
				db = open(t, dir)
				if r := db.Report(); !r.whole() {
					rt.Fatalf("report %+v", r)
				}
			},
		})
	})
	closeDB(t, db)
}
