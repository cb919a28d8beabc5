// Package enclavewire is the wire of Enclave for programs that test peers: packets, and nothing of what they mean.
package enclavewire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// headSize is the bytes of a packet's length. Source: gateways/enclave/PROTOCOL.md, Packets.
const headSize = 4

// LargestHeard is the longest content that is read, bytes: what a setting of ours allows at most.
const LargestHeard = 1 << 20

// readBuffer is how many bytes a connection reads at once.
const readBuffer = 4 << 10

// errTooLong says that a peer sends what no peer may.
var errTooLong = errors.New("a packet is longer than any may be")

// Wire is one connection to a peer.
type Wire struct {
	*net.TCPConn

	in *bufio.Reader
}

// Open connects to host:port from an IP of this machine; "": as the kernel likes.
func Open(ctx context.Context, address, source string) (*Wire, error) {
	var d net.Dialer
	if source != "" {
		ip, err := netip.ParseAddr(source)
		if err != nil {
			return nil, fmt.Errorf("enclavewire: source %q is no IP address", source)
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("enclavewire: connect to %q: %w", address, err)
	}
	return New(c.(*net.TCPConn)), nil
}

// New is the wire of a connection that came in.
func New(c *net.TCPConn) *Wire { return &Wire{c, bufio.NewReaderSize(c, readBuffer)} }

// Append appends a packet.
func Append(dst []byte, content string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(content))), content...)
}

// Say writes packets, in one call.
func (w *Wire) Say(contents ...string) error {
	var b []byte
	for _, c := range contents {
		b = Append(b, c)
	}
	_, err := w.Write(b)
	return err
}

// Hear is the content of the next packet, in buf if that has room. It waits until by. io.EOF: the peer has closed, between packets.
func (w *Wire) Hear(by time.Time, buf []byte) ([]byte, error) {
	if err := w.SetReadDeadline(by); err != nil {
		return nil, err
	}
	return w.Next(buf)
}

// Next is Hear with the deadline that is set.
func (w *Wire) Next(buf []byte) ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > LargestHeard {
		return nil, fmt.Errorf("enclavewire: %w: %d bytes", errTooLong, n)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(w.in, buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf, nil
}

// Waiting is how many bytes were read already that Hear has not returned.
func (w *Wire) Waiting() int { return w.in.Buffered() }

// Cut ends the connection as a peer does that has vanished: with a reset.
func (w *Wire) Cut() {
	_ = w.SetLinger(0) // fails only on a closed socket
	_ = w.Close()
}
