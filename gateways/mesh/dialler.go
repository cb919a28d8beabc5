package mesh

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/jsonwalk"
	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/meshpb"
)

// nodePath is where nodes meet, below a node's address.
const nodePath = "/node"

// Dialler connects to other nodes.
type Dialler struct {
	Kind    *link.Kind      // of links that this node dialled
	Links   *actor.PID      // supervisor that gets the sockets
	Context context.Context // its end ends what is under way; nil: nothing does
	Sockets ws.Dialler      // Limit is the protocol's
}

// Dial connects to a node and gives the socket to its links, under the ticket of
// m; nil says that this is done. It waits, up to 10 s.
func (d *Dialler) Dial(m *meshpb.Dial) *meshpb.DialFailed {
	failed := &meshpb.DialFailed{Ticket: m.GetTicket()}
	if strings.ContainsAny(m.GetUrl(), "?#") { // the path would be part of it
		failed.Reason = "not a ws:// or wss:// address"
		return failed
	}
	ctx := d.Context
	if ctx == nil {
		ctx = context.Background()
	}
	sockets := d.Sockets
	sockets.Limit = MaxFrame
	header := http.Header{headerToken: {m.GetToken()}}
	if m.GetName() != "" {
		header.Set(headerName, m.GetName())
	}
	s, err := sockets.Dial(ctx, strings.TrimSuffix(m.GetUrl(), "/")+nodePath, header)
	if err == nil {
		link.Admit(d.Kind, d.Links, s, m.GetTicket())
		return nil
	}
	failed.Reason = err.Error()
	var refused *ws.Refused
	if errors.As(err, &refused) {
		failed.Refused, failed.Reason = true, why(refused)
	}
	return failed
}

// why is what a node said when it refused, as far as it can be shown.
func why(r *ws.Refused) string {
	reason := http.StatusText(r.Code)
	if jsonwalk.Sound(r.Body, maxDepth) {
		jsonwalk.Members(r.Body, func(name, value []byte) bool {
			if s := sane(value); string(name) == "reason" && s != "" {
				reason = s
			}
			return true
		})
	}
	return reason
}
