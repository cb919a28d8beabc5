package star

import (
	"net/http"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
)

// Paths of the rendezvous. Source: PROTOCOL.md, HTTP.
const (
	pathPage   = "/"
	pathSocket = "/socket.io/"
)

// Versions of Engine.IO: index into Gateway's arrays, and spelling in a request.
const (
	three = iota
	four
	versions
)

var versionNames = [versions]string{"3", "4"}

// Gateway is the HTTP handler of the rendezvous. Host is decided before; clients
// may be of any origin.
type Gateway struct {
	Kinds    [versions]*link.Kind // as NewKinds returns them
	Links    [versions]*actor.PID // supervisors that get the sockets
	MaxLinks int64                // connections at once, of both
	Address  string               // multiaddr that the page shows; empty: made of what the browser asked for
	Refuse   func(http.ResponseWriter, *http.Request, *guard.Refusal)
}

// ServeHTTP implements http.Handler. It returns when the handshake is done: an
// open connection costs one goroutine, its reader.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == pathSocket:
		g.open(w, r)
	case r.URL.Path != pathPage:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		g.page(w, r)
	}
}

// open makes a socket of a request.
func (g *Gateway) open(w http.ResponseWriter, r *http.Request) {
	cors(w, r)
	version, f := asked(r)
	if f != nil {
		f.writeTo(w)
		return
	}
	if g.Kinds[three].Links()+g.Kinds[four].Links() >= g.MaxLinks {
		g.Refuse(w, r, &full)
		return
	}
	s, err := ws.Upgrader{Limit: MaxMessage + 1}.Upgrade(w, r) // and the byte that says what it is
	if err != nil {
		return // answered
	}
	link.Accept(g.Kinds[version], g.Links[version], NewSocket(s, version == four), nil)
}

// fault is what a request is refused with, as socket.io clients know it.
type fault struct {
	code int
	text string
}

// Faults of requests. Source: PROTOCOL.md, HTTP.
var (
	faultTransport = fault{0, "Transport unknown"}
	faultSession   = fault{1, "Session ID unknown"}
	faultMethod    = fault{2, "Bad handshake method"}
	faultRequest   = fault{3, "Bad request"}
)

// asked is the version that a request asks for, or what is wrong with it.
func asked(r *http.Request) (version int, f *fault) {
	q := r.URL.Query()
	switch {
	case q.Get("transport") != "websocket":
		return 0, &faultTransport
	case q.Has("sid"):
		return 0, &faultSession
	case r.Method != http.MethodGet:
		return 0, &faultMethod
	case !ws.Asked(r):
		return 0, &faultRequest
	}
	for v, name := range versionNames {
		if q.Get("EIO") == name {
			return v, nil
		}
	}
	return 0, &faultRequest
}

// cors lets a page of any origin read the answer.
func cors(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
}

// writeTo answers, and has the connection closed: kept, it would count against no
// limit.
func (f *fault) writeTo(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(`{"code":` + strconv.Itoa(f.code) + `,"message":"` + f.text + `"}`)) // fails only when the client is gone
}

var full = guard.Refusal{
	Status: http.StatusServiceUnavailable, Reason: guard.ReasonMaxConns,
	Text: "this rendezvous serves as many clients as it may; try again later, or use another",
}
