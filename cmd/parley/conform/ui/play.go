package ui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/talk"
)

// Roles of servers.
const (
	Daemon = "daemon"
	Node   = "node"
)

// Options say what is tried, and how.
type Options struct {
	Address string        // of the server, host:port
	Role    string        // Daemon or Node
	Running bool          // the Daemon has a Node
	Limit   int           // bytes of the longest message that it takes
	Answer  time.Duration // the longest wait for what must come
}

// Survey finds out who a server is, and whether a Daemon has a Node. It changes nothing there.
func Survey(ctx context.Context, o *Options) error {
	one := *o
	c := scene(&one, "", func(p *play) {
		a := p.connect()
		id := a.asks("setup", `{"values":[]}`)
		f := a.answer(id)
		switch {
		case a.done():
		case f.code != 0:
			o.Role = Node
		default:
			o.Role, o.Running = Daemon, a.dumped(f).Running
		}
	})
	return c.Run(ctx)
}

// play is one case while it runs.
type play struct {
	suite.Play

	ctx   context.Context
	o     *Options
	peers []*peer
	undo  func() // nil: nothing was changed
}

// scene makes a case of its steps.
func scene(o *Options, name string, steps func(p *play)) suite.Case {
	return suite.Case{Name: name, Run: func(ctx context.Context) error {
		p := &play{ctx: ctx, o: o}
		defer p.leave()
		steps(p)
		if p.undo != nil {
			p.undo()
		}
		return p.Err
	}}
}

func (p *play) leave() {
	for _, a := range p.peers {
		_ = a.w.conn.Close()
	}
}

// offer is what user interfaces of this protocol ask for.
func offer(more ...string) http.Header {
	h := http.Header{"Sec-Websocket-Protocol": {talk.Subprotocol}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Add(more[i], more[i+1])
	}
	return h
}

// tries knocks, and returns the header of an upgrade.
func (p *play) tries(address string, k knock) (*peer, http.Header, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Answer)
	defer cancel()
	w, header, err := open(ctx, address, k)
	if errors.Is(err, errConnect) {
		err = fmt.Errorf("%w: %w", suite.ErrUnreachable, err)
	}
	if err != nil {
		return &peer{p: p}, nil, err
	}
	a := &peer{p: p, w: w, role: p.o.Role, heard: map[string]int{}}
	p.peers = append(p.peers, a)
	return a, header, nil
}

// enters knocks, and must be let in.
func (p *play) enters(k knock) (*peer, http.Header) {
	if p.Err != nil {
		return &peer{p: p}, nil
	}
	a, header, err := p.tries(p.o.Address, k)
	if err != nil {
		p.Fail("%w", err)
	}
	return a, header
}

// connect opens a connection as user interfaces do.
func (p *play) connect() *peer {
	a, _ := p.enters(knock{header: offer()})
	return a
}

// keptOut knocks, and must be refused with a status.
func (p *play) keptOut(code int, what string, k knock) (body []byte) {
	if p.Err != nil {
		return nil
	}
	_, _, err := p.tries(p.o.Address, k)
	var r *refused
	switch {
	case err == nil:
		p.Fail("%s was let in", what)
	case !errors.As(err, &r):
		p.Fail("%s: %w", what, err)
	case r.code != code:
		p.Fail("%s was refused with %d, not %d", what, r.code, code)
	default:
		body = r.body
	}
	return body
}

// peer is one connection of a case. Broadcasts, which may come at any time, are counted and passed over.
type peer struct {
	p     *play
	w     *wire  // nil: the play has failed
	role  string // of who is at the other end
	asked uint64
	heard map[string]int // broadcasts passed over, by opcode
}

// done says whether nothing is to be done any more.
func (a *peer) done() bool { return a.w == nil || a.p.Err != nil }

// says sends a text message.
func (a *peer) says(text string) { a.writes(part(finBit|opText, text)) }

// writes writes bytes that may be no frame.
func (a *peer) writes(b []byte) {
	if a.done() {
		return
	}
	_ = a.w.conn.SetWriteDeadline(time.Now().Add(a.p.o.Answer))
	if err := a.w.write(b); err != nil {
		a.p.Fail("the connection was ended: %w", err)
	}
}

// asks sends a request in a conversation of its own, and returns its number.
func (a *peer) asks(opcode, payload string) (id uint64) {
	a.asked++
	a.sends(opcode, a.asked, payload)
	return a.asked
}

func (a *peer) sends(opcode string, id uint64, payload string) {
	a.says(fmt.Sprintf(`{"opcode":%q,"contextId":%d,"payload":%s}`, opcode, id, payload))
}

// event is the next thing that the server says.
func (a *peer) event(what string) event {
	if a.done() {
		return event{}
	}
	e, err := a.w.next(time.Now().Add(a.p.o.Answer))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.p.Fail("nothing came for %v, where %s was due", a.p.o.Answer, what)
	case err != nil && ended(err):
		a.p.Fail("the connection was ended without a goodbye, where %s was due", what)
	case err != nil:
		a.p.Fail("where %s was due: %w", what, err)
	}
	return e
}

// message is the next message, broadcasts too; nil: the case has failed.
func (a *peer) message(what string) *frame {
	e := a.event(what)
	switch {
	case a.done():
		return nil
	case e.kind == opClose:
		a.p.Fail("the connection was closed with %d %q, where %s was due", e.code, e.reason, what)
		return nil
	case e.kind == opPong:
		a.p.Fail("a pong came, where %s was due", what)
		return nil
	}
	f, err := parse(e.data)
	if err != nil {
		a.p.Fail("malformed: %w", err)
		return nil
	}
	return f
}

// answers are the isolated messages that a request or a bad frame gets. All others are broadcasts.
var answers = map[string]bool{"redirect": true, "undelivered": true, "unmarshalError": true}

// next is the next message that is no broadcast; nil: the case has failed.
func (a *peer) next(what string) *frame {
	for {
		f := a.message(what)
		if f == nil || f.context != nil || answers[f.opcode] {
			return f
		}
		a.passes(f)
	}
}

// broadcasts are what some of them must have, and who hears of them does not have to have asked.
var broadcasts = map[string][]field{
	"setup":            {{"running", "boolean"}, {"values", "array"}, {"errors", "array"}},
	"crashed":          {{"processId", "integer"}, {"crashReason", "string or object"}},
	"connectionChange": {{"stage", "string"}},
	"logBroadcast":     {{"msg", "string"}, {"logLevel", "string"}},
}

// passes counts a broadcast. One of them kills existing user interfaces. Source: gateways/uiv2/PROTOCOL.md, Messages of the Node.
func (a *peer) passes(f *frame) {
	a.heard[f.opcode]++
	a.checks(f, broadcasts[f.opcode]...)
	a.p.Demand(f.code == 0, "the broadcast %.300s is an error", f.text)
	a.p.Demand(f.opcode != "connectionChange" || !contains(string(f.payload), `"NotConnected"`), "connectionChange with NotConnected came, and nobody has subscribed to it")
}

// answer is the next message, which must be of that conversation.
func (a *peer) answer(id uint64) *frame {
	f := a.next(fmt.Sprintf("the answer in conversation %d", id))
	if f != nil && (f.context == nil || *f.context != id) {
		a.p.Fail("%.300s came, where the answer in conversation %d was due", f.text, id)
	}
	return f
}

// isolated is the next message, which must have that opcode and no contextId.
func (a *peer) isolated(opcode string) *frame {
	f := a.next("an isolated " + opcode)
	if f != nil && (f.context != nil || f.opcode != opcode) {
		a.p.Fail("%.300s came, where an isolated %s was due", f.text, opcode)
	}
	return f
}

// broadcast is the next broadcast of an opcode; others are passed over.
func (a *peer) broadcast(opcode string) *frame {
	for {
		f := a.message("the broadcast " + opcode)
		switch {
		case f == nil:
			return nil
		case f.context != nil || answers[f.opcode]:
			a.p.Fail("%.300s came, where the broadcast %s was due", f.text, opcode)
			return nil
		case f.opcode == opcode:
			return f
		}
		a.passes(f)
	}
}

// harmless is a request that the server knows and that changes nothing.
func (a *peer) harmless() (opcode, payload string) {
	if a.role == Node {
		return "connectionStatus", "{}"
	}
	return "setup", `{"values":[]}`
}

// fence says that the connection lives, and that nothing but broadcasts has come that was not looked at.
func (a *peer) fence() {
	opcode, payload := a.harmless()
	f := a.answer(a.asks(opcode, payload))
	if !a.done() {
		a.p.Demand(f.code == 0, "%s was answered %.300s", opcode, f.text)
	}
}

// closed waits for the server to close with a code. What it says before that is passed over.
func (a *peer) closed(code int, after string) {
	for {
		e := a.event(fmt.Sprintf("a close with %d, after %s", code, after))
		if a.done() {
			return
		}
		if e.kind == opClose {
			a.p.Demand(e.code == code, "it was closed with %d, not %d, after %s", e.code, code, after)
			return
		}
	}
}

// faulted hears an error in a conversation, whose text has those words in it.
func (a *peer) faulted(opcode string, id, code uint64, words ...string) {
	f := a.answer(id)
	if a.done() || !a.p.Demand(f.opcode == opcode && f.code == code, "%.300s came, where error %d of %s was due", f.text, code, opcode) {
		return
	}
	for _, word := range words {
		a.p.Demand(contains(f.message, word), "the text %q is without %q", f.message, word)
	}
}
