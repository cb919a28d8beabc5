package mesh

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
)

// shard stands in for a fan-out shard of a gateway.
//
//	parent    top
//	receives  tree.Batch of messages.Multicast
//	sends     -
//	stops     with the node
type shard struct {
	write  func(member uint64, m proto.Message) // to one link; to none that is gone
	settle func(member uint64, charge uint32)   // credit of one link
}

// spawnShards starts count of them.
func spawnShards(ctx actor.SpawnerContext, name string, count int, s shard) (pids []*actor.PID, gauges []*tree.Gauge) {
	for i := range count {
		g := &tree.Gauge{}
		gauges = append(gauges, g)
		pids = append(pids, tree.Spawn(ctx, name+"-"+string(rune('a'+i)), tree.Spec{
			New: func() actor.Actor { return &s }, Batch: true, Gauge: g,
		}))
	}
	return pids, gauges
}

func (s *shard) Receive(ctx actor.Context) {
	if b, ok := ctx.Message().(*tree.Batch); ok {
		s.onBatch(b)
	}
}

func (s *shard) onBatch(b *tree.Batch) {
	for _, l := range b.Messages {
		m, ok := l.(*messages.Multicast)
		if !ok {
			continue
		}
		if m.Frame != nil {
			for _, member := range slices.Concat(m.Members, m.Lossy) {
				if member != m.Origin {
					s.write(member, m.Frame.Message)
				}
			}
		}
		if m.Answer != nil {
			s.write(m.Origin, m.Answer)
		}
		if m.Charge > 0 {
			s.settle(m.Origin, m.Charge)
		}
		if m.Written != nil {
			m.Written()
		}
	}
}
