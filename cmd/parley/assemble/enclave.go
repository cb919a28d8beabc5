package assemble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/sys/unix"

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
	hang     func()   // ends dialling
	claimed  *os.File // folder of the pipes, locked until the process ends; nil: there are none
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
		Store: db, Safe: safe, Seed: l.Identity.Seed,
	}
	if local.IsValid() && !local.IsUnspecified() {
		o.Local = local.String()
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	count(ctx.ActorSystem())
	fan := link.SpawnShards(ctx, "friendfanout", e.kind)
	e.Enclave = enclave.Spawn(ctx, o)
	e.links = link.SpawnLinks(ctx, "friendlinks", e.kind, fan.Shards, e.Friends)
	dialler.Links = e.links
	close(complete)
	if l.Pipes != nil {
		e.usePipes(ctx, c.EnclaveDirectory(l.UI.Dropped), l.Pipes)
	}
}

// usePipes starts the front end of the pipes in a folder, unless another node uses
// them: each would get some of the lines. A node with a database has its data
// directory to itself by then; one without has no other lock than this.
func (e *enclaved) usePipes(ctx actor.Context, folder string, pipes *pipe.Pipes) {
	var err error
	if e.claimed, err = claim(folder); err != nil {
		pipes.Close()
		tree.Log(ctx.ActorSystem()).Warn("no named pipes for front ends of the Enclave", slog.Any("error", err))
		return
	}
	pipe.Spawn(ctx, "pipe", pipes, e.Frontends)
}

// claim locks a folder. The lock lives as long as the file is open: nothing of it
// is left of a process that was killed.
func claim(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("assemble: another node uses the pipes in %q: give this one another --data-directory", folder)
	}
	return nil, fmt.Errorf("assemble: cannot lock %q: %w", folder, err)
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
