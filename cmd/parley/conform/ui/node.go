package ui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// kinds say of a value whether it is what it must be.
var kinds = map[string]func(v jsontext.Value) bool{
	"string":           func(v jsontext.Value) bool { return v.Kind() == '"' },
	"string or null":   func(v jsontext.Value) bool { return v.Kind() == '"' || v.Kind() == 'n' },
	"string or object": func(v jsontext.Value) bool { return v.Kind() == '"' || v.Kind() == '{' },
	"integer":          whole,
	"integer or null":  func(v jsontext.Value) bool { return whole(v) || v.Kind() == 'n' },
	"boolean":          func(v jsontext.Value) bool { return v.Kind() == 't' || v.Kind() == 'f' },
	"array":            func(v jsontext.Value) bool { return v.Kind() == '[' },
	"object":           func(v jsontext.Value) bool { return v.Kind() == '{' },
}

func whole(v jsontext.Value) bool {
	_, err := number(v)
	return err == nil
}

// field is a key that an object must have, and what its value is. Dots go into objects.
type field struct{ path, kind string }

// has demands fields of the answer to a request.
func (a *peer) has(opcode, payload string, fields ...field) *frame {
	f := a.answer(a.asks(opcode, payload))
	if f == nil || !a.p.Demand(f.opcode == opcode && f.code == 0, "%s was answered %.300s", opcode, f.text) {
		return nil
	}
	a.checks(f, fields...)
	return f
}

// checks demands fields of a payload.
func (a *peer) checks(f *frame, fields ...field) {
	for _, want := range fields {
		at := f.payload
		for key := range strings.SplitSeq(want.path, ".") {
			members, _, err := object(at)
			if !a.p.Demand(err == nil && members[key] != nil, "%s is without %s", f.opcode, want.path) {
				return
			}
			at = members[key]
		}
		a.p.Demand(kinds[want.kind](at), "%s of %s is %.100s, and no %s", want.path, f.opcode, string(at), want.kind)
	}
}

// fields are some of one kind.
func fields(kind, within string, names ...string) (all []field) {
	for _, name := range names {
		all = append(all, field{within + name, kind})
	}
	return all
}

// standing is what a Node says of itself.
func standing(o *Options) []suite.Case {
	answer := func(name, opcode string, fields ...field) suite.Case {
		return scene(o, name, func(p *play) { p.connect().has(opcode, "{}", fields...) })
	}
	return []suite.Case{
		scene(o, "wire/connectionStatus is a stage", func(p *play) {
			f := p.connect().has("connectionStatus", "{}", field{"stage", "string"})
			if f == nil {
				return
			}
			var in struct {
				Stage string `json:"stage"`
			}
			err := talk.Decode(f.payload, &in, "stage")
			p.Demand(err == nil && slices.Contains([]string{"NotConnected", "ConnectedToNeighbor", "RouteFound"}, in.Stage), "the stage is %q", in.Stage)
		}),
		answer("wire/descriptor may be null", "descriptor", field{"nodeDescriptorOpt", "string or null"}),
		answer("wire/checkPassword answers whether it matches", "checkPassword", field{"matches", "boolean"}),
		answer("rules/neighborhoodGraph is a text", "neighborhoodGraph", field{"graph", "string"}),
		answer("rules/peers is a list", "peers", field{"peers", "array"}),
		answer("rules/channels is a list", "channels", field{"channels", "array"}),
		answer("rules/nodeStats", "nodeStats", field{"relay.channels", "array"}, field{"relay.clients", "integer"}, field{"network", "object"}, field{"channels", "object"}),
		answer("rules/hostStats", "hostStats", fields("object", "", "cpu", "mem", "network")...),
		scene(o, "rules/subscribing is answered", func(p *play) {
			a := p.connect()
			a.agrees("subscribe", `{"opcodes":["logBroadcast"],"minLogLevel":"Error"}`)
			a.agrees("unsubscribe", `{"opcodes":[]}`)
			a.faulted("subscribe", a.asks("subscribe", `{"opcodes":[],"minLogLevel":"error"}`), codeUnmarshal, "minLogLevel")
			a.faulted("subscribe", a.asks("subscribe", `{"opcodes":["crashed",7]}`), codeUnmarshal, "opcodes[1]")
		}),
		scene(o, "rules/unknown requests are answered", func(p *play) {
			a := p.connect()
			id := a.asks(dance, "{}")
			a.unknown(dance, &id)
			a.says(`{"opcode":"` + dance + `","payload":{}}`)
			a.unknown(dance, nil)
			a.fence()
		}),
		scene(o, "rules/a Node does not know what is the Daemon's", func(p *play) {
			a := p.connect()
			a.faulted("setup", a.asks("setup", `{"values":[]}`), codeUnmarshal, "setup")
			a.faulted("start", a.asks("start", "{}"), codeUnmarshal, "start")
		}),
		scene(o, "rules/nodes that nobody knows cannot be asked", func(p *play) {
			a := p.connect()
			a.faulted("nodeStats", a.asks("nodeStats", `{"node":"no-such-node.example"}`), codeNode)
		}),
	}
}

// configuring is configuration, and what cannot be changed in it.
func configuring(o *Options) []suite.Case {
	refuses := func(name, parameter, value string, code uint64) suite.Case {
		return scene(o, name, func(p *play) {
			a := p.connect()
			a.faulted("setConfiguration", a.asks("setConfiguration", fmt.Sprintf(`{"name":%q,"value":%q}`, parameter, value)), code)
		})
	}
	return []suite.Case{
		scene(o, "wire/configuration says how the Node is set up", func(p *play) {
			p.connect().has("configuration", `{"dbPasswordOpt":null}`, field{"clandestinePort", "integer"}, field{"currentSchemaVersion", "string"},
				field{"neighborhoodMode", "string"}, field{"pastNeighbors", "array"})
		}),
		scene(o, "wire/configuration has the fields without which user interfaces die", func(p *play) {
			a := p.connect()
			a.has("configuration", "{}", field{"chainName", "string"}, field{"gasPrice", "integer"}, field{"startBlock", "integer or null"}, field{"portMappingProtocol", "string or null"})
			a.has("configuration", "{}", fields("integer", "paymentThresholds.", "thresholdIntervalSec", "debtThresholdGwei", "paymentGracePeriodSec",
				"maturityThresholdSec", "permanentDebtAllowedGwei", "unbanBelowGwei")...)
			a.has("configuration", "{}", fields("integer", "ratePack.", "routingByteRate", "routingServiceRate", "exitByteRate", "exitServiceRate")...)
			a.has("configuration", "{}", fields("integer", "scanIntervals.", "pendingPayableSec", "payableSec", "receivableSec")...)
		}),
		scene(o, "rules/configuration names the Node and what listens", func(p *play) {
			p.connect().has("configuration", "{}", field{"nodeName", "string"}, field{"gateways", "array"})
		}),
		refuses("wire/setConfiguration of an unknown parameter", "no-such-parameter", "1", codeUnknownName),
		refuses("rules/setConfiguration of what is fixed while the Node runs", "chain", "conform", codeUnknownName),
		refuses("wire/setConfiguration of a value that cannot be", "gas-price", "-1", codeUnparsable),
		refuses("rules/setConfiguration of a log level that cannot be", "log-level", "conform", codeUnparsable),
	}
}
