package star

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/faultpb"
	"parley/messages/linkpb"
	"parley/messages/starpb"
)

// Codes that sockets are closed with.
const (
	closeProtocol = 1002
	closeInternal = 1011
	closeTryLater = 1013
)

// session serves one socket: it has the client's addresses and its part in dials.
//
//	parent    sessions
//	receives  starpb.Ping, starpb.Alive, starpb.Connect, starpb.Disconnect, starpb.Join, starpb.Leave, starpb.Dial, starpb.Stream,
//	          starpb.Answered, starpb.Invalid, linkpb.Malformed, linkpb.Closed, faultpb.Failed, proven, enlisted, rival, ousted,
//	          offer, closed, joinDue
//	sends     linkpb.Accepted, linkpb.Close, linkpb.Settled, starpb.Welcome, starpb.Connected, starpb.Refused, starpb.Pong, starpb.Reply,
//	          starpb.Incoming, starpb.Accept, starpb.End to its link; prove, forget to challenge; enlist, delist, yielded to registry;
//	          dial to proxies; taken, passed, gone to proxy
//	stops     when the link is gone
type session struct {
	venue   *venue // fixed at spawn, as all of this block
	version Version
	member  uint64
	link    *actor.PID

	over      bool       // the link is gone; owned, as all that follows
	connected bool       // "/" is granted
	proving   bool       // challenge knows of it
	heard     time.Time  // the client, for the last time
	turns     uint64     // joins so far
	held      []held     // registered
	joining   []*joining // under way, one an address
	next      time.Time  // when a join would not have to wait if there were no joinsMost
	calls     calls
}

// held is an address that is registered.
type held struct {
	address string
	turn    uint64
}

func newSession(v *venue, version Version, link *actor.PID, member uint64) actor.Actor {
	return &session{venue: v, version: version, member: member, link: link, calls: newCalls()}
}

func (s *session) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.onStarted(ctx)
	case *actor.Stopping:
		s.onStopping(ctx)
	case *linkpb.Closed:
		s.onClosed(ctx)
	case *actor.DeadLetterResponse:
		s.onDeadLetter(ctx, m)
	case *starpb.Ping:
		s.onPing(ctx, m)
	case *starpb.Alive:
		s.onAlive(ctx, m)
	case *starpb.Connect:
		s.onConnect(ctx, m)
	case *starpb.Disconnect:
		s.onDisconnect(ctx)
	case *starpb.Join:
		s.onJoin(ctx, m)
	case *starpb.Leave:
		s.onLeave(ctx, m)
	case *starpb.Dial:
		if s.admitted(ctx, 1) {
			s.onDial(ctx, m)
		}
	case *starpb.Stream:
		if s.admitted(ctx, m.GetCharge()) {
			s.onStream(ctx, m)
		}
	case *starpb.Answered:
		if s.admitted(ctx, 1) {
			s.onAnswered(ctx, m)
		}
	case *starpb.Invalid:
		s.onInvalid(ctx, m)
	case *linkpb.Malformed:
		s.onMalformed(ctx, m)
	case *proven:
		s.onProven(ctx, m)
	case *enlisted:
		s.onEnlisted(ctx, m)
	case *rival:
		s.onRival(ctx, m)
	case *ousted:
		s.onOusted(ctx, m)
	case joinDue:
		s.onJoinDue(ctx, m)
	case *offer:
		s.onOffer(ctx, m)
	case *closed:
		s.onClosedDial(ctx, m)
	case *faultpb.Failed:
		s.onFailed(ctx)
	}
}

// onStarted welcomes the client at once: it waits for that.
func (s *session) onStarted(ctx actor.Context) {
	s.heard = s.venue.Now()
	s.connected = s.version == Three
	ctx.Request(s.link, &linkpb.Accepted{})
	ctx.Send(s.link, &starpb.Welcome{Sid: s.venue.Sid()})
}

// onStopping also comes when this actor ends first: it failed, or the node stops.
func (s *session) onStopping(ctx actor.Context) {
	if s.over {
		return
	}
	ctx.Send(s.link, &linkpb.Close{Code: closeInternal, Reason: "internal error"})
	s.depart(ctx)
}

func (s *session) onClosed(ctx actor.Context) {
	if s.over {
		return
	}
	s.depart(ctx)
	s.over = true
	ctx.Stop(ctx.Self())
}

// onDeadLetter is onClosed of a link that was gone before it was accepted. All
// others that are asked end with the node only.
func (s *session) onDeadLetter(ctx actor.Context, m *actor.DeadLetterResponse) {
	if m.GetTarget().Equal(s.link) {
		s.onClosed(ctx)
	}
}

// onFailed ends the session: whoever failed may have lost a join or a dial of
// it, and a client that begins anew is served better than one that waits.
func (s *session) onFailed(ctx actor.Context) {
	s.close(ctx, closeInternal, "internal error")
}

// caller is this client as others know it.
func (s *session) caller(ctx actor.Context) caller {
	return caller{session: ctx.Self(), link: s.link, version: s.version, member: s.member}
}

// tell sends to the client.
func (s *session) tell(ctx actor.Context, m proto.Message) {
	if !s.over {
		ctx.Send(s.link, m)
	}
}

// settle gives inbound credit back for what has no answer.
func (s *session) settle(ctx actor.Context, charge uint32) {
	if charge > 0 {
		s.tell(ctx, &linkpb.Settled{Charge: charge})
	}
}

func (s *session) close(ctx actor.Context, code uint32, reason string) {
	s.tell(ctx, &linkpb.Close{Code: code, Reason: reason})
}

func (s *session) alive() { s.heard = s.venue.Now() }

// onPing also takes the answers to pings of ours, which Engine.IO 4 clients give.
func (s *session) onPing(ctx actor.Context, m *starpb.Ping) {
	s.alive()
	s.tell(ctx, &starpb.Pong{Data: m.GetData()})
}

func (s *session) onAlive(ctx actor.Context, m *starpb.Alive) {
	s.alive()
	s.settle(ctx, m.GetCharge())
}

// onConnect grants "/", which there is nothing beside. A client that has left
// may come back; one of Engine.IO 3 is not answered then, because public servers
// do not. Source: gateways/star/PROTOCOL.md, Namespaces.
func (s *session) onConnect(ctx actor.Context, m *starpb.Connect) {
	s.alive()
	switch {
	case m.GetNamespace() != "/":
		s.tell(ctx, &starpb.Refused{Namespace: m.GetNamespace()})
	case s.version == Three:
		s.connected = true
		s.settle(ctx, 1)
	case s.connected:
		s.close(ctx, closeProtocol, "connected already")
	default:
		s.connected = true
		s.tell(ctx, &starpb.Connected{Sid: s.venue.Sid()})
	}
}

func (s *session) onDisconnect(ctx actor.Context) {
	s.alive()
	s.settle(ctx, 1)
	if s.connected {
		s.connected = false
		s.depart(ctx)
	}
}

// depart ends all that the client has but its socket.
func (s *session) depart(ctx actor.Context) {
	s.delistAll(ctx)
	if s.proving {
		s.proving = false
		ctx.Send(s.venue.challenge, &forget{session: ctx.Self()})
	}
	s.hangUpAll(ctx)
}

// admitted tells whether the client may do something, and settles what it sent if
// it may not. Engine.IO 3 clients that have left are not heard: libraries still
// send then. To those of Engine.IO 4 the socket is closed, as other servers do.
func (s *session) admitted(ctx actor.Context, charge uint32) bool {
	s.alive()
	if s.connected {
		return !s.over
	}
	s.settle(ctx, charge)
	if s.version == Four {
		s.close(ctx, closeProtocol, "not connected")
	}
	return false
}

// onInvalid answers an event that makes no sense, where an answer is wanted.
func (s *session) onInvalid(ctx actor.Context, m *starpb.Invalid) {
	if !s.admitted(ctx, m.GetCharge()) {
		return
	}
	s.venue.counts.invalid.Add(1)
	charge := m.GetCharge()
	if m.Ack != nil {
		s.tell(ctx, &starpb.Reply{Ack: m.GetAck(), Error: quoted(m.GetReason())})
		charge = max(charge, 1) - 1 // the answer gives back the rest
	}
	s.settle(ctx, charge)
}

// onMalformed closes: what follows a packet that cannot be read may not be one.
func (s *session) onMalformed(ctx actor.Context, m *linkpb.Malformed) {
	s.settle(ctx, m.GetCharge())
	s.close(ctx, closeProtocol, m.GetReason())
}
