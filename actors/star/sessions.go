package star

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
)

// sessions supervises one session a socket, of one Engine.IO version.
//
//	parent    node
//	receives  linkpb.Opened
//	sends     linkpb.Close to links that there is no room for
//	stops     with the node
type sessions struct {
	venue   *venue // fixed at spawn
	version Version

	mold *tree.Mold // set by Started
}

func newSessions(v *venue, version Version) actor.Actor {
	return &sessions{venue: v, version: version}
}

func (s *sessions) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{Inline: true})
	case *linkpb.Opened:
		s.onOpened(ctx, m)
	case *actor.Terminated:
		s.venue.counts.sockets.Add(-1)
	}
}

// onOpened counts the sockets of both versions together.
func (s *sessions) onOpened(ctx actor.Context, m *linkpb.Opened) {
	if most := s.venue.Sockets; most > 0 && s.venue.counts.sockets.Load() >= int64(most) {
		ctx.Send(ctx.Sender(), &linkpb.Close{Code: closeTryLater, Reason: "too many clients"})
		return
	}
	s.venue.counts.sockets.Add(1)
	s.mold.Spawn(ctx, newSession(s.venue, s.version, ctx.Sender(), m.GetMember()))
}
