package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/reflect/protoreflect"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// world is what serves user interfaces among links, shards and actors that
// answer, all made of paper. A seeded driver runs all of them on one goroutine,
// so that nothing here is locked.
type world struct {
	t   testing.TB
	d   *testkit.Driver
	sys *actor.ActorSystem

	top, links, clients, broadcasts *actor.PID
	shards                          Fanout
	faces                           []*face          // all that ever were; by member-1
	plans                           map[uint64]*plan // what happens to a request, by its number
	asks                            []*uipb.Ask      // that no plan is for: isolated ones
	answered                        int              // how many uipb.Answered came
	onAnswered                      func(ctx actor.Context)
	demanded                        []uipb.LogLevel
	onDemand                        func(uipb.LogLevel)
	onCast                          func(*messages.Multicast)
}

// setup changes what newWorld makes.
type setup struct {
	shards   int
	talks    int
	idle     time.Duration
	fallback bool
	may      func(uid uint32) bool
	options  []testkit.SystemOption
}

// The time-outs of the two routes that the tests wait for.
const (
	timeoutDo    = DefaultTimeout
	timeoutQuick = 10 * time.Second
)

// puppet does what it is told.
type puppet struct{ start func(actor.Context) }

func (p *puppet) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.start != nil {
			p.start(ctx)
		}
	case func(actor.Context):
		m(ctx)
	}
}

// lenientTB is for tests that do not know how many actors will fail, or whose
// requests go to who is gone.
type lenientTB struct{ testing.TB }

func (b lenientTB) Errorf(format string, args ...any) {
	if strings.HasPrefix(format, "dead letter") {
		if _, ask := args[1].(*uipb.Ask); ask {
			return
		}
	}
	if !strings.HasPrefix(format, "testkit: %d actors failed, the test declared") {
		b.TB.Errorf(format, args...)
	}
}

// anyFailures lets a lenientTB's actors fail.
var anyFailures = testkit.ExpectFailures(math.MaxInt)

func newWorld(t testing.TB, d *testkit.Driver, s setup) *world {
	t.Helper()
	w := &world{t: t, d: d, plans: map[uint64]*plan{}}
	w.sys = testkit.System(t, append(s.options, testkit.Under(d))...)
	w.top = tree.Spawn(w.sys.Root, "top", tree.Spec{
		Children: tree.Fatal,
		New:      func() actor.Actor { return &puppet{func(ctx actor.Context) { w.start(ctx, s) }} },
	})
	d.Settle()
	return w
}

// start spawns what cmd would, and the paper.
func (w *world) start(ctx actor.Context, s setup) {
	for i := range max(s.shards, 1) {
		w.shards = append(w.shards, tree.Spawn(ctx, fmt.Sprint("shard", i), tree.Spec{
			New: func() actor.Actor { return &paperShard{w, i} }, Batch: true,
		}))
	}
	w.broadcasts = SpawnBroadcasts(ctx, w.shards, func(l uipb.LogLevel) {
		w.demanded = append(w.demanded, l)
		if w.onDemand != nil {
			w.onDemand(l)
		}
	})
	worker := func(name string) *actor.PID {
		return tree.Spawn(ctx, name, tree.Spec{Asked: true, New: func() actor.Actor { return &worker{w} }})
	}
	do, quick := worker("do"), worker("quick")
	desk := Desk{Idle: s.idle, Talks: s.talks, MayChange: s.may, Routes: map[string]Route{
		"do":          {To: do},
		"quick":       {To: quick, Timeout: timeoutQuick},
		"change":      {To: do, Changes: true},
		"bye":         {To: do, Confirm: true},
		"dead":        {To: w.sys.NewLocalPID("gone")},
		"alone":       {To: do, Isolated: true},
		"aloneChange": {To: do, Isolated: true, Changes: true},
		"subscribe":   {To: w.broadcasts},
		"unsubscribe": {To: w.broadcasts},
	}}
	if s.fallback {
		desk.Fallback = worker("fallback")
	}
	w.clients = SpawnClients(ctx, desk, w.shards, w.broadcasts)
	w.links = tree.Spawn(ctx, "links", tree.Spec{New: func() actor.Actor { return &puppet{} }})
}

// stop ends everything; nothing may be left.
func (w *world) stop() {
	w.t.Helper()
	testkit.Stop(w.t, w.sys, w.top)
}

// below lists the actors below a supervisor.
func (w *world) below(supervisor *actor.PID) (ids []string) {
	for _, shard := range w.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range shard.Keys() {
			if strings.HasPrefix(id, supervisor.GetId()+"/") {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// plan is what an actor does that is asked.
type plan struct {
	kind  string        // one of the cases of worker.act
	after time.Duration // it takes its time
	while func()        // runs when it is asked; nil: nothing
}

// worker answers as planned.
type worker struct{ w *world }

// due says that a worker has taken its time.
type due struct {
	asker *actor.PID
	ask   *uipb.Ask
}

func (k *worker) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		k.onAsk(ctx, m)
	case func(actor.Context):
		m(ctx)
	case *due:
		k.act(ctx, m.asker, m.ask)
	case *uipb.Answered:
		k.w.answered++
		if k.w.onAnswered != nil {
			k.w.onAnswered(ctx)
		}
	}
}

// number is that of a request of a plan, from its payload.
func number(m *uipb.Request) uint64 {
	n, _ := strconv.ParseUint(string(m.GetPayload()), 10, 64)
	return n
}

func (k *worker) onAsk(ctx actor.Context, m *uipb.Ask) {
	p := k.w.plans[number(m.GetRequest())]
	switch {
	case p == nil:
		k.w.asks = append(k.w.asks, m)
		return
	case p.while != nil:
		p.while()
	}
	if p.after > 0 {
		tree.After(ctx, p.after, &due{ctx.Sender(), m})
		return
	}
	k.act(ctx, ctx.Sender(), m)
}

// bomb is a body that makes a conversation fail.
type bomb struct{ *uipb.Done }

// ProtoReflect implements proto.Message.
func (bomb) ProtoReflect() protoreflect.Message { panic("as planned") }

// odd is no body of a response.
type odd struct{ *uipb.Asker }

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (odd) IgnoreDeadLetterLogging() {}

func (k *worker) act(ctx actor.Context, asker *actor.PID, m *uipb.Ask) {
	id := number(m.GetRequest())
	text := strconv.FormatUint(id, 10)
	answer := func(body any) { ctx.Send(asker, body) } // as Respond does: it names no sender
	switch k.w.plans[id].kind {
	case "ok":
		answer(&uipb.Descriptor{Descriptor_: &text})
	case "fault":
		answer(Fault(CodeWrite, text))
	case "silent":
	case "panic":
		panic("as planned")
	case "answer, panic":
		answer(&uipb.Descriptor{Descriptor_: &text})
		panic("as planned")
	case "answer, failed": // as from another goroutine, which may be anywhere between the two
		answer(&uipb.Descriptor{Descriptor_: &text})
		ctx.Send(ctx.Self(), func(ctx actor.Context) { ctx.Send(asker, &faultpb.Failed{Actor: "as planned"}) })
	case "bomb":
		answer(bomb{})
	case "odd":
		answer(odd{&uipb.Asker{}})
	case "redirect":
		answer(&uipb.Redirect{Port: 4711, Opcode: m.GetRequest().GetOpcode(), Context: m.GetRequest().Context, Payload: m.GetRequest().GetPayload()})
	case "undelivered":
		answer(&uipb.Undelivered{Opcode: text}) // tells whose it is
	}
}

// paperShard writes to faces, as gateways/link does to sockets.
type paperShard struct {
	w     *world
	shard int
}

func (s *paperShard) Receive(ctx actor.Context) {
	b, ok := ctx.Message().(*tree.Batch)
	if !ok {
		return
	}
	for _, l := range b.Messages {
		s.onMulticast(l.(*messages.Multicast))
	}
}

func (s *paperShard) onMulticast(m *messages.Multicast) {
	if s.w.onCast != nil {
		s.w.onCast(m)
	}
	for i, list := range [][]uint64{m.Members, m.Lossy} {
		for _, id := range list {
			if id%uint64(len(s.w.shards)) != uint64(s.shard) || id == m.Origin {
				s.w.t.Errorf("shard %d is to write to %d, from %d", s.shard, id, m.Origin)
			}
			s.w.faces[id-1].hear(m.Frame.Message.(*uipb.Response), i == 1)
		}
	}
	if m.Origin == 0 {
		return
	}
	if m.Origin%uint64(len(s.w.shards)) != uint64(s.shard) {
		s.w.t.Errorf("shard %d is to answer %d", s.shard, m.Origin)
	}
	f := s.w.faces[m.Origin-1]
	if m.Answer != nil {
		r := m.Answer.(*uipb.Response)
		if r.GetCharge() > 0 {
			s.w.t.Errorf("a charge is given back twice: %v", r)
		}
		f.hear(r, false)
	}
	f.give(m.Charge)
	if m.Written != nil {
		m.Written()
	}
}
