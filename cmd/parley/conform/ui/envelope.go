package ui

import (
	"fmt"
	"math"
	"strings"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// badMost is how much of what was not understood comes back, bytes. Source: gateways/uiv2/PROTOCOL.md, What cannot be understood.
const badMost = 4 << 10

// misread says what cannot be understood, and hears so: isolated, with a text that begins like that, and the connection lives.
func (a *peer) misread(text, begins string) {
	a.says(text)
	f := a.isolated("unmarshalError")
	if a.done() {
		return
	}
	var in struct {
		Message string `json:"message"`
		BadData string `json:"badData"`
	}
	switch err := talk.Decode(f.payload, &in, "message", "badData"); {
	case err != nil:
		a.p.Fail("%.300s: %w", f.text, err)
	case in.BadData != text[:min(len(text), badMost)]:
		a.p.Fail("badData is %.100q, of %d bytes, after %.100s", in.BadData, len(in.BadData), text)
	case !strings.HasPrefix(in.Message, begins):
		a.p.Fail("the message is %q after %.100s, and does not begin with %q", in.Message, text, begins)
	}
}

// Beginnings of what a server says. Source: gateways/uiv2/PROTOCOL.md, What cannot be understood.
const (
	noJSON   = "Couldn't parse text as JSON: "
	noObject = "Root was not a JSON object: "
	lacking  = "Required field was missing: "
)

func mistyped(name, kind, got string) string {
	return "Field " + name + " should have been of type " + kind + ", but was '" + got + "' instead"
}

// misread makes a case of texts that are answered alike.
func misread(o *Options, name, begins string, texts ...string) suite.Case {
	return scene(o, name, func(p *play) {
		a := p.connect()
		for _, text := range texts {
			a.misread(text, begins)
		}
		a.fence()
	})
}

// misreading is what cannot be given to any conversation.
func misreading(o *Options) []suite.Case {
	context := func(got string) string { return mistyped("contextId", "u64", got) }
	contexts := func(name string, ids ...string) suite.Case {
		return scene(o, name, func(p *play) {
			a := p.connect()
			for _, id := range ids {
				a.misread(`{"opcode":"`+dance+`","contextId":`+id+`,"payload":{}}`, context(id))
			}
			a.fence()
		})
	}
	return []suite.Case{
		misread(o, "wire/what is no JSON comes back", noJSON, "nonsense", `{"opcode":`, `{"opcode":"`+dance+`","payload":{}} more`, `{'opcode':1}`),
		misread(o, "wire/what is no object comes back", noObject+"[1,2]", "[1,2]"),
		misread(o, "wire/a string is no object", noObject+`"setup"`, `"setup"`),
		misread(o, "wire/an opcode is needed", lacking+"opcode", "{}", `{"contextId":1,"payload":{}}`),
		misread(o, "wire/an opcode is a string", mistyped("opcode", "string", "7"), `{"opcode":7,"contextId":1,"payload":{}}`),
		misread(o, "wire/null is no opcode", mistyped("opcode", "string", "null"), `{"opcode":null,"contextId":1,"payload":{}}`),
		contexts("wire/a contextId is a number from 0 to 2^64-1", `"1"`, "-1", "18446744073709551616", "null", "true"),
		contexts("rules/a contextId has digits only", "7.0", "7e0", "-0"),
		misread(o, "wire/without a contextId nothing but payload or error is missed", lacking+"payload, error", `{"opcode":"`+dance+`"}`),
		misread(o, "wire/an isolated payload is an object", mistyped("payload", "object", "[]"), `{"opcode":"`+dance+`","payload":[]}`),
		scene(o, "rules/requests need a conversation", func(p *play) {
			a := p.connect()
			opcode, payload := a.harmless()
			a.misread(fmt.Sprintf(`{"opcode":%q,"payload":%s}`, opcode, payload), lacking+"contextId")
			a.fence()
		}),
		scene(o, "rules/4 KiB of bad data come back", func(p *play) {
			a := p.connect()
			a.misread(strings.Repeat("x", badMost+1), noJSON)
			a.fence()
		}),
	}
}

// mistakes are contents that are answered in their conversation, and the text of the answer.
var mistakes = []struct{ name, content, text string }{
	{"wire/payload or error must be there", ``, lacking + "payload, error"},
	{"wire/a payload is an object", `,"payload":[]`, mistyped("payload", "object", "[]")},
	{"wire/null is no payload", `,"payload":null`, mistyped("payload", "object", "null")},
	{"wire/payload and error exclude each other", `,"payload":{},"error":{"code":1,"message":""}`, "payload"},
	{"wire/an error is an object", `,"error":"no"`, mistyped("error", "object", `"no"`)},
	{"wire/an error has a code", `,"error":{"message":""}`, "code"},
	{"wire/the code of an error is a number", `,"error":{"code":"1","message":""}`, "code"},
	{"wire/an error has a message", `,"error":{"code":1}`, "message"},
}

// mistaking is what is answered in its conversation.
func mistaking(o *Options) (all []suite.Case) {
	for _, m := range mistakes {
		all = append(all, scene(o, m.name, func(p *play) {
			a := p.connect()
			a.says(`{"opcode":"` + dance + `","contextId":5` + m.content + `}`)
			a.faulted(dance, 5, codeUnmarshal, m.text)
			a.fence()
		}))
	}
	schema := func(opcode, payload, text string) suite.Case {
		return scene(o, "wire/"+opcode+" refuses "+payload, func(p *play) {
			a := p.connect()
			a.faulted(opcode, a.asks(opcode, payload), codeUnmarshal, text)
			a.fence()
		})
	}
	all = append(all, suite.Needs(o.Role == Daemon, noDaemon,
		schema("setup", `{}`, lacking+"values"),
		schema("setup", `{"values":{}}`, "Field values should have been of type array"),
		schema("setup", `{"values":[{"name":"ip"},{"value":"x"}]}`, "name"),
		schema("setup", `{"values":[{"name":7,"value":"x"}]}`, "name"),
		schema("setup", `{"values":[{"name":"ip","value":7}]}`, "value"),
	)...)
	all = append(all, suite.Needs(o.Role == Node, noNode,
		schema("setConfiguration", `{"name":"gas-price"}`, lacking+"value"),
		schema("setConfiguration", `{"value":"1"}`, lacking+"name"),
		schema("setConfiguration", `{"name":"gas-price","value":null}`, mistyped("value", "string", "null")),
		schema("setConfiguration", `{"name":5,"value":"1"}`, mistyped("name", "string", "5")),
		schema("checkPassword", `{"dbPasswordOpt":1234321}`, "dbPasswordOpt"),
		schema("changePassword", `{"newPassword":null}`, "newPassword"),
	)...)
	return append(all, scene(o, "rules/secrets do not stand in texts", func(p *play) {
		a := p.connect()
		opcode, payload := "setup", `{"values":[{"name":"db-password","value":1234321}]}`
		if p.o.Role == Node {
			opcode, payload = "checkPassword", `{"dbPasswordOpt":1234321}`
		}
		if f := a.answer(a.asks(opcode, payload)); f != nil {
			p.Demand(f.code == codeUnmarshal && !contains(f.text, "1234321"), "%.300s came", f.text)
		}
	}), scene(o, "wire/an error from a user interface is answered as an unknown opcode", func(p *play) {
		a, id := p.connect(), uint64(5)
		a.says(`{"opcode":"` + dance + `","contextId":5,"error":{"code":18446744073709551615,"message":"no"}}`)
		a.unknown(dance, &id)
		a.says(`{"opcode":"` + dance + `","error":{"code":1,"message":"no"}}`)
		a.unknown(dance, nil)
		a.fence()
	}))
}

// counting is numbers: none of them passes through a float.
func counting(o *Options) (all []suite.Case) {
	for _, c := range []struct {
		name string
		id   uint64
	}{
		{"0", 0},
		{"2^53+1", 1<<53 + 1},
		{"2^63-1", math.MaxInt64},
		{"2^63+1", 1<<63 + 1},
		{"2^64-1", math.MaxUint64},
	} {
		all = append(all, scene(o, "wire/conversation "+c.name, func(p *play) {
			a := p.connect()
			opcode, payload := a.harmless()
			a.sends(opcode, c.id, payload)
			a.answer(c.id)
			a.sends(dance, c.id, "{}")
			a.unknown(dance, &c.id)
			a.fence()
		}))
	}
	return append(all, scene(o, "wire/keys stand in their order", func(p *play) {
		a := p.connect()
		opcode, payload := a.harmless()
		a.asks(opcode, payload)
		a.sends(dance, a.asked+1, "[]")
		a.says("nonsense")
		for range 3 { // an answer, an error, an isolated message
			if f := a.next("an answer"); f != nil {
				p.Demand(f.ordered(), "the keys of %.300s are %q", f.text, f.keys)
			}
		}
	}))
}

// strict is what keeps two readers of a frame from seeing different things in it.
func strict(o *Options) []suite.Case {
	nested := func(n int) string {
		return `{"opcode":"` + dance + `","payload":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}`
	}
	members := func(n int) string {
		return `{"opcode":"` + dance + `","payload":{"a":[1` + strings.Repeat(",1", n-1) + `]}}`
	}
	taken := func(name string, texts ...string) suite.Case {
		return scene(o, name, func(p *play) {
			a := p.connect()
			for _, text := range texts {
				a.says(text)
				a.unknown(dance, nil)
			}
			a.fence()
		})
	}
	return []suite.Case{
		misread(o, "rules/keys are case-sensitive", lacking+"opcode", `{"Opcode":"`+dance+`","payload":{}}`),
		misread(o, "rules/keys are case-sensitive, payload too", lacking+"payload, error", `{"opcode":"`+dance+`","Payload":{}}`),
		misread(o, "rules/no key stands twice", noJSON, `{"opcode":"setup","opcode":"`+dance+`","payload":{}}`,
			`{"opcode":"setup","\u006fpcode":"`+dance+`","payload":{}}`, `{"opcode":"`+dance+`","payload":{"a":[{"b":1,"b":2}]}}`),
		misread(o, "rules/halves of surrogate pairs are refused", noJSON, `{"opcode":"`+dance+`","payload":{"a":"\ud800"}}`),
		taken("wire/keys that nobody knows are passed over", `{"x":[null],"opcode":"`+dance+`","y":1.5,"payload":{"z":{}}}`),
		taken("wire/keys may be escaped", `{"\u006fpcode":"`+dance+`","payload":{}}`),
		taken("rules/32 levels and 1,000 members are taken", nested(30), members(997)),
		misread(o, "rules/33 levels are too deep", noJSON, nested(31)),
		misread(o, "rules/1,001 members are too many", noJSON, members(998)),
	}
}
