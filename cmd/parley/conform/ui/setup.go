package ui

import (
	"context"

	"parley/cmd/parley/conform/suite"
)

// change is what a case does with a parameter that does not matter, and how that was.
type change struct {
	name, value string
	was         value
}

// harmlessChanges are parameters of which one is changed, with two values each.
var harmlessChanges = []struct{ name, one, other string }{
	{"gas-price", "7", "8"},
	{"log-level", "debug", "trace"},
}

// secretName is a parameter whose value is secret and means nothing, and secretValue one.
const (
	secretName  = "consuming-private-key"
	secretValue = "c0f0e1d2c3b4a5968778695a4b3c2d1e0f0e1d2c3b4a5968778695a4b3c2d1e0"
)

// changes picks a parameter, and has it put back at the end of the case, whatever becomes of that.
func (p *play) changes(a *peer) *change {
	c := &change{}
	d := a.space()
	for _, h := range harmlessChanges {
		if v, ok := d.find(h.name); ok && c.name == "" {
			*c = change{h.name, h.one, v}
			if v.Value == h.one {
				c.value = h.other
			}
		}
	}
	if p.Demand(c.name != "" || a.done(), "setup has no parameter that could be changed") {
		p.putsBack(c.name, c.was)
	}
	return c
}

// putsBack has a parameter as it was when the case is over. One that is not known has no value.
func (p *play) putsBack(name string, was value) {
	p.undo = func() {
		q := &play{ctx: context.WithoutCancel(p.ctx), o: p.o}
		defer q.leave()
		a := q.connect()
		if now, _ := a.space().find(name); now != was && !a.done() {
			old := &was.Value
			if was.Status != "Set" {
				old = nil
			}
			_, d := a.sets(&name, old)
			now, _ = d.find(name)
			q.Demand(now == was, "%s is %+v and was %+v", name, now, was)
		}
		if q.Err != nil {
			p.Fail("the Setup space could not be put back: %w", q.Err)
		}
	}
}

// applied sets a value, and returns the answer.
func (a *peer) applied(name string, to *string) *frame {
	f, d := a.sets(&name, to)
	v, _ := d.find(name)
	a.p.Demand(len(d.Errors) == 0, "%s was refused: %q", name, d.Errors)
	if to != nil {
		a.p.Demand(v.Value == *to && v.Status == "Set", "%s became %+v", name, v)
	}
	return f
}

// hears waits for the broadcast of a change, which has in it what the answer to the change had.
func (a *peer) hears(answer *frame) {
	f := a.broadcast("setup")
	if f != nil && answer != nil {
		a.p.Demand(same(f.payload, answer.payload), "others were told something else than who made the change")
		a.p.Demand(f.ordered(), "the keys of the broadcast are %q", f.keys)
	}
}

// changing is what a change does.
func changing(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/a change is told to all others, without contextId", func(p *play) {
			a, b, d := p.connect(), p.connect(), p.connect()
			b.fence()
			d.fence()
			c := p.changes(a)
			answer := a.applied(c.name, &c.value)
			b.hears(answer)
			d.hears(answer)
			if c.was.Status != "Set" {
				answer = a.applied(c.name, nil)
				b.hears(answer)
				d.hears(answer)
			}
		}),
		scene(o, "wire/who makes a change is not told of it", func(p *play) {
			a, b := p.connect(), p.connect()
			b.fence()
			c := p.changes(a)
			b.hears(a.applied(c.name, &c.value))
			a.fence()
			p.Demand(a.heard["setup"] == 0, "who made the change was told, too")
		}),
		scene(o, "wire/the same value again is no change", func(p *play) {
			a, b := p.connect(), p.connect()
			b.fence()
			c := p.changes(a)
			b.hears(a.applied(c.name, &c.value))
			a.applied(c.name, &c.value)
			b.fence()
			p.Demand(b.heard["setup"] == 0, "others were told of it")
		}),
		scene(o, "wire/a value that is cleared is as before", func(p *play) {
			a := p.connect()
			c := p.changes(a)
			a.applied(c.name, &c.value)
			_, d := a.sets(&c.name, nil)
			v, _ := d.find(c.name)
			p.Demand(v.Status != "Set" && (c.was.Status == "Set" || v == c.was), "%s became %+v, and was %+v", c.name, v, c.was)
		}),
		scene(o, "rules/secrets are never shown", func(p *play) {
			a, b := p.connect(), p.connect()
			b.fence()
			was, ok := a.space().find(secretName)
			if was.Status == "Set" || !p.Demand(ok, "setup has no %s", secretName) {
				return // nobody could put it back
			}
			p.putsBack(secretName, was)
			name, secret := secretName, secretValue
			f, d := a.sets(&name, &secret)
			v, _ := d.find(name)
			p.Demand(v.Value == veil && v.Status == "Set", "%s became %+v", name, v)
			for _, g := range []*frame{f, b.broadcast("setup")} {
				p.Demand(g == nil || !contains(g.text, secret), "the secret is shown")
			}
		}),
	}
}

// rejecting is what setup does not take.
func rejecting(o *Options) []suite.Case {
	nobody, bad := "no-such-parameter", "1 & 2"
	return []suite.Case{
		scene(o, "wire/unknown parameters are named", func(p *play) {
			a := p.connect()
			p.putsBack(nobody, value{})
			_, d := a.sets(&nobody, &bad)
			_, stored := d.find(nobody)
			p.Demand(d.complains(nobody) && !stored, "the errors are %q", d.Errors)
		}),
		scene(o, "rules/bad values are named, and not stored", func(p *play) {
			a := p.connect()
			name := "chain"
			was, _ := a.space().find(name)
			p.putsBack(name, was)
			_, d := a.sets(&name, &bad)
			now, _ := d.find(name)
			p.Demand(d.complains(name) && now == was, "%s became %+v, and the errors are %q", name, now, d.Errors)
		}),
		scene(o, "rules/a request is taken whole or not at all", func(p *play) {
			a, b := p.connect(), p.connect()
			b.fence()
			c := p.changes(a)
			_, d := a.sets(&c.name, &c.value, &nobody, &bad)
			now, _ := d.find(c.name)
			p.Demand(d.complains(nobody) && now == c.was, "%s became %+v, and the errors are %q", c.name, now, d.Errors)
			b.fence()
			p.Demand(b.heard["setup"] == 0, "others were told of a change")
		}),
	}
}

// subscribing is who wants to hear what.
func subscribing(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "rules/who subscribes hears what it named", func(p *play) {
			a, b, d := p.connect(), p.connect(), p.connect()
			d.fence()
			b.agrees("subscribe", `{"opcodes":[]}`)
			c := p.changes(a)
			d.hears(a.applied(c.name, &c.value))
			b.fence()
			p.Demand(b.heard["setup"] == 0, "who wants to hear nothing heard of a change")
			b.agrees("subscribe", `{"opcodes":["setup"]}`)
			if f, _ := a.sets(&c.name, nil); c.was.Status != "Set" {
				b.hears(f)
			}
		}),
	}
}

// agrees asks for something that is answered with an empty payload.
func (a *peer) agrees(opcode, payload string) {
	if f := a.answer(a.asks(opcode, payload)); f != nil {
		a.p.Demand(f.opcode == opcode && string(f.payload) == "{}", "%.300s came", f.text)
	}
}

// alone is what a Daemon says of requests for a Node that it does not have.
func alone(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/no Node is running", func(p *play) {
			a := p.connect()
			for _, opcode := range []string{dance, "checkPassword", "shutdown"} {
				id := a.asks(opcode, "{}")
				a.unknown(opcode, &id)
			}
		}),
		scene(o, "wire/isolated messages are undelivered", func(p *play) {
			a := p.connect()
			a.says(`{"opcode":"` + dance + `","payload":{"steps":3}}`)
			a.unknown(dance, nil)
			a.fence()
		}),
	}
}
