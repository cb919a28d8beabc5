package star

import (
	"sync"

	"google.golang.org/protobuf/proto"

	"parley/messages/starpb"
)

// Sizes of the memory that streams are kept in, in bytes, each twice the one
// before: 18 KiB have room for a chunk of 16. What is smaller than all of them is
// not worth to be used again, what is larger is rare.
const (
	roomSize  = 4608
	roomSizes = 5
	roomLeast = roomSize / 2
)

// rooms are given back by the links that have written what was in them. What
// never gets so far is collected.
var rooms [roomSizes]sync.Pool

// room is empty memory for size bytes, and whether it is to be given back.
func room(size int) (b []byte, lent bool) {
	if size < roomLeast {
		return make([]byte, 0, size), false
	}
	for i := range rooms {
		if most := roomSize << i; size <= most {
			if p, _ := rooms[i].Get().(*[]byte); p != nil {
				return *p, true
			}
			return make([]byte, 0, most), true
		}
	}
	return make([]byte, 0, size), false
}

// GiveBack implements link.Lender. It may be called again: nothing is there then.
func (Codec) GiveBack(m proto.Message) {
	s, ok := m.(*starpb.Stream)
	if !ok || cap(s.GetRoom()) == 0 {
		return
	}
	b := s.GetRoom()[:0]
	s.Room, s.Packet, s.Attachments = nil, nil, nil
	for i := range rooms {
		if cap(b) == roomSize<<i {
			rooms[i].Put(&b)
			return
		}
	}
}
