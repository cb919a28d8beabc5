package wire

import (
	"fmt"
	"strconv"
)

// The spellings of the channel's name in a subscribe command: the specification says topic, some servers say channel.
const (
	KeyTopic   = "topic"
	KeyChannel = "channel"
	KeyBoth    = "both"
)

// AppendSubscribe appends a subscribe command's JSON. password is left out when empty. Names are the bench's own and
// need no escaping.
func AppendSubscribe(dst []byte, key, channel, password, nonce string) []byte {
	dst = append(dst, `{"command":"subscribe","data":{`...)
	switch key {
	case KeyBoth:
		dst = fmt.Appendf(dst, `"topic":"%s","channel":"%s"`, channel, channel)
	default:
		dst = fmt.Appendf(dst, `"%s":"%s"`, key, channel)
	}
	if password != "" {
		dst = fmt.Appendf(dst, `,"password":"%s"`, password)
	}
	return fmt.Appendf(dst, `},"nonce":"%s"}`, nonce)
}

// AppendList appends a list command's JSON.
func AppendList(dst []byte, nonce string) []byte {
	return fmt.Appendf(dst, `{"command":"list","data":{},"nonce":"%s"}`, nonce)
}

// Send builds send commands. It allocates nothing once its buffer has grown.
type Send struct {
	// Size is the text's length, bytes.
	Size int
	// NoAck adds the extension key "ack":false: the server does not answer.
	NoAck bool

	json []byte
}

// AppendFrame appends the masked frame of one send command whose nonce is the number given.
func (s *Send) AppendFrame(dst []byte, key [4]byte, channel string, stamp Stamp, nonce uint64) []byte {
	j := append(s.json[:0], `{"command":"send","data":{"message":"`...)
	j = stamp.AppendText(j, s.Size)
	j = append(j, `","channel":"`...)
	j = append(j, channel...)
	j = append(j, '"')
	if s.NoAck {
		j = append(j, `,"ack":false`...)
	}
	j = append(j, `},"nonce":"`...)
	j = strconv.AppendUint(j, nonce, 10)
	j = append(j, `"}`...)
	s.json = j
	return AppendClient(dst, OpText, key, j)
}
