package link

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/messages"
	"parley/messages/linkpb"
)

// lines is a transport of lines of text: a link must work with any.
type lines struct{}

func (lines) AppendFrame(dst, payload []byte) []byte { return append(append(dst, payload...), '\n') }

func (lines) AppendClose(dst []byte, code uint32, reason string) []byte {
	return fmt.Appendf(dst, "close %d %s\n", code, reason)
}

func (lines) AppendPing(dst, data []byte) []byte {
	if len(data) == 0 {
		return append(dst, "ping\n"...)
	}
	return fmt.Appendf(dst, "ping %x\n", data)
}

func (lines) AppendBinary(dst, payload []byte) []byte {
	return fmt.Appendf(dst, "%s%s\n", binaryMark, payload)
}
func (lines) Overhead() int                      { return len(binaryMark) + 1 }
func (lines) AppendPong(dst, data []byte) []byte { return fmt.Appendf(dst, "pong %s\n", data) }

// binaryMark begins a line that is a binary frame.
const binaryMark = "binary "

// words is a protocol whose frames are a StringValue's text. "ack N" gives back
// N units of credit, any other "ack …" one. A text with a marker makes the codec
// panic.
type words struct{}

// word is a text that may find its receiver gone.
type word struct{ *wrapperspb.StringValue }

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (word) IgnoreDeadLetterLogging() {}

func newWord(s string) word { return word{wrapperspb.String(s)} }

const (
	appendMarker = "!append"
	decodeMarker = "!decode"
)

func (words) Protocol() string    { return "words" }
func (words) Slot() messages.Slot { return messages.SlotRelay }

func (words) Decode(frame []byte, _ bool) (proto.Message, uint32) {
	if strings.Contains(string(frame), decodeMarker) {
		panic(decodeMarker)
	}
	return newWord(string(frame)), messages.Charge(len(frame))
}

func (words) Append(dst []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case interface{ GetValue() string }:
		if strings.Contains(m.GetValue(), appendMarker) {
			panic(appendMarker)
		}
		return append(dst, m.GetValue()...), nil
	case *linkpb.Dropped:
		return fmt.Appendf(dst, "dropped %s %d", m.GetSource(), m.GetCount()), nil
	}
	return dst, ErrNotOnWire
}

func (words) Charge(m proto.Message) uint32 {
	s, ok := m.(interface{ GetValue() string })
	if !ok {
		return 0
	}
	arg, isAck := strings.CutPrefix(s.GetValue(), "ack ")
	if !isAck {
		return 0
	}
	if n, err := strconv.ParseUint(arg, 10, 32); err == nil {
		return uint32(n)
	}
	return 1
}

// lineSocket is a Socket of lines. "ping X" is answered by it, "bad CODE" is a
// violation, "bye CODE" the peer's close.
type lineSocket struct {
	base *Conn
	top  net.Conn
	r    *bufio.Reader
	out  *Outbound
	line []byte
}

func newLineSocket(base *Conn, top net.Conn) *lineSocket {
	return &lineSocket{base: base, top: top, r: bufio.NewReaderSize(top, 256)}
}

func (s *lineSocket) Conn() *Conn      { return s.base }
func (s *lineSocket) Writer() net.Conn { return s.top }
func (s *lineSocket) Bind(o *Outbound) { s.out = o }

func (s *lineSocket) Next() error {
	for {
		line, err := s.r.ReadBytes('\n')
		if err != nil {
			return err
		}
		s.out.Seen()
		s.line = bytes.TrimSuffix(line, []byte("\n"))
		verb, arg, _ := strings.Cut(string(s.line), " ")
		code, _ := strconv.ParseUint(arg, 10, 32)
		switch verb {
		case "ping":
			s.out.Pong([]byte(arg))
		case "pong":
			data, _ := hex.DecodeString(arg)
			s.out.Ponged(data)
		case "bad":
			return &Violation{Code: uint32(code), Reason: "bad line"}
		case "bye":
			return &Hangup{Code: uint32(code)}
		default:
			return nil
		}
	}
}

func (s *lineSocket) Read(buf []byte) ([]byte, bool, error) {
	return append(buf, s.line...), false, nil
}

// frame is a text as every link of the tests writes it.
func frame(text string) []byte { return lines{}.AppendFrame(nil, []byte(text)) }
