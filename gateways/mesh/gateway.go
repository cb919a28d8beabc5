package mesh

import (
	"net/http"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/meshpb"
)

// Headers of a request for WS /node. Source: PROTOCOL.md, Tokens.
const (
	headerToken  = "Authentication"
	headerBearer = "Authorization"
	headerName   = "Node-Name"
	bearer       = "bearer "
)

// admitTimeout is how long the node's actors may take to say who comes in.
const admitTimeout = 2 * time.Second

// Bodies of refusals. Source: PROTOCOL.md, Tokens.
const (
	reasonForbidden = "forbidden"
	reasonFull      = "full"
	reasonBusy      = "busy"
)

// Gateway is the HTTP handler of WS /node.
type Gateway struct {
	Kind  *link.Kind // of links that others dialled
	Links *actor.PID // supervisor that gets the sockets
	Root  *actor.RootContext
	Peers *actor.PID // answers meshpb.AdmitRequest
}

// ServeHTTP implements http.Handler; Host and Origin are decided before. A token
// is presented before anything is upgraded, and never with a request that could
// not be: it may be good for one time only.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrader := ws.Upgrader{Limit: MaxFrame}
	if !ws.Asked(r) {
		_, _ = upgrader.Upgrade(w, r) // which says what is missing
		return
	}
	m, ok := presented(r)
	if !ok {
		refuse(w, http.StatusForbidden, reasonForbidden)
		return
	}
	answer, err := g.Root.RequestFuture(g.Peers, m, admitTimeout).Result()
	a, ok := answer.(*meshpb.AdmitResponse)
	switch {
	case err != nil || !ok:
		refuse(w, http.StatusServiceUnavailable, reasonBusy)
		return
	case a.GetFull():
		refuse(w, http.StatusServiceUnavailable, reasonFull)
		return
	case a.GetTicket() == 0:
		refuse(w, http.StatusForbidden, reasonForbidden)
		return
	}
	s, err := upgrader.Upgrade(w, r)
	if err != nil {
		return // answered; the ticket is never used
	}
	link.Admit(g.Kind, g.Links, s, a.GetTicket())
}

// presented is what a request's headers say; false: none could be right.
func presented(r *http.Request) (m *meshpb.AdmitRequest, ok bool) {
	m = &meshpb.AdmitRequest{}
	var tokens []string
	tokens = append(tokens, r.Header.Values(headerToken)...)
	for _, v := range r.Header.Values(headerBearer) {
		if len(v) <= len(bearer) || !strings.EqualFold(v[:len(bearer)], bearer) {
			return nil, false
		}
		tokens = append(tokens, v[len(bearer):])
	}
	for _, t := range tokens {
		if t = strings.TrimSpace(t); t == "" || len(t) > maxText || m.Token != "" && m.Token != t {
			return nil, false
		}
		m.Token = t
	}
	if names := r.Header.Values(headerName); len(names) > 0 {
		if m.Name = names[0]; len(names) > 1 || !goodName(m.GetName()) {
			return nil, false
		}
	}
	return m, m.GetToken() != ""
}

// refuse answers with a body that says why. The connection is closed: kept, it
// would count against no limit.
func refuse(w http.ResponseWriter, status int, reason string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"ok":false,"reason":"` + reason + `"}`)) // fails only when the client is gone
}
