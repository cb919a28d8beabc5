package ws

import (
	"bytes"
	"errors"
)

// answer is what a server says to a handshake, before there are any frames: it
// is not metered, and what follows it is.
type answer struct {
	head []byte // what is left for the library of the header, or of all that came of a refusal
	rest []byte // the first frames
	over bool   // the header was read
	up   bool   // it agreed: frames follow
}

var (
	headEnd   = []byte("\r\n\r\n")
	switching = []byte("HTTP/1.1 101 ")
)

var (
	errLongAnswer = errors.New("the server's answer is too long")
	errOddAnswer  = errors.New("the server's answer is no proper HTTP")
)

// readAnswer is Read until the handshake is over.
func (v *view) readAnswer(b []byte) (int, error) {
	a := v.answer
	if !a.over {
		if err := a.read(v); err != nil {
			return 0, err
		}
	}
	if len(a.head) == 0 { // the body of a refusal
		return v.Conn.Read(b)
	}
	n := copy(b, a.head)
	if a.head = a.head[n:]; len(a.head) > 0 {
		return n, nil
	}
	rest := a.rest
	if a.up {
		v.answer = nil
		v.left = rest[:v.came(rest)]
	}
	if len(v.left) == 0 {
		v.drop()
	}
	return n, nil
}

// read takes in the whole header, which is no longer than a burst.
func (a *answer) read(v *view) error {
	v.burst = bursts.Get().(*burst)
	buf, have := v.burst.b, 0
	for {
		n, err := v.Conn.Read(buf[have:])
		have += n
		if i := bytes.Index(buf[:have], headEnd); i >= 0 {
			i += len(headEnd)
			a.over, a.up = true, bytes.HasPrefix(buf, switching)
			if a.head, a.rest = buf[:i], buf[i:have]; !a.up {
				a.head, a.rest = buf[:have], nil
			}
			return nil
		}
		if err == nil && have == len(buf) {
			err = errLongAnswer
		}
		if err != nil {
			v.drop()
			return err
		}
	}
}
