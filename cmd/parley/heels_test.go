package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"parley/actors/store"
)

// TestStoreOfAnother has a process wait for a database that another one is about to
// close, or not.
func TestStoreOfAnother(t *testing.T) {
	t.Parallel()
	log, data := slog.New(slog.DiscardHandler), t.TempDir()
	own := filepath.Join(data, "node")
	first, err := openStore(data, own, 0, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []time.Duration{0, 2 * inUseEvery} {
		var inUse *store.InUseError
		if _, err := openStore(data, own, most, log); !errors.As(err, &inUse) || inUse.Dir != own {
			t.Errorf("within %v: %v", most, err)
		}
	}
	over := make(chan error)
	go func() {
		db, err := openStore(data, own, time.Hour, log)
		if err == nil {
			err = db.Close()
		}
		over <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}
