package store

import (
	"slices"

	"parley/messages/storepb"
)

// Get reads one record, for who opened the database and has no actors yet; nil:
// it is not there, or damaged, which Report says.
func (db *DB) Get(key string) ([]byte, error) {
	records, _, err := db.read(key)
	at := slices.IndexFunc(records, func(r *storepb.Record) bool { return r.GetKey() == key })
	if err != nil || at < 0 {
		return nil, err
	}
	return records[at].GetValue(), nil
}

// Put writes one record, as a Write to the store does.
func (db *DB) Put(key string, value []byte) error {
	m := &storepb.Write{Puts: []*storepb.Record{{Key: key, Value: value}}}
	size, err := checkWrite(m)
	if err != nil {
		return err
	}
	errs, _ := db.commit([]write{{m, size}})
	return errs[0]
}
