package ui

import (
	"fmt"

	"parley/cmd/parley/conform/suite"
)

// Sizes of what is asked at once: no more than servers read before they have answered.
const (
	inOneRow  = 60
	atOnce    = 8
	inEachRow = 7
	manyTalks = 1100
)

// step is the nth request of a row. Those of a Daemon show their place in their opcodes; those of a Node, where not all servers
// answer what they do not know, alternate.
func (a *peer) step(n int) (opcode string) {
	if a.role == Node {
		return []string{"connectionStatus", "configuration", "descriptor"}[n%3]
	}
	return fmt.Sprintf("%s%d", dance, n)
}

// reply is the next answer to anything: what was asked, and in which conversation.
func (a *peer) reply() (opcode string, id uint64) {
	f := a.next("an answer")
	switch {
	case f == nil:
		return "", 0
	case f.context != nil:
		return f.opcode, *f.context
	case f.opcode == "redirect":
		r, err := f.redirected()
		if a.p.Demand(err == nil, "%w", err) && a.p.Demand(r.Context != nil, "%.300s is of no conversation", f.text) {
			return r.Opcode, *r.Context
		}
	}
	a.p.Fail("%.300s came, where an answer was due", f.text)
	return "", 0
}

// ordering is conversations.
func ordering(o *Options) []suite.Case {
	return []suite.Case{
		scene(o, "wire/requests of a conversation are answered in order", func(p *play) {
			a := p.connect()
			for n := range inOneRow {
				a.sends(a.step(n), 7, "{}")
			}
			for n := range inOneRow {
				opcode, id := a.reply()
				p.Demand(opcode == a.step(n) && id == 7, "%s was answered in conversation %d, where %s in conversation 7 was due", opcode, id, a.step(n))
			}
			a.fence()
		}),
		scene(o, "wire/so are those that cannot be understood", func(p *play) {
			a := p.connect()
			opcode, payload := a.harmless()
			for range 3 {
				a.sends(opcode, 7, payload)
				a.sends(opcode, 7, "[]")
			}
			for range 3 {
				if f := a.answer(7); f != nil {
					p.Demand(f.code == 0 && f.opcode == opcode, "%.300s came out of turn", f.text)
				}
				a.faulted(opcode, 7, codeUnmarshal)
			}
			a.fence()
		}),
		scene(o, "wire/conversations go on side by side, each in order", func(p *play) {
			a := p.connect()
			for n := range inEachRow {
				for id := range uint64(atOnce) {
					a.sends(a.step(n), id, "{}")
				}
			}
			var answered [atOnce]int
			for range atOnce * inEachRow {
				opcode, id := a.reply()
				if !p.Demand(id < atOnce, "%s was answered in conversation %d, where nobody asked", opcode, id) {
					return
				}
				p.Demand(opcode == a.step(answered[id]), "%s was answered in conversation %d, where %s was due", opcode, id, a.step(answered[id]))
				answered[id]++
			}
			a.fence()
		}),
		scene(o, "wire/answers go to who asked", func(p *play) {
			a, b := p.connect(), p.connect()
			opcode, payload := a.harmless()
			a.sends(opcode, 7, payload)
			a.answer(7)
			a.sends(dance, 7, "[]")
			a.faulted(dance, 7, codeUnmarshal)
			a.says("nonsense")
			a.isolated("unmarshalError")
			b.sends(opcode, 7, payload)
			b.answer(7)
			a.fence()
			b.fence()
		}),
		scene(o, "rules/conversations come and go", func(p *play) {
			a := p.connect()
			opcode, _ := a.harmless()
			for id := range uint64(manyTalks) {
				a.sends(opcode, id, "[]")
				a.faulted(opcode, id, codeUnmarshal)
			}
		}),
	}
}
