package link

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
)

// A Socket is one open connection of a transport, for a link.
type Socket interface {
	// Next waits for a message to begin. An error ends the link: a *Violation is
	// told to the peer. Next and Read are called by one goroutine.
	Next() error
	// Read returns that message whole, in buf if it fits.
	Read(buf []byte) (frame []byte, binary bool, err error)
	// Writer is what frames are written to: the Conn, or TLS on top of it.
	Writer() net.Conn
	// Conn is the connection below it all.
	Conn() *Conn
	// Bind hands the socket its link's outbound side before the first Read.
	Bind(o *Outbound)
}

// Violation is an error of Read that is the peer's fault and is told to it.
type Violation struct {
	Code   uint32 // WebSocket close code
	Reason string // at most 123 bytes
}

func (v *Violation) Error() string { return "link: " + v.Reason }

// Hangup is an error of Read: the peer closed properly. Its code is echoed.
type Hangup struct{ Code uint32 }

func (h *Hangup) Error() string { return "link: peer closed" }

// ErrNotOnWire is returned by Codec.Append.
var ErrNotOnWire = errors.New("link: message has no frame in this protocol")

// acceptTimeout is how long a server may take to answer linkpb.Opened.
const acceptTimeout = 5 * time.Second

const (
	closeGoingAway = 1001
	closePolicy    = 1008
	closeInternal  = 1011
)

// link is the actor that owns one open socket: it asks for a server, starts the
// reader, and writes what is not fanned out.
//
//	parent    links
//	receives  linkpb.Accepted, linkpb.Close, linkpb.Settled, messages.Paced, readDone, ended, lostFrames, ponged, room, acceptLate; any message its codec can encode
//	sends     linkpb.Opened to upstream; decoded messages, linkpb.RoundTrip and linkpb.Closed to the server; linkpb.Taken to who sent messages.Paced; attach and detach to its shard
//	stops     when the peer is gone, on linkpb.Close, when its outbound ended, when nobody serves it
type link struct {
	kind     *Kind // fixed at spawn, as all of this block
	socket   Socket
	out      *Outbound
	upstream *actor.PID
	shard    *actor.PID
	peer     *linkpb.Peer // nil: not known
	ticket   uint64       // 0: none

	server  *actor.PID // set by Accepted
	late    *tree.Timer
	leaving bool   // it is over, but Accepted may be on its way: who sent it must be told
	owed    []owed // owned: who waits for room
}

// readDone comes from the reader, once. It may find the link already stopped.
type readDone struct{ err error }

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (*readDone) IgnoreDeadLetterLogging() {}

// acceptLate says that acceptTimeout is over.
type acceptLate struct{}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (acceptLate) IgnoreDeadLetterLogging() {}

func (l *link) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.onStarted(ctx)
	case *actor.Stopped:
		l.onStopped(ctx)
	case *linkpb.Accepted:
		l.onAccepted(ctx)
	case acceptLate: // nobody serves
		l.hangUp(ctx, closeSlow, "not served")
	case *actor.DeadLetterResponse: // upstream or the server is gone
		l.out.shut(closeSlow, "not served")
		ctx.Stop(ctx.Self())
	case *linkpb.Close:
		l.onClose(ctx, m)
	case *linkpb.Settled:
		l.onSettled(m)
	case *readDone:
		l.onReadDone(ctx, m)
	case *ended:
		l.leave(ctx)
	case *lostFrames:
		l.onLost(ctx, m)
	case *ponged:
		l.onPonged(ctx, m)
	case *messages.Paced:
		l.onPaced(ctx, m)
	case room:
		l.onRoom(ctx)
	case actor.SystemMessage, actor.AutoReceiveMessage:
		// Several of these are protobuf messages too; keep them off the wire.
	case proto.Message:
		l.onMessage(ctx, m)
	}
}

func (l *link) onStarted(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	l.out.tell = func(m any) { root.Send(self, m) }
	l.kind.links.Add(1)
	ctx.Send(l.shard, &attach{l.out})
	l.late = tree.After(ctx, acceptTimeout, acceptLate{})
	ctx.Request(l.upstream, &linkpb.Opened{
		Protocol: l.kind.Codec.Protocol(), Remote: l.socket.Conn().RemoteAddr().String(), Member: l.out.member, Peer: l.peer, Ticket: l.ticket,
	})
}

func (l *link) onAccepted(ctx actor.Context) {
	l.late.Stop()
	l.late = nil
	switch {
	case l.leaving:
		ctx.Send(ctx.Sender(), &linkpb.Closed{})
		ctx.Stop(ctx.Self())
	case l.server == nil:
		l.server = ctx.Sender()
		r := &reader{kind: l.kind, socket: l.socket, out: l.out, root: ctx.ActorSystem().Root, link: ctx.Self(), server: l.server}
		r.ready, _ = l.socket.(interface{ Ready() bool })
		r.start()
	}
}

func (l *link) onSettled(m *linkpb.Settled) {
	if m.GetAll() {
		l.out.credit.reset()
		return
	}
	l.out.credit.give(m.GetCharge())
}

func (l *link) onReadDone(ctx actor.Context, m *readDone) {
	var (
		v *Violation
		h *Hangup
	)
	switch {
	case errors.As(m.err, &v):
		l.hangUp(ctx, v.Code, v.Reason)
	case errors.As(m.err, &h):
		l.hangUp(ctx, h.Code, "")
	default:
		l.hangUp(ctx, 0, "")
	}
}

func (l *link) onClose(ctx actor.Context, m *linkpb.Close) {
	if m.GetListen() && l.server != nil {
		l.out.hush(m.GetCode(), m.GetReason())
		return
	}
	l.hangUp(ctx, m.GetCode(), m.GetReason())
}

// hangUp says goodbye with a close code (0: silently) and stops.
func (l *link) hangUp(ctx actor.Context, code uint32, reason string) {
	l.out.shut(code, reason)
	l.leave(ctx)
}

// leave stops the link. One that was not accepted yet waits for that as long as
// it did before: a server would never hear of its end otherwise.
func (l *link) leave(ctx actor.Context) {
	if l.server != nil || l.leaving {
		ctx.Stop(ctx.Self())
		return
	}
	l.leaving = true
	l.late.Stop()
	l.late = tree.After(ctx, acceptTimeout, acceptLate{})
}

func (l *link) onLost(ctx actor.Context, m *lostFrames) {
	for source, n := range m.counts {
		l.onMessage(ctx, &linkpb.Dropped{Source: source, Count: n})
	}
}

func (l *link) onPonged(ctx actor.Context, m *ponged) {
	if l.server != nil {
		ctx.Send(l.server, &linkpb.RoundTrip{Nanoseconds: uint64(m.took)})
	}
}

func (l *link) onMessage(ctx actor.Context, m proto.Message) {
	l.write(ctx, m, l.kind.Codec.Charge(m))
}

// write encodes m into memory that is used again: what the kernel does not take
// is copied. charge is credit to give back when it is written.
func (l *link) write(ctx actor.Context, m proto.Message, charge uint32) {
	if l.out.credit.closed.Load() {
		return // closing: nothing follows the goodbye, so nothing is worth encoding
	}
	buf := encodeBuffers.Get().(*[]byte)
	defer encodeBuffers.Put(buf)
	b, from, err := l.kind.appendWire((*buf)[:0], m)
	if err != nil {
		tree.Log(ctx.ActorSystem()).Error("message has no frame", slog.String("link", ctx.Self().GetId()),
			slog.String("message", string(m.ProtoReflect().Descriptor().FullName())), slog.Any("error", err))
		l.out.credit.give(charge)
		return
	}
	l.out.send(nil, chunk{wire: b[from:], frames: 1, lent: true, charge: charge})
	if cap(b) <= keepBuffer {
		*buf = b[:0]
	}
}

func (l *link) onStopped(ctx actor.Context) {
	if l.server != nil {
		ctx.Send(l.server, &linkpb.Closed{})
	}
	l.payAll(ctx)
	l.late.Stop()
	l.kind.links.Add(-1)
	l.out.shut(closeGoingAway, "going away") // nothing, if it was shut before
	ctx.Send(l.shard, &detach{l.out})
	if l.server == nil {
		go discard(l.socket) // no reader ever ran: the goodbye still needs one
	}
}
