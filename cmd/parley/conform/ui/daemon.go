package ui

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// statuses of values. Source: gateways/uiv2/PROTOCOL.md, Setup space.
var statuses = []string{"Set", "Configured", "Default", "Blank", "Required"}

// veil stands for a secret that is set.
const veil = "****************"

// dumped reads the payload of setup.
func (a *peer) dumped(f *frame) *dump {
	d := &dump{}
	if a.done() || f == nil {
		return d
	}
	if !a.p.Demand(f.opcode == "setup" && f.code == 0, "setup was answered %.300s", f.text) {
		return d
	}
	if err := talk.Decode(f.payload, d, "running", "values", "errors"); err != nil {
		a.p.Fail("setup: %.300s: %w", f.text, err)
	}
	return d
}

// space asks for a dump.
func (a *peer) space() *dump { return a.dumped(a.answer(a.asks("setup", `{"values":[]}`))) }

// sets asks for changes: names and values by turns. A nil value clears.
func (a *peer) sets(pairs ...*string) (*frame, *dump) {
	type change struct {
		Name  *string `json:"name"`
		Value *string `json:"value"`
	}
	var in struct {
		Values []change `json:"values"`
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		in.Values = append(in.Values, change{pairs[i], pairs[i+1]})
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // strings
	}
	f := a.answer(a.asks("setup", string(b)))
	return f, a.dumped(f)
}

// dumping is what setup says, whether a Node runs or not.
func dumping(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/setup always has chain and data-directory", func(p *play) {
			d := p.connect().space()
			for _, name := range []string{"chain", "data-directory"} {
				v, ok := d.find(name)
				p.Demand(ok && v.Status != "", "setup is without %s", name)
			}
		}),
		scene(o, "wire/setup is sorted, and has known statuses", func(p *play) {
			d := p.connect().space()
			p.Demand(slices.IsSortedFunc(d.Values, func(a, b value) int { return compare(a.Name, b.Name) }), "the values are not sorted")
			for i, v := range d.Values {
				p.Demand(slices.Contains(statuses, v.Status), "%s has status %q", v.Name, v.Status)
				p.Demand(i == 0 || d.Values[i-1].Name != v.Name, "%s stands twice", v.Name)
			}
		}),
		scene(o, "wire/setup says whether a Node runs", func(p *play) {
			d := p.connect().space()
			p.Demand(d.Running == o.Running, "running is %t", d.Running)
		}),
		scene(o, "rules/secrets are shown as asterisks", func(p *play) {
			d := p.connect().space()
			for _, name := range []string{"db-password", "relay-token", "consuming-private-key"} {
				v, _ := d.find(name)
				p.Demand(v.Value == "" || v.Value == veil, "%s is shown", name)
			}
		}),
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// redirecting is what a Daemon does with requests for its Node.
func redirecting(o *Options) []suite.Case {
	const odd = `{ "b" : [ 1.0, "\u0041\/ä\"" ],"a":null,"n":9007199254740993 }`
	sent := func(p *play, context string) (*peer, *redirect) {
		a := p.connect()
		a.says(`{"opcode":"` + dance + `"` + context + `,"payload":` + odd + `}`)
		r, err := a.isolated("redirect").maybe()
		if !p.Demand(err == nil && r != nil, "%w", err) {
			r = &redirect{}
		}
		return a, r
	}
	return []suite.Case{
		scene(o, "wire/unknown requests are redirected", func(p *play) {
			a, r := sent(p, `,"contextId":9007199254740993`)
			p.Demand(r.Opcode == dance && r.Context != nil && *r.Context == 9007199254740993, "it redirects %s of another conversation", r.Opcode)
			a.fence()
		}),
		scene(o, "wire/isolated messages too, with null as contextId", func(p *play) {
			a, r := sent(p, "")
			p.Demand(r.Opcode == dance && r.Context == nil, "it redirects %s as of a conversation", r.Opcode)
			a.fence()
		}),
		scene(o, "wire/a redirect has the payload as a string, byte for byte", func(p *play) {
			_, r := sent(p, `,"contextId":1`)
			p.Demand(r.Payload == odd, "the payload became %q", r.Payload)
		}),
		scene(o, "wire/only who asked is redirected", func(p *play) {
			b := p.connect()
			b.fence()
			sent(p, `,"contextId":1`)
			b.fence()
		}),
		scene(o, "wire/the Node answers where a redirect leads", func(p *play) {
			a := p.connect()
			a.sends("configuration", 7, "{}")
			r, err := a.isolated("redirect").maybe()
			host, _, _ := net.SplitHostPort(o.Address)
			if !p.Demand(err == nil && r != nil, "%w", err) {
				return
			}
			b, _, err := p.tries(net.JoinHostPort(host, strconv.Itoa(int(r.Port))), knock{header: offer()})
			p.Demand(err == nil, "nobody lets us in at port %d: %v", r.Port, err) // the server itself is there
			b.role = Node
			b.says(fmt.Sprintf(`{"opcode":%q,"contextId":%d,"payload":%s}`, r.Opcode, *r.Context, r.Payload))
			if f := b.answer(7); f != nil {
				p.Demand(f.opcode == "configuration", "%.300s came", f.text)
			}
			a.fence()
		}),
		scene(o, "wire/start says that a Node runs", func(p *play) {
			a := p.connect()
			a.faulted("start", a.asks("start", "{}"), talk.CodeRunning, "Could not launch Node: already running")
		}),
		scene(o, "wire/the Setup space is frozen", func(p *play) {
			a, b := p.connect(), p.connect()
			b.fence()
			c := p.changes(a)
			_, d := a.sets(&c.name, &c.value)
			got, _ := d.find(c.name)
			p.Demand(d.Running && got == c.was, "%s became %+v, and running is %t", c.name, got, d.Running)
			b.fence()
			p.Demand(b.heard["setup"] == 0, "others were told of a change")
		}),
	}
}
