package assemble

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/uiv2"
	"parley/messages/linkpb"
	"parley/messages/uipb"
)

// UIs are the settings of a gateway for user interfaces.
type UIs struct {
	Listeners []net.Listener // on loopback; of one port. Owned by who assembles
	MaxFrame  int64          // bytes of one message
	Most      int            // connections at once
	Idle      time.Duration  // a conversation may be silent
	// Dropped tells that root started this process and had it become another
	// user, who is a stranger here as everywhere: often nobody, who is many.
	Dropped bool
	// User tells who is at the other end of a connection; nil: the kernel is asked.
	User func(remote, local netip.AddrPort) (uid uint32, err error)
}

// own is the user who may do everything, beside root.
func (s UIs) own() uint32 {
	if s.Dropped {
		return 0
	}
	return uint32(os.Getuid())
}

// uis is the gateway for user interfaces, as a Daemon and a Node have it.
type uis struct {
	settings   UIs
	kind       *link.Kind
	doors      []*guard.Door
	servers    []*http.Server
	fanout     link.Fanout
	broadcasts *actor.PID
	links      *actor.PID
	policy     atomic.Pointer[uiv2.Policy]
}

// uiFiles is how many connections beside the open ones may be on their way in.
const uiFiles = 128

func newUIs(sys *actor.ActorSystem, s UIs, codec uiv2.Codec) *uis {
	u := &uis{settings: s, kind: link.New(sys, uiv2.NewKind(codec))}
	u.policy.Store(&uiv2.Policy{})
	return u
}

// spawnBroadcasts comes before all actors that announce.
func (u *uis) spawnBroadcasts(ctx actor.Context, demand func(uipb.LogLevel)) {
	u.fanout = link.SpawnShards(ctx, "uifanout", u.kind)
	u.broadcasts = ui.SpawnBroadcasts(ctx, ui.Fanout(u.fanout.Shards), demand)
}

// spawnLinks comes behind all actors that answer.
func (u *uis) spawnLinks(ctx actor.Context, desk ui.Desk) {
	desk.Idle = u.settings.Idle
	desk.MayChange = func(uid uint32) bool { return slices.Contains(u.policy.Load().Users, uid) }
	clients := ui.SpawnClients(ctx, desk, ui.Fanout(u.fanout.Shards), u.broadcasts)
	u.links = link.SpawnLinks(ctx, "uilinks", u.kind, u.fanout.Shards, clients)
}

// admit says who may come in from now on. The port is that of the listeners.
func (u *uis) admit(p uiv2.Policy) {
	p.Rules.LoopbackOnly = true
	p.Rules.OriginsOption = "ui-origins"
	for _, l := range u.settings.Listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			p.Rules.Port = a.Port
		}
	}
	u.policy.Store(&p)
}

// serve makes one server for each listener; run starts it.
func (u *uis) serve(sys *actor.ActorSystem, run func(name string, s *http.Server, l net.Listener)) {
	user := u.settings.User
	if user == nil {
		user = guard.LocalUser
	}
	for _, l := range u.settings.Listeners {
		door := guard.NewDoor(l, guard.Limits{HalfOpenTotal: uiFiles, MaxConns: u.settings.Most + uiFiles}, guard.Hooks{Log: tree.Log(sys)})
		u.doors = append(u.doors, door)
		g := &uiv2.Gateway{
			Kind: u.kind, Links: u.links, Limit: u.settings.MaxFrame, MaxLinks: int64(u.settings.Most), Own: u.settings.own(),
			Policy: func() uiv2.Policy { return *u.policy.Load() }, User: user, Refuse: door.Refuse,
		}
		server := guard.Server(g, guard.ServerOptions{Door: door, Log: tree.Log(sys)})
		u.servers = append(u.servers, server)
		run("ui", server, link.Listener(door))
	}
}

// close stops accepting, and leaves open connections alone. It takes as long as
// handshakes that are under way, and closePatience at most.
func (u *uis) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, s := range u.servers {
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}
}

// closePatience is what a handshake gets that is under way when a gateway closes.
const closePatience = 50 * time.Millisecond

// goodbye asks the links to close; who answers is told by a linkpb.Drained.
func goodbye() *linkpb.Drain { return &linkpb.Drain{Code: closeGoingAway, Reason: "server shuts down"} }
