package star

import "encoding/binary"

// A composite is a packet and its attachments in one frame, from Socket to Codec:
// the text, the attachments, perhaps with gaps between, then where everything is:
// the text's end, start and end of each attachment, their number in one byte.
const (
	placeSize = 4 // bytes of one position
	countSize = 1
)

// span is where an attachment is.
type span struct{ from, to int }

// compose appends to body, whose first end bytes are the text, where its
// attachments are: at least one, in order.
func compose(body []byte, end int, spans []span) []byte {
	body = binary.BigEndian.AppendUint32(body, uint32(end))
	for _, s := range spans {
		body = binary.BigEndian.AppendUint32(body, uint32(s.from))
		body = binary.BigEndian.AppendUint32(body, uint32(s.to))
	}
	return append(body, byte(len(spans)))
}

// split undoes compose; false: frame is no composite. What it returns points
// into frame.
func split(frame []byte) (text []byte, attachments [][]byte, ok bool) {
	if len(frame) < countSize {
		return nil, nil, false
	}
	n := int(frame[len(frame)-countSize])
	body := len(frame) - countSize - placeSize*(1+2*n)
	if n == 0 || n > maxAttachments || body < 0 {
		return nil, nil, false
	}
	places := frame[body:]
	next, at := func() int {
		p := binary.BigEndian.Uint32(places)
		places = places[placeSize:]
		return int(p)
	}, 0
	if at = next(); at > body {
		return nil, nil, false
	}
	text = frame[:at]
	for range n {
		from, to := next(), next()
		if from < at || to < from || to > body {
			return nil, nil, false
		}
		attachments = append(attachments, frame[from:to])
		at = to
	}
	return text, attachments, true
}
