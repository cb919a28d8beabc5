package node

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/ui"
	"parley/messages/starpb"
	"parley/messages/uipb"
)

// What one answer holds of the addresses that are online. Source:
// gateways/uiv2/PROTOCOL.md, starPeers.
const (
	listedMost  = 10_000  // addresses
	listedBytes = 1 << 20 // of their text
)

// textNoStar is for who asks about the rendezvous where there is none.
const textNoStar = "This Node has no rendezvous, because its star-address is off; set it to an address, and start the Node again"

func (s *status) onStarPeers(ctx actor.Context) {
	if s.r.Star == nil {
		ctx.Respond(ui.Fault(ui.CodeMissing, textNoStar))
		return
	}
	s.star.ask(ctx, func(m proto.Message) proto.Message {
		all, _ := m.(*starpb.Status)
		return &uipb.StarPeers{Peers: listed(all.GetAddresses()), Online: all.GetPeers(), Sockets: all.GetSockets(), Dials: all.GetDials()}
	})
}

// listed gives as many addresses as go into one answer.
func listed(all []string) []string {
	left := listedBytes
	for i, address := range all {
		if left -= len(address); i == listedMost || left < 0 {
			return all[:i]
		}
	}
	return all
}
