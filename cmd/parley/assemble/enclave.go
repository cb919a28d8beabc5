package assemble

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/enclave"
	"parley/actors/tree"
	"parley/cmd/parley/config"
	enclavegate "parley/gateways/enclave"
	"parley/gateways/guard"
	"parley/gateways/link"
	"parley/gateways/pipe"
	"parley/gateways/tcp"
	"parley/messages/enclavepb"
)

// enclaved is a node's part in Enclave, with its gateway.
type enclaved struct {
	*enclave.Enclave
	kind     *link.Kind
	links    *actor.PID
	listener *tcp.Listener
	hang     func() // ends dialling
}

func newEnclaved(sys *actor.ActorSystem, c *config.Node, l *Listeners) *enclaved {
	e := &enclaved{}
	k := enclavegate.NewKind()
	k.Budget = link.NewBudget(c.OutboundCeiling / queuedShare)
	e.kind = link.New(sys, k)
	e.listener = tcp.Listen(l.Enclave, doorLimits(c), guard.Hooks{Log: tree.Log(sys)}, int(c.EnclaveMaxPacket))
	return e
}

// spawn starts the part in Enclave. db and safe are nil where nothing is kept.
func (e *enclaved) spawn(ctx actor.Context, c *config.Node, l *Listeners, db, safe *actor.PID) {
	local := addrOf(l.Enclave)
	dialling, hang := context.WithCancel(context.Background())
	e.hang = hang
	dialler := &enclavegate.Dialler{
		Kind: e.kind, Context: dialling,
		Sockets: tcp.Dialler{Limit: int(c.EnclaveMaxPacket), Local: local, Connect: l.Identity.Connect},
	}
	complete := make(chan struct{})
	o := enclave.Options{
		Alias: c.EnclaveAlias, Retention: c.EnclaveRetention, Outbox: c.EnclaveOutbox && db != nil, Allow: c.EnclaveAllows,
		Dial: func(d *enclavepb.Dial) *enclavepb.DialFailed {
			<-complete // it may be asked before its links are there
			return dialler.Dial(d)
		},
		Store: db, Safe: safe, Seed: l.Identity.Seed, Listeners: l.frontends(),
	}
	if local.IsValid() && !local.IsUnspecified() {
		o.Local = l.Enclave.Addr().String()
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	count(ctx.ActorSystem())
	fan := link.SpawnShards(ctx, "friendfanout", e.kind)
	e.Enclave = enclave.Spawn(ctx, o)
	e.links = link.SpawnLinks(ctx, "friendlinks", e.kind, fan.Shards, e.Friends)
	dialler.Links = e.links
	if l.Pipes != nil {
		if db == nil { // its lock is the data directory's: two nodes would each get some of the lines
			panic("assemble: named pipes without a database")
		}
		pipe.Spawn(ctx, "pipe", l.Pipes, e.Frontends)
	}
	close(complete)
}

// frontends is how many there are from the start.
func (l *Listeners) frontends() (n int) {
	if l.Pipes != nil {
		n++
	}
	if len(l.UI.Listeners) > 0 {
		n++ // one for all user interfaces
	}
	return n
}

// count has the counters there from the start that are counted later.
func count(sys *actor.ActorSystem) {
	m := tree.Of(sys)
	m.Counter("enclave_strangers_dropped_total", "Messages of unknown callers beyond what is held of them.", "", "")
	m.Counter("enclave_history_lost_total", "Entries of conversations that were not kept.", "", "")
}

// addrOf is the IP address that l listens on; not valid: it has none.
func addrOf(l net.Listener) netip.Addr {
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// front is where people's commands go; nil: there are none.
func (e *enclaved) front() *actor.PID {
	if e == nil {
		return nil
	}
	return e.Frontends
}

// serveEnclave lets peers in.
func (n *Node) serveEnclave() {
	g := &enclavegate.Gateway{Kind: n.enclave.kind, Links: n.enclave.links}
	go func() {
		if err := g.Serve(n.enclave.listener); !errors.Is(err, net.ErrClosed) {
			n.failed <- fmt.Errorf("assemble: enclave listener: %w", err)
		}
	}()
}

// close lets nobody in any more, and calls nobody.
func (e *enclaved) close() {
	if e != nil {
		_ = e.listener.Close() // it is of no more use either way
		e.hang()
	}
}

// stop says goodbye to all friends, by a packet of their own protocol, and then
// ends their links.
func (e *enclaved) stop(ctx context.Context, sys *actor.ActorSystem) error {
	if e == nil {
		return nil
	}
	farewell := wait(ctx, "friends", sys.Root.RequestFuture(e.Friends, goodbye(), untilDone(ctx)))
	return errors.Join(farewell, wait(ctx, "links to friends", sys.Root.RequestFuture(e.links, goodbye(), untilDone(ctx))))
}

// apply takes over the option of a running node that friends see.
func (e *enclaved) apply(sys *actor.ActorSystem, name, value string) {
	if e != nil && name == "enclave-alias" {
		sys.Root.Send(e.Frontends, &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: value}}})
	}
}

// frames is how many packets came in from peers.
func (e *enclaved) frames() int64 {
	if e == nil {
		return 0
	}
	return e.kind.Frames()
}

// refusals are those at its door, by reason.
func (e *enclaved) refusals() map[string]uint64 {
	if e == nil {
		return nil
	}
	return e.listener.Door.Counts()
}
