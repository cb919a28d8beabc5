package messages

import (
	"sync"

	"google.golang.org/protobuf/proto"
)

// Slot numbers a protocol's place for its frame in a Shared.
type Slot int

// One slot for each protocol that fans out. A new protocol adds a line.
const (
	SlotRelay Slot = iota
	SlotUI
	SlotMesh        // to nodes that dialled
	SlotMeshDialled // to nodes that were dialled: masked
	SlotStar        // Engine.IO 3
	SlotStarFour    // Engine.IO 4
	slotCount
)

// Shared is a frozen message on its way to many readers. Each protocol encodes
// it at most once, when the first of its links needs the frame.
type Shared struct {
	Message proto.Message
	frames  [slotCount]sharedFrame
}

type sharedFrame struct {
	once sync.Once
	wire []byte
}

// Frame returns the wire form for a protocol: the bytes that are written to
// every socket, header included. encode runs once, whoever comes first. Callers
// must not change the result.
func (s *Shared) Frame(slot Slot, encode func(proto.Message) []byte) []byte {
	f := &s.frames[slot]
	f.once.Do(func() { f.wire = encode(s.Message) })
	return f.wire
}
