package relay

import (
	"net/http"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
)

// Gateway is the HTTP handler of WS /connect.
type Gateway struct {
	Kind     *link.Kind
	Links    *actor.PID // supervisor that gets the sockets
	Limit    int64      // bytes of one message
	MaxLinks int64      // connections at once
	Refuse   func(http.ResponseWriter, *http.Request, *guard.Refusal)
}

// ServeHTTP implements http.Handler; Host and Origin are decided before. The handler returns when the handshake is
// done: an open connection costs one goroutine, its reader.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.Kind.Links() >= g.MaxLinks {
		g.Refuse(w, r, &full)
		return
	}
	s, err := ws.Upgrader{Limit: g.Limit}.Upgrade(w, r)
	if err != nil {
		return // answered
	}
	link.Accept(g.Kind, g.Links, s, nil)
}

var full = guard.Refusal{
	Status: http.StatusServiceUnavailable, Reason: guard.ReasonMaxConns,
	Text: "this node serves as many clients as it may; set max-clients to serve more",
}
