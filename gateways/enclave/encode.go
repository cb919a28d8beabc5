package enclave

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"

	"parley/gateways/link"
	"parley/gateways/tcp"
	"parley/messages/enclavepb"
)

// Append implements link.Codec.
func (Codec) Append(dst []byte, m proto.Message) ([]byte, error) {
	p, ok := m.(*enclavepb.Packet)
	if !ok {
		return dst, link.ErrNotOnWire
	}
	return appendPacket(dst, p), nil
}

// AppendFrames implements link.Framed. The framing is that of package tcp: a
// length is put in when a payload is there, which saves copying it.
func (Codec) AppendFrames(dst []byte, _ link.Framing, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *enclavepb.Packet:
		return appendFrame(dst, m), nil
	case *enclavepb.Packets:
		for _, p := range m.GetPackets() {
			dst = appendFrame(dst, p)
		}
		return dst, nil
	}
	return dst, link.ErrNotOnWire
}

func appendFrame(dst []byte, p *enclavepb.Packet) []byte {
	dst, at := tcp.Begin(dst)
	return tcp.End(appendPacket(dst, p), at)
}

// appendPacket appends an object without white space. Its order is that of the
// public program's handshake. What nobody here knows is not passed on.
func appendPacket(dst []byte, p *enclavepb.Packet) []byte {
	dst = append(dst, '{')
	if p.Status != nil {
		dst = strconv.AppendUint(appendKey(dst, keyStatus), uint64(p.GetStatus()), 10)
		dst = append(dst, ',')
	}
	if p.Alias != nil {
		dst = appendText(dst, keyAlias, p.GetAlias())
	}
	if p.StatusMessage != nil {
		dst = appendText(dst, keyStatusOld, p.GetStatusMessage())
		dst = appendText(dst, keyStatusNew, p.GetStatusMessage())
	}
	if p.Message != nil {
		dst = appendText(dst, keyMessage, p.GetMessage())
	}
	at := p.GetTimestamp()
	if p.Timestamp == nil {
		at = time.Now().Unix()
	}
	dst = strconv.AppendInt(appendKey(dst, keyTimestamp), at, 10)
	dst = append(dst, ',')
	if p.GetId() != "" {
		dst = appendText(dst, keyID, p.GetId())
	}
	if p.GetAck() != "" {
		dst = appendText(dst, keyAck, p.GetAck())
	}
	dst[len(dst)-1] = '}' // for the last comma
	return dst
}

func appendKey(dst []byte, key string) []byte {
	return append(append(append(dst, '"'), key...), '"', ':')
}

func appendText(dst []byte, key, s string) []byte {
	dst, _ = jsontext.AppendQuote(appendKey(dst, key), s) // what is no UTF-8 is replaced
	return append(dst, ',')
}
