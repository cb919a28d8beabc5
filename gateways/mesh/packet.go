package mesh

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"parley/gateways/jsonwalk"
	"parley/messages/meshpb"
)

// Types of packets. Source: PROTOCOL.md, Packets.
const (
	typeMessage  = "message"
	typeCommand  = "command"
	typeResponse = "response"
)

// encJSON is the value of enc for a message that is no text.
const encJSON = "json"

// fields are the members of a text frame, as raw JSON within it.
type fields struct {
	command, kind, source, destination, nonce, data []byte
	hops, via, tree                                 []byte
}

// read takes a frame apart; false: it is no object.
func (f *fields) read(frame []byte) bool {
	return jsonwalk.Members(frame, func(name, value []byte) bool {
		switch string(name) {
		case "command":
			f.command = value
		case "type":
			f.kind = value
		case "source":
			f.source = value
		case "destination":
			f.destination = value
		case "nonce":
			f.nonce = value
		case "data":
			f.data = value
		case "hops":
			f.hops = value
		case "via":
			f.via = value
		case "tree":
			f.tree = value
		}
		return true
	})
}

// packet turns fields into a packet, or says why not.
func (f *fields) packet() (p *meshpb.Packet, reason string) {
	kind, ok := jsonwalk.Text(f.kind)
	if !ok {
		return nil, reasonType
	}
	p = &meshpb.Packet{}
	if reason := f.envelope(p); reason != "" {
		return nil, reason
	}
	switch kind {
	case typeMessage:
		p.Message, reason = messageOf(f.data)
		if reason == "" {
			reason = f.path(p)
		}
	case typeCommand:
		p.Json = bytes.Clone(f.data)
		p.Command, reason = commandOf(f.data)
	case typeResponse:
		if f.data == nil {
			return nil, reasonData
		}
		p.Json = bytes.Clone(f.data)
		p.Response, reason = responseOf(f.data)
	default:
		return nil, reasonType
	}
	if reason == "" {
		reason = checkPacket(p)
	}
	return p, reason
}

// envelope reads who a packet is from, and who it is for.
func (f *fields) envelope(p *meshpb.Packet) (reason string) {
	var ok bool
	if p.Source, ok = jsonwalk.Text(f.source); !ok {
		return reasonSource
	}
	if p.Destination, ok = jsonwalk.Text(f.destination); !ok {
		return reasonDestination
	}
	nonce, ok := jsonwalk.Text(f.nonce)
	if !ok || nonce == "" {
		return reasonNonce
	}
	setNonce(p, nonce)
	if f.hops != nil {
		hops, err := strconv.ParseUint(string(f.hops), 10, 32)
		if err != nil {
			return reasonHops
		}
		p.Hops = uint32(hops)
	}
	return ""
}

// path reads which way a message has come, and is to go.
func (f *fields) path(p *meshpb.Packet) (reason string) {
	if f.tree != nil {
		digest, _ := jsonwalk.Text(f.tree)
		n, err := strconv.ParseUint(digest, 16, 64)
		if err != nil || n == 0 || len(digest) != treeDigits || strings.ToLower(digest) != digest {
			return reasonTree
		}
		p.Tree = n
	}
	if f.via != nil {
		var ok bool
		if p.Via, ok = names(f.via, maxVia); !ok {
			return reasonVia
		}
	}
	return ""
}

// treeDigits is how long a digest is in JSON.
const treeDigits = 16

// setNonce keeps a nonce of our own format as the two numbers that it is: they
// are looked up, and written as they were.
func setNonce(p *meshpb.Packet, nonce string) {
	if boot, seq, ok := ownNonce(nonce); ok {
		p.Boot, p.Seq, p.Nonce = boot, seq, ""
		return
	}
	p.Nonce = nonce
}

// ownNonce reads "<boot>-<seq>": lower-case hexadecimal, no leading zeros, boot
// not 0.
func ownNonce(nonce string) (boot, seq uint64, ok bool) {
	front, back, found := strings.Cut(nonce, "-")
	if !found {
		return 0, 0, false
	}
	boot, ok = hexadecimal(front)
	if !ok || boot == 0 {
		return 0, 0, false
	}
	seq, ok = hexadecimal(back)
	return boot, seq, ok
}

// hexadecimal reads a number in the one way that it is written.
func hexadecimal(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 16 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// messageOf reads the data of a message.
func messageOf(data []byte) (m *meshpb.Message, reason string) {
	var message, channel, enc, nonce, key []byte
	if !jsonwalk.Members(data, func(name, value []byte) bool {
		switch string(name) {
		case "message":
			message = value
		case "channel":
			channel = value
		case "enc":
			enc = value
		case "nonce":
			nonce = value
		case "key":
			key = value
		}
		return true
	}) {
		return nil, reasonData
	}
	m = &meshpb.Message{Nonce: bytes.Clone(nonce)}
	var ok bool
	if m.Channel, ok = jsonwalk.Text(channel); !ok {
		return nil, reasonChannel
	}
	if key != nil {
		s, ok := jsonwalk.Text(key)
		if !ok {
			return nil, reasonKey
		}
		m.Key = &s
	}
	m.Payload = payloadOf(message, enc)
	if m.Payload == nil {
		return nil, reasonMessage
	}
	return m, ""
}

// payloadOf is the JSON value that a message carries, nil if it carries none.
func payloadOf(message, enc []byte) []byte {
	s, ok := jsonwalk.Text(message)
	if !ok {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(s)
	switch {
	case err != nil:
		return nil
	case enc == nil:
		if !utf8.Valid(plain) {
			return nil
		}
		quoted, _ := jsontext.AppendQuote(make([]byte, 0, len(plain)+2), plain)
		return quoted
	}
	if how, _ := jsonwalk.Text(enc); how != encJSON || !jsonwalk.Sound(plain, maxValueDepth) {
		return nil
	}
	return bytes.Trim(plain, " \t\r\n")
}

// appendPacket appends a packet as a text frame.
func appendPacket(dst []byte, p *meshpb.Packet) []byte {
	dst = quote(append(dst, `{"source":`...), p.GetSource())
	dst = quote(append(dst, `,"destination":`...), p.GetDestination())
	kind := typeMessage
	switch {
	case p.GetCommand() != nil:
		kind = typeCommand
	case p.GetResponse() != nil:
		kind = typeResponse
	}
	dst = append(append(append(dst, `,"type":"`...), kind...), `","nonce":`...)
	if p.GetBoot() != 0 {
		dst = append(strconv.AppendUint(append(dst, '"'), p.GetBoot(), 16), '-')
		dst = append(strconv.AppendUint(dst, p.GetSeq(), 16), '"')
	} else {
		dst = quote(dst, p.GetNonce())
	}
	if p.GetHops() != 0 {
		dst = strconv.AppendUint(append(dst, `,"hops":`...), uint64(p.GetHops()), 10)
	}
	if p.GetMessage() != nil {
		dst = appendPath(dst, p)
	}
	dst = append(dst, `,"data":`...)
	switch {
	case len(p.GetJson()) > 0:
		dst = append(dst, p.GetJson()...)
	case p.GetCommand() != nil:
		dst = appendCommand(dst, p.GetCommand())
	case p.GetResponse() != nil:
		dst = appendResponse(dst, p.GetResponse())
	default:
		dst = appendMessage(dst, p.GetMessage())
	}
	return append(dst, '}')
}

func appendPath(dst []byte, p *meshpb.Packet) []byte {
	if len(p.GetVia()) > 0 {
		dst = quoteList(append(dst, `,"via":`...), p.GetVia())
	}
	if n := p.GetTree(); n != 0 {
		digits := strconv.FormatUint(n, 16)
		dst = append(append(dst, `,"tree":"`...), "000000000000000"[:treeDigits-len(digits)]...)
		dst = append(append(dst, digits...), '"')
	}
	return dst
}

func appendMessage(dst []byte, m *meshpb.Message) []byte {
	payload := m.GetPayload()
	isText := len(payload) > 0 && payload[0] == '"'
	if isText {
		if bytes.IndexByte(payload, '\\') < 0 {
			payload = payload[1 : len(payload)-1]
		} else {
			payload, _ = jsontext.AppendUnquote(nil, payload)
		}
	}
	dst = append(base64.StdEncoding.AppendEncode(append(dst, `{"message":"`...), payload), '"')
	dst = quote(append(dst, `,"channel":`...), m.GetChannel())
	if !isText {
		dst = append(dst, `,"enc":"json"`...)
	}
	if len(m.GetNonce()) > 0 {
		dst = append(append(dst, `,"nonce":`...), m.GetNonce()...)
	}
	if m.Key != nil {
		dst = quote(append(dst, `,"key":`...), m.GetKey())
	}
	return append(dst, '}')
}

// quoteList appends an array of strings.
func quoteList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(dst, s)
	}
	return append(dst, ']')
}
