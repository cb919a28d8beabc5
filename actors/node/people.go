package node

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
	"parley/messages/uipb"
)

// textNoEnclave is for who asks about people where there are none.
const textNoEnclave = "This Node has no Enclave, because its enclave-address is off; set it to an address, and start the Node again"

// people makes user interfaces front ends of Enclave: what they ask becomes
// commands, each with an actor of its own, and what happens becomes broadcasts to
// those who want to know, and may. Source: gateways/uiv2/PROTOCOL.md, People.
//
//	parent    node
//	receives  uipb.Ask, uipb.Announced, enclavepb.Event, enclavepb.Events, ui.Followed, faultpb.Failed (from broadcasts), missedDue
//	sends     enclavepb.Listen to frontends; uipb.Announce, ui.Follow to broadcasts; uipb.Fault to askers
//	stops     with the node
type people struct {
	frontends, broadcasts *actor.PID // fixed at spawn; frontends nil: this node has no Enclave

	telling telling // owned
}

// SpawnPeople starts the actor that answers contacts, addContact, acceptContact,
// ignoreContact, removeContact, sendMessage, setStatus, setAlias and history.
// frontends answers enclavepb.Command and is told enclavepb.Listen; nil: this node
// has no Enclave.
func SpawnPeople(ctx actor.SpawnerContext, frontends, broadcasts *actor.PID) *actor.PID {
	p := &people{frontends: frontends, broadcasts: broadcasts}
	// What is to be told outlives a restart, and so does its timer.
	return tree.Spawn(ctx, "people", tree.Spec{Asked: true, Limit: peopleMailbox, Refused: p.refused(ctx.ActorSystem()), New: func() actor.Actor { return p }})
}

func (p *people) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if p.frontends != nil { // who listens already still does, and is not told twice
			ctx.Request(p.broadcasts, &ui.Follow{Opcodes: peopleOpcodes})
			ctx.Request(p.frontends, &enclavepb.Listen{Bursts: true})
		}
	case *actor.Stopping:
		p.telling.pause.Stop()
	case *uipb.Ask:
		p.onAsk(ctx, m)
	case *enclavepb.Event:
		p.onEvents(ctx, m)
	case *enclavepb.Events:
		p.onEvents(ctx, m.GetEvents()...)
	case *ui.Followed:
		p.telling.wanted = m.Wanted
	case *uipb.Announced, *faultpb.Failed:
		p.telling.confirmed()
		p.tell(ctx)
	case missedDue:
		p.telling.pause = nil
		p.tell(ctx)
	}
}

func (p *people) onAsk(ctx actor.Context, m *uipb.Ask) {
	wanted := m.GetRequest().GetCommand()
	switch {
	case wanted == nil:
		refuse(ctx, m.GetRequest().GetOpcode())
	case p.frontends == nil:
		ctx.Respond(ui.Fault(ui.CodeMissing, textNoEnclave))
	default:
		spawnCommission(ctx, &commission{frontends: p.frontends, asker: ctx.Sender(), command: &enclavepb.Command{
			Id: wanted.GetId(), Member: m.GetAsker().GetMember(), Body: wanted.GetBody(),
		}})
	}
}

// onEvents tells of them who wants to know.
func (p *people) onEvents(ctx actor.Context, all ...*enclavepb.Event) {
	for _, e := range all {
		p.telling.put(ctx, e)
	}
	p.tell(ctx)
}

// opcodeOf is the broadcast of an event; empty: there is none.
func opcodeOf(m *enclavepb.Event) string {
	switch m.GetBody().(type) {
	case *enclavepb.Event_Received:
		return "messageReceived"
	case *enclavepb.Event_Status, *enclavepb.Event_Gone:
		return "contactStatus"
	case *enclavepb.Event_Request:
		return "contactRequest"
	case *enclavepb.Event_Progress:
		return "messageState"
	}
	return ""
}

// toldMost is how many bytes of contacts or entries go into one answer. Source:
// gateways/uiv2/PROTOCOL.md, People.
const toldMost = 768 << 10

// Bytes of what one contact or entry is told as, beside its texts.
const (
	contactBytes = 192
	entryBytes   = 160
)

// fit is a result of which as much is left as goes into one answer: of contacts the
// first, of entries the newest.
func fit(r *enclavepb.Result) *enclavepb.Result {
	contacts, entries := fitContacts(r.GetContacts()), fitEntries(r.GetEntries())
	if len(contacts) == len(r.GetContacts()) && len(entries) == len(r.GetEntries()) {
		return r
	}
	return &enclavepb.Result{
		Id: r.GetId(), Cmd: r.GetCmd(), Ok: true, Own: r.GetOwn(), MessageId: r.GetMessageId(),
		Contacts: contacts, Entries: entries, More: true,
	}
}

func fitContacts(all []*enclavepb.Contact) []*enclavepb.Contact {
	n := fitting(all)
	if n == len(all) {
		return all
	}
	var near []*enclavepb.Contact
	for _, c := range all {
		if c.GetState() != enclavepb.State_STATE_IGNORED {
			near = append(near, c)
		}
	}
	return near[:fitting(near)]
}

// fitting is how many of the first contacts go into one answer.
func fitting(all []*enclavepb.Contact) int {
	left := toldMost
	for i, c := range all {
		p := c.GetPresence()
		left -= contactBytes + told(c.GetAddress()) + told(c.GetName()) + told(c.GetNotes()) + told(p.GetAlias()) + told(p.GetStatusMessage())
		if left < 0 {
			return i
		}
	}
	return len(all)
}

// fitEntries keeps one at least.
func fitEntries(all []*enclavepb.Entry) []*enclavepb.Entry {
	left := toldMost
	for i := len(all) - 1; i >= 0; i-- {
		e := all[i]
		if left -= entryBytes + told(e.GetMessage()) + told(e.GetId()); left < 0 && i < len(all)-1 {
			return all[i+1:]
		}
	}
	return all
}

// told is how many bytes s has on the wire, as a JSON string.
func told(s string) (n int) {
	const escaped = len(`\u0000`)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			n += escaped
		case c == '"' || c == '\\':
			n += 2
		default:
			n++
		}
	}
	return n
}

// outcome makes of a result what a user interface is answered.
func outcome(r *enclavepb.Result) proto.Message {
	switch {
	case r.GetLocked():
		return ui.Fault(ui.CodeBadPassword, r.GetReason())
	case !r.GetOk():
		return ui.Fault(ui.CodePeople, r.GetReason())
	}
	switch r.GetCmd() {
	case "list", "send", "history":
		return fit(r)
	}
	return &uipb.Done{}
}
