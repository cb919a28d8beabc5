package mesh

import (
	"encoding/hex"
	"iter"
	"unicode"
	"unicode/utf8"
	"unique"

	"parley/messages/meshpb"
)

// channelMost is the length of the longest name of a channel, in bytes. Source:
// gateways/relay/PROTOCOL.md, Names.
const channelMost = 256

// Sizes for a guess at what is sent, in bytes.
const (
	packetMost  = 1 << 20 // of one packet with records, so that messages are not held up behind it
	listingMost = 6 << 20 // of one list, so that a frame can hold it
	recordsSize = 8 << 20 // of all records that a peer is told at once, so that its link can hold them
	entryBytes  = 72      // of an entry without its name, password and owner
)

// validChannel reports whether a channel may be called that.
func validChannel(name string) bool {
	if name == "" || len(name) > channelMost || !utf8.ValidString(name) {
		return false
	}
	for _, c := range name {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

// hashOf reads a hash as it is on the wire: hex, or empty.
func hashOf(password string) (hash string, ok bool) {
	var raw [hashLong]byte
	switch len(password) {
	case 0:
		return "", true
	case 2 * hashShort, 2 * hashLong:
	default:
		return "", false
	}
	n, err := hex.Decode(raw[:], []byte(password))
	return string(raw[:n]), err == nil
}

// claimOf reads a claim that node makes or tells of. Without one it is the
// largest that node could make.
func claimOf(password string, c *meshpb.Claim, node string) (claim, bool) {
	hash, ok := hashOf(password)
	if !ok || !validName(node) {
		return claim{}, false
	}
	if c == nil {
		return claim{foreignTS, unique.Make(node), hash}, true
	}
	if !validName(c.GetOwner()) {
		return claim{}, false
	}
	return claim{min(c.GetTs(), foreignTS), unique.Make(c.GetOwner()), hash}, true
}

// entriesOf reads the entries that node has or tells of. What makes no sense is
// left out.
func entriesOf(list []*meshpb.Entry, node string) iter.Seq2[string, claim] {
	return func(yield func(string, claim) bool) {
		for _, e := range list {
			c, ok := claimOf(e.GetPassword(), e.GetClaim(), node)
			if ok && validChannel(e.GetName()) && !yield(e.GetName(), c) {
				return
			}
		}
	}
}

// entryOf writes one entry.
func entryOf(name string, c *claim) *meshpb.Entry {
	return &meshpb.Entry{Name: name, Password: hex.EncodeToString([]byte(c.hash)), Claim: wireClaim(c)}
}

func wireClaim(c *claim) *meshpb.Claim {
	return &meshpb.Claim{Ts: c.ts, Owner: c.owner.Value()}
}

// reserving is the command that tells of a claim.
func reserving(name string, c *claim) *meshpb.Command {
	return &meshpb.Command{Name: cmdReserve, Channel: name, Password: hex.EncodeToString([]byte(c.hash)), Claim: wireClaim(c)}
}

// claimSize guesses how much an entry is on the wire, in bytes.
func claimSize(name string, c *claim) int {
	return entryBytes + len(name) + hex.EncodedLen(len(c.hash)) + len(c.owner.Value())
}

// trimmed is a record that one frame can hold.
func trimmed(rec *meshpb.Record) *meshpb.Record {
	short, left := cut(rec.GetEntries())
	if left == 0 {
		return rec
	}
	return &meshpb.Record{Node: rec.GetNode(), Boot: rec.GetBoot(), Ver: rec.GetVer(), Age: rec.GetAge(), Entries: short, Partial: true}
}

// recordSize guesses how much a record is on the wire, in bytes.
func recordSize(rec *meshpb.Record) int {
	size := entryBytes
	for _, e := range rec.GetEntries() {
		size += entrySize(e)
	}
	return size
}

func entrySize(e *meshpb.Entry) int {
	return entryBytes + len(e.GetName()) + len(e.GetPassword()) + len(e.GetClaim().GetOwner())
}

// cut shortens a list to what one frame can hold, and tells how much it left out.
func cut(list []*meshpb.Entry) (short []*meshpb.Entry, left int) {
	size := 0
	for i, e := range list {
		if size += entrySize(e); size > listingMost {
			return list[:i], len(list) - i
		}
	}
	return list, 0
}

// packets splits records so that a packet of each part is not over packetMost,
// unless it is one record.
func packets(all []*meshpb.Record) (parts [][]*meshpb.Record) {
	from, size := 0, 0
	for i, rec := range all {
		n := recordSize(rec)
		if i > from && size+n > packetMost {
			parts = append(parts, all[from:i:i])
			from, size = i, 0
		}
		size += n
	}
	if from < len(all) {
		parts = append(parts, all[from:])
	}
	return parts
}
