package daemon

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/actors/ui"
	"parley/messages/processpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// launches is a world in which anything happens to Nodes at any time, and what
// must hold all the same.
type launches struct {
	*world
	closing  bool
	stops    []*talk
	starts   []*talk
	excused  map[uint32]int // Nodes by pid whose end a dying Daemon may have kept to itself
	doubled  map[uint32]int // the same, that it may have told though the next one does, too
	failures int
}

// failuresMost is how often actors may fail: at 10 in 10 s a supervisor gives up.
const failuresMost = 5

var kinds = []string{
	"start", "start", "start", "two starts", "ready", "ready", "ready", "kill", "exit 0", "exit 1", "settle", "settle", "settle",
	"again", "stop", "restart", "away", "set", "wonder", "hold", "release", "sleep", "long sleep", "check", "check",
}

var failing = append([]string{"fail launcher", "fail setup", "fail check", "fail store", "fail redirect", "fail crash"}, kinds...)

// act does one thing, and waits for nothing.
func (l *launches) act(kind string) {
	switch kind {
	case "two starts":
		l.act("start")
		l.starts = append(l.starts, l.launch(berta))
	case "start":
		l.starts = append(l.starts, l.launch(anna))
	case "ready":
		l.each((*paperNode).getReady)
	case "kill":
		l.each(func(n *paperNode) { n.end(killed()) })
	case "exit 0":
		l.each(func(n *paperNode) { n.end(exited(0)) })
	case "exit 1":
		l.each(func(n *paperNode) { n.end(exited(1, "oh")) })
	case "settle":
		l.quiet()
	case "again":
		l.again()
	case "stop":
		l.closing = true
		l.stops = append(l.stops, l.converse(l.launcher, &processpb.Stop{GraceMs: 500}))
	case "restart":
		l.restart(func() {})
	case "away":
		l.restart(func() {
			for _, n := range l.nodes {
				n.alive = false
			}
		})
	case "set":
		l.set(anna, "ip", "1")
	case "wonder":
		l.wonder(false)
	case "hold":
		l.disk.held = true
	case "release":
		l.release()
	case "sleep":
		l.d.Run(300 * time.Millisecond)
	case "long sleep":
		l.d.Run(6 * time.Second)
	case "check":
		l.check()
	default:
		if l.failures++; l.failures <= failuresMost {
			l.fail(kind)
		}
	}
}

func (l *launches) fail(kind string) {
	switch kind {
	case "fail launcher":
		l.sys.Root.Send(l.launcher, launcherPoison)
	case "fail setup":
		l.sys.Root.Send(l.setup, redirectPoison)
	case "fail check":
		l.space.fail = true
	case "fail store":
		l.disk.fail = 1
	case "fail redirect":
		l.sys.Root.Send(l.redirect, redirectPoison)
	case "fail crash":
		l.sys.Root.Send(l.crash, crashPoison)
	}
}

// each is for the Node that lives.
func (l *launches) each(f func(*paperNode)) {
	for _, n := range l.nodes {
		if n.alive && n.keeper != nil {
			f(n)
		}
	}
}

// again repeats the end of a Node whose pid nobody has now.
func (l *launches) again() {
	if len(l.nodes) == 0 || l.closing || l.failures > 0 {
		return
	}
	old := l.nodes[0]
	for _, n := range l.nodes {
		if n.pid == old.pid && n.alive {
			return
		}
	}
	if !old.ready || !old.watched {
		return
	}
	l.quiet() // of the pid's last Node all is told
	l.sys.Root.Send(l.launcher, &processpb.Ended{Pid: old.pid, Ready: true, Signal: "killed", Launch: old.named})
}

// restart kills the Daemon and starts another; meanwhile is what happens in
// between.
func (l *launches) restart(meanwhile func()) {
	told := l.crashed()
	l.die()
	meanwhile()
	ended := map[uint32]int{}
	for _, n := range l.nodes {
		if n.watched && n.ready {
			ended[n.pid]++
		}
	}
	for pid, n := range ended {
		l.excused[pid] = max(0, n-told[pid])
	}
	l.remembered()
	for _, a := range l.talks {
		if len(a.answers) == 0 {
			a.excused = true
		}
	}
	l.closing = false
	l.boot()
}

// remembered finds the Node that the next Daemon will tell of, since it is gone
// and its record is not.
func (l *launches) remembered() {
	var a processpb.Adopt
	if err := proto.Unmarshal(l.disk.records[nodeKey], &a); err != nil {
		l.t.Error(err)
	}
	for _, n := range l.nodes {
		if n.alive || n.pid != a.GetPid() || n.started != a.GetStartTime() {
			continue
		}
		if n.watched || n.missed {
			l.doubled[n.pid]++
		}
		n.missed = true
	}
}

// crashed counts what was announced, by pid.
func (l *launches) crashed() map[uint32]int {
	out := map[uint32]int{}
	for _, m := range l.broadcasts("crashed") {
		out[m.GetResponse().GetCrashed().GetProcessId()]++
	}
	return out
}

// check lets all happen that is under way, and compares what user interfaces see
// with the Nodes there are.
func (l *launches) check() {
	l.t.Helper()
	l.release()
	l.d.Run(2 * time.Second) // back-off of restarts, and the end of what was stopped
	l.disk.fail, l.space.fail = 0, false
	var node *paperNode
	l.each(func(n *paperNode) { node = n })
	switch {
	case node != nil && !node.ready:
		a, b := l.set(anna, "ip", "7"), l.wonder(false)
		l.quiet()
		if r, ok := a.answer().(*uipb.SetupResponse); !ok || !r.GetRunning() {
			l.t.Errorf("thawed while a Node is launched: %v", a.answer())
		}
		if len(b.answers) > 0 {
			l.t.Errorf("answered %v while a Node is launched", b.answers)
		}
	default:
		l.wantsState(node)
		for _, a := range append(l.starts, l.stops...) {
			if !a.excused && (node == nil || !node.stopping) {
				a.answer()
			}
		}
	}
	l.checkCrashes()
}

// checkCrashes counts: one for each Node that user interfaces were told of.
func (l *launches) checkCrashes() {
	told := map[uint32]bool{} // by port, which no two Nodes share
	for _, m := range l.broadcasts("nodeStarted") {
		told[m.GetResponse().GetStarted().GetRedirectUiPort()] = true
	}
	want := map[uint32]int{}
	for _, n := range l.nodes {
		if n.watched && (told[n.port()] || n.adopted) || n.missed {
			want[n.pid]++
		}
	}
	got := l.crashed()
	for _, n := range l.nodes {
		if w, g := want[n.pid], got[n.pid]; g > w+l.doubled[n.pid] || g < w-l.excused[n.pid] {
			l.t.Errorf("%d crashes of pid %d, want %d", g, n.pid, w)
		}
	}
}

// end kills what lives; nobody is left waiting.
func (l *launches) end() {
	l.t.Helper()
	l.release()
	l.quiet()
	l.each(func(n *paperNode) { n.end(killed()) })
	l.d.Run(2 * launchMost)
	l.each(func(n *paperNode) { n.end(killed()) }) // launched since: a start was waiting
	l.d.Run(2 * launchMost)
	l.check()
	for _, a := range l.talks {
		if !a.excused {
			a.answer()
		}
	}
	if !l.closing {
		l.wantsState(l.up())
	} else {
		a := l.launch(anna)
		l.quiet()
		a.refused(ui.CodeLaunch, "stopping")
	}
	l.stop()
}

func checkLaunches(t *testing.T, kinds []string, fails bool) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			var tb testing.TB = rapidTB{t, rt}
			var opts []testkit.SystemOption
			if fails {
				tb, opts = lenientTB{tb}, append(opts, anyFailures)
			}
			d := testkit.NewDriver(rapid.Uint64().Draw(rt, "seed"))
			l := &launches{world: newWorld(tb, d, opts...), excused: map[uint32]int{}, doubled: map[uint32]int{}}
			l.clocks = true
			for _, kind := range rapid.SliceOfN(rapid.SampledFrom(kinds), 1, 40).Draw(rt, "acts") {
				l.act(kind)
			}
			l.end()
		})
	})
}

// TestLaunches lets user interfaces, Nodes, the store and the Daemon do what
// they like: one Node at a time, each crash told once, everybody answered, and
// the Setup space frozen just as long as there is a Node.
func TestLaunches(t *testing.T) { checkLaunches(t, kinds, false) }

// TestLaunchesWithFailures is TestLaunches among actors that fail at any moment.
func TestLaunchesWithFailures(t *testing.T) { checkLaunches(t, failing, true) }
