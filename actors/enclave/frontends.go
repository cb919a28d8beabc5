package enclave

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

const (
	lookupsMost = 64               // names that are being looked up
	lookupTime  = 10 * time.Second // that this may take
)

// lookupLate says that a name was not looked up in time.
type lookupLate struct{ number uint64 }

// IgnoreDeadLetterLogging marks messages that may find frontends stopped.
func (lookupLate) IgnoreDeadLetterLogging() {}

// frontends is where people's commands come in and what they are told goes out,
// whatever they sit at: a pipe, a user interface. It decides nothing; who does
// answers whoever asked.
//
//	parent    node
//	receives  enclavepb.Command, enclavepb.Listen, enclavepb.Result (from strangers, of its own questions), told, toldAll, lookupLate
//	sends     asked to book, friends and chronicle; enclavepb.Event, enclavepb.Events to listeners; enclavepb.Result to who asked
//	stops     with the node
type frontends struct {
	met *meet // fixed at spawn

	listeners []listener         // owned, as all that follows; in the order they came, each watched
	lookups   map[uint64]*lookup // by number
	drawn     uint64             // lookups so far
}

// listener is told what happens.
type listener struct {
	pid    *actor.PID
	bursts bool // it takes enclavepb.Events
}

// lookup is a command about a name whose address has to be found.
type lookup struct {
	asked *asked
	id    string // of the question
	timer *tree.Timer
}

func newFrontends(_ *Options, met *meet) actor.Actor {
	return &frontends{met: met, lookups: map[uint64]*lookup{}}
}

func (f *frontends) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		f.onStopping(ctx)
	case *actor.Terminated:
		f.leave(m.Who)
	case *enclavepb.Command:
		f.onCommand(ctx, m)
	case *enclavepb.Listen:
		f.onListen(ctx, m)
	case *told:
		f.onTold(ctx, m)
	case *toldAll:
		f.onToldAll(ctx, m)
	case *enclavepb.Result:
		f.onResult(ctx, m)
	case lookupLate:
		f.onLookupLate(ctx, m)
	}
}

// onStopping ends all that waits for a name.
func (f *frontends) onStopping(ctx actor.Context) {
	for number, l := range f.lookups {
		l.timer.Stop()
		delete(f.lookups, number)
		answer(ctx, l.asked, refused(l.asked, reasonFailed))
	}
}

// onListen adds a listener, once.
func (f *frontends) onListen(ctx actor.Context, m *enclavepb.Listen) {
	from := ctx.Sender()
	if from == nil {
		return
	}
	for _, l := range f.listeners {
		if l.pid.Equal(from) {
			return
		}
	}
	f.listeners = append(f.listeners, listener{from, m.GetBursts()})
	ctx.Watch(from)
}

// leave forgets a listener that is gone.
func (f *frontends) leave(who *actor.PID) {
	for i, l := range f.listeners {
		if l.pid.Equal(who) {
			f.listeners = append(f.listeners[:i:i], f.listeners[i+1:]...)
			return
		}
	}
}

// onTold tells all listeners. The event is one for all of them.
func (f *frontends) onTold(ctx actor.Context, m *told) {
	for _, l := range f.listeners {
		ctx.Send(l.pid, m.event)
	}
}

func (f *frontends) onToldAll(ctx actor.Context, m *toldAll) {
	for _, l := range f.listeners {
		if l.bursts {
			ctx.Send(l.pid, m.events)
			continue
		}
		for _, e := range m.events.GetEvents() {
			ctx.Send(l.pid, e)
		}
	}
}

// onCommand hands a command to who decides.
func (f *frontends) onCommand(ctx actor.Context, m *enclavepb.Command) {
	a := &asked{m, ctx.Sender()}
	switch c := m.GetBody().(type) {
	case *enclavepb.Command_Send, *enclavepb.Command_Status, *enclavepb.Command_Alias:
		ctx.Send(f.met.friends, a)
	case *enclavepb.Command_Add, *enclavepb.Command_Accept, *enclavepb.Command_Ignore, *enclavepb.Command_Remove, *enclavepb.Command_List:
		ctx.Send(f.met.book, a)
	case *enclavepb.Command_History:
		f.onHistory(ctx, a, c.History)
	default:
		answer(ctx, a, refused(a, "this is no command that the node knows: the manual lists them"))
	}
}

// onHistory hands a question about a conversation to chronicle, which knows
// addresses only.
func (f *frontends) onHistory(ctx actor.Context, a *asked, m *enclavepb.History) {
	switch {
	case canonical(m.GetWith()) != "":
		ctx.Send(f.met.chronicle, addressed(a, canonical(m.GetWith())))
	case m.GetWith() == "":
		answer(ctx, a, refused(a, "the conversation with whom is wanted: give a name or an address"))
	case len(f.lookups) == lookupsMost:
		answer(ctx, a, refused(a, reasonBusy))
	default:
		f.drawn++
		l := &lookup{asked: a, id: makeID("lookup", f.drawn), timer: tree.After(ctx, lookupTime, lookupLate{f.drawn})}
		f.lookups[f.drawn] = l
		ctx.Send(f.met.book, &asked{&enclavepb.Command{Id: l.id, Body: &enclavepb.Command_List{List: &enclavepb.List{}}}, ctx.Self()})
	}
}

// addressed is a question about a conversation that names its address.
func addressed(a *asked, address string) *asked {
	h := a.command.GetHistory()
	c := &enclavepb.History{With: address, Most: h.GetMost(), Before: h.GetBefore()}
	if h.Password != nil {
		c.Password = proto.String(h.GetPassword())
	}
	return &asked{&enclavepb.Command{
		Id: a.command.GetId(), Member: a.command.GetMember(), Body: &enclavepb.Command_History{History: c},
	}, a.from}
}

// onResult finds the address of a name in the list of contacts.
func (f *frontends) onResult(ctx actor.Context, m *enclavepb.Result) {
	_, number, ok := splitID(m.GetId())
	l := f.lookups[number]
	if !ok || l == nil || l.id != m.GetId() {
		return
	}
	l.timer.Stop()
	delete(f.lookups, number)
	if !m.GetOk() {
		answer(ctx, l.asked, refused(l.asked, m.GetReason()))
		return
	}
	name := l.asked.command.GetHistory().GetWith()
	for _, c := range m.GetContacts() {
		if c.GetName() == name {
			ctx.Send(f.met.chronicle, addressed(l.asked, c.GetAddress()))
			return
		}
	}
	answer(ctx, l.asked, refused(l.asked, noContact(name)))
}

func (f *frontends) onLookupLate(ctx actor.Context, m lookupLate) {
	l := f.lookups[m.number]
	if l == nil {
		return
	}
	delete(f.lookups, m.number)
	tree.Log(ctx.ActorSystem()).Warn("the list of contacts did not come", slog.Duration("waited", lookupTime))
	answer(ctx, l.asked, refused(l.asked, "the address book did not answer: try again"))
}
