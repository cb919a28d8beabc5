package ws

import (
	"encoding/binary"
	"time"

	"parley/gateways/link"
)

const (
	maxFragments     = 1024             // frames of one message
	maxControlSecond = 20               // control frames a second, of all kinds
	maxMessageTime   = 10 * time.Second // from a message's first byte to its last
)

// Close codes of RFC 6455, 7.4.1.
const (
	closeProtocol = 1002
	closeUTF8     = 1007
	closePolicy   = 1008
	closeTooBig   = 1009
)

// meter follows the frame headers of a client's byte stream, before the
// library parses it again: the library accepts any number of empty fragments,
// and tells nobody how long a message has been under way.
type meter struct {
	limit int64 // bytes of one message; fixed

	head      [14]byte // header being collected
	have      int      // bytes in head
	skip      int64    // payload bytes still to come
	size      int64    // of the message so far
	fragments int      // of the message so far; 0: between messages
	final     bool     // the frame being skipped ends its message
	controls  int      // control frames in second
	second    int64
	aside     bool // the frame being skipped is a control frame
	done      int  // messages and control frames that came whole
	messages  int  // messages of done
	gaps      int  // times that nothing was under way any more
}

// feed takes the next bytes of the stream. A violation is final; good is how
// many of b come before the frame that it is about.
func (m *meter) feed(b []byte) (good int, v *link.Violation) {
	for at := 0; at < len(b); {
		if m.skip > 0 {
			n := min(m.skip, int64(len(b)-at))
			m.skip -= n
			at += int(n)
			m.endFrame()
			continue
		}
		if m.have == 0 {
			good = at
		}
		n := copy(m.head[m.have:m.need()], b[at:])
		m.have += n
		at += n
		if m.head[0]&rsvBits != 0 { // before the library sees it: what it says is for itself
			return good, &link.Violation{Code: closeProtocol, Reason: "reserved bits set: no extension was negotiated"}
		}
		if m.have > 2 && m.head[1]&^maskBit == longLength && m.head[2]&0x80 != 0 { // the library calls that too big
			return good, &link.Violation{Code: closeProtocol, Reason: "frame length out of range"}
		}
		if m.have < m.need() {
			continue
		}
		if v := m.header(); v != nil {
			return good, v
		}
		m.have = 0
		m.endFrame()
	}
	return len(b), nil
}

// need is how long the header is, as far as its bytes tell.
func (m *meter) need() int {
	if m.have < 2 {
		return 2
	}
	n := 2
	switch m.head[1] &^ maskBit {
	case shortLength:
		n = 4
	case longLength:
		n = 10
	}
	if m.head[1]&maskBit != 0 {
		n += 4
	}
	return n
}

func (m *meter) header() *link.Violation {
	opcode := m.head[0] & 0xf
	size := int64(m.head[1] &^ maskBit)
	switch size {
	case shortLength:
		size = int64(binary.BigEndian.Uint16(m.head[2:]))
	case longLength:
		size = int64(binary.BigEndian.Uint64(m.head[2:]))
	}
	if opcode&controlBit != 0 {
		return m.control(opcode, size)
	}
	m.final = m.head[0]&finBit != 0
	m.skip = size
	if m.fragments++; m.fragments > maxFragments {
		return &link.Violation{Code: closePolicy, Reason: "too many fragments"}
	}
	if size > m.limit-m.size {
		return &link.Violation{Code: closeTooBig, Reason: "message too big"}
	}
	m.size += size
	return nil
}

func (m *meter) control(opcode byte, size int64) *link.Violation {
	if size > maxControl {
		return &link.Violation{Code: closeProtocol, Reason: "control frame too long"}
	}
	m.skip, m.aside = size, true
	if opcode == opClose { // the last one is never one too many
		if size == 1 { // the library takes it for none
			return &link.Violation{Code: closeProtocol, Reason: "half a close code"}
		}
		return nil
	}
	if now := time.Now().Unix(); now != m.second {
		m.second, m.controls = now, 0
	}
	if m.controls++; m.controls > maxControlSecond {
		return &link.Violation{Code: closePolicy, Reason: "too many control frames"}
	}
	return nil
}

// endFrame notes the end of a message, or of a control frame between or within
// messages, when a frame's last byte is through.
func (m *meter) endFrame() {
	switch {
	case m.skip > 0 || m.have > 0:
	case m.aside:
		m.aside = false
		m.done++
		if m.fragments == 0 {
			m.gaps++
		}
	case m.final:
		m.fragments, m.size, m.final = 0, 0, false
		m.done++
		m.messages++
		m.gaps++
	}
}

// within reports whether a message or header is under way.
func (m *meter) within() bool { return m.have > 0 || m.skip > 0 || m.fragments > 0 }
