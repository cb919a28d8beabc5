package store

import (
	"encoding/binary"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// entry is one version of one key, as a file has it.
type entry struct {
	key     []byte // as badger has it, without the version
	version uint64
	expires uint64 // Unix s; 0: it does not
	deleted bool
	value   []byte
}

// Marks of an entry. Source: badger's value.go.
const (
	markDeleted = 1 << 0
	markInTxn   = 1 << 6
	markTxnEnd  = 1 << 7
	versionSize = 8 // bytes at the end of a key
)

// walkTable reads one of badger's table files, and hands each entry it can make
// out to each. whole is false when a byte of it is not what was written.
//
//	blocks | index | length of index | checksum | length of checksum
//
// Source: badger's table/builder.go. badger itself ends the process over some
// damages, and drops the whole table over others.
func walkTable(data []byte, each func(entry)) (whole bool) {
	index, blocks, ok := splitTable(data)
	if !ok {
		walkBlocks(data, each)
		return false
	}
	whole = true
	at := 0
	var o fb.BlockOffset
	t := fb.GetRootAsTableIndex(index, 0)
	for i := range t.OffsetsLength() {
		if !t.Offsets(&o, i) || int(o.Offset()) != at || int(o.Len()) > len(blocks)-at {
			return false
		}
		block := blocks[at : at+int(o.Len())]
		at += len(block)
		whole = blockWhole(block) && whole
		whole = walkBlock(block, o.KeyBytes(), each) && whole
	}
	return whole && at == len(blocks)
}

// splitTable finds a table's index and blocks; ok is false unless the index is
// what was written.
func splitTable(data []byte) (index, blocks []byte, ok bool) {
	rest, sum, ok := cutChecksum(data)
	if !ok || len(rest) < 4 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	rest = rest[:len(rest)-4]
	if n == 0 || n > len(rest) {
		return nil, nil, false
	}
	index, blocks = rest[len(rest)-n:], rest[:len(rest)-n]
	return index, blocks, sumHolds(index, sum)
}

// sumMost is how long a checksum is, at most: two numbers of a message.
const sumMost = 32

// cutChecksum takes a checksum and its length from the end.
func cutChecksum(data []byte) (rest []byte, sum *pb.Checksum, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(data[len(data)-4:])
	rest = data[:len(data)-4]
	if n > sumMost || int(n) > len(rest) {
		return nil, nil, false
	}
	sum = &pb.Checksum{}
	if proto.Unmarshal(rest[len(rest)-int(n):], sum) != nil {
		return nil, nil, false
	}
	return rest[:len(rest)-int(n)], sum, true
}

func sumHolds(data []byte, sum *pb.Checksum) bool {
	switch sum.GetAlgo() {
	case pb.Checksum_CRC32C, pb.Checksum_XXHash64: // badger panics at others
		return y.VerifyChecksum(data, sum) == nil
	}
	return false
}

func blockWhole(block []byte) bool {
	rest, sum, ok := cutChecksum(block)
	return ok && sumHolds(rest, sum)
}

// walkBlock reads one block:
//
//	entries | offsets of entries | number of entries | checksum | its length
//
// and an entry is the number of bytes its key has in common with the first key
// and the number of those that differ, these, and the value. first is the first
// key where the index knows it, for all others hang on it. ok is false when
// something makes no sense.
func walkBlock(block, first []byte, each func(entry)) (ok bool) {
	offsets, body, ok := cutOffsets(block)
	for i := 0; i < len(offsets); i += 4 {
		from, to := int(binary.NativeEndian.Uint32(offsets[i:])), len(body)
		if i+4 < len(offsets) {
			to = int(binary.NativeEndian.Uint32(offsets[i+4:]))
		}
		if from > to || to > len(body) {
			ok = false
			continue
		}
		key, value, good := parseTableEntry(body[from:to], first)
		switch {
		case i == 0 && first != nil && good:
			key = first
		case i == 0:
			first = key
		}
		ok = good && hand(key, value, each) && ok
	}
	return ok
}

// cutOffsets finds the list of offsets and what is before it. With ok false it
// was found by its looks.
func cutOffsets(block []byte) (offsets, body []byte, ok bool) {
	rest, _, ok := cutChecksum(block)
	if ok && len(rest) >= 4 {
		n := int(binary.BigEndian.Uint32(rest[len(rest)-4:]))
		rest = rest[:len(rest)-4]
		if n > 0 && n <= len(rest)/4 && binary.NativeEndian.Uint32(rest[len(rest)-4*n:]) == 0 {
			return rest[len(rest)-4*n:], rest[:len(rest)-4*n], true
		}
	}
	for tail := 8; tail <= 8+sumMost && tail < len(block); tail++ {
		rest = block[:len(block)-tail]
		last := uint32(len(rest))
		for at := len(rest) - 4; at > 0; at -= 4 { // offsets ascend from 0
			o := binary.NativeEndian.Uint32(rest[at:])
			if o >= last {
				break
			}
			if o == 0 {
				return rest[at:], rest[:at], false
			}
			last = o
		}
	}
	return nil, nil, false
}

// parseTableEntry reads an entry behind the first key of its block.
func parseTableEntry(b, first []byte) (key, value []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	common, own := int(binary.NativeEndian.Uint16(b)), int(binary.NativeEndian.Uint16(b[2:]))
	if common > len(first) || own > len(b)-4 {
		return nil, nil, false
	}
	key = append(append([]byte(nil), first[:common]...), b[4:4+own]...)
	return key, b[4+own:], true
}

// hand gives an entry to each, when it is one; key ends with its version, and
// value starts with marks and expiry.
func hand(key, value []byte, each func(entry)) bool {
	if len(key) <= versionSize || len(value) < 3 {
		return false
	}
	expires, n := binary.Uvarint(value[2:])
	if n <= 0 {
		return false
	}
	each(entry{y.ParseKey(key), y.ParseTs(key), expires, value[0]&markDeleted != 0, value[2+n:]})
	return true
}

// walkBlocks looks for blocks where no index says where they are.
func walkBlocks(data []byte, each func(entry)) {
	from := 0
	for to := 4; to <= len(data); to++ {
		if n := binary.BigEndian.Uint32(data[to-4:]); n == 0 || n > sumMost || int(n) > to-4-from {
			continue
		}
		if blockWhole(data[from:to]) && walkBlock(data[from:to], nil, func(entry) {}) {
			walkBlock(data[from:to], nil, each)
			from = to
		}
	}
}
