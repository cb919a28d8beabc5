package life_test

import (
	"regexp"
	"strings"
)

// fault is one thing that a server does wrong, and who finds it.
type fault struct {
	name   string
	where  int
	cases  []string // beginnings of names: all that can be tried must fail
	why    string   // is in the reason of each
	silent bool     // what is wrong is that nothing comes
	liar   liar
}

// asIs hands a frame on as it is.
func asIs(first byte, data string) []lie { return []lie{{first, data}} }

// texts changes text frames.
func texts(change func(text string) string) func(first byte, data string) []lie {
	return func(first byte, data string) []lie {
		if first == lieText {
			data = change(data)
		}
		return asIs(first, data)
	}
}

// swaps changes words in text frames.
func swaps(oldnew ...string) func(first byte, data string) []lie {
	return texts(strings.NewReplacer(oldnew...).Replace)
}

// rewrites changes text frames by an expression.
func rewrites(expression, to string) func(first byte, data string) []lie {
	at := regexp.MustCompile(expression)
	return texts(func(text string) string { return at.ReplaceAllString(text, to) })
}

// loses swallows text frames that have all of these words in them.
func loses(words ...string) func(first byte, data string) []lie {
	return func(first byte, data string) []lie {
		for _, word := range words {
			if first != lieText || !strings.Contains(data, word) {
				return asIs(first, data)
			}
		}
		return nil
	}
}

// closes changes the codes of goodbyes to 1000.
func closes(first byte, data string) []lie {
	if first == lieClose {
		data = "\x03\xe8"
	}
	return asIs(first, data)
}

// heads changes lines of a handshake by an expression.
func heads(expression, to string) func(string) string {
	at := regexp.MustCompile(expression)
	return func(head string) string { return at.ReplaceAllString(head, to) }
}

// Handshakes of liars.
const right = "Sec-Websocket-Protocol: MASQNode-UIv2\r\n"

// entering is who gets in and who does not.
var entering = []fault{
	{name: "no name of the subprotocol", cases: []string{"wire/the answer names", "wire/the subprotocol may"}, why: "it names []", liar: liar{answer: heads(`(?i)Sec-Websocket-Protocol:.*\r\n`, "")}},
	{name: "one path only", cases: []string{"wire/any path"}, why: "refused with 404", liar: liar{request: func(head string) string {
		if !strings.HasPrefix(head, "GET / ") {
			return ""
		}
		return head
	}}},
	{name: "one name only", cases: []string{"wire/this machine's names"}, why: "refused with 404", liar: liar{request: func(head string) string {
		if strings.Contains(head, "Host: localhost") {
			return ""
		}
		return head
	}}},
	{name: "compression", cases: []string{"rules/nothing is compressed"}, why: "it chose [\"permessage-deflate\"]", liar: liar{answer: heads(`\r\n\r\n$`, "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")}},
	{name: "any subprotocol", cases: []string{"wire/without the subprotocol"}, why: "no subprotocol was let in", liar: liar{request: func(head string) string {
		return strings.TrimSuffix(heads(`(?i)Sec-Websocket-Protocol:.*\r\n`, "")(head), "\r\n") + right + "\r\n"
	}}},
	{name: "any Host", cases: []string{"rules/other Hosts", "rules/a Host with"}, why: "was let in", liar: liar{request: heads(`Host: .*\r\n`, "Host: localhost\r\n")}},
	{name: "any Origin", cases: []string{"rules/web pages", "rules/files", "rules/who is refused"}, why: "was let in", liar: liar{request: heads(`Origin: .*\r\n`, "")}},
	{name: "another status", cases: []string{"rules/other Hosts", "rules/web pages"}, why: "refused with 400, not 403", liar: liar{answer: heads(` 403 `, " 400 ")}},
	{name: "not a word", cases: []string{"rules/who is refused"}, why: "the refusal says", liar: liar{answer: func(head string) string {
		if strings.Contains(head, " 101 ") {
			return head
		}
		return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
	}}},
}

// framing is RFC 6455.
var framing = []fault{
	{name: "binary is text", cases: []string{"wire/binary frames"}, why: "unmarshalError", liar: liar{up: func(first byte, data string) []lie {
		if first == lieBinary {
			first = lieText
		}
		return asIs(first, strings.ToValidUTF8(data, "?"))
	}}},
	{name: "no pongs", cases: []string{"wire/pings"}, why: "nothing came", silent: true, liar: liar{down: func(first byte, data string) []lie {
		if first == liePong {
			return nil
		}
		return asIs(first, data)
	}}},
	{name: "pongs of its own", cases: []string{"wire/pings"}, why: "not the pong of", liar: liar{down: func(first byte, data string) []lie {
		if first == liePong {
			data += "x"
		}
		return asIs(first, data)
	}}},
	{name: "parts are messages", cases: []string{"wire/a message may come in parts"}, why: "unmarshalError", liar: liar{up: func(first byte, data string) []lie {
		if first&0x0f <= 1 {
			first = lieText
		}
		return asIs(first, data)
	}}},
	{name: "short messages only", cases: []string{"wire/a long message"}, why: "unmarshalError", liar: liar{up: func(first byte, data string) []lie {
		return asIs(first, data[:min(len(data), 64<<10)])
	}}},
	{name: "other close codes", cases: []string{"rules/text that is not", "rules/broken frames", "rules/too long", "rules/so does one"}, why: "closed with 1000, not 10", liar: liar{down: closes}},
	{name: "no goodbye", cases: []string{"wire/a goodbye", "rules/text that is not"}, why: "without a goodbye", liar: liar{down: func(first byte, data string) []lie {
		if first == lieClose {
			return nil
		}
		return asIs(first, data)
	}}},
}

// reading is the envelope.
var reading = []fault{
	{
		name: "a contextId for who has none", cases: []string{"wire/what is no", "wire/a string is", "wire/an opcode", "wire/null is no opcode", "wire/a contextId", "rules/a contextId", "wire/without a contextId", "wire/an isolated payload", "rules/requests need", "rules/4 KiB"},
		why: "where an isolated unmarshalError was due", liar: liar{down: swaps(`"opcode":"unmarshalError",`, `"opcode":"unmarshalError","contextId":0,`)},
	},
	{name: "other words", cases: []string{"wire/what is no", "wire/an opcode", "wire/a contextId", "rules/halves", "rules/no key", "rules/33", "rules/1,001", "rules/keys are"}, why: "does not begin with", liar: liar{down: swaps(`"message":"`, `"message":"Oh, `)}},
	{name: "more comes back", cases: []string{"rules/4 KiB"}, why: "badData is", liar: liar{down: swaps(`"badData":"x`, `"badData":"xx`)}},
	{name: "errors of another code", cases: []string{"wire/payload", "wire/a payload", "wire/null is no payload", "wire/an error is", "wire/an error has", "wire/the code of", "wire/setup refuses", "rules/secrets do not"}, why: "came", liar: liar{down: swaps("9223372036854775812", "9223372036854775813")}},
	{name: "errors that name nothing", cases: []string{"wire/payload", "wire/a payload", "wire/null is no payload", "wire/an error is", "wire/an error has", "wire/the code of", "wire/setup refuses"}, why: "is without", liar: liar{down: rewrites(`"message":".*"`, `"message":""`)}},
	{name: "codes are floats", cases: []string{"wire/a payload is"}, why: "malformed", liar: liar{down: swaps("9223372036854775812", "9223372036854775812.0")}},
	{name: "secrets come back", cases: []string{"rules/secrets do not"}, why: "came", liar: liar{down: swaps("****************", "1234321")}},
	{name: "errors are lost", cases: []string{"wire/an error from"}, why: "nothing came", silent: true, liar: liar{up: loses(`"error":`)}},
	{name: "numbers are floats", cases: []string{"wire/conversation 2^"}, why: "the answer in conversation", liar: liar{down: rewrites(`"contextId":(\d+)\d\d,`, `"contextId":${1}00,`)}},
	{name: "0 is none", cases: []string{"wire/conversation 0"}, why: "nothing came", silent: true, liar: liar{down: swaps(`"contextId":0,`, "")}},
	{name: "keys in disorder", cases: []string{"wire/keys stand"}, why: "the keys of", liar: liar{down: rewrites(`^\{("opcode":"[^"]*"),("contextId":\d+),`, `{$2,$1,`)}},
	{name: "any case", cases: []string{"rules/keys are case"}, why: "undelivered", liar: liar{up: swaps(`"Opcode"`, `"opcode"`, `"Payload"`, `"payload"`)}},
	{name: "the last one counts", cases: []string{"rules/no key", "rules/halves"}, why: "came", liar: liar{up: swaps(`"opcode":"setup",`, "", `"\u006fpcode":`, `"opcode":`, `,"b":2`, "", `\ud800`, "")}},
	{name: "known keys only", cases: []string{"wire/keys that nobody"}, why: "unmarshalError", liar: liar{up: swaps(`{"x":[null],`, `!`)}},
	{name: "escapes are not read", cases: []string{"wire/keys may be"}, why: "unmarshalError", liar: liar{up: swaps(`\u006fpcode`, `_opcode`)}},
	{name: "no limits", cases: []string{"rules/33", "rules/1,001"}, why: "undelivered", liar: liar{up: rewrites(`"payload":\{"a":.*\}\}$`, `"payload":{}}`)}},
	{name: "narrow limits", cases: []string{"rules/32"}, why: "unmarshalError", liar: liar{up: rewrites(`^.*\]\]\]\]\]\]\]\]\]\]\}\}$`, `!`)}},
}
