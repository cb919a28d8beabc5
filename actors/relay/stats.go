package relay

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/relaypb"
)

// countTimeout is how long stats waits for channels that fail while counting.
const countTimeout = time.Second

// stats answers what the node relays. It asks all channels, one round at a
// time; who asks meanwhile gets the same answer.
//
//	parent    node
//	receives  relaypb.NodeStatsRequest, relaypb.Census, counting, counted, closed, countLate
//	sends     count to channels; relaypb.CensusRequest to clients; relaypb.NodeStats to askers
//	stops     with the node
type stats struct {
	clients, channels *actor.PID // fixed at spawn

	past      ring         // owned, as all that follows; of closed channels
	askers    []*actor.PID // empty: no round under way
	round     uint64
	late      *tree.Timer
	missing   int // answers: clients, the number of channels, then each channel
	connected int
	counts    []*counted
	ended     []*closed // channels that closed during the round
}

// countLate says that countTimeout is over.
type countLate struct{ round uint64 }

// IgnoreDeadLetterLogging marks messages that may find stats stopped.
func (countLate) IgnoreDeadLetterLogging() {}

// SpawnStats starts the actor that answers relaypb.NodeStatsRequest.
func SpawnStats(ctx actor.SpawnerContext, clients, channels *actor.PID) *actor.PID {
	return tree.Spawn(ctx, "stats", tree.Spec{New: func() actor.Actor {
		return &stats{clients: clients, channels: channels}
	}})
}

func (s *stats) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		s.late.Stop()
	case *relaypb.NodeStatsRequest:
		s.onRequest(ctx)
	case *relaypb.Census:
		s.connected = int(m.GetClients())
		s.got(ctx)
	case *counting:
		s.onCounting(ctx, m)
	case *counted:
		s.onCounted(ctx, m)
	case countLate:
		if m.round == s.round && len(s.askers) > 0 {
			s.answer(ctx)
		}
	case *closed:
		s.onClosed(m)
	}
}

// onClosed keeps what a channel had counted. During a round it may have been
// told already, by the channel itself.
func (s *stats) onClosed(m *closed) {
	if len(s.askers) > 0 {
		s.ended = append(s.ended, m)
		return
	}
	s.past.merge(m.past)
}

func (s *stats) onRequest(ctx actor.Context) {
	if s.askers = append(s.askers, ctx.Sender()); len(s.askers) > 1 {
		return
	}
	s.round++
	s.counts, s.missing = nil, 2
	s.late = tree.After(ctx, countTimeout, countLate{s.round})
	ctx.Request(s.clients, &relaypb.CensusRequest{})
	ctx.Request(s.channels, &count{s.round})
}

func (s *stats) onCounting(ctx actor.Context, m *counting) {
	if m.round == s.round {
		s.missing += m.channels
		s.got(ctx)
	}
}

func (s *stats) onCounted(ctx actor.Context, m *counted) {
	if m.round == s.round {
		s.counts = append(s.counts, m)
		s.got(ctx)
	}
}

func (s *stats) got(ctx actor.Context) {
	if s.missing--; s.missing == 0 && len(s.askers) > 0 {
		s.answer(ctx)
	}
}

func (s *stats) answer(ctx actor.Context) {
	s.late.Stop()
	now := time.Now().Unix()
	for _, e := range s.ended {
		s.past.merge(e.past)
		s.counts = slices.DeleteFunc(s.counts, func(c *counted) bool { return c.channel.Equal(e.channel) })
	}
	s.ended = nil
	total := s.past
	out := &relaypb.NodeStats{Clients: uint32(s.connected)}
	slices.SortFunc(s.counts, func(a, b *counted) int { return strings.Compare(a.name, b.name) })
	for _, c := range s.counts {
		total.merge(c.ring)
		out.Channels = append(out.Channels, &relaypb.ChannelStats{
			Name: c.name, Subscribers: uint32(c.subscribers), Traffic: c.ring.traffic(now),
		})
	}
	out.Total = total.traffic(now)
	for _, a := range s.askers {
		ctx.Send(a, out)
	}
	s.askers, s.counts = nil, nil
}
