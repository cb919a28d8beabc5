package life_test

import (
	"slices"
	"strings"
)

// faults are all of them.
var faults = slices.Concat(entering, framing, reading, conversing, space, sentOn, ofNode)

// crossed hands on the answers of a conversation in disorder: the second before the first.
func crossed() func(first byte, data string) []lie {
	var kept []lie
	seen := 0
	return func(first byte, data string) []lie {
		if first != lieText || !strings.Contains(data, `"contextId":7,`) {
			return asIs(first, data)
		}
		if seen++; seen == 1 {
			kept = asIs(first, data)
			return nil
		}
		out := append(asIs(first, data), kept...)
		kept = nil
		return out
	}
}

// conversing is conversations.
var conversing = []fault{
	{name: "answers overtake", cases: []string{"wire/requests of a"}, why: "where conformDance", liar: liar{begins: crossed}},
	{name: "errors overtake", cases: []string{"wire/so are those"}, why: "out of turn", liar: liar{begins: crossed}},
	{name: "one conversation for all", cases: []string{"wire/conversations go on"}, why: "where conformDance", liar: liar{down: rewrites(`"contextId":\d+`, `"contextId":1`)}},
	{name: "answers elsewhere", cases: []string{"wire/answers go"}, why: "the answer in conversation 7", liar: liar{down: swaps(`"contextId":7,`, `"contextId":8,`)}},
	{name: "few conversations", cases: []string{"rules/conversations come"}, why: "where error", liar: liar{down: rewrites(`"contextId":1025,.*`, `"contextId":1025,"error":{"code":1,"message":"full"}}`)}},
}

// twice has who makes a change told of it, as if another had made it.
func twice(first byte, data string) []lie {
	if first == lieText && strings.Contains(data, `"name":"gas-price","value":"7","status":"Set"`) && strings.HasPrefix(data, `{"opcode":"setup","contextId":`) {
		_, payload, _ := strings.Cut(data, `"payload":`)
		return append(asIs(first, data), lie{first, `{"opcode":"setup","payload":` + payload})
	}
	return asIs(first, data)
}

// space is the Setup space.
var space = []fault{
	{name: "no chain", cases: []string{"wire/setup always"}, why: "setup is without chain", liar: liar{down: swaps(`"name":"chain"`, `"name":"chains"`)}},
	{name: "no order", cases: []string{"wire/setup is sorted"}, why: "not sorted", liar: liar{down: swaps(`"name":"chain"`, `"name":"zchain"`)}},
	{name: "statuses of its own", cases: []string{"wire/setup is sorted"}, why: `has status "Unknown"`, liar: liar{down: swaps(`"status":"Default"`, `"status":"Unknown"`)}},
	{name: "it runs", cases: []string{"wire/setup says"}, why: "running is true", liar: liar{down: swaps(`"running":false`, `"running":true`)}},
	{name: "secrets", cases: []string{"rules/secrets are shown"}, why: "is shown", liar: liar{down: swaps(`"name":"relay-token","value":""`, `"name":"relay-token","value":"hush"`)}},
	{name: "secrets that were set", cases: []string{"rules/secrets are never"}, why: "consuming-private-key became", liar: liar{down: swaps("****************", "hush")}},
	{name: "broadcasts with a contextId", cases: []string{"wire/a change is told", "wire/who makes", "wire/the same value"}, why: "where the broadcast setup was due", liar: liar{down: swaps(`{"opcode":"setup","payload"`, `{"opcode":"setup","contextId":0,"payload"`)}},
	{name: "broadcasts are lost", cases: []string{"wire/a change is told"}, why: "nothing came", silent: true, liar: liar{down: loses(`{"opcode":"setup","payload"`)}},
	{name: "broadcasts say something else", cases: []string{"wire/a change is told"}, why: "something else", liar: liar{down: rewrites(`(\{"opcode":"setup","payload".*"name":"chain","value":")`, `${1}x`)}},
	{name: "who makes a change is told", cases: []string{"wire/who makes"}, why: "was told, too", liar: liar{down: twice}},
	{name: "all is a change", cases: []string{"wire/the same value"}, why: "others were told", liar: liar{begins: func() func(byte, string) []lie {
		return func(first byte, data string) []lie {
			if first == lieText && strings.HasPrefix(data, `{"opcode":"setup","payload"`) {
				return []lie{{first, data}, {first, data}}
			}
			return asIs(first, data)
		}
	}}},
	{name: "nothing is cleared", cases: []string{"wire/a value that is cleared"}, why: "gas-price became", liar: liar{up: swaps(`"value":null`, `"value":"7"`)}},
	{name: "unknown parameters are taken", cases: []string{"wire/unknown parameters", "rules/bad values", "rules/a request is taken"}, why: "the errors are []", liar: liar{down: rewrites(`"errors":.*`, `"errors":[]}}`)}},
	{name: "half of a request is taken", cases: []string{"rules/a request is taken"}, why: "gas-price became", liar: liar{up: swaps(`{"name":"no-such-parameter","value":"1 \u0026 2"}`, `{"name":"chain"}`)}},
	{name: "subscribing does nothing", cases: []string{"rules/who subscribes"}, why: "heard of a change", liar: liar{up: swaps(`"opcodes":[]`, `"opcodes":["setup"]`)}},
	{name: "another text", cases: []string{"wire/no Node"}, why: "Cannot handle", liar: liar{down: swaps("Node is not running", "there is no Node")}},
	{name: "another code", cases: []string{"wire/no Node"}, why: "Cannot handle", liar: liar{down: swaps("9223372036854775810", "9223372036854775811")}},
	{name: "undelivered for others", cases: []string{"wire/isolated messages are"}, why: "undelivered", liar: liar{down: rewrites(`("opcode":"undelivered","payload":\{"opcode":")`, `${1}x`)}},
}

// sentOn is what a Daemon with a Node does.
var sentOn = []fault{
	{name: "payload as an object", where: leading, cases: []string{"wire/unknown requests", "wire/isolated messages too", "wire/a redirect has", "wire/only who", "wire/the Node answers"}, why: "the redirect", liar: liar{down: rewrites(`("opcode":"redirect".*"payload":)".*"`, `${1}{}`)}},
	{name: "payload made anew", where: leading, cases: []string{"wire/a redirect has"}, why: "the payload became", liar: liar{down: swaps(`{ \"b\" :`, `{\"b\":`)}},
	{name: "no contextId", where: leading, cases: []string{"wire/isolated messages too"}, why: "without port or contextId", liar: liar{down: swaps(`"contextId":null,`, "")}},
	{name: "floats", where: leading, cases: []string{"wire/unknown requests"}, why: "another conversation", liar: liar{down: swaps("9007199254740993,", "9007199254740992,")}},
	{name: "all are redirected", where: leading, cases: []string{"wire/only who"}, why: "redirect", liar: liar{down: func(first byte, data string) []lie {
		if strings.Contains(data, `"opcode":"setup"`) {
			return []lie{{first, `{"opcode":"redirect","payload":{"port":1,"opcode":"x","contextId":1,"payload":"{}"}}`}, {first, data}}
		}
		return asIs(first, data)
	}}},
	{name: "to another port", where: leading, cases: []string{"wire/the Node answers"}, why: "at port 1: ", liar: liar{down: rewrites(`"port":\d+`, `"port":1`)}},
	{name: "a second Node", where: leading, cases: []string{"wire/start says"}, why: "9223372036854775811", liar: liar{down: rewrites(`"error":.*already running.*`, `"payload":{"newProcessId":1,"redirectUiPort":1}}`)}},
	{name: "not frozen", where: leading, cases: []string{"wire/the Setup space"}, why: "gas-price became", liar: liar{begins: thaws}},
}

// thaws has a Daemon with a Node take one change.
func thaws() func(first byte, data string) []lie {
	n := 0
	change := rewrites(`("name":"gas-price","value":)"[^"]*","status":"[^"]*"`, `${1}"7","status":"Set"`)
	return func(first byte, data string) []lie {
		if n++; n == 2 { // the first one is a dump
			return change(first, data)
		}
		return asIs(first, data)
	}
}

// ofNode is what a Node says.
var ofNode = append([]fault{
	{name: "another stage", where: led, cases: []string{"wire/connectionStatus"}, why: "the stage is", liar: liar{down: rewrites(`"stage":"[^"]*"`, `"stage":"Lost"`)}},
	{name: "other keys", where: led, cases: []string{"wire/descriptor", "wire/checkPassword answers", "rules/neighborhoodGraph", "rules/peers", "rules/channels", "rules/nodeStats", "rules/hostStats"}, why: "is without", liar: liar{down: rewrites(`"payload":\{.*`, `"payload":{"x":1}}`)}},
	{name: "other kinds", where: led, cases: []string{"wire/descriptor", "wire/checkPassword answers", "rules/neighborhoodGraph", "rules/peers", "rules/channels"}, why: "and no ", liar: liar{down: rewrites(`("payload":\{"\w+":).*`, `${1}1}}`)}},
	{name: "silence", where: led, cases: []string{"rules/unknown requests", "rules/a Node does not"}, why: "nothing came", silent: true, liar: liar{up: func(first byte, data string) []lie {
		if strings.Contains(data, "conformDance") || strings.Contains(data, `"setup"`) {
			return nil
		}
		return asIs(first, data)
	}}},
	{name: "no levels", where: led, cases: []string{"rules/subscribing"}, why: "where error", liar: liar{up: swaps(`"minLogLevel":"error"`, `"minLogLevel":"Error"`)}},
	{name: "everybody is there", where: led, cases: []string{"rules/nodes that"}, why: "where error", liar: liar{up: swaps(`{"node":"no-such-node.example"}`, `{}`)}},
	{name: "errors of another code at the Node", where: led, cases: []string{"wire/setConfiguration", "rules/setConfiguration", "wire/checkPassword refuses", "wire/changePassword refuses"}, why: "where error", liar: liar{down: rewrites(`"code":\d+`, `"code":1`)}},
	{name: "another configuration", where: led, cases: []string{"wire/configuration", "rules/configuration"}, why: "configuration is without", liar: liar{down: rewrites(`"payload":\{.*`, `"payload":{}}`)}},
	{name: "told that nobody is linked", where: led, cases: []string{"wire/connectionStatus"}, why: "nobody has subscribed to it", liar: liar{down: func(first byte, data string) []lie {
		return []lie{{first, `{"opcode":"connectionChange","payload":{"stage":"NotConnected"}}`}, {first, data}}
	}}},
}, died()...)

// died leaves out, one by one, what existing user interfaces cannot do without.
func died() (all []fault) {
	for _, key := range []string{
		"chainName", "gasPrice", "startBlock", "portMappingProtocol", "paymentThresholds", "ratePack", "scanIntervals",
		"thresholdIntervalSec", "debtThresholdGwei", "paymentGracePeriodSec", "maturityThresholdSec", "permanentDebtAllowedGwei", "unbanBelowGwei",
		"routingByteRate", "routingServiceRate", "exitByteRate", "exitServiceRate", "pendingPayableSec", "payableSec", "receivableSec",
	} {
		all = append(all, fault{
			name: "no " + key, where: led, cases: []string{"wire/configuration has"}, why: "configuration is without ",
			liar: liar{down: swaps(`"`+key+`":`, `"no`+key+`":`)},
		})
	}
	return all
}
