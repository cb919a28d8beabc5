package daemon

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/processpb"
	"parley/messages/storepb"
)

// paperSpace is a table with one of everything.
type paperSpace struct {
	files  map[string]map[string]string // what is Configured, by config-file
	reads  int
	fail   bool // the next Check panics
	strict bool // values with a capital letter are not valid any more

	problems []Problem // with files that are there
}

func (p *paperSpace) space() Space {
	return Space{
		Rows: []Row{
			{Name: "chain", Default: "dev"},
			{Name: "config-file"},
			{Name: "data-directory", Default: "/var/lib"},
			{Name: "db-password", Secret: true},
			{Name: "ip"},
			{Name: "neighborhood-mode", Default: "standard"},
			{Name: "neighbors"},
			{Name: "real-user"},
			{Name: "relay-token", Secret: true, Owner: true},
			{Name: "ui-users", Owner: true},
		},
		Check: p.check, Cross: p.cross, Configured: p.configured,
	}
}

// check refuses what holds a "!", and stores without blanks around.
func (p *paperSpace) check(_, value string) (stored, problem string) {
	switch {
	case p.fail:
		p.fail = false
		panic("told to")
	case strings.Contains(value, "!"), p.strict && strings.ToLower(value) != value:
		return "", "not allowed: " + value
	}
	return strings.TrimSpace(value), ""
}

// cross needs neighbors for consume-only, and forbids an ip for zero-hop.
func (p *paperSpace) cross(v map[string]string) (problems []Problem, required []string) {
	switch v["neighborhood-mode"] {
	case "consume-only":
		required = append(required, "neighbors", "neighborhood-mode")
	case "zero-hop":
		if v["ip"] != "" {
			problems = append(problems, Problem{"ip", "not for zero-hop"})
		}
	}
	return problems, required
}

func (p *paperSpace) configured(v map[string]string) (map[string]string, []Problem) {
	p.reads++
	name := v["config-file"]
	if c, ok := p.files[name]; ok || name == "" {
		return maps.Clone(c), p.problems
	}
	return nil, []Problem{{"config-file", "no such file: " + name}}
}

// paperStore keeps records in a map.
type paperStore struct {
	records map[string][]byte
	corrupt []string // reported once
	broken  string   // why nothing can be done
	fail    int      // so many of the next messages make it panic
	held    bool     // answers wait
	queue   []func(actor.Context)
	writes  int
}

func (p *paperStore) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.ReadRequest, *storepb.Write:
		if p.fail > 0 {
			p.fail--
			panic("told to")
		}
		sender := ctx.Sender()
		p.queue = append(p.queue, func(ctx actor.Context) { ctx.Send(sender, p.do(m.(proto.Message))) })
	case func(actor.Context):
		m(ctx)
	}
	for !p.held && len(p.queue) > 0 {
		p.answer(ctx)
	}
}

// answer does what came first.
func (p *paperStore) answer(ctx actor.Context) {
	next := p.queue[0]
	p.queue = p.queue[1:]
	next(ctx)
}

// release lets held answers go.
func (w *world) release() {
	w.sys.Root.Send(w.store, func(actor.Context) { w.disk.held = false })
}

func (p *paperStore) do(m proto.Message) proto.Message {
	if m, ok := m.(*storepb.ReadRequest); ok {
		r := &storepb.ReadResponse{Serial: m.GetSerial(), Error: p.broken}
		for _, key := range slices.Sorted(maps.Keys(p.records)) {
			if strings.HasPrefix(key, m.GetPrefix()) && p.broken == "" {
				r.Records = append(r.Records, &storepb.Record{Key: key, Value: p.records[key]})
			}
		}
		p.corrupt = slices.DeleteFunc(p.corrupt, func(key string) bool {
			mine := strings.HasPrefix(key, m.GetPrefix())
			if mine {
				r.Corrupt = append(r.Corrupt, key)
			}
			return mine
		})
		return r
	}
	w := m.(*storepb.Write)
	if p.broken == "" {
		p.writes++
		for _, r := range w.GetPuts() {
			p.records[r.GetKey()] = r.GetValue()
		}
		for _, key := range w.GetDeletes() {
			delete(p.records, key)
		}
	}
	return &storepb.Written{Serial: w.GetSerial(), Error: p.broken}
}

// paperNode is a process. Tests say when it is ready, and when it ends.
type paperNode struct {
	w        *world
	launch   *processpb.Launch
	pid      uint32
	started  uint64
	alive    bool
	ready    bool
	kept     bool
	stopping bool
	adopted  bool
	watched  bool // a Daemon was there when it ended
	missed   bool // a Daemon found that it had ended
	asker    *actor.PID
	named    uint64     // how the asker calls it
	keeper   *actor.PID // of the Daemon that runs
}

// readyMost is what a Node gets to be ready, in a world with clocks.
const readyMost = 10 * time.Second

// paperGateway does what messages/processpb says.
type paperGateway struct{ w *world }

func (g *paperGateway) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Launch:
		n := &paperNode{w: g.w, launch: m, named: m.GetNumber(), pid: uint32(100 + len(g.w.nodes)%3), started: uint64(len(g.w.nodes)), alive: true}
		for _, o := range g.w.nodes {
			if o.alive && o.keeper != nil && !o.stopping {
				g.w.t.Errorf("launched while %d runs", o.pid)
			}
		}
		g.w.nodes = append(g.w.nodes, n)
		if g.w.clocks {
			g.w.d.After(readyMost, func() {
				if !n.ready {
					n.end(&processpb.Ended{Failure: "process: not ready in time"})
				}
			})
		}
		g.keep(ctx, n)
	case *processpb.Adopt:
		if g.w.deaf {
			return
		}
		for _, n := range g.w.nodes {
			if n.alive && n.pid == m.GetPid() && n.started == m.GetStartTime() {
				if n.keeper == nil {
					g.keep(ctx, n)
				}
				n.asker, n.adopted, n.named = ctx.Sender(), true, m.GetNumber()
				n.say(&processpb.Ready{Pid: n.pid, StartTime: n.started, Port: m.GetPort(), Launch: n.named})
				return
			}
		}
		ctx.Respond(&processpb.Ended{Pid: m.GetPid(), Failure: "process: not that one", Launch: m.GetNumber()})
	case *processpb.Stop:
		for _, n := range g.w.nodes {
			if n.alive && n.keeper != nil {
				n.stopping = true
				if g.w.clocks {
					g.w.d.After(time.Duration(m.GetGraceMs())*time.Millisecond, func() { n.end(killed()) })
				}
			}
		}
	}
}

func (g *paperGateway) keep(ctx actor.Context, n *paperNode) {
	n.asker = ctx.Sender()
	n.keeper = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
		return &puppet{func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *processpb.Keep:
				n.kept = n.kept || m.GetPid() == n.pid
			case *processpb.Stop:
				n.stopping = true
			}
		}}
	}})
}

// say makes the Node's keeper tell who asked.
func (n *paperNode) say(m any) {
	if n.keeper != nil {
		n.w.sys.Root.Send(n.keeper, func(ctx actor.Context) { ctx.Request(n.asker, m) })
	}
}

// port is where a Node serves user interfaces.
func (n *paperNode) port() uint32 { return uint32(5000 + n.started) }

func (n *paperNode) getReady() {
	if n.alive && !n.ready && !n.stopping {
		n.ready = true
		n.say(&processpb.Ready{Pid: n.pid, StartTime: n.started, Port: n.port(), Launch: n.named})
	}
}

// end ends a Node; e says how.
func (n *paperNode) end(e *processpb.Ended) {
	if !n.alive {
		return
	}
	n.alive = false
	e.Pid, e.Ready, e.Launch = n.pid, n.ready, n.named
	n.watched = n.keeper != nil
	if n.keeper != nil {
		// At once: whoever watches the keeper may hear of its end before its last word.
		n.w.sys.Root.Send(n.keeper, func(ctx actor.Context) {
			ctx.Request(n.asker, e)
			ctx.Stop(ctx.Self())
		})
		n.keeper = nil
	}
}

// killed is an Ended after kill -9; exited is one with a code.
func killed() *processpb.Ended { return &processpb.Ended{Signal: "killed"} }

func exited(code int32, lines ...string) *processpb.Ended {
	return &processpb.Ended{ExitCode: &code, LastLines: lines}
}

// last is the Node that was launched last.
func (w *world) last() *paperNode {
	w.t.Helper()
	if len(w.nodes) == 0 {
		w.t.Fatal("no Node was launched")
	}
	return w.nodes[len(w.nodes)-1]
}
