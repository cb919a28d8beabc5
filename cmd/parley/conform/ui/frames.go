package ui

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"parley/cmd/parley/conform/suite"
)

// framing is what RFC 6455 asks for, as far as user interfaces rely on it.
func framing(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/binary frames are ignored", func(p *play) {
			a := p.connect()
			a.writes(part(finBit|opBinary, "\x00\x01\x02"))
			a.writes(part(finBit|opBinary, `{"opcode":"`+dance+`","payload":{}}`))
			a.fence()
		}),
		scene(o, "wire/pings are answered", func(p *play) {
			a := p.connect()
			for _, data := range []string{"", "conform"} {
				a.writes(part(finBit|opPing, data))
				e := a.event("a pong")
				for !a.done() && e.kind == opText { // a broadcast
					e = a.event("a pong")
				}
				p.Demand(a.done() || e.kind == opPong && string(e.data) == data, "%q came, not the pong of %q", e.data, data)
			}
			a.fence()
		}),
		scene(o, "wire/a message may come in parts, with a ping between", func(p *play) {
			a := p.connect()
			text := `{"opcode":"` + dance + `","payload":{}}`
			a.writes(part(opText, text[:9]))
			a.writes(part(finBit|opPong, "nobody asked"))
			a.writes(part(opContinuation, ""))
			a.writes(part(finBit|opContinuation, text[9:]))
			a.unknown(dance, nil)
			a.fence()
		}),
		scene(o, "wire/a long message is taken", func(p *play) {
			a := p.connect()
			opcode, payload := a.harmless()
			head, tail := `{"x":"`, fmt.Sprintf(`","opcode":%q,"contextId":1,"payload":%s}`, opcode, payload)
			a.says(head + strings.Repeat("x", o.Limit-len(head)-len(tail)) + tail)
			a.answer(1)
			a.asked = 1
			a.fence()
		}),
		scene(o, "wire/a goodbye is answered", func(p *play) {
			a := p.connect()
			a.writes(part(finBit|opClose, string(binary.BigEndian.AppendUint16(nil, 1000))))
			a.closed(1000, "a close with 1000")
		}),
	}
}

// breaking is what ends a connection.
func breaking(o *Options) []suite.Case {
	ends := func(name string, code int, frames ...[]byte) suite.Case {
		return scene(o, name, func(p *play) {
			for _, b := range frames {
				a := p.connect()
				a.fence()
				a.writes(b)
				a.closed(code, fmt.Sprintf("% x", b[:min(len(b), 16)]))
				p.connect().fence()
			}
		})
	}
	unmasked := append([]byte{finBit | opText, 2}, "{}"...)
	return []suite.Case{
		ends("rules/text that is not UTF-8 closes with 1007", 1007, part(finBit|opText, "\"\xff\""), part(finBit|opText, "\"\xc3")),
		ends("rules/broken frames close with 1002", 1002, unmasked, part(finBit|0x40|opText, "{}"), part(finBit|3, ""), part(finBit|opContinuation, "{}"), part(opPing, "")),
		scene(o, "rules/too long a message closes with 1009", func(p *play) {
			a := p.connect()
			a.floods(part(finBit|opText, `{"x":"`+strings.Repeat("x", o.Limit)+`"}`))
			a.closed(1009, "a message over the limit")
		}),
		scene(o, "rules/so does one in parts", func(p *play) {
			a := p.connect()
			half := strings.Repeat("x", o.Limit/2+1)
			a.floods(append(part(opText, half), part(finBit|opContinuation, half)...))
			a.closed(1009, "a message over the limit")
		}),
		slow(scene(o, "rules/who does not read is ended, and nobody waits for it", func(p *play) {
			a, b := p.connect(), p.connect()
			for range unreadMost / unreadFrame {
				if a.done() || !a.floods(part(finBit|opText, strings.Repeat("x", unreadFrame))) {
					break
				}
			}
			b.fence()
			a.drains()
		})),
	}
}

// Who does not read is sent that much, in bytes: more than the kernel and a server keep for one.
const (
	unreadMost  = 32 << 20
	unreadFrame = 4 << 10
)

// floods writes as much as the server takes, and says whether that was all.
func (a *peer) floods(b []byte) bool {
	if a.done() {
		return false
	}
	_ = a.w.conn.SetWriteDeadline(time.Now().Add(a.p.o.Answer))
	_, err := bytes.NewReader(b).WriteTo(a.w.conn)
	return err == nil
}

// drains reads what waits, until the connection ends.
func (a *peer) drains() {
	for !a.done() {
		e, err := a.w.next(time.Now().Add(max(a.p.o.Answer, stallMost)))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.p.Fail("the connection of who did not read was not ended")
		case err != nil:
			a.p.Demand(ended(err), "%w", err)
			return
		case e.kind == opClose:
			a.p.Demand(e.code == 1008, "it was closed with %d, not 1008", e.code)
			return
		}
	}
}

// stallMost is how long a server may bear who takes nothing. Source: gateways/uiv2/PROTOCOL.md, Many user interfaces.
const stallMost = 15 * time.Second
