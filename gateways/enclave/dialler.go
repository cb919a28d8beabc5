package enclave

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/link"
	"parley/gateways/tcp"
	"parley/messages/enclavepb"
)

// Dialler connects to peers.
type Dialler struct {
	Kind    *link.Kind
	Links   *actor.PID      // supervisor that gets the sockets
	Context context.Context // its end ends what is under way; nil: nothing does
	Sockets tcp.Dialler     // its Limit is that of packets
}

// Dial connects to a peer and gives the socket to its links, under the ticket of
// m; nil says that this is done. It waits, up to 10 s.
func (d *Dialler) Dial(m *enclavepb.Dial) *enclavepb.DialFailed {
	ctx := d.Context
	if ctx == nil {
		ctx = context.Background()
	}
	s, err := d.Sockets.Dial(ctx, m.GetAddress())
	if err != nil {
		return &enclavepb.DialFailed{Ticket: m.GetTicket(), Reason: err.Error()}
	}
	link.Admit(d.Kind, d.Links, s, m.GetTicket())
	return nil
}
