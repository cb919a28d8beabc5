package main

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strconv"
	"time"

	"parley/actors/store"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
)

// Records of the database that tell other nodes who this one is.
const (
	recordBoot  = "identity/boot"  // digits
	recordToken = "identity/token" // text
)

// tokenBytes is how long a token is that is made here: not to be guessed.
const tokenBytes = 32

// identity tells this start of a node from all earlier ones, and gives it its
// token. db is nil where nothing is kept; then the clock has to tell.
func identity(db *store.DB, c *config.Node, log *slog.Logger) assemble.Identity {
	boot := uint64(time.Now().UnixMilli())
	if last, err := strconv.ParseUint(kept(db, recordBoot, log), 10, 64); err == nil {
		boot = max(boot, last+1) // the clock may have been set back
	}
	keep(db, recordBoot, strconv.FormatUint(boot, 10), log)
	return assemble.Identity{Boot: boot, Token: token(db, c, log), Version: version()}
}

// token is what other nodes present, as configured or as kept. It is not among
// what the database password protects: a node that starts without anybody there
// to type it must be the one that its peers know.
func token(db *store.DB, c *config.Node, log *slog.Logger) string {
	if c.RelayToken != "" {
		given := c.RelayToken
		c.RelayToken = ""
		return given
	}
	if text := kept(db, recordToken, log); config.IsToken(text) {
		return text
	}
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // it never fails: the process would end
	text := base64.RawURLEncoding.EncodeToString(b)
	keep(db, recordToken, text, log)
	return text
}

// kept reads a record; blank: there is none.
func kept(db *store.DB, name string, log *slog.Logger) string {
	if db == nil {
		return ""
	}
	b, err := db.Get(name)
	if err != nil {
		log.Warn("not read from the database", slog.String("record", name), slog.Any("error", err))
	}
	return string(b)
}

// keep writes a record. A node whose disk is full serves all the same.
func keep(db *store.DB, name, value string, log *slog.Logger) {
	if db == nil {
		return
	}
	if err := db.Put(name, []byte(value)); err != nil {
		log.Warn("not kept in the database", slog.String("record", name), slog.Any("error", err))
	}
}
