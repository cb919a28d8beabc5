package star

// Types of Engine.IO packets: a message's first byte.
const (
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
	engineUpgrade = '5'
	engineNoop    = '6'
	engineBase64  = 'b' // binary as text

	engineBinary = 4 // version 3: first byte of a binary frame
)

// Types of socket.io packets: the byte behind engineMessage.
const (
	typeConnect     = '0'
	typeDisconnect  = '1'
	typeEvent       = '2'
	typeAck         = '3'
	typeError       = '4'
	typeBinaryEvent = '5'
	typeBinaryAck   = '6'
)

const (
	maxAck       = 1 << 53 // what JavaScript counts exactly
	maxNamespace = 256     // bytes
)

// packet is a socket.io packet taken apart: <type>[<n>-][/<namespace>,][<ack>][<json>].
// It points into its frame.
type packet struct {
	kind        byte
	attachments int    // announced
	namespace   []byte // with its slash; empty: the usual one
	ack         *uint64
	json        []byte
}

// parse takes text apart, which has no Engine.IO type. JSON is not looked at.
func (p *packet) parse(text []byte) (reason string) {
	if len(text) == 0 {
		return reasonPacket
	}
	p.kind, text = text[0], text[1:]
	if p.kind == typeBinaryEvent || p.kind == typeBinaryAck {
		n, rest, ok := number(text)
		if !ok || len(rest) == 0 || rest[0] != '-' || n > maxAttachments {
			return reasonAttachments
		}
		p.attachments, text = int(n), rest[1:]
	}
	if len(text) > 0 && text[0] == '/' {
		end := 0
		for end < len(text) && text[end] != ',' {
			end++
		}
		p.namespace, text = text[:end], text[min(end+1, len(text)):]
		if len(p.namespace) > maxNamespace {
			return reasonPacket
		}
	}
	if n, rest, ok := number(text); ok {
		if n > maxAck {
			return reasonPacket
		}
		p.ack, text = &n, rest
	}
	p.json = text
	return ""
}

// maxDigits keeps a number from overflowing; maxAck has as many.
const maxDigits = 16

// number reads digits at the start of b; false: there are none, or too many.
func number(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' && i <= maxDigits {
		n = n*10 + uint64(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0 && i <= maxDigits
}
