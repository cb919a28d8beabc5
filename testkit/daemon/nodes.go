package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/node"
	"parley/actors/store"
	"parley/actors/tree"
	"parley/actors/vault"
	"parley/cmd/parley/assemble"
	"parley/cmd/parley/config"
	"parley/messages/processpb"
	"parley/testkit"
)

const (
	firstPID  = 4001
	readyMost = 10 * time.Second // a Node may take to be ready
	exitUsage = 2                // of a Node that refuses its settings
)

// nodes simulates processes: each Node is an assembly of its own, in an actor
// system of its own.
type nodes struct {
	d    *Daemon
	next string // what becomes of the next Node: "" all is well, "hang", or its last words

	mu      sync.Mutex // guards what follows: Nodes start and end on goroutines
	pid     uint32
	running *running // nil: none
	all     []*actor.ActorSystem
}

// running is one Node.
type running struct {
	pid   uint32
	at    string // of its user interfaces
	node  *assemble.Node
	db    *store.DB
	asker *actor.PID
	once  sync.Once
}

func newNodes(d *Daemon) *nodes { return &nodes{d: d, pid: firstPID - 1} }

// processes stands in for the gateway to processes.
//
//	parent    daemon
//	receives  processpb.Launch, processpb.Adopt, processpb.Stop, late
//	sends     processpb.Ready, processpb.Ended to who launched
//	stops     with the Daemon
type processes struct{ nodes *nodes }

func (n *nodes) spawn(ctx actor.SpawnerContext) *actor.PID {
	return tree.Spawn(ctx, "processes", tree.Spec{New: func() actor.Actor { return &processes{n} }})
}

func (p *processes) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Launch:
		p.onLaunch(ctx, m)
	case *processpb.Adopt:
		ctx.Respond(&processpb.Ended{Pid: m.GetPid(), Failure: "no such process"})
	case *processpb.Stop:
		p.nodes.end(&processpb.Ended{})
	case *late:
		ctx.Send(m.r.asker, &processpb.Ended{Pid: m.r.pid, Failure: "it was not ready within 10s", Signal: "terminated"})
	}
}

// late says that a Node was not ready in time.
type late struct{ r *running }

func (p *processes) onLaunch(ctx actor.Context, m *processpb.Launch) {
	n := p.nodes
	n.pid++
	r := &running{pid: n.pid, at: fmt.Sprintf("127.0.0.1:%d", 40000+n.pid), asker: ctx.Sender()}
	root, next := ctx.ActorSystem().Root, n.next
	n.next = ""
	switch {
	case next == "hang":
		tree.After(ctx, readyMost, &late{r})
	case next != "":
		ctx.Respond(ended(r.pid, false, 1, next))
	default:
		go n.launch(root, r, m) // it waits for actors
	}
}

func ended(pid uint32, ready bool, code int32, lines ...string) *processpb.Ended {
	return &processpb.Ended{Pid: pid, Ready: ready, ExitCode: &code, LastLines: lines}
}

// launch is the life of a Node as far as its Daemon sees it.
func (n *nodes) launch(root *actor.RootContext, r *running, m *processpb.Launch) {
	err := n.start(r, m)
	if err != nil {
		root.Send(r.asker, ended(r.pid, false, exitUsage, strings.Split("parley: "+err.Error(), "\n")...))
		return
	}
	root.Send(r.asker, &processpb.Ready{Pid: r.pid, StartTime: uint64(r.pid), Port: 40000 + r.pid})
	<-r.node.Ended()
	n.end(nil)
}

func (n *nodes) start(r *running, m *processpb.Launch) error {
	settings := []config.Setting{}
	for _, v := range m.GetSettings() {
		settings = append(settings, config.Setting{Name: v.GetName(), Value: v.GetValue()})
	}
	o := n.d.options()
	o.Settings = settings
	values, err := config.Load(o)
	if err != nil {
		return err
	}
	c := values.Node()
	sys := testkit.System(n.d.t, n.d.system()...)
	tee := node.NewTee(tree.Log(sys).Handler())
	l := assemble.Listeners{UI: assemble.NodeUI{Tee: tee, Apply: func(string, string) {}}}
	if r.db, err = store.Open(m.GetDataDirectory(), store.OpenOptions{Log: slog.New(tee)}); err != nil {
		return err
	}
	if c.DBPassword != "" {
		if l.UI.Password, err = vault.NewSecret([]byte(c.DBPassword)); err != nil {
			return err
		}
	}
	var ui net.Listener
	for _, at := range []struct {
		l       *net.Listener
		address string
	}{{&ui, r.at}, {&l.Relay, c.RelayListen()}, {&l.Metrics, c.MetricsAddress}} {
		if at.address == "" {
			continue
		}
		if *at.l, err = n.d.Net.Listen(at.address); err != nil {
			return errors.Join(err, r.db.Close())
		}
	}
	l.UI.UIs, l.UI.DB = n.d.uis(ui), r.db
	r.node = assemble.Start(sys, &c, l)
	if err := r.node.Opened(&c); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running, n.all = r, append(n.all, sys)
	return nil
}

// end stops the Node that runs. e says how it looks to the Daemon; nil: it ended
// in order.
func (n *nodes) end(e *processpb.Ended) {
	n.mu.Lock()
	r := n.running
	n.running = nil
	n.mu.Unlock()
	if r == nil {
		return
	}
	if e == nil || e.GetSignal() == "" {
		e = ended(r.pid, true, 0)
	}
	e.Pid, e.Ready = r.pid, true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopMost)
		defer cancel()
		if err := errors.Join(r.node.Stop(ctx), r.db.Close()); err != nil {
			n.d.t.Error(err)
		}
		n.d.Sys.Root.Send(r.asker, e)
	}()
}

// address is where the Node serves user interfaces.
func (n *nodes) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running == nil {
		return "127.0.0.1:1"
	}
	return n.running.at
}

// ending says that the test stops everything now.
func (n *nodes) ending() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, sys := range n.all {
		testkit.Ending(sys)
	}
}

// stop looks for what Nodes have left behind.
func (n *nodes) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, sys := range n.all {
		testkit.Stop(n.d.t, sys)
	}
}

// Act does what no client can:
//
//	kill node [LAST WORDS]   the Node is killed, as by kill -9
//	doom node hang           the next Node never gets ready
//	doom node LAST WORDS     the next Node says that and exits with 1
//
// It is a testkit.Stage's Act.
func (d *Daemon) Act(words []string) error {
	if len(words) < 2 || words[1] != "node" {
		return fmt.Errorf("cannot act %q", words)
	}
	rest := strings.Join(words[2:], " ")
	switch words[0] {
	case "kill":
		e := &processpb.Ended{Signal: "killed"}
		if rest != "" {
			e.LastLines = []string{rest}
		}
		d.nodes.end(e)
	case "doom":
		d.nodes.next = rest
	default:
		return fmt.Errorf("cannot act %q", words)
	}
	return nil
}
