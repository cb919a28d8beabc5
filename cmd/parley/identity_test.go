package main

import (
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"parley/actors/store"
	"parley/cmd/parley/config"
)

func TestIdentity(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := filepath.Join(t.TempDir(), "node")
	open := func() *store.DB {
		t.Helper()
		db, err := store.Open(dir, store.OpenOptions{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	before := uint64(time.Now().UnixMilli())
	first := identity(db, &config.Node{}, log)
	if first.Boot < before || len(first.Token) < tokenBytes || !config.IsToken(first.Token) || first.Version == "" {
		t.Errorf("got %+v", first)
	}
	later := uint64(time.Now().Add(time.Hour).UnixMilli()) // the clock is set back now
	keep(db, recordBoot, strconv.FormatUint(later, 10), log)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open()
	again := identity(db, &config.Node{}, log)
	if again.Boot != later+1 || again.Token != first.Token {
		t.Errorf("became %+v, was %+v", again, first)
	}
	c := &config.Node{Mesh: config.Mesh{RelayToken: "given"}}
	if given := identity(db, c, log); given.Boot != later+2 || given.Token != "given" || c.RelayToken != "" {
		t.Errorf("with a token it is %+v", given)
	}
	keep(db, recordToken, "no token: it has spaces", log)
	keep(db, recordBoot, "many", log)
	if mended := identity(db, &config.Node{}, log); mended.Boot < before || mended.Boot > later || mended.Token == first.Token || !config.IsToken(mended.Token) {
		t.Errorf("from damaged records came %+v", mended)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if closed := identity(db, &config.Node{}, log); closed.Boot < before || closed.Token == "" {
		t.Errorf("without its database it is %+v", closed)
	}
	one, two := identity(nil, &config.Node{}, log), identity(nil, &config.Node{}, log)
	if one.Boot < before || one.Token == two.Token {
		t.Errorf("by themselves they are %+v and %+v", one, two)
	}
}
