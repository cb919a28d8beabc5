package process

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"parley/messages/processpb"
)

// Descriptors that a Node finds open beside the standard three. Where there is
// IPv6 one more follows, which keeps the port on ::1 from others and is of no
// other use.
const (
	ListenerFD = 3 // a TCP socket that listens
	ReadyFD    = 4 // a pipe to write ReadyByte to
	LifelineFD = 5 // a pipe to read settings and KeepByte from
)

// What goes through the pipes beside the settings.
const (
	ReadyByte = 'R' // the Node serves
	KeepByte  = 'K' // the Daemon knows the Node for good
)

// maxSettings bounds the settings, in bytes: as much as one request of a user
// interface can carry.
const maxSettings = 1 << 20

// lengthBytes come before the settings.
const lengthBytes = 4

// AppendSettings appends the frame of s to dst. The error says that it is too long.
func AppendSettings(dst []byte, s *processpb.Settings) ([]byte, error) {
	n := proto.Size(s)
	if n > maxSettings {
		return dst, fmt.Errorf("process: the settings take %d bytes, %d are allowed", n, maxSettings)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst, err := proto.MarshalOptions{}.MarshalAppend(dst, s)
	if err != nil {
		return dst, fmt.Errorf("process: settings: %w", err)
	}
	return dst, nil
}

// ReadSettings reads one frame, and not a byte more. A frame that is cut short,
// too long or malformed is an error; none tells what was in it.
func ReadSettings(r io.Reader) (*processpb.Settings, error) {
	var head [lengthBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("process: reading the settings: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxSettings {
		return nil, fmt.Errorf("process: the settings take %d bytes, %d are allowed", n, maxSettings)
	}
	b := make([]byte, n)
	defer clear(b) // secrets among them
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("process: reading the settings: %w", err)
	}
	s := &processpb.Settings{}
	if proto.Unmarshal(b, s) != nil { // its error may quote what it read
		return nil, fmt.Errorf("process: the settings are malformed")
	}
	return s, nil
}
