package daemon

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/uipb"
)

// onWhereabouts notes whether a Node is there. What an adopted one was started
// with is known to who adopts it.
func (s *setup) onWhereabouts(m *whereabouts) {
	s.kept.node = m.node
	if m.node == present && s.kept.shown == nil {
		s.kept.shown = m.shown
	}
}

// follow freezes what user interfaces see when a Node is there, and thaws it when
// that is gone: what it was started with does not change while it runs, whatever
// files and environment say by then. It is nobody's turn, or the one of freeze.
func (s *setup) follow(ctx actor.Context) {
	switch shown := s.kept.shown; {
	case s.kept.node == present && shown == nil:
		s.kept.shown = s.space.dump(s.view, true, nil)
	case s.kept.node == absent && shown != nil:
		s.kept.shown = nil
		if !slices.EqualFunc(shown.GetValues(), s.space.dump(s.view, false, nil).GetValues(), sameValue) {
			s.announce(ctx, 0)
		}
	}
}

func sameValue(a, b *uipb.SetupValue) bool { return proto.Equal(a, b) }
