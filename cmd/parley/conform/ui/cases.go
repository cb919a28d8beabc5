package ui

import (
	"strings"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// Codes of errors. Source: gateways/uiv2/PROTOCOL.md, Errors.
const (
	codeUnmarshal   uint64 = 1<<63 | 4
	codeUnknownName uint64 = 1<<48 | 11
	codeUnparsable  uint64 = 1<<48 | 12
	codeNode        uint64 = 0x50<<48 | 3
)

// Why cases cannot be tried.
const (
	noDaemon  = "the server is no Daemon"
	noNode    = "the server is no Node"
	idle      = "the Daemon has no Node"
	isRunning = "the Daemon has a Node"
)

// Cases are all of them, for a server that is who the options say.
func Cases(o Options) []suite.Case {
	p := &o
	daemon := p.Role == Daemon
	var all []suite.Case
	for _, group := range []func(*Options) []suite.Case{connecting, refusing, framing, breaking, misreading, mistaking, counting, strict, ordering} {
		all = append(all, group(p)...)
	}
	all = append(all, suite.Needs(daemon, noDaemon, dumping(p)...)...)
	for _, group := range []func(*Options) []suite.Case{changing, rejecting, subscribing, alone} {
		all = append(all, suite.Needs(daemon, noDaemon, suite.Needs(!p.Running, isRunning, group(p)...)...)...)
	}
	all = append(all, suite.Needs(daemon, noDaemon, suite.Needs(p.Running, idle, redirecting(p)...)...)...)
	for _, group := range []func(*Options) []suite.Case{standing, configuring} {
		all = append(all, suite.Needs(p.Role == Node, noNode, group(p)...)...)
	}
	return all
}

func slow(c suite.Case) suite.Case {
	c.Slow = true
	return c
}

func contains(text, word string) bool { return strings.Contains(text, word) }

// dance is an opcode that nobody knows: an existing user interface finds the Node with such a one.
const dance = "conformDance"

// unknown is what a request gets whose opcode nobody knows, by where it is sent. id nil: it was isolated.
func (a *peer) unknown(opcode string, id *uint64) {
	switch {
	case a.done():
	case a.role == Daemon && a.p.o.Running:
		if r, err := a.isolated("redirect").maybe(); a.p.Demand(err == nil, "%w", err) && r != nil {
			a.p.Demand(r.Opcode == opcode && (id == nil) == (r.Context == nil) && (id == nil || *id == *r.Context), "it redirects %s in another conversation, not %s", r.Opcode, opcode)
		}
	case id == nil:
		if f := a.isolated("undelivered"); f != nil {
			var in struct {
				Opcode string `json:"opcode"`
			}
			err := talk.Decode(f.payload, &in, "opcode")
			a.p.Demand(err == nil && in.Opcode == opcode, "%.300s came, where %s was undelivered", f.text, opcode)
		}
	case a.role == Daemon:
		f := a.answer(*id)
		want := "Cannot handle " + opcode + " request: Node is not running"
		if f != nil {
			a.p.Demand(f.opcode == opcode && f.code == talk.CodeNoNode && f.message == want, "%.300s came, not error %d, %q", f.text, talk.CodeNoNode, want)
		}
	default:
		a.faulted(opcode, *id, codeUnmarshal, opcode)
	}
}

// maybe reads a redirect, if there is one.
func (f *frame) maybe() (*redirect, error) {
	if f == nil {
		return nil, nil
	}
	return f.redirected()
}
