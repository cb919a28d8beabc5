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
//	receives  enclavepb.Command, enclavepb.Listen, enclavepb.Shown, enclavepb.Result (from strangers, of its own questions), told, toldAll, lookupLate, holdOver, newsDue
//	sends     asked to book, friends and chronicle; enclavepb.Event, enclavepb.Events to listeners; noted to friends; enclavepb.Result to who asked
//	stops     with the node
type frontends struct {
	met *meet // fixed at spawn

	lookups map[uint64]*lookup // owned, as all that follows; by number
	drawn   uint64             // lookups so far
	telling telling
	news    news
}

// lookup is a command about a name whose address has to be found.
type lookup struct {
	asked *asked
	id    string // of the question
	timer *tree.Timer
}

func newFrontends(o *Options, met *meet) actor.Actor {
	f := &frontends{met: met, lookups: map[uint64]*lookup{}, news: newNews()}
	f.telling.awaited = o.Listeners
	return f
}

func (f *frontends) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		f.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		f.onStopping(ctx)
	case *actor.Terminated:
		f.leave(ctx, m.Who)
	case *enclavepb.Command:
		f.onCommand(ctx, m)
	case *enclavepb.Listen:
		f.onListen(ctx, m)
	case *enclavepb.Shown:
		f.onShown(ctx, m)
	case *told:
		f.onTold(ctx, m)
	case *toldAll:
		f.onToldAll(ctx, m)
	case *enclavepb.Result:
		f.onResult(ctx, m)
	case lookupLate:
		f.onLookupLate(ctx, m)
	case holdOver:
		f.unhold(ctx)
	case newsDue:
		f.onNewsDue(ctx)
	}
}

// onStopping ends all that waits for a name.
func (f *frontends) onStopping(ctx actor.Context) {
	f.telling.over.Stop()
	f.news.stop()
	for number, l := range f.lookups {
		l.timer.Stop()
		delete(f.lookups, number)
		answer(ctx, l.asked, refused(l.asked, reasonFailed))
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
