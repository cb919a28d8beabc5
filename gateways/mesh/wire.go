package mesh

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// shape tells which fields of a message are repeated or lead to such: those are
// counted before memory is taken for them.
type shape map[protowire.Number]shape

// The lists of meshpb.Frame, by the numbers of their fields.
var (
	recordLists   = shape{4: nil}
	commandLists  = shape{9: nil, 10: {3: nil}, 11: recordLists}
	responseLists = shape{4: {1: nil}, 5: {1: nil, 4: recordLists}, 8: {2: nil}, 9: {1: nil, 3: nil, 4: nil}}
	frameLists    = shape{1: {7: nil, 10: commandLists, 11: responseLists}}
)

// fits reports whether b holds at most left of what s names, and is well formed
// as far as that goes.
func (s shape) fits(b []byte, left *int) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return false
		}
		if below, ok := s[number]; ok {
			if *left--; *left < 0 {
				return false
			}
			if kind == protowire.BytesType && below != nil {
				inner, _ := protowire.ConsumeBytes(b)
				if !below.fits(inner, left) {
					return false
				}
			}
		}
		b = b[n:]
	}
	return true
}

// decodeFrame reads a binary frame, or says why that makes no sense.
func decodeFrame(frame []byte) (f *meshpb.Frame, reason string) {
	left := maxEntries
	if !frameLists.fits(frame, &left) {
		if left < 0 {
			return nil, reasonTooMany
		}
		return nil, reasonProtobuf
	}
	f = &meshpb.Frame{}
	if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame, f) != nil {
		return nil, reasonProtobuf
	}
	if len(f.GetPackets()) == 0 {
		return nil, reasonType
	}
	for _, p := range f.GetPackets() {
		if reason := settle(p); reason != "" {
			return nil, reason
		}
	}
	return f, ""
}

// settle makes a packet what it would be had it come as JSON, or says why it
// could not be that.
func settle(p *meshpb.Packet) (reason string) {
	if p.GetBoot() == 0 {
		setNonce(p, p.GetNonce())
	}
	if p.GetMessage() == nil {
		p.Via, p.Tree = nil, 0
	} else {
		p.Json = nil
	}
	if len(p.GetJson()) > 0 { // what it says holds, and nothing beside it
		if !jsonwalk.Sound(p.GetJson(), maxDepth-1) {
			return reasonJSON
		}
		if p.Json = bytes.Trim(p.GetJson(), " \t\r\n"); p.GetCommand() != nil {
			p.Command, reason = commandOf(p.GetJson())
		} else if p.GetResponse() != nil {
			p.Response, reason = responseOf(p.GetJson())
		}
		if reason != "" {
			return reason
		}
	}
	if p.GetCommand() != nil {
		p.Command = pruned(p.GetCommand())
	}
	if m := p.GetMessage(); m != nil {
		if m.Payload = valueOf(m.GetPayload()); m.Payload == nil {
			return reasonMessage
		}
		if len(m.GetNonce()) > 0 {
			if m.Nonce = valueOf(m.GetNonce()); m.Nonce == nil {
				return reasonNonce
			}
		}
	}
	return checkPacket(p)
}

// pruned is a command without what does not belong to it: JSON would not have
// it, either.
func pruned(c *meshpb.Command) *meshpb.Command {
	out := &meshpb.Command{Name: c.GetName()}
	switch c.GetName() {
	case cmdConnection, cmdToken, cmdLatency:
		out.Node = c.GetNode()
	case cmdReserve:
		out.Password, out.Claim, out.Open, out.Holders = c.GetPassword(), c.GetClaim(), c.Open, c.GetHolders()
		fallthrough
	case cmdUnreserve:
		out.Node, out.Channel, out.Boot, out.Ver = c.GetNode(), c.GetChannel(), c.GetBoot(), c.GetVer()
	case cmdHello:
		out.Hello = c.GetHello()
	case cmdSync:
		out.Records = c.GetRecords()
	}
	return out
}

// valueOf is a JSON value without the white space around it; nil: it is none.
// Most are texts without escapes, which need no parser.
func valueOf(b []byte) []byte {
	if plainText(b) {
		return b
	}
	if !jsonwalk.Sound(b, maxValueDepth) {
		return nil
	}
	return bytes.Trim(b, " \t\r\n")
}

// plainText reports whether b is a string of ASCII without escapes.
func plainText(b []byte) bool {
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendFrame appends a frame as protobuf. What came as JSON goes out as that
// alone: whoever gets it reads the same from it.
func appendFrame(dst []byte, f *meshpb.Frame) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(dst, lean(f))
}

// lean is f without what is said twice, and without what is never sent.
func lean(f *meshpb.Frame) *meshpb.Frame {
	twice := f.GetCharge() != 0
	for _, p := range f.GetPackets() {
		twice = twice || len(p.GetJson()) > 0
	}
	if !twice {
		return f
	}
	out := &meshpb.Frame{Packets: make([]*meshpb.Packet, len(f.GetPackets()))}
	for i, p := range f.GetPackets() {
		out.Packets[i] = p
		if len(p.GetJson()) == 0 || p.GetMessage() != nil {
			continue
		}
		q := &meshpb.Packet{
			Source: p.GetSource(), Destination: p.GetDestination(), Boot: p.GetBoot(), Seq: p.GetSeq(), Nonce: p.GetNonce(),
			Hops: p.GetHops(), Json: p.GetJson(),
		}
		if p.GetCommand() != nil {
			q.Command = &meshpb.Command{}
		} else {
			q.Response = &meshpb.Response{}
		}
		out.Packets[i] = q
	}
	return out
}
