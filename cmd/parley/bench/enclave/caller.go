//go:build linux

package enclave

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/cmd/parley/enclavewire"
)

// Who is who, on loopback.
const (
	nodeIP     = "127.0.8.1"
	peerIP     = "127.0.8.2"
	peerName   = "peer"
	friendsRow = 250 // addresses of one row
)

// friendIP is the address of a friend.
func friendIP(i int) string { return fmt.Sprintf("127.8.%d.%d", i/friendsRow, i%friendsRow+1) }

// run is the name of a peer's run, the first part of its ids. Source: gateways/enclave/PROTOCOL.md, Acknowledgements.
const run = "bench"

// handshakes are first packets, of our own kind and of others.
const (
	handshakeOwn     = `{"status":1,"alias":"bench","status-message":"","statusmsg":"","timestamp":1795219316,"id":"` + run + `"}`
	handshakeForeign = `{"alias":"bench","status":1,"status-message":"","timestamp":1795219316}`
	farewell         = `{"status":0,"timestamp":1795219316}`
)

// caller is a peer that has called, and shaken hands.
type caller struct {
	*enclavewire.Wire

	foreign bool
	sent    uint64
	text    string
}

// call connects to a server from an address.
func call(ctx context.Context, s *server, from string, o *Options) (*caller, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	w, err := enclavewire.Open(ctx, s.address, from)
	if err != nil {
		return nil, err
	}
	c := &caller{Wire: w, foreign: o.Foreign, text: strings.Repeat("x", o.Size)}
	first := handshakeOwn
	if o.Foreign {
		first = handshakeForeign
	}
	err = c.Say(first)
	if err == nil {
		_, err = c.Hear(time.Now().Add(o.Timeout), nil)
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("enclave: handshake with the %s: %w", s.name, err)
	}
	return c, nil
}

// appendMessage appends the next message, as our nodes write them.
func (c *caller) appendMessage(b []byte, text string) []byte {
	c.sent++
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(append(append(b, `{"message":"`...), text...), `","timestamp":1795219316`...)
	if !c.foreign {
		b = append(append(b, `,"id":"`...), run...)
		b = append(strconv.AppendUint(append(b, '-'), c.sent, idBase), '"')
	}
	b = append(b, '}')
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-lengthSize))
	return b
}

// Shape of packets. Source: gateways/enclave/PROTOCOL.md.
const (
	lengthSize = 4
	idBase     = 36
)

var (
	ackMark = []byte(`"ack":"`)
	idMark  = []byte(`"id":"`)
)

// valueAfter is the string that follows a mark; nil: there is none.
func valueAfter(content, mark []byte) []byte {
	i := bytes.LastIndex(content, mark)
	if i < 0 {
		return nil
	}
	rest := content[i+len(mark):]
	return rest[:max(bytes.IndexByte(rest, '"'), 0)]
}

// number is that of a message's id, of which the name is ours; 0: it is another's.
func number(id []byte) uint64 {
	text, ok := bytes.CutPrefix(id, []byte(run+"-"))
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(string(text), idBase, 64)
	if err != nil {
		return 0
	}
	return n
}
