package ui

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// face is a user interface's end of a link: what it says and hears.
type face struct {
	w      *world
	member uint64
	peer   *linkpb.Peer
	link   *actor.PID
	server *actor.PID // set by Accepted

	gone   bool // its link has stopped
	code   uint32
	reason string // it was closed with
	held   int64  // charges taken, and not given back
	excess bool   // more was given back than taken
	heard  []string
	onHear func(*uipb.Response) // sees all of it, in the order it was written
}

// connect opens the link of a user who may change things; it is served when the
// actors have settled.
func (w *world) connect() *face {
	return w.connectAs(&linkpb.Peer{Uid: 1000, Owner: true, Changes: true})
}

func (w *world) connectAs(peer *linkpb.Peer) *face {
	f := &face{w: w, member: uint64(len(w.faces) + 1), peer: peer}
	w.faces = append(w.faces, f)
	w.sys.Root.Send(w.links, func(ctx actor.Context) {
		f.link = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &paperLink{f} }})
	})
	return f
}

// face connects one and waits until it is served.
func (w *world) face() *face {
	w.t.Helper()
	f := w.connect()
	w.d.Settle()
	if f.server == nil {
		w.t.Fatal("a link was not served")
	}
	return f
}

// paperLink stands for a gateway's link and its reader.
type paperLink struct{ *face }

type hangUp struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (hangUp) IgnoreDeadLetterLogging() {}

func (l *paperLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		ctx.Request(l.w.clients, &linkpb.Opened{Protocol: "uiv2", Remote: "paper", Member: l.member, Peer: l.peer})
	case *linkpb.Accepted:
		l.server = ctx.Sender()
	case *uipb.Response:
		l.hear(m, false)
		l.give(m.GetCharge())
	case *linkpb.Settled:
		l.give(m.GetCharge())
	case *linkpb.Close:
		l.code, l.reason = m.GetCode(), m.GetReason()
		ctx.Stop(ctx.Self())
	case hangUp:
		ctx.Stop(ctx.Self())
	case *actor.Stopped:
		l.gone = true
		if l.server != nil {
			ctx.Send(l.server, &linkpb.Closed{})
		}
	}
}

func (f *face) hangUp() { f.w.sys.Root.Send(f.link, hangUp{}) }

func (f *face) give(charge uint32) {
	f.held -= int64(charge)
	f.excess = f.excess || f.held < 0
}

// say sends a frame to the client that serves the face, as a reader does.
func (f *face) say(m proto.Message) {
	if c, ok := m.(interface{ GetCharge() uint32 }); ok {
		f.held += int64(c.GetCharge())
	}
	f.w.sys.Root.RequestWithCustomSender(f.server, m, f.link)
}

// talk sends a request within a conversation, and returns its number.
func (f *face) talk(context uint64, opcode string, p plan) uint64 {
	id := uint64(len(f.w.plans) + 1)
	f.w.plans[id] = &p
	f.say(&uipb.Request{Context: &context, Opcode: opcode, Payload: []byte(strconv.FormatUint(id, 10)), Charge: uint32(1 + id%3)})
	return id
}

// subscribe sends a request to broadcasts.
func (f *face) subscribe(opcode, level string, opcodes ...string) {
	f.say(&uipb.Request{
		Context: proto.Uint64(99), Opcode: opcode, Charge: 1,
		Body: &uipb.Request_Subscribe{Subscribe: &uipb.SubscribeRequest{Opcodes: opcodes, MinLogLevel: level}},
	})
}

func (f *face) hear(m *uipb.Response, lossy bool) {
	if f.gone {
		return // nobody reads
	}
	text := spoken(m)
	if lossy {
		text += " (lossy)"
	}
	f.heard = append(f.heard, text)
	if f.onHear != nil {
		f.onHear(m)
	}
}

// spoken is a frame as tests compare it.
func spoken(m *uipb.Response) string {
	text := m.GetOpcode() + " "
	if m.Context != nil {
		text = fmt.Sprint(m.GetContext(), " ")
	}
	switch b := m.GetBody().(type) {
	case *uipb.Response_Descriptor_:
		return text + b.Descriptor_.GetDescriptor_()
	case *uipb.Response_Fault:
		return text + codeName(b.Fault.GetCode())
	case *uipb.Response_Done:
		return text + "done"
	case *uipb.Response_Redirect:
		return fmt.Sprintf("%s%s %d %s", text, b.Redirect.GetOpcode(), b.Redirect.GetContext(), b.Redirect.GetPayload())
	case *uipb.Response_Undelivered:
		return text + b.Undelivered.GetOpcode()
	case *uipb.Response_UnmarshalError:
		return text + b.UnmarshalError.GetMessage() + " " + b.UnmarshalError.GetBadData()
	case *uipb.Response_Log:
		return text + b.Log.GetText()
	case *uipb.Response_Crashed:
		return fmt.Sprint(text, b.Crashed.GetProcessId())
	}
	return text + "?"
}

func codeName(code uint64) string {
	names := map[uint64]string{
		CodeUnmarshal: "unmarshal", CodeTimeout: "timeout", CodeWrite: "write", CodeUnknown: "unknown",
		CodeNotPermitted: "not permitted", CodeTooMany: "too many",
	}
	if n, ok := names[code]; ok {
		return n
	}
	return strconv.FormatUint(code, 10)
}

// wants lets everything happen that needs no time, and compares what a face has
// heard since it was last asked.
func (f *face) wants(want ...string) {
	f.w.t.Helper()
	f.w.d.Settle()
	if !slices.Equal(f.heard, want) {
		f.w.t.Errorf("%d heard %q, want %q", f.member, f.heard, want)
	}
	f.heard = nil
}

// wantsAll is wants in any order.
func (f *face) wantsAll(want ...string) {
	f.w.t.Helper()
	f.w.d.Settle()
	slices.Sort(f.heard)
	slices.Sort(want)
	f.wants(want...)
}

// settledUp checks that all charges came back.
func (f *face) settledUp() {
	f.w.t.Helper()
	if f.held != 0 || f.excess {
		f.w.t.Errorf("%d holds %d charges, more was given back than taken: %v", f.member, f.held, f.excess)
	}
}
