package enclave

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// strangerBytes is how much of messages is kept of one link.
const strangerBytes = 64 << 10

type (
	// adopted says that a link is a friend's. From friend to stranger.
	adopted struct{}
	// waitOver says that a stranger has waited long enough: for its handshake, or
	// for somebody to decide.
	waitOver struct{ handshake bool }
)

// IgnoreDeadLetterLogging marks messages that may find a stranger stopped.
func (*adopted) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a stranger stopped.
func (waitOver) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find a stranger stopped.
func (letIn) IgnoreDeadLetterLogging() {}

// stranger serves one link of somebody unknown. It listens and says nothing. What
// it has heard holds the link's inbound credit, so the link is read no further when
// that is spent, and outlives the link, unless its sender says it again. Once it is
// let in, it passes on what comes: a link stays with who accepted it.
//
//	parent    strangers
//	receives  linkpb.Closed, linkpb.Malformed, enclavepb.Packet, letIn, adopted, waitOver
//	sends     linkpb.Accepted, linkpb.Close to its link; introducing to strangers; admitted to friends; what its link says to the friend
//	stops     when its link is gone and nothing is kept, when nobody has decided in time
type stranger struct {
	address   string // fixed at spawn, as all of this block
	link      *actor.PID
	friends   *actor.PID
	strangers *actor.PID

	first    *enclavepb.Packet // owned, as all that follows; all that was said but messages; nil: nothing yet
	messages []*enclavepb.Packet
	bytes    int  // of messages
	torn     bool // there was no room for a message that its sender sends again
	bad      int  // packets in a row that are none
	timer    *tree.Timer
	letIn    bool
	friend   *actor.PID // nil: it has not taken the link yet
	later    []proto.Message
	gone     bool // the link is
}

func (s *stranger) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.timer = tree.After(ctx, handshakeTime, waitOver{handshake: true})
		ctx.Request(s.link, &linkpb.Accepted{})
	case *actor.Stopping:
		s.onStopping(ctx)
	case *linkpb.Closed:
		s.onClosed(ctx)
	case *actor.DeadLetterResponse: // the link was gone before it was accepted
		s.onClosed(ctx)
	case *enclavepb.Packet:
		s.onPacket(ctx, m)
	case *linkpb.Malformed:
		s.onMalformed(ctx, m)
	case letIn:
		s.onLetIn(ctx)
	case *adopted:
		s.onAdopted(ctx)
	case waitOver:
		s.onWaitOver(ctx, m)
	}
}

func (s *stranger) onStopping(ctx actor.Context) {
	s.timer.Stop()
	if !s.gone {
		ctx.Send(s.link, &linkpb.Close{Code: closePolicy})
	}
}

// onClosed ends with the link; what came before its end is passed on first, or waits
// for somebody to decide.
func (s *stranger) onClosed(ctx actor.Context) {
	if s.gone {
		return
	}
	s.gone = true
	switch {
	case s.letIn && s.friend == nil:
	case !s.letIn && len(s.messages) > 0 && s.first.GetId() == "":
		s.introduce(ctx)
	default:
		ctx.Stop(ctx.Self())
	}
}

// onFarewell hangs up: the caller goes offline.
func (s *stranger) onFarewell(ctx actor.Context, m *enclavepb.Packet) {
	if s.first != nil && m.Message != nil {
		s.hold(ctx, m)
	}
	ctx.Send(s.link, &linkpb.Close{Code: closeNormal})
	s.onClosed(ctx)
}

// introduce tells what the caller has said of itself.
func (s *stranger) introduce(ctx actor.Context) {
	p := &enclavepb.Presence{Alias: s.first.GetAlias(), StatusMessage: s.first.GetStatusMessage()}
	if !s.gone {
		p.Status = max(s.first.GetStatus(), Available)
	}
	ctx.Request(s.strangers, &introducing{p, len(s.messages), s.gone})
}

func (s *stranger) onPacket(ctx actor.Context, m *enclavepb.Packet) {
	switch {
	case s.friend != nil:
		ctx.Forward(s.friend)
		return
	case s.letIn:
		s.later = append(s.later, m)
		return
	case s.gone:
		return
	case m.Status != nil && m.GetStatus() == Offline:
		s.onFarewell(ctx, m)
		return
	}
	s.bad = 0
	if s.first == nil {
		s.timer.Stop()
		s.timer = tree.After(ctx, waitTime, waitOver{})
		s.first = &enclavepb.Packet{}
	}
	s.merge(m)
	if m.Message != nil {
		s.hold(ctx, m)
	}
	s.introduce(ctx)
}

// merge keeps what a packet says of its sender.
func (s *stranger) merge(m *enclavepb.Packet) {
	p := s.first
	if m.Alias != nil {
		p.Alias = m.Alias
	}
	if m.Status != nil {
		p.Status = m.Status
	}
	if m.StatusMessage != nil {
		p.StatusMessage = m.StatusMessage
	}
	if m.Message == nil && m.GetId() != "" {
		p.Id = m.GetId()
	}
	if m.Timestamp != nil {
		p.Timestamp = m.Timestamp
	}
}

// hold keeps a message, if there is room. Behind one that its sender sends again it
// keeps none: the sender would take the lost one for received, too.
func (s *stranger) hold(ctx actor.Context, m *enclavepb.Packet) {
	if size := len(m.GetMessage()) + len(m.GetExtra()); !s.torn && len(s.messages) < strangerHeld && s.bytes+size <= strangerBytes {
		s.messages = append(s.messages, &enclavepb.Packet{Message: m.Message, Timestamp: m.Timestamp, Id: m.GetId(), Extra: m.GetExtra()})
		s.bytes += size
		return
	}
	tree.Of(ctx.ActorSystem()).Counter("enclave_strangers_dropped_total", "Messages of unknown callers beyond what is held of them.", "", "").Add(1)
	s.torn = s.torn || m.GetId() != ""
}

func (s *stranger) onMalformed(ctx actor.Context, m *linkpb.Malformed) {
	switch {
	case s.friend != nil:
		ctx.Forward(s.friend)
	case s.letIn:
		s.later = append(s.later, m)
	case s.gone:
	default:
		if s.bad++; s.bad >= badMost {
			ctx.Stop(ctx.Self())
		}
	}
}

// onLetIn hands the link to its friend, or what is left of it.
func (s *stranger) onLetIn(ctx actor.Context) {
	s.timer.Stop()
	s.letIn = true
	m := &admitted{address: s.address, link: s.link, torn: s.torn || s.gone}
	if s.first != nil {
		m.packets = append([]*enclavepb.Packet{s.first}, s.messages...)
	}
	s.first, s.messages = nil, nil
	ctx.Request(s.friends, m)
}

// onAdopted passes on what came meanwhile.
func (s *stranger) onAdopted(ctx actor.Context) {
	s.friend = ctx.Sender()
	for _, m := range s.later {
		ctx.RequestWithCustomSender(s.friend, m, s.link)
	}
	s.later = nil
	if s.gone {
		ctx.Stop(ctx.Self())
	}
}

// onWaitOver ends the waiting; one whose handshake has come has a time of its own.
func (s *stranger) onWaitOver(ctx actor.Context, m waitOver) {
	if !s.letIn && m.handshake == (s.first == nil) {
		ctx.Stop(ctx.Self())
	}
}
