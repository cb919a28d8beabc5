package enclave

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/enclavewire"
)

// Why cases cannot be tried.
const (
	noFriend   = "no address of a friend is known: --friend"
	noStranger = "no address is known that the peer does not know: --stranger"
	noIgnored  = "no address is known that the peer ignores: --ignored"
	noPort     = "it is not known where the peer dials its friend: --dialled"
)

// Cases are all of them.
func Cases(o Options) []suite.Case {
	var all []suite.Case
	for _, group := range []func(*Options) []suite.Case{shaking, sending} {
		all = append(all, suite.Needs(o.Friend != "", noFriend, group(&o)...)...)
	}
	all = append(all, dialled(&o))
	for _, group := range []func(*Options) []suite.Case{spelling, framing, counting, reading, acknowledging, replacing} {
		all = append(all, suite.Needs(o.Friend != "", noFriend, group(&o)...)...)
	}
	all = append(all, suite.Needs(o.Stranger != "", noStranger, unknown(&o)...)...)
	return append(all, suite.Needs(o.Ignored != "", noIgnored, ignored(&o))...)
}

// shaking is how connections begin and end.
func shaking(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/the handshake comes without waiting for ours", func(p *play) { p.call(o.Friend).greeted() }),
		scene(o, "wire/status 0 ends the connection", func(p *play) { p.friend().leaves() }),
		scene(o, "wire/status 0 ends it before the handshake, too", func(p *play) { p.call(o.Friend).leaves() }),
		scene(o, "wire/whoever left may come back", func(p *play) {
			p.friend().leaves()
			p.friend().leaves()
		}),
		scene(o, "wire/a handshake without a timestamp", func(p *play) {
			a := p.call(o.Friend)
			a.says(`{"alias":"conform","status":1,"status-message":""}`)
			a.greeted()
			a.stays(nil)
			a.leaves()
		}),
	}
}

// segmentPause keeps the kernel from joining segments.
const segmentPause = time.Millisecond

// sending is what friends say.
func sending(o *Options) []suite.Case {
	said := func(contents ...string) func(p *play) {
		return func(p *play) {
			a := p.friend()
			for _, c := range contents {
				a.says(c)
			}
			a.stays(nil)
			a.leaves()
		}
	}
	return []suite.Case{
		scene(o, "wire/each attribute can come by itself", said(
			`{"alias":"other"}`, `{"status":2}`, `{"status":3}`, `{"status-message":"lunch"}`, `{"message":"hello"}`, `{"timestamp":1795219316}`, `{}`)),
		scene(o, "wire/attributes that nobody knows do no harm", said(`{"x":{"y":[1,null,true]},"message":"hello","z":null}`)),
		scene(o, "wire/white space does no harm", said(" {\n\t\"message\" : \"hello\" , \"timestamp\": 1795219316 }\r\n ")),
		scene(o, "wire/text of all kinds", said(`{"message":"\u0041\n\t\"\\ \ud83d\ude00 ä 漢 \u0000"}`, `{"message":""}`)),
		scene(o, "wire/a message of 32 KiB", said(`{"message":"`+strings.Repeat("x", 32<<10)+`"}`)),
		scene(o, "wire/a segment for each byte", func(p *play) {
			a := p.call(o.Friend)
			for _, b := range enclavewire.Append(enclavewire.Append(nil, handshake), `{"message":"hello"}`) {
				a.writes([]byte{b})
				pause(p.ctx, segmentPause)
			}
			a.greeted()
			a.stays(nil)
			a.leaves()
		}),
		scene(o, "wire/many packets in a segment", func(p *play) {
			const many = 100
			a := p.call(o.Friend)
			all := []string{handshake}
			for i := range many {
				all = append(all, `{"message":"`+strconv.Itoa(i)+`"}`)
			}
			a.says(append(all, farewell)...)
			a.closed("status 0")
		}),
	}
}

// dialMost is how long a peer may take to dial a friend that was there a moment ago.
const dialMost = 15 * time.Second

// dialled has the peer call us.
func dialled(o *Options) suite.Case {
	c := slow(scene(o, "wire/a friend that is gone is dialled", func(p *play) {
		l, err := net.Listen("tcp", net.JoinHostPort(o.Friend, strconv.Itoa(o.Port)))
		if err != nil {
			p.Fail("listen where the peer dials: %w", err)
			return
		}
		defer l.Close()
		a := p.friend()
		if a.done() {
			return
		}
		a.w.Cut()
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(dialMost))
		conn, err := l.Accept()
		if err != nil {
			p.Fail("the friend was not dialled in %v: %w", dialMost, err)
			return
		}
		b := p.has(enclavewire.New(conn.(*net.TCPConn)))
		b.says(handshake)
		b.greeted()
		b.leaves()
	}))
	switch {
	case o.Friend == "":
		c.Needs = noFriend
	case o.Port == 0:
		c.Needs = noPort
	}
	return c
}

// handshakeBytes are those of our nodes.
var handshakeBytes = regexp.MustCompile(`^\{"status":[123],"alias":"[^"]*","status-message":"[^"]*","statusmsg":"[^"]*","timestamp":[0-9]+,"id":"[^"]+"\}$`)

// spelling is what packets look like.
func spelling(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/both spellings of the status message", func(p *play) {
			h, text := p.call(o.Friend).greeted()
			one, _ := h.text("status-message")
			other, ok := h.text("statusmsg")
			p.Demand(ok && one == other, "the handshake %.300s has not both", text)
		}),
		scene(o, "rules/the handshake has the time", func(p *play) {
			h, text := p.call(o.Friend).greeted()
			at, ok := h.number("timestamp")
			p.Demand(ok && at > 0, "the handshake %.300s has no timestamp", text)
		}),
		scene(o, "rules/the handshake, byte for byte", func(p *play) {
			_, text := p.call(o.Friend).greeted()
			p.Demand(handshakeBytes.Match(text), "the handshake is %.300s", text)
		}),
	}
}

// framing is lengths.
func framing(o *Options) []suite.Case {
	all := []suite.Case{
		scene(o, "rules/length 0 is passed over", func(p *play) {
			a := p.friend()
			a.writes(make([]byte, 4*4))
			a.tries("hello")
		}),
		scene(o, "rules/a packet as long as may be", func(p *play) {
			a, id := p.friend(), fresh()
			rest := o.Limit - len(message("", id))
			a.says(message(strings.Repeat("x", rest), id))
			a.acked(id)
		}),
		scene(o, "rules/text of another protocol", func(p *play) {
			a := p.call(o.Friend)
			a.writes([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			a.closed("a length of 1,195,725,856")
		}),
		slow(scene(o, "rules/a packet must be whole in 10 s", func(p *play) {
			a := p.friend()
			a.writes([]byte{0, 0, 0, 9, '{'})
			a.closedIn(o.Answer+patience, "half a packet")
		})),
		slow(scene(o, "rules/a handshake must come in 10 s", func(p *play) {
			p.call(o.Friend).closedIn(o.Answer+patience, "saying nothing")
		})),
	}
	for _, n := range []uint32{uint32(o.Limit) + 1, 1 << 31, 1<<32 - 1} {
		what := "one byte more than may be"
		if n != uint32(o.Limit)+1 {
			what = strconv.FormatUint(uint64(n), 10)
		}
		all = append(all, scene(o, "rules/a length of "+what, func(p *play) {
			a := p.friend()
			a.writes(binary.BigEndian.AppendUint32(nil, n))
			a.closed(fmt.Sprintf("a length of %d", n))
		}))
	}
	return all
}

// patience is what slow peers are given. Source: gateways/enclave/PROTOCOL.md, Limits.
const patience = 10 * time.Second

// tries sends a message, which must be acknowledged: so all before it was taken.
func (a *peer) tries(text string) {
	id := fresh()
	a.says(message(text, id))
	a.acked(id)
}

// counting is what is no packet.
func counting(o *Options) []suite.Case {
	all := []suite.Case{
		scene(o, "rules/four that are no packets, and one that is", func(p *play) {
			a := p.friend()
			for range 2 {
				a.says("x", "[]", `{"message":"hello"`, "17")
				a.tries("hello")
			}
		}),
	}
	for _, c := range []struct{ what, content string }{
		{"no JSON", "x"},
		{"arrays", "[]"},
		{"nested 17 deep", `{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`},
		{"a key twice", `{"x":1,"x":2}`},
		{"no UTF-8", "{\"message\":\"\xff\"}"},
	} {
		all = append(all, scene(o, "rules/five in a row that are none: "+c.what, func(p *play) {
			const five = 5
			a := p.friend()
			for i := range five {
				if i == five-1 {
					a.stays(nil)
				}
				a.says(c.content)
			}
			a.closed("five packets that are none")
		}))
	}
	return all
}

// reading is what counts of a packet.
func reading(o *Options) []suite.Case {
	counts := func(more string) func(p *play) {
		return func(p *play) {
			const often = 6 // more than may be wrong
			a := p.friend()
			for range often {
				id := fresh()
				a.says(message("hello", id, more))
				a.acked(id)
			}
		}
	}
	return []suite.Case{
		scene(o, "rules/values of a wrong type are ignored", counts(`,"alias":5,"status":"1","status-message":null,"statusmsg":{},"ack":[]`)),
		scene(o, "rules/values out of range are ignored", counts(`,"alias":"`+strings.Repeat("x", 200)+`","status":4,"status-message":"`+strings.Repeat("x", 2000)+`"`)),
		scene(o, "rules/nested 16 deep", counts(`,"x":`+strings.Repeat("[", 15)+strings.Repeat("]", 15))),
	}
}

// acknowledging is ids.
func acknowledging(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/a message with an id is acknowledged", func(p *play) { p.friend().tries("hello") }),
		scene(o, "rules/one that comes again is acknowledged again", func(p *play) {
			a, id := p.friend(), fresh()
			for range 2 {
				a.says(message("hello", id))
				a.acked(id)
			}
		}),
		scene(o, "rules/one that comes again over the next connection, too", func(p *play) {
			id := fresh()
			for range 2 {
				a := p.friend()
				a.says(message("hello", id))
				a.acked(id)
				a.leaves()
			}
		}),
		scene(o, "rules/the ack of the last stands for all", func(p *play) {
			const many = 50
			a := p.friend()
			var all []string
			last := ""
			for range many {
				last = fresh()
				all = append(all, message("hello", last))
			}
			a.says(all...)
			for got := ""; got != last && !a.done(); {
				o, _ := a.object("the ack of " + last)
				got, _ = o.text("ack")
			}
		}),
		scene(o, "rules/messages without an id are not acknowledged", func(p *play) {
			a := p.friend()
			a.says(`{"message":"hello","timestamp":1795219316}`)
			a.stays(func(o object, text []byte) { p.Demand(o["ack"] == nil, "%s came", text) })
		}),
		scene(o, "rules/acks that nobody waits for do no harm", func(p *play) {
			a := p.friend()
			a.says(`{"ack":"nobody-1"}`, `{"ack":""}`, `{"ack":"`+strings.Repeat("x", 500)+`"}`)
			a.tries("hello")
		}),
	}
}

// replacing is several connections of one friend.
func replacing(o *Options) []suite.Case {
	return []suite.Case{scene(o, "rules/the newer of two connections stays", func(p *play) {
		a, b := p.friend(), p.friend()
		a.closed("a second connection")
		b.tries("hello")
	})}
}

// unknown is who is not in the address book.
func unknown(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/whoever is unknown hears nothing", func(p *play) {
			a := p.waits()
			a.silent()
			a.says(handshake, message("hello", fresh()))
			a.silent()
		}),
		scene(o, "rules/two connections of an unknown address may wait", func(p *play) {
			a, b := p.waits(), p.waits()
			a.says(handshake)
			b.says(handshake)
			a.silent()
			b.silent()
			c := p.call(o.Stranger)
			c.mute()
		}),
		scene(o, "rules/a length from an unknown address", func(p *play) {
			a := p.waits()
			a.writes([]byte{255, 255, 255, 255})
			a.mute()
		}),
	}
}

// waits has an unknown address call, and be held. That may take a while: the peer may not know yet that the last one has left.
func (p *play) waits() *peer {
	for end := time.Now().Add(p.o.Answer); ; {
		a := p.call(p.o.Stranger)
		if a.done() {
			return a
		}
		_, err := a.w.Hear(time.Now().Add(p.o.Quiet), nil)
		if err == nil || !ended(err) || time.Now().After(end) {
			p.Demand(err != nil && !ended(err), "an unknown address was not held: %v", err)
			return a
		}
		_ = a.w.Close()
	}
}

// ignored is who is not wanted.
func ignored(o *Options) suite.Case {
	return scene(o, "rules/whoever is ignored is hung up on without a word", func(p *play) { p.call(o.Ignored).mute() })
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
