package uiv2

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/ws"
	"parley/messages/linkpb"
)

// Subprotocol is what a user interface must offer, spelled like this.
const Subprotocol = "MASQNode-UIv2"

// Limits of a connection. Source: PROTOCOL.md, Many user interfaces.
const (
	outboundLimit = 1 << 20 // bytes that a user interface may leave unread
	outboundCount = 1024    // messages that it may leave unread
	closeSlow     = 1008    // told to one that is over either
	writeTimeout  = 10 * time.Second
	pingInterval  = 30 * time.Second // keeps the way open; nobody must answer, because known user interfaces do not
	// messageRate is how many messages a second are read from one user
	// interface: far more than people and their programs ask, and few enough
	// that one that runs wild leaves the processor to others.
	messageRate = 1000
)

// NewKind is what connections of user interfaces have in common; link.New
// completes it.
func NewKind(codec Codec) *link.Kind {
	return &link.Kind{
		Codec: codec, Framing: ws.Framing{},
		OutboundLimit: outboundLimit, OutboundCount: outboundCount, SlowCode: closeSlow,
		WriteTimeout: writeTimeout, Ping: pingInterval, MessageRate: messageRate,
	}
}

// Policy says who may come in. It is asked for at each connection.
type Policy struct {
	Rules      guard.Rules
	Users      []uint32 // uids besides root and the Gateway's own that may change things
	AllMayLook bool     // others may connect, and only look; else they are refused
}

// UsersOption is the name of the setting behind Policy.Users.
const UsersOption = "ui-users"

// Gateway is the HTTP handler of user interfaces, on any path.
type Gateway struct {
	Kind     *link.Kind
	Links    *actor.PID // supervisor that gets the sockets
	Limit    int64      // bytes of one message
	MaxLinks int64      // connections at once
	Own      uint32     // uid of this process
	Policy   func() Policy
	User     func(remote, local netip.AddrPort) (uid uint32, err error) // guard.LocalUser
	Refuse   func(http.ResponseWriter, *http.Request, *guard.Refusal)
}

// ServeHTTP implements http.Handler. It returns when the handshake is done: an
// open connection costs one goroutine, its reader.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer, refusal := g.admit(r)
	if refusal != nil {
		g.Refuse(w, r, refusal)
		return
	}
	s, err := ws.Upgrader{Limit: g.Limit, Subprotocol: Subprotocol}.Upgrade(w, r)
	if err != nil {
		return // answered
	}
	link.Accept(g.Kind, g.Links, s, peer)
}

// admit decides in this order: what a web page could fake is looked at before
// anything is asked, and who is a stranger learns nothing of how many are here.
func (g *Gateway) admit(r *http.Request) (*linkpb.Peer, *guard.Refusal) {
	policy := g.Policy()
	if refusal := policy.Rules.Check(r); refusal != nil {
		return nil, refusal
	}
	if refusal := guard.Subprotocol(r, Subprotocol); refusal != nil {
		return nil, refusal
	}
	uid, err := g.user(r)
	if err != nil {
		return nil, untold(err)
	}
	peer := &linkpb.Peer{Uid: uid, Owner: uid == 0 || uid == g.Own}
	peer.Changes = peer.Owner || slices.Contains(policy.Users, uid)
	if !peer.Changes && !policy.AllMayLook {
		return nil, strange(uid)
	}
	if g.Kind.Links() >= g.places(peer) {
		return nil, &full
	}
	return peer, nil
}

// ownersShare is which part of all places is for owners alone, one in so many:
// others cannot keep out who could send them away.
const ownersShare = 8

// places is how many connections there may be for one more of peer.
func (g *Gateway) places(peer *linkpb.Peer) int64 {
	if peer.GetOwner() {
		return g.MaxLinks
	}
	return g.MaxLinks - g.MaxLinks/ownersShare
}

// user asks who is at the other end.
func (g *Gateway) user(r *http.Request) (uint32, error) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return 0, err
	}
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return 0, errNoListener
	}
	local, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return 0, err
	}
	return g.User(remote, local)
}

func strange(uid uint32) *guard.Refusal {
	name := strconv.FormatUint(uint64(uid), 10)
	return &guard.Refusal{
		Status: http.StatusForbidden, Reason: guard.ReasonUserNotAllowed,
		Text: "The local user with uid " + name + " may not connect. Connect as the user that this process runs as, or as root; " +
			"or let this user in with the option " + UsersOption + "; the line for the configuration file (several values are separated by commas): " +
			UsersOption + ` = "` + name + `"; or let all users of this machine look with ui-access = "look"`,
	}
}

var errNoListener = errors.New("uiv2: the server does not say where it listens")

func untold(err error) *guard.Refusal {
	return &guard.Refusal{
		Status: http.StatusForbidden, Reason: guard.ReasonUserUnknown,
		Text: "The local user at the other end could not be told (" + err.Error() +
			"). Connect directly and from this machine: not through a proxy, and not from a container with a network of its own.",
	}
}

var full = guard.Refusal{
	Status: http.StatusServiceUnavailable, Reason: guard.ReasonMaxConns,
	Text: "As many user interfaces are connected as may be; close one of them, or set max-uis to serve more.",
}
