package process

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// patience is when a test gives up: it says nothing of how fast things are.
const patience = time.Minute

// someone is who Nodes run as when the tests are run by root: nobody that exists.
const (
	someone      = "54321:54322:/nonexistent"
	someoneUID   = 54321
	someoneGroup = 54322
)

var asRoot = os.Geteuid() == 0

// rig is the gateway with somebody who asks it.
type rig struct {
	t         *testing.T
	sys       *actor.ActorSystem
	processes *actor.PID
	asker     *actor.PID
	answers   chan answer

	mu    sync.Mutex
	lines map[uint32][]string // by pid
	news  chan struct{}       // one token: lines changed
}

type answer struct {
	m    proto.Message
	from *actor.PID
}

// asking passes on what it is answered.
type asking struct{ answers chan answer }

func (a asking) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, *actor.DeadLetterResponse:
	case proto.Message:
		a.answers <- answer{m, ctx.Sender()}
	}
}

// newRig starts the gateway with stand-ins for Nodes; change may be nil.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, answers: make(chan answer, 1000), lines: map[uint32][]string{}, news: make(chan struct{}, 1)}
	o := Options{Args: standIn, Line: r.onLine}
	if change != nil {
		change(&o)
	}
	r.sys = tree.New(tree.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	r.processes = Spawn(r.sys.Root, "processes", o)
	r.asker = tree.Spawn(r.sys.Root, "asker", tree.Spec{New: func() actor.Actor { return asking{r.answers} }})
	t.Cleanup(func() {
		r.stopActors()
		r.sys.Shutdown()
		eventually(t, "no child is left", func() bool { return len(children(t)) == 0 })
	})
	return r
}

// stopActors ends the gateway, and no process.
func (r *rig) stopActors() {
	for _, pid := range []*actor.PID{r.processes, r.asker} {
		if err := r.sys.Root.StopFuture(pid).Wait(); err != nil {
			r.t.Log(err)
		}
	}
}

func (r *rig) onLine(pid uint32, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[pid] = append(r.lines[pid], line)
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// line waits for a line that starts with start, and returns the rest.
func (r *rig) line(pid uint32, start string) string {
	r.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		for _, l := range r.lines[pid] {
			if rest, ok := strings.CutPrefix(l, start); ok {
				r.mu.Unlock()
				return strings.TrimSpace(rest)
			}
		}
		r.mu.Unlock()
		select {
		case <-r.news:
		case <-timeout.C:
			r.t.Fatalf("no line %q of %d, only %v", start, pid, r.lines)
		}
	}
}

func (r *rig) send(to *actor.PID, m proto.Message) {
	r.sys.Root.RequestWithCustomSender(to, m, r.asker)
}

// launch starts a stand-in that does what the settings say: name, value, ….
func (r *rig) launch(do ...string) {
	m := &processpb.Launch{Settings: settings(do...)}
	if asRoot {
		m.RealUser = someone
	}
	r.send(r.processes, m)
}

func settings(do ...string) (all []*processpb.Setting) {
	for i := 0; i < len(do); i += 2 {
		all = append(all, &processpb.Setting{Name: do[i], Value: do[i+1]})
	}
	return all
}

func (r *rig) next() answer {
	r.t.Helper()
	select {
	case a := <-r.answers:
		return a
	case <-time.After(patience):
		r.t.Fatal("no answer")
		panic("unreachable")
	}
}

// ready waits for Ready.
func (r *rig) ready() (*processpb.Ready, *actor.PID) {
	r.t.Helper()
	a := r.next()
	m, ok := a.m.(*processpb.Ready)
	if !ok {
		r.t.Fatalf("got %T %v", a.m, a.m)
	}
	return m, a.from
}

// ended waits for Ended.
func (r *rig) ended() *processpb.Ended {
	r.t.Helper()
	a := r.next()
	m, ok := a.m.(*processpb.Ended)
	if !ok {
		r.t.Fatalf("got %T %v", a.m, a.m)
	}
	return m
}

// silent fails the test if there is an answer that nobody has taken.
func (r *rig) silent() {
	r.t.Helper()
	select {
	case a := <-r.answers:
		r.t.Errorf("one more answer: %T %v", a.m, a.m)
	default:
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// children lists the children of this process, also those that only wait to be
// reaped, but those of the go command's own tools.
func children(t *testing.T) (all []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parent := fmt.Sprint(os.Getpid())
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		line := string(b)
		if f := strings.Fields(line[strings.LastIndexByte(line, ')')+1:]); f[1] == parent {
			all = append(all, line)
		}
	}
	return all
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// folder returns a folder that anybody can pass.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
