package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	firstPort = 40000            // plus the pid: where a Node serves user interfaces
	readyMost = 10 * time.Second // a Node may take to be ready
	exitOne   = 1                // of a Node that fails
	exitUsage = 2                // of a Node that refuses its settings, or panics
)

// nodes simulates processes: each Node is an assembly of its own, in an actor
// system of its own. It outlives a Daemon.
type nodes struct {
	d *Daemon

	mu      sync.Mutex // guards what follows: Nodes start and end on goroutines
	next    string     // what becomes of the next Node: "" all is well, "hang", or its last words
	pid     uint32     // of the last one
	current *running   // nil: none
	systems []*actor.ActorSystem
}

// running is one Node, from its launch to its end.
type running struct {
	pid   uint32 // fixed, as all of this block
	at    string // of its user interfaces
	nodes *nodes
	begun chan struct{} // closed when start has returned, or will not be called
	gone  chan struct{} // closed when it is on its way out
	once  sync.Once

	doors []*door // set by start, as all of this block
	node  *assemble.Node
	sys   *actor.ActorSystem
	db    *store.DB

	asker *actor.PID // guarded by nodes, as all that follows; who hears of its end
	named uint64     // how the asker calls it
	relay string     // where that listens; empty: the Node is not ready
}

// end is how a process ends.
type end struct {
	killed bool // not in order
	says   *processpb.Ended
}

// begin makes the next process.
func (n *nodes) begin(asker *actor.PID, named uint64) (r *running, next string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pid++
	r = &running{pid: n.pid, at: fmt.Sprintf("127.0.0.1:%d", firstPort+n.pid), nodes: n, begun: make(chan struct{}), gone: make(chan struct{}), asker: asker, named: named}
	next, n.next, n.current = n.next, "", r
	if next != "" {
		close(r.begun)
	}
	return r, next
}

// watcher is whoever watches over a process now, and how it calls that.
func (r *running) watcher() (*actor.PID, uint64) {
	r.nodes.mu.Lock()
	defer r.nodes.mu.Unlock()
	return r.asker, r.named
}

func (r *running) sayReady() {
	asker, named := r.watcher()
	r.nodes.d.Sys.Root.Send(asker, &processpb.Ready{Pid: r.pid, StartTime: uint64(r.pid), Port: firstPort + r.pid, Launch: named})
}

func (r *running) sayEnded(m *processpb.Ended) {
	asker, named := r.watcher()
	m.Pid, m.Ready, m.Launch = r.pid, r.serves(), named
	r.nodes.d.Sys.Root.Send(asker, m)
}

// launch is the life of a Node.
func (r *running) launch(m *processpb.Launch) {
	err := r.start(m)
	close(r.begun)
	if err != nil {
		r.end(end{says: ended(exitUsage, strings.Split("parley: "+err.Error(), "\n")...)})
		return
	}
	if !r.ready() {
		return
	}
	r.sayReady()
	select {
	case <-r.node.Ended():
		r.end(end{says: ended(0)})
	case <-r.gone:
	}
}

// ready notes that the Node serves, unless it has been ended meanwhile.
func (r *running) ready() bool {
	r.nodes.mu.Lock()
	defer r.nodes.mu.Unlock()
	select {
	case <-r.gone:
		return false
	default:
		r.relay = r.doors[1].Addr().String()
		return true
	}
}

// serves tells whether the Node was ready.
func (r *running) serves() bool {
	r.nodes.mu.Lock()
	defer r.nodes.mu.Unlock()
	return r.relay != ""
}

func ended(code int32, lines ...string) *processpb.Ended {
	return &processpb.Ended{ExitCode: &code, LastLines: lines}
}

// start is what the program does when it runs as a Node.
func (r *running) start(m *processpb.Launch) error {
	d, o := r.nodes.d, r.nodes.d.options()
	for _, v := range m.GetSettings() {
		o.Settings = append(o.Settings, config.Setting{Name: v.GetName(), Value: v.GetValue()})
	}
	environ := o.Environ()[:1] // a Node gets its settings from the Daemon, and from nowhere else
	o.Environ = func() []string { return environ }
	values, err := config.Load(o)
	if err != nil {
		return err
	}
	c := values.Node()
	var tee *node.Tee
	r.sys = testkit.System(d.t, append(d.system(), testkit.Logging(func(next slog.Handler) slog.Handler {
		tee = node.NewTee(next)
		return tee
	}))...)
	r.nodes.add(r.sys)
	l := assemble.Listeners{UI: assemble.NodeUI{Tee: tee, Apply: func(string, string) {}, Kill: r.panics}, Identity: assemble.Identity{Seed: 1, Connect: d.Net.DialFrom("node")}}
	if r.db, err = store.Open(m.GetDataDirectory(), store.OpenOptions{Log: tree.Log(r.sys)}); err != nil {
		return err
	}
	if c.DBPassword != "" {
		if l.Password, err = vault.NewSecret([]byte(c.DBPassword)); err != nil {
			return err
		}
	}
	places := []string{r.at, c.RelayListen(), c.MetricsAddress}
	if c.HasStar() {
		places = append(places, c.StarListen())
	}
	if c.HasEnclave() {
		places = append(places, c.EnclaveListen())
	}
	for _, at := range places {
		door, err := listen(d.Net, at)
		if err != nil {
			return err
		}
		r.doors = append(r.doors, door)
	}
	l.UI.UIs, l.DB, l.Relay, l.Metrics = d.uis(r.doors[0], &c.UI), r.db, r.doors[1], r.doors[2]
	if c.HasStar() {
		l.Star = r.doors[3]
	}
	if c.HasEnclave() {
		l.Enclave = r.doors[len(r.doors)-1]
	}
	r.node = assemble.Start(r.sys, &c, l)
	return r.node.Opened(&c)
}

// panics is a Node's end by a panic.
func (r *running) panics(text string) {
	r.end(end{killed: true, says: ended(exitUsage, "panic: "+text, "", "goroutine 1 [running]:")})
}

// end ends the process, and tells who watches over it. It returns at once.
func (r *running) end(how end) {
	r.once.Do(func() {
		close(r.gone)
		go func() {
			<-r.begun
			if err := r.stop(how.killed); err != nil {
				r.nodes.d.t.Error(err)
			}
			r.nodes.forget(r)
			r.sayEnded(how.says)
		}()
	})
}

// stop clears away what there is of the Node.
func (r *running) stop(killed bool) (err error) {
	for _, l := range r.doors {
		if killed || r.node == nil {
			l.cut()
		}
	}
	if r.node != nil {
		testkit.Dying(r.sys)
		ctx, cancel := context.WithTimeout(context.Background(), stopMost)
		defer cancel()
		err = r.node.Stop(ctx)
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Close())
	}
	return err
}

func (n *nodes) add(sys *actor.ActorSystem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.systems = append(n.systems, sys)
}

func (n *nodes) forget(r *running) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == r {
		n.current = nil
	}
}

// now is the Node that runs; nil: none does.
func (n *nodes) now() *running {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.current
}

// nowhere is an address that nobody listens at.
const nowhere = "127.0.0.1:1"

// at is an address of the Node that runs.
func (n *nodes) at(relay bool) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.current == nil || n.current.relay == "":
		return nowhere
	case relay:
		return n.current.relay
	}
	return n.current.at
}

// each calls f for the actor systems of all Nodes so far.
func (n *nodes) each(f func(*actor.ActorSystem)) {
	n.mu.Lock()
	systems := n.systems
	n.mu.Unlock()
	for _, sys := range systems {
		f(sys)
	}
}

// adopt lets another Daemon watch over a Node that runs.
func (n *nodes) adopt(m *processpb.Adopt, asker *actor.PID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == nil || n.current.pid != m.GetPid() {
		return false
	}
	n.current.asker, n.current.named = asker, m.GetNumber()
	return true
}

// stop ends a Node that still runs, and returns when it is gone.
func (n *nodes) stop() {
	r := n.now()
	if r == nil {
		return
	}
	r.end(end{says: ended(0)})
	for n.now() != nil {
		time.Sleep(time.Millisecond)
	}
}
