package enclave

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/testkit"
)

// world is some nodes, each with the real book, friends and strangers, among
// paper: stores, outboxes, chronicles, front ends, and connections that behave
// like TCP. A seeded driver runs all of it on one goroutine.
type world struct {
	t      testing.TB
	d      *testkit.Driver
	rng    *rand.Rand
	sys    *actor.ActorSystem
	nodes  map[string]*node // by address
	ends   []*end           // of all connections there ever were
	delay  func() time.Duration
	takes  func() time.Duration // until a link has taken what it was to pace; nil: no time
	papers []*actor.PID
}

func newWorld(t testing.TB, d *testkit.Driver, opts ...testkit.SystemOption) *world {
	t.Helper()
	w := &world{t: t, d: d, rng: rand.New(rand.NewPCG(d.Seed(), 3)), nodes: map[string]*node{}}
	w.sys = testkit.System(t, append(opts, testkit.Under(d))...)
	w.delay = func() time.Duration { return time.Millisecond }
	return w
}

func (w *world) stop() {
	w.t.Helper()
	testkit.Ending(w.sys)
	for _, n := range w.nodes {
		if n.top != nil {
			w.sys.Root.Stop(n.top)
		}
	}
	w.d.Settle()
	for _, e := range w.ends {
		if !e.gone {
			w.papers = append(w.papers, e.pid)
		}
	}
	testkit.Stop(w.t, w.sys, w.papers...)
}

// up is which ends at a node are open.
func (w *world) up(n *node) (out []*end) {
	for _, e := range w.ends {
		if e.node == n && !e.gone {
			out = append(out, e)
		}
	}
	return out
}

// node is one node, or what a test plays in the place of one.
type node struct {
	w       *world
	address string
	name    string
	o       Options
	top     *actor.PID
	real    *Enclave
	friends *actor.PID // told of connections
	boxes   paperOutbox
	talk    paperChronicle
	store   *paperStore
	events  []*enclavepb.Event
	results []*enclavepb.Result
	dials   []*enclavepb.Dial
	dialled []time.Time
	dialing int // under way
	most    int // of dialing
	down    bool
	life    int // kills so far
	onDial  func(m *enclavepb.Dial) (failed *enclavepb.DialFailed, handled bool)
	asker   *actor.PID
}

// add starts a node of our own.
func (w *world) add(address string, change func(o *Options)) *node {
	return w.addWith(address, func(n *node) {
		if change != nil {
			change(&n.o)
		}
	})
}

func (w *world) addWith(address string, change func(n *node)) *node {
	n := w.prepare(address, change)
	n.start()
	w.d.Settle()
	return n
}

// prepare is addWith without the start.
func (w *world) prepare(address string, change func(n *node)) *node {
	n := &node{w: w, address: address, name: "node-" + address}
	n.o = Options{Alias: "alias of " + address, Local: address, Seed: w.d.Seed(), Dial: n.dial}
	change(n)
	w.nodes[address] = n
	n.asker = w.paper("asker-"+address, func(ctx actor.Context) {
		if r, ok := ctx.Message().(*enclavepb.Result); ok {
			n.results = append(n.results, r)
		}
	})
	return n
}

// foreign adds a node that knows nothing but the seed, and takes all links.
func (w *world) foreign(address string) *node {
	n := &node{w: w, address: address}
	w.nodes[address] = n
	n.friends = w.paper("foreign-"+address, func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *linkpb.Opened:
			ctx.Request(ctx.Sender(), &linkpb.Accepted{})
			ctx.Send(ctx.Sender(), shake("foreigner", Available))
		case *enclavepb.Packet:
			if m.Message != nil {
				n.talk.said = append(n.talk.said, m.GetMessage())
			}
		}
	})
	return n
}

// people are the friend actors of a node.
func (n *node) people() (out []*actor.PID) {
	for _, shard := range n.w.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if strings.HasPrefix(id, n.real.Friends.GetId()+"/") {
				out = append(out, actor.NewPID(n.top.GetAddress(), id))
			}
		}
	}
	slices.SortFunc(out, func(a, b *actor.PID) int { return strings.Compare(a.GetId(), b.GetId()) })
	return out
}

func (w *world) paper(name string, f func(actor.Context)) *actor.PID {
	pid := tree.Spawn(w.sys.Root, name, tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(f) }})
	w.papers = append(w.papers, pid)
	return pid
}

func (n *node) start() {
	n.down = false
	n.top = tree.Spawn(n.w.sys.Root, "", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			if n.store != nil {
				n.o.Store = tree.Spawn(ctx, "store", tree.Spec{Asked: true, New: func() actor.Actor { return n.store }})
			}
			n.real = spawn(ctx, n.o,
				func(*Options, *meet) actor.Actor { return &n.boxes },
				func(_ *Options, met *meet) actor.Actor { n.talk.frontends = met.frontends; return &n.talk },
				func(*Options, *meet) actor.Actor { return actor.ReceiveFunc(n.onTold) })
			n.friends = n.real.Friends
		})
	}})
}

// kill ends a node as kill -9 does: what is not in its store or outbox is gone.
func (n *node) kill() {
	testkit.Ending(n.w.sys)
	n.down = true
	n.life++
	for _, e := range n.w.up(n) {
		e.cut()
	}
	n.w.sys.Root.Stop(n.top)
	n.w.d.Settle()
	n.talk.queue = nil
}

func (n *node) onTold(ctx actor.Context) {
	if m, ok := ctx.Message().(*told); ok {
		n.events = append(n.events, m.event)
	}
}

// dial connects to the node of an address, as far as that is up.
func (n *node) dial(m *enclavepb.Dial) *enclavepb.DialFailed {
	w := n.w
	n.dials, n.dialled = append(n.dials, m), append(n.dialled, time.Now())
	n.dialing++
	n.most = max(n.most, n.dialing)
	if n.onDial != nil {
		if failed, handled := n.onDial(m); handled {
			if failed != nil {
				n.dialing--
			}
			return failed
		}
	}
	n.dialing--
	other := w.nodes[canonical(m.GetAddress())]
	if other == nil || other.down {
		return &enclavepb.DialFailed{Ticket: m.GetTicket(), Reason: "nobody there"}
	}
	w.connect(n, m.GetTicket(), other)
	return nil
}

// ask sends commands to the actor that is for them, and returns the answers that
// came at once.
func (n *node) ask(commands ...*enclavepb.Command) []*enclavepb.Result {
	n.results = nil
	for _, c := range commands {
		to := n.real.Friends
		switch c.GetBody().(type) {
		case *enclavepb.Command_Add, *enclavepb.Command_Accept, *enclavepb.Command_Ignore, *enclavepb.Command_Remove, *enclavepb.Command_List:
			to = n.sibling(nameBook)
		}
		n.w.sys.Root.Send(to, &asked{c, n.asker})
	}
	n.w.d.Settle()
	return n.results
}

func (n *node) sibling(name string) *actor.PID {
	return actor.NewPID(n.top.GetAddress(), n.top.GetId()+"/"+name)
}

// must is ask that has to succeed.
func (n *node) must(commands ...*enclavepb.Command) []*enclavepb.Result {
	n.w.t.Helper()
	rs := n.ask(commands...)
	if len(rs) != len(commands) {
		n.w.t.Fatalf("%d of %d commands were answered", len(rs), len(commands))
	}
	for _, r := range rs {
		if !r.GetOk() {
			n.w.t.Fatalf("%s: %s", r.GetCmd(), r.GetReason())
		}
	}
	return rs
}

// refuses is ask that must not succeed.
func (n *node) refuses(c *enclavepb.Command) string {
	n.w.t.Helper()
	rs := n.ask(c)
	if len(rs) != 1 || rs[0].GetOk() || rs[0].GetReason() == "" {
		n.w.t.Fatalf("%v was answered %v", c, rs)
	}
	return rs[0].GetReason()
}

func add(address, name string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Add{Add: &enclavepb.Add{Address: address, Name: name}}}
}

func accept(address, name string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Accept{Accept: &enclavepb.Accept{Address: address, Name: name}}}
}

func ignore(address string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Ignore{Ignore: &enclavepb.Ignore{Address: address}}}
}

func remove(address string) *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_Remove{Remove: &enclavepb.Remove{Address: address}}}
}

func send(to, text string) *enclavepb.Command {
	return &enclavepb.Command{Id: "c-" + text, Body: &enclavepb.Command_Send{Send: &enclavepb.Send{To: to, Message: text}}}
}

func list() *enclavepb.Command {
	return &enclavepb.Command{Body: &enclavepb.Command_List{List: &enclavepb.List{}}}
}

// contacts is what list says, a line a contact.
func (n *node) contacts() (out []string) {
	n.w.t.Helper()
	for _, c := range n.must(list())[0].GetContacts() {
		out = append(out, fmt.Sprintf("%s %q %s %d held=%d", c.GetAddress(), c.GetName(), c.GetState().String()[len("STATE_"):], c.GetPresence().GetStatus(), c.GetHeld()))
	}
	return out
}

// told returns what people were told since the last call, a line an event.
func (n *node) told() (out []string) {
	for _, e := range n.events {
		out = append(out, eventText(e))
	}
	n.events = nil
	return out
}

func eventText(e *enclavepb.Event) string {
	contact := func(what string, c *enclavepb.Contact) string {
		return fmt.Sprintf("%s %s %q %d %q held=%d", what, c.GetAddress(), c.GetPresence().GetAlias(), c.GetPresence().GetStatus(), c.GetPresence().GetStatusMessage(), c.GetHeld())
	}
	switch b := e.GetBody().(type) {
	case *enclavepb.Event_Status:
		return contact("status", b.Status)
	case *enclavepb.Event_Request:
		return contact("request", b.Request)
	case *enclavepb.Event_Received:
		return fmt.Sprintf("message %s %q", b.Received.GetFrom(), b.Received.GetMessage())
	case *enclavepb.Event_Progress:
		return fmt.Sprintf("%s %s %s", b.Progress.GetDelivery().String()[len("DELIVERY_"):], b.Progress.GetTo(), b.Progress.GetId())
	case *enclavepb.Event_Gone:
		return "gone " + b.Gone.GetAddress()
	}
	return "?"
}

// wantTold compares what people were told since the last call.
func (n *node) wantTold(want ...string) {
	n.w.t.Helper()
	if got := n.told(); !slices.Equal(got, want) {
		n.w.t.Errorf("told %q, want %q", got, want)
	}
}

// status is what the node says of itself.
func (n *node) status() *enclavepb.Status {
	var got *enclavepb.Status
	pid := tree.Spawn(n.w.sys.Root, "", tree.Spec{New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*enclavepb.Status); ok {
				got = m
			}
		})
	}})
	n.w.sys.Root.RequestWithCustomSender(n.real.Friends, &enclavepb.StatusRequest{}, pid)
	n.w.d.Settle()
	n.w.sys.Root.Stop(pid)
	n.w.d.Settle()
	return got
}

// fail makes an actor of the node fail, as by a bug: it is made anew.
func (n *node) fail(pid *actor.PID) {
	p, ok := n.w.sys.ProcessRegistry.Get(pid)
	if !ok {
		n.w.t.Fatalf("no actor %s", pid.GetId())
	}
	p.SendSystemMessage(pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(pid, &actor.Restart{})
}

// shake is what a peer that knows nothing but the seed sends first.
func shake(alias string, status uint32) *enclavepb.Packet {
	return &enclavepb.Packet{Alias: proto.String(alias), Status: proto.Uint32(status), StatusMessage: proto.String(""), Timestamp: proto.Int64(1), Charge: 1}
}

// words is a message of such a peer.
func words(text string) *enclavepb.Packet {
	return &enclavepb.Packet{Message: proto.String(text), Charge: 1}
}

// end is one side of a connection: a link made of paper.
type end struct {
	node   *node // nil: the test plays the other side by hand
	w      *world
	other  *end
	pid    *actor.PID
	server *actor.PID // set by Accepted
	remote string
	ticket uint64
	life   int // of its node

	opened   bool
	waiting  []proto.Message // that came before it was accepted
	arrives  time.Time       // when the last that is under way to it does
	heard    []proto.Message // by a side that the test plays
	paced    bool            // Taken waits for take
	owed     []*actor.PID
	charges  []uint32
	taken    uint32 // credit
	given    uint32
	dead     bool // nothing arrives any more
	closed   bool // by Close
	hushed   bool // by Close that listens
	stubborn bool // it does not close
	gone     bool
}

// arrive is what the network brings; nil: the end of the connection.
type arrive struct{ m proto.Message }

func (arrive) IgnoreDeadLetterLogging() {}

// takeNow has a link answer for what it has taken.
type takeNow struct{}

func (takeNow) IgnoreDeadLetterLogging() {}

// connect makes a connection. It takes a while to both sides.
func (w *world) connect(from *node, ticket uint64, to *node) (a, b *end) {
	a = &end{w: w, node: from, ticket: ticket, remote: to.address + ":7776"}
	b = &end{w: w, node: to, remote: fmt.Sprintf("%s:%d", from.address, 40000+len(w.ends))}
	a.other, b.other, a.life, b.life = b, a, from.life, to.life
	first := w.delay()
	w.d.After(first, b.open)
	w.d.After(first+w.delay(), a.open)
	return a, b
}

// call opens a connection whose other side is the test.
func (n *node) call(remote string) *end {
	e := &end{w: n.w, node: n, remote: remote, life: n.life}
	e.open()
	n.w.d.Settle()
	return e
}

// serve opens a connection that the node dialled; its other side is the test.
func (n *node) serve(m *enclavepb.Dial) *end {
	n.dialing--
	e := &end{w: n.w, node: n, remote: m.GetAddress(), ticket: m.GetTicket(), life: n.life}
	e.open()
	n.w.d.Settle()
	return e
}

func (e *end) open() {
	e.opened = true
	if e.node.down || e.node.life != e.life || e.node.friends == nil || e.dead {
		e.gone, e.dead = true, true
		if e.other != nil {
			e.other.hangUp()
		}
		return
	}
	e.w.ends = append(e.w.ends, e)
	e.pid = tree.Spawn(e.w.sys.Root, "", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(e.receive) }})
}

func (e *end) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(e.node.friends, &linkpb.Opened{Protocol: "enclave", Remote: e.remote, Member: 1, Ticket: e.ticket})
	case *linkpb.Accepted:
		e.onAccepted(ctx)
	case *linkpb.Close:
		if e.stubborn {
			return
		}
		if m.GetListen() && e.server != nil {
			e.hush()
			return
		}
		e.closed = true
		if e.server == nil {
			e.leave()
			return
		}
		ctx.Stop(ctx.Self())
	case *linkpb.Settled:
		e.given += m.GetCharge()
		if m.GetAll() {
			e.given = e.taken
		}
	case arrive:
		e.onArrive(ctx, m)
	case takeNow:
		e.onTake(ctx)
	case *actor.DeadLetterResponse:
		ctx.Stop(ctx.Self())
	case *actor.Stopped:
		e.gone = true
		if e.server != nil {
			ctx.Send(e.server, &linkpb.Closed{})
		}
		e.onTake(ctx)
		e.leave()
	default:
		e.onMessage(ctx)
	}
}

// hush ends this side of the connection.
func (e *end) hush() {
	if e.hushed || e.dead {
		return
	}
	e.hushed = true
	if e.other != nil {
		e.other.bring(nil)
	}
}

// over reports that the node says nothing any more.
func (e *end) over() bool { return e.gone || e.hushed }

// leave ends the connection for the other side, behind what was sent.
func (e *end) leave() {
	if e.dead {
		return
	}
	e.dead = true
	if e.other != nil {
		e.other.bring(nil)
	}
}

func (e *end) onAccepted(ctx actor.Context) {
	switch {
	case e.dead:
		ctx.Send(ctx.Sender(), &linkpb.Closed{})
		ctx.Stop(ctx.Self())
	case e.server == nil:
		e.server = ctx.Sender()
		all := e.waiting
		e.waiting = nil
		for _, m := range all {
			e.onArrive(ctx, arrive{m})
		}
	}
}

// bring has the network bring a message, behind all earlier ones; nil: the end.
func (e *end) bring(m proto.Message) {
	at := time.Now().Add(e.w.delay())
	if at.Before(e.arrives) {
		at = e.arrives
	}
	e.arrives = at
	e.w.d.After(time.Until(at), func() {
		switch {
		case e.pid != nil:
			e.w.sys.Root.Send(e.pid, arrive{m})
		case !e.opened: // the other side was faster
			e.waiting = append(e.waiting, m)
		}
	})
}

func (e *end) onArrive(ctx actor.Context, m arrive) {
	switch {
	case e.closed:
	case e.server == nil:
		e.waiting = append(e.waiting, m.m)
	case m.m == nil:
		ctx.Stop(ctx.Self())
	default:
		if p, ok := m.m.(*enclavepb.Packet); ok {
			e.taken += p.GetCharge()
		}
		ctx.RequestWithCustomSender(e.server, m.m, ctx.Self())
	}
}

func (e *end) hangUp() {
	e.dead = true
	e.bring(nil)
}

// cut breaks the connection for both sides: what is under way may be lost.
func (e *end) cut() {
	for _, x := range []*end{e, e.other} {
		if x == nil || x.gone {
			continue
		}
		x.dead = true
		if !x.opened {
			continue
		}
		x.w.sys.Root.Stop(x.pid)
	}
}

func (e *end) onMessage(ctx actor.Context) {
	m := ctx.Message()
	charge, paced := uint32(0), false
	if p, ok := m.(interface{ Bytes() int }); ok && p != nil {
		paced = true
	}
	switch p := m.(type) {
	case *enclavepb.Packet:
		e.write(p)
	case *enclavepb.Packets:
		e.writeAll(p)
	default:
		if !paced {
			return
		}
		q := pacedOf(m)
		charge = q.Charge
		switch p := q.Message.(type) {
		case *enclavepb.Packet:
			e.write(p)
		case *enclavepb.Packets:
			e.writeAll(p)
		}
		e.owed, e.charges = append(e.owed, ctx.Sender()), append(e.charges, charge)
		if !e.paced {
			wait := time.Duration(0)
			if e.w.takes != nil {
				wait = e.w.takes()
			}
			tree.After(ctx, wait, takeNow{})
		}
	}
}

func (e *end) writeAll(m *enclavepb.Packets) {
	for _, p := range m.GetPackets() {
		e.write(p)
	}
}

func (e *end) write(p *enclavepb.Packet) {
	if e.dead || e.hushed {
		return
	}
	if e.other == nil {
		e.heard = append(e.heard, p)
		return
	}
	p = proto.CloneOf(p)
	p.Charge = 1
	e.other.bring(p)
}

func (e *end) onTake(ctx actor.Context) {
	for i, to := range e.owed {
		ctx.Send(to, &linkpb.Taken{Charge: e.charges[i]})
	}
	e.owed, e.charges = nil, nil
}

// say has the test's side say something.
func (e *end) say(all ...proto.Message) *end {
	for _, m := range all {
		e.w.sys.Root.Send(e.pid, arrive{m})
	}
	e.w.d.Settle()
	return e
}

// bye has the test's side close.
func (e *end) bye() {
	e.say(nil)
}

// take has a busy link answer for what it has taken.
func (e *end) take() {
	e.w.sys.Root.Send(e.pid, takeNow{})
	e.w.d.Settle()
}

// messages is what a side that the test plays has heard, but for handshakes.
func (e *end) messages() (out []string) {
	for _, m := range e.heard {
		if p := m.(*enclavepb.Packet); p.Message != nil {
			out = append(out, p.GetMessage())
		}
	}
	return out
}
