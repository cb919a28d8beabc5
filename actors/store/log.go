package store

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4/y"
)

const (
	logSuffix  = ".mem"
	logHeader  = 20 // bytes: number and seed of a key that encrypts; we have none
	ownKeys    = "!badger!"
	logKeyMost = 1 + keyMost + versionSize // bytes of a key, but for badger's own, which are shorter
	logValMost = valueMost + envelopeBytes + 1
)

// walkLog reads one of badger's logs and hands the entries of whole
// transactions to each. end is where the last of them ends; what lies behind it
// is nothing, or a transaction that was under way, unless damaged: then there
// are readable entries behind something that is none.
//
//	marks | user's marks | length of key | length of value | expiry | key | value | CRC
//
// Source: badger's memtable.go. badger drops all that follows a flipped byte,
// and does not say so.
func walkLog(data []byte, each func(entry)) (end int, damaged bool) {
	if len(data) < logHeader {
		return 0, false // it was being made
	}
	end = logHeader
	used := len(bytes.TrimRight(data, "\x00"))
	used = min(len(data), used+crc32.Size) // a checksum may end with zeros
	var open []entry                       // of the transaction that is being read
	flush := func() {
		for _, e := range open {
			each(e)
		}
		open = open[:0]
	}
	for at := logHeader; at < used; {
		e, n, ok := parseLogEntry(data[at:used])
		if !ok {
			from := at
			if at = nextLogEntry(data[:used], at+1); at < 0 {
				break
			}
			damaged = true
			// If it ends where the next one starts its lengths are right, and so may
			// be its key: the envelope tells the rest.
			if e, n, readable := cutLogEntry(data[from:at]); readable && n == at-from && e.mark&markInTxn != 0 {
				if len(open) > 0 && open[0].version != e.version {
					flush()
				}
				open = append(open, e.entry)
			}
			continue
		}
		at += n
		if len(open) > 0 && open[0].version != e.version {
			flush() // another one is behind it, so it had an end
			damaged = true
		}
		switch {
		case e.mark&markTxnEnd != 0:
			flush()
			end = at
		case e.mark&markInTxn != 0:
			open = append(open, e.entry)
		default:
			each(e.entry)
			end = at
		}
	}
	// A log whose header is not zeros would be read as encrypted.
	return end, damaged || !bytes.Equal(data[:8], make([]byte, 8))
}

type logEntry struct {
	entry
	mark byte
}

// parseLogEntry reads the entry that data starts with.
func parseLogEntry(data []byte) (e logEntry, size int, ok bool) {
	e, size, ok = cutLogEntry(data)
	if !ok || crc32.Checksum(data[:size-crc32.Size], y.CastagnoliCrcTable) != binary.BigEndian.Uint32(data[size-crc32.Size:]) {
		return e, 0, false
	}
	if e.mark&markTxnEnd != 0 {
		v, err := strconv.ParseUint(string(e.value), 10, 64)
		return e, size, err == nil && v == e.version && strings.HasPrefix(string(e.key), ownKeys)
	}
	return e, size, true
}

// cutLogEntry is parseLogEntry that leaves the checksum to others.
func cutLogEntry(data []byte) (e logEntry, size int, ok bool) {
	if len(data) < 2 || data[1] != 0 { // we set no marks of our own
		return e, 0, false
	}
	at := 2
	var n [3]uint64 // lengths of key and value, expiry
	for i := range n {
		v, used := binary.Uvarint(data[at:])
		if used <= 0 {
			return e, 0, false
		}
		n[i] = v
		at += used
	}
	if n[0] <= versionSize || n[0] > logKeyMost || n[1] > logValMost {
		return e, 0, false
	}
	size = at + int(n[0]+n[1]) + crc32.Size
	if size > len(data) || !known(data[at]) || (n[2] > 0) != (data[at] == briefSpace) {
		return e, 0, false
	}
	key, value := data[at:at+int(n[0])], data[at+int(n[0]):size-crc32.Size]
	return logEntry{entry{y.ParseKey(key), y.ParseTs(key), n[2], data[0]&markDeleted != 0, value}, data[0]}, size, true
}

// nextLogEntry finds where the next readable entry starts; -1: there is none.
func nextLogEntry(data []byte, from int) int {
	for at := from; at < len(data); at++ {
		if _, _, ok := parseLogEntry(data[at:]); ok {
			return at
		}
	}
	return -1
}

// known tells whether a key may begin with b.
func known(b byte) bool {
	return b == liveSpace || b == briefSpace || b == asideSpace || b == ownSpace || b == ownKeys[0]
}
