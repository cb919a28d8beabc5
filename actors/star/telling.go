package star

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/messages"
	"parley/messages/starpb"
)

// peerFrame is about what a ws-peer event has beside its address, in bytes.
const peerFrame = 24

// tell sends ws-peer events to a crowd, but for who they are about, and returns
// how many shards will call written.
func (v *venue) tell(ctx actor.Context, c *crowd, frame *messages.Shared, but *caller, written func()) (shards int) {
	size := 0
	for _, address := range frame.Message.(*starpb.Peers).GetAddresses() {
		size += len(address) + peerFrame
	}
	for version := range c {
		for i := range c[version] {
			row := &c[version][i]
			var origin uint64
			if but != nil && row == c.row(&v.Fanout, *but) {
				origin = but.member
			}
			if len(row.items) == 0 || origin != 0 && len(row.items) == 1 {
				continue
			}
			shards++
			ctx.Send(v.Fanout[version].Shards[i], &messages.Multicast{
				Members: row.lend(), Frame: frame, Size: size, Origin: origin, Written: written,
			})
		}
	}
	return shards
}

// news is a frame of ws-peer events.
func news(addresses ...string) *messages.Shared {
	return &messages.Shared{Message: &starpb.Peers{Addresses: addresses}}
}
