package store

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDirect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	db := open(t, dir)
	want := func(key, value string) {
		t.Helper()
		if got, err := db.Get(key); err != nil || string(got) != value {
			t.Errorf("%s is %q, %v; want %q", key, got, err, value)
		}
	}
	want("identity/boot", "")
	for key, value := range map[string]string{"identity/boot": "7", "identity/boots": "8"} {
		if err := db.Put(key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	want("identity/boot", "7")
	want("identity", "")
	if err := db.Put("", nil); err == nil || !strings.HasPrefix(err.Error(), "store: ") {
		t.Errorf("a record without a name: %v", err)
	}
	closeDB(t, db)
	db = open(t, dir)
	want("identity/boots", "8")
	closeDB(t, db)
	if _, err := db.Get("identity/boot"); err == nil {
		t.Error("a closed database was read")
	}
	if err := db.Put("identity/boot", nil); err == nil {
		t.Error("a closed database was written")
	}
}
