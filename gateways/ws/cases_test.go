package ws

import (
	"bytes"
	"fmt"
	"strings"

	"parley/testkit"
)

// conformance is one case: what a client sends and what it must hear. A step of
// []byte is written as it is, a Frame is masked first.
type conformance struct {
	name string
	send []any
	want []string // as describe writes it; a case that does not end in a close ends in ours
}

// Opcodes, short.
const (
	cont, txt, bin, cls, png, pong = testkit.OpContinuation, testkit.OpText, testkit.OpBinary, testkit.OpClose, testkit.OpPing, testkit.OpPong
)

// hello is what must come back before the rule is broken.
var hello = text("hello")

const heardHello = "text:hello"

// cases are all of them. Source: RFC 6455, sections 5 to 7, and the limits of
// gateways/relay/PROTOCOL.md.
func cases() (all []conformance) {
	for _, part := range [][]conformance{
		framing(), pings(), reserved(), opcodes(), fragmentation(), goodText(), badText(), closing(), limits(),
	} {
		all = append(all, part...)
	}
	return all
}

// framing: lengths in all three forms, text and binary.
func framing() (cs []conformance) {
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 65537} {
		s := strings.Repeat("*", n)
		cs = append(cs,
			conformance{fmt.Sprintf("text of %d", n), []any{text(s)}, []string{said(s)}},
			conformance{fmt.Sprintf("binary of %d", n), []any{part(bin, true, strings.Repeat("\xfe", n))}, []string{said(fmt.Sprintf("binary of %d", n))}})
	}
	unmasked := testkit.Frame{Fin: true, Op: txt, Payload: []byte("bare")}.Append(nil)
	zero := text("zeros")
	zero.Mask = &[4]byte{}
	return append(
		cs,
		conformance{"a mask of zeros", []any{zero}, []string{"text:zeros"}},
		conformance{"5 in two bytes of length", []any{append(header(0x81, 2, 5), xored("hello")...)}, []string{heardHello}},
		conformance{"5 in eight bytes of length", []any{append(header(0x81, 8, 5), xored("hello")...)}, []string{heardHello}},
		conformance{"not masked", []any{unmasked}, []string{"close:1002"}},
		conformance{"not masked behind a message", []any{hello, unmasked}, []string{heardHello, "close:1002"}},
		conformance{"not masked and empty", []any{[]byte{0x81, 0}}, []string{"close:1002"}},
		conformance{"a ping that is not masked", []any{[]byte{0x89, 0}}, []string{"close:1002"}},
		conformance{"many small messages", []any{wire(text("a"), text("b"), text(""), text("c"))}, []string{"text:a", "text:b", "text:", "text:c"}},
	)
}

// xored is a payload under the mask of the tests.
func xored(s string) []byte {
	b := []byte(s)
	for i := range b {
		b[i] ^= mask[i%4]
	}
	return b
}

func pings() []conformance {
	long := strings.Repeat("p", 125)
	return []conformance{
		{"empty ping", []any{ping("")}, []string{"pong:"}},
		{"ping with text", []any{ping("Hello, world")}, []string{"pong:Hello, world"}},
		{"ping with binary", []any{ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}, []string{"pong:\x00\xff\xfe\xfd\xfc\xfb\x00\xff"}},
		{"ping of 125", []any{ping(long)}, []string{"pong:" + long}},
		{"ping of 126", []any{ping(long + "p")}, []string{"close:1002"}},
		{"ping of 126 behind a message", []any{hello, ping(long + "p")}, []string{heardHello, "close:1002"}},
		{"ping with 5 in two bytes of length", []any{header(0x89, 2, 5)}, []string{"close:1002"}},
		{"unasked pong", []any{part(pong, true, "")}, nil},
		{"unasked pong with a payload", []any{part(pong, true, "payload"), hello}, []string{heardHello}},
		{"unasked pong, then ping", []any{part(pong, true, "x"), ping("y")}, []string{"pong:y"}},
		{"pong of 126", []any{part(pong, true, long+"p")}, []string{"close:1002"}},
		{"ten pings", []any{ping("0"), ping("1"), ping("2"), ping("3"), ping("4"), ping("5"), ping("6"), ping("7"), ping("8"), ping("9")}, []string{
			"pong:0", "pong:1", "pong:2", "pong:3", "pong:4", "pong:5", "pong:6", "pong:7", "pong:8", "pong:9",
		}},
		{"a ping in pieces", []any{part(png, false, "a"), part(cont, true, "b")}, []string{"close:1002"}},
		{"a pong in pieces", []any{part(pong, false, "a"), part(cont, true, "b")}, []string{"close:1002"}},
		{"a ping between fragments", []any{part(txt, false, "one "), ping("now"), part(cont, true, "two")}, []string{"pong:now", "text:one two"}},
		{"a ping in pieces between fragments", []any{part(txt, false, "one "), part(png, false, "now"), part(cont, true, "two")}, []string{"close:1002"}},
	}
}

// reserved: no extension was negotiated, so none of the three bits may be set.
func reserved() (cs []conformance) {
	for bits := byte(1); bits <= 7; bits++ {
		f := hello
		f.RSV = bits
		p := ping("x")
		p.RSV = bits
		cs = append(cs,
			conformance{fmt.Sprintf("reserved bits %03b", bits), []any{f}, []string{"close:1002"}},
			conformance{fmt.Sprintf("reserved bits %03b of a ping behind a message", bits), []any{hello, p}, []string{heardHello, "close:1002"}})
	}
	c, b, f := part(cont, true, "x"), part(bin, true, "x"), bye(1000, "")
	c.RSV, b.RSV, f.RSV = 4, 4, 1
	return append(
		cs,
		conformance{"reserved bit of a continuation", []any{part(txt, false, "x"), c}, []string{"close:1002"}},
		conformance{"reserved bit of a binary", []any{b}, []string{"close:1002"}},
		conformance{"reserved bit of a close", []any{f}, []string{"close:1002"}},
	)
}

func opcodes() (cs []conformance) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cs = append(cs,
			conformance{fmt.Sprintf("opcode %d", op), []any{part(op, true, "")}, []string{"close:1002"}},
			conformance{fmt.Sprintf("opcode %d with a payload behind a message", op), []any{hello, part(op, true, "payload"), ping("")}, []string{heardHello, "close:1002"}},
			conformance{fmt.Sprintf("opcode %d between fragments", op), []any{part(txt, false, "x"), part(op, true, ""), part(cont, true, "y")}, []string{"close:1002"}})
	}
	return cs
}

func fragmentation() []conformance {
	bytewise := []any{part(txt, false, "")}
	for _, r := range "Hello-µ@ßöäüàá-UTF-8!!" {
		for _, b := range []byte(string(r)) {
			bytewise = append(bytewise, part(cont, false, string([]byte{b})))
		}
	}
	bytewise = append(bytewise, part(cont, true, ""))
	return []conformance{
		{"two fragments", []any{part(txt, false, "one "), part(cont, true, "two")}, []string{"text:one two"}},
		{"three fragments", []any{part(txt, false, "a"), part(cont, false, "b"), part(cont, true, "c")}, []string{"text:abc"}},
		{"binary fragments", []any{part(bin, false, "a\xff"), part(cont, true, "b")}, []string{"text:binary of 3"}},
		{"an empty first fragment", []any{part(txt, false, ""), part(cont, true, "x")}, []string{"text:x"}},
		{"an empty last fragment", []any{part(txt, false, "x"), part(cont, true, "")}, []string{"text:x"}},
		{"an empty fragment within", []any{part(txt, false, "x"), part(cont, false, ""), part(cont, true, "y")}, []string{"text:xy"}},
		{"nothing but empty fragments", []any{part(txt, false, ""), part(cont, false, ""), part(cont, true, "")}, []string{"text:"}},
		{"every byte a fragment", bytewise, []string{"text:Hello-µ@ßöäüàá-UTF-8!!"}},
		{"fragments and pings", []any{part(txt, false, "a"), ping("1"), part(cont, false, "b"), ping("2"), part(cont, true, "c"), ping("3")}, []string{"pong:1", "pong:2", "text:abc", "pong:3"}},
		{"fragments of two messages", []any{part(txt, false, "a"), part(cont, true, "b"), part(txt, false, "c"), part(cont, true, "d")}, []string{"text:ab", "text:cd"}},
		{"a continuation of nothing", []any{part(cont, true, "x"), hello}, []string{"close:1002"}},
		{"a first continuation of nothing", []any{part(cont, false, "x"), hello}, []string{"close:1002"}},
		{"a continuation of a message that is over", []any{hello, part(cont, true, "x")}, []string{heardHello, "close:1002"}},
		{"a continuation of a fragmented message that is over", []any{part(txt, false, "a"), part(cont, true, "b"), part(cont, false, "c")}, []string{"text:ab", "close:1002"}},
		{"a text among fragments", []any{part(txt, false, "a"), text("b")}, []string{"close:1002"}},
		{"a binary among fragments", []any{part(txt, false, "a"), part(bin, true, "b")}, []string{"close:1002"}},
		{"a first fragment among fragments", []any{part(txt, false, "a"), part(txt, false, "b")}, []string{"close:1002"}},
		{"a close among fragments", []any{part(txt, false, "a"), bye(1001, ""), part(cont, true, "b")}, []string{"close:1001"}},
	}
}

// goodText is UTF-8, whole and cut everywhere.
func goodText() (cs []conformance) {
	for _, s := range []string{
		"Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff",
		"\U00010000", "\U0001fffe", "\U0010ffff", "\ufeffwith a mark", "日本語 한국어", "e\u0301", "👩‍👩‍👧‍👦",
	} {
		cs = append(cs, conformance{fmt.Sprintf("text %+q", s), []any{text(s)}, []string{said(s)}})
		if len(s) < 2 {
			continue
		}
		cut := []any{part(txt, false, s[:1])}
		for i := 1; i < len(s); i++ {
			cut = append(cut, part(cont, i == len(s)-1, s[i:i+1]))
		}
		cs = append(cs, conformance{fmt.Sprintf("text %+q byte by byte", s), cut, []string{said(s)}})
	}
	return append(cs, conformance{"bad UTF-8 in a binary", []any{part(bin, true, "\xff\xfe")}, []string{"text:binary of 2"}})
}

// badText is refused at the first byte that cannot be right, before the message
// ends.
func badText() (cs []conformance) {
	for name, s := range map[string]string{
		"a lone continuation":               "\x80",
		"continuations":                     "\x80\xbf\x80",
		"fe":                                "\xfe",
		"ff":                                "\xff",
		"fe fe ff ff":                       "\xfe\xfe\xff\xff",
		"overlong slash, two bytes":         "\xc0\xaf",
		"overlong slash, three bytes":       "\xe0\x80\xaf",
		"overlong slash, four bytes":        "\xf0\x80\x80\xaf",
		"overlong slash, five bytes":        "\xf8\x80\x80\x80\xaf",
		"overlong slash, six bytes":         "\xfc\x80\x80\x80\x80\xaf",
		"overlong 7f":                       "\xc1\xbf",
		"overlong 7ff":                      "\xe0\x9f\xbf",
		"overlong ffff":                     "\xf0\x8f\xbf\xbf",
		"overlong nul":                      "\xc0\x80",
		"surrogate d800":                    "\xed\xa0\x80",
		"surrogate dbff":                    "\xed\xaf\xbf",
		"surrogate dfff":                    "\xed\xbf\xbf",
		"a surrogate pair":                  "\xed\xa0\x81\xed\xb0\x80",
		"beyond 10ffff":                     "\xf4\x90\x80\x80",
		"five bytes":                        "\xf8\x88\x80\x80\x80",
		"six bytes":                         "\xfc\x84\x80\x80\x80\x80",
		"a start without its continuation":  "\xe2(\xa1",
		"a start and a start":               "\xc3\xc3",
		"latin 1":                           "f\xfcr",
		"good text before, cut at a bad":    "κόσμε\xed\xa0\x80edited",
		"a bad byte behind many good bytes": strings.Repeat("x", 5000) + "\xff",
	} {
		cs = append(cs,
			conformance{"bad UTF-8: " + name, []any{text(s)}, []string{"close:1007"}},
			conformance{"bad UTF-8 in a fragment that is not the last: " + name, []any{part(txt, false, s)}, []string{"close:1007"}})
	}
	for _, s := range []string{"\xc3", "\xe2\x82", "\xf0\x9f\x98", "abc\xe2"} {
		cs = append(cs,
			conformance{fmt.Sprintf("bad UTF-8: cut off in %q", s), []any{text(s)}, []string{"close:1007"}},
			conformance{fmt.Sprintf("bad UTF-8: cut off in %q by the last fragment", s), []any{part(txt, false, s), part(cont, true, "")}, []string{"close:1007"}},
			conformance{fmt.Sprintf("bad UTF-8: %q goes on wrong in the next fragment", s), []any{part(txt, false, s), part(cont, false, "x")}, []string{"close:1007"}})
	}
	return append(
		cs,
		conformance{"bad UTF-8 behind a message", []any{hello, text("\xff")}, []string{heardHello, "close:1007"}},
		conformance{"bad UTF-8 in the second fragment", []any{part(txt, false, "good"), part(cont, false, "\xf5")}, []string{"close:1007"}},
		conformance{"bad UTF-8 in the second half of a long frame", []any{
			append(header(0x81, 8, 10_000), xored(strings.Repeat("x", 4999)+"\xff")...), // the rest never comes
		}, []string{"close:1007"}},
	)
}

func closing() (cs []conformance) {
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		cs = append(cs, conformance{fmt.Sprintf("close %d", code), []any{bye(code, "")}, []string{fmt.Sprintf("close:%d", code)}})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cs = append(cs, conformance{fmt.Sprintf("close %d", code), []any{bye(code, "")}, []string{"close:1002"}})
	}
	reason := strings.Repeat("r", 123)
	return append(
		cs,
		conformance{"close without a code", []any{part(cls, true, "")}, []string{"close:1000"}},
		conformance{"close with half a code", []any{part(cls, true, "\x03")}, []string{"close:1002"}},
		conformance{"close with a reason", []any{bye(1000, "no reason")}, []string{"close:1000"}},
		conformance{"close with the longest reason", []any{bye(1001, reason)}, []string{"close:1001"}},
		conformance{"close with a longer reason", []any{bye(1001, reason+"r")}, []string{"close:1002"}},
		conformance{"close with a reason that is not UTF-8", []any{bye(1000, "\xce\xba\xed\xa0\x80")}, []string{"close:1002"}},
		conformance{"close in pieces", []any{part(cls, false, "\x03\xe8")}, []string{"close:1002"}},
		conformance{"close that is not masked", []any{[]byte{0x88, 0}}, []string{"close:1002"}},
		conformance{"close behind a message", []any{hello, bye(1000, "")}, []string{heardHello, "close:1000"}},
		conformance{"two closes", []any{bye(1000, ""), bye(1001, "")}, []string{"close:1000"}},
		conformance{"a message behind a close", []any{bye(1000, ""), hello}, []string{"close:1000"}},
		conformance{"a ping behind a close", []any{bye(1000, ""), ping("x")}, []string{"close:1000"}},
		conformance{"a broken rule behind a close", []any{bye(3000, ""), []byte{0xff, 0xff}}, []string{"close:3000"}},
		conformance{"a lot of data behind a close", []any{bye(1000, ""), text(strings.Repeat("x", 200_000))}, []string{"close:1000"}},
	)
}

func limits() []conformance {
	full := strings.Repeat("x", testLimit)
	empty := wire(part(cont, false, ""))
	twenty := strings.Split(strings.Repeat("pong: ", 20), " ")[:20]
	return []conformance{
		{"the longest message", []any{text(full)}, []string{said(full)}},
		{"a longer message", []any{text(full + "x")}, []string{"close:1009"}},
		{"a longer binary", []any{part(bin, true, full+"x")}, []string{"close:1009"}},
		{"the longest message in pieces", []any{part(txt, false, full[1:]), part(cont, true, "x")}, []string{said(full)}},
		{"a longer message in pieces", []any{part(txt, false, full), part(cont, true, "x")}, []string{"close:1009"}},
		{"a longer message behind a good one", []any{hello, header(0x81, 8, testLimit+1)}, []string{heardHello, "close:1009"}},
		{"a frame of 2^31", []any{header(0x81, 8, 1<<31)}, []string{"close:1009"}},
		{"a frame of 2^32+1", []any{header(0x81, 8, 1<<32+1)}, []string{"close:1009"}},
		{"a frame of 2^63-1", []any{header(0x82, 8, 1<<63-1)}, []string{"close:1009"}},
		{"a frame of 2^63", []any{header(0x81, 8, 1<<63)}, []string{"close:1002"}},
		{"a frame of 2^64-1", []any{header(0x81, 8, 1<<64-1)}, []string{"close:1002"}},
		{"lengths that overflow together", []any{part(txt, false, "x"), header(0x80, 8, 1<<63-1)}, []string{"close:1009"}},
		{"1024 fragments", []any{wire(part(txt, false, "a"), bytes.Repeat(empty, 1022), part(cont, true, "b"))}, []string{"text:ab"}},
		{"1025 fragments", []any{wire(part(txt, false, "a"), bytes.Repeat(empty, 1023), part(cont, true, "b"))}, []string{"close:1008"}},
		{"1025 fragments of a byte", []any{wire(part(txt, false, "a"), bytes.Repeat(wire(part(cont, false, "x")), 1024))}, []string{"close:1008"}},
		{"two messages of 1000 fragments", []any{
			wire(part(txt, false, "a"), bytes.Repeat(empty, 998), part(cont, true, "b")),
			wire(part(txt, false, "c"), bytes.Repeat(empty, 998), part(cont, true, "d")),
		}, []string{"text:ab", "text:cd"}},
		{"20 pings at once", []any{bytes.Repeat(wire(ping("")), 20)}, twenty[:20]},
		{"21 pings at once", []any{bytes.Repeat(wire(ping("")), 21)}, append(twenty[:20:20], "close:1008")},
		{"pongs count, too", []any{bytes.Repeat(wire(part(pong, true, "")), 21)}, []string{"close:1008"}},
	}
}
