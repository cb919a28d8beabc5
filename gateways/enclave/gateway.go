package enclave

import (
	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/link"
	"parley/gateways/tcp"
)

// Gateway gives the sockets of peers that call to their links.
type Gateway struct {
	Kind  *link.Kind
	Links *actor.PID // supervisor that gets the sockets
}

// Serve accepts peers until l is closed, or of no more use, which the error
// tells: it is net.ErrClosed after Close.
func (g *Gateway) Serve(l *tcp.Listener) error {
	for {
		s, err := l.Accept()
		if err != nil {
			return err
		}
		link.Accept(g.Kind, g.Links, s, nil)
	}
}
