package pipe

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzSlot: whatever is in the file is read or passed over, and what is read is
// what would be written.
func FuzzSlot(f *testing.F) {
	for _, who := range []speaker{{"10.0.0.2", "1y2p0ij32e8e"}, {"fe80::1%eth0", "x"}, {"a", ""}} {
		f.Add(appendSlot(who, 7))
	}
	f.Add(make([]byte, slotBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != slotBytes {
			return
		}
		who, number, ok := parseSlot(b)
		if !ok {
			return
		}
		again := appendSlot(who, number)
		if got, n, ok := parseSlot(again); !ok || got != who || n != number {
			t.Fatalf("%v, %d became %v, %d, %v", who, number, got, n, ok)
		}
		if used := 14 + len(who.address) + len(who.run); !bytes.Equal(again[12:used], b[12:used]) || binary.BigEndian.Uint64(again) != number {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
