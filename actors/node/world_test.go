package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/messages/uipb"
	"parley/testkit"
)

// world is actors of a node among others that are made of paper. A seeded driver
// runs all of them on one goroutine, so that nothing here is locked.
type world struct {
	t   testing.TB
	log *journal
	d   *testkit.Driver
	sys *actor.ActorSystem
	top *actor.PID

	broadcasts *actor.PID
	announced  []*uipb.Announce
	asks       int
}

// paper is an actor that does what the test says.
type paper struct{ receive func(ctx actor.Context) }

func (p *paper) Receive(ctx actor.Context) { p.receive(ctx) }

// newWorld starts what features spawns. They stand below an actor, top, which
// restarts them.
func newWorld(t testing.TB, d *testkit.Driver, features func(w *world, ctx actor.Context), opts ...testkit.SystemOption) *world {
	t.Helper()
	w := &world{t: t, d: d, log: &journal{TB: t}}
	w.sys = testkit.System(w.log, append(opts, testkit.Under(d))...)
	w.top = Spawn(w.sys, "node", func(ctx actor.Context) {
		w.broadcasts = w.paper(ctx, "broadcasts", func(ctx actor.Context) {
			if m, ok := ctx.Message().(*uipb.Announce); ok {
				w.announced = append(w.announced, m)
			}
		})
		features(w, ctx)
	})
	d.Settle()
	return w
}

func (w *world) paper(ctx actor.SpawnerContext, name string, receive func(ctx actor.Context)) *actor.PID {
	return tree.Spawn(ctx, name, tree.Spec{Asked: true, New: func() actor.Actor { return &paper{receive} }})
}

func (w *world) stop() {
	w.t.Helper()
	testkit.Stop(w.t, w.sys, w.top)
}

// asked is a conversation with one request.
type asked struct {
	w       *world
	pid     *actor.PID
	answers []proto.Message
	gone    bool
	onHear  func(ctx actor.Context)
}

func (a *asked) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		a.answers = append(a.answers, m)
		if a.onHear != nil {
			a.onHear(ctx)
		}
	}
}

// owner is who asks, unless a test says otherwise.
var owner = &uipb.Asker{Member: 7, Uid: 1000, Owner: true, Changes: true}

// ask sends a request, and waits for nothing.
func (w *world) ask(to *actor.PID, from *uipb.Asker, opcode string, body proto.Message) *asked {
	r := &uipb.Request{Opcode: opcode}
	switch b := body.(type) {
	case *uipb.Request:
		r = b
	case *uipb.PasswordRequest:
		r.Body = &uipb.Request_Password{Password: b}
	case *uipb.ChangePasswordRequest:
		r.Body = &uipb.Request_ChangePassword{ChangePassword: b}
	case *uipb.SetConfigurationRequest:
		r.Body = &uipb.Request_SetConfiguration{SetConfiguration: b}
	case *uipb.CrashRequest:
		r.Body = &uipb.Request_Crash{Crash: b}
	default:
		r.Body = &uipb.Request_Empty{Empty: &uipb.Empty{}}
	}
	w.asks++
	a := &asked{w: w}
	a.pid = tree.Spawn(w.sys.Root, fmt.Sprint("asker", w.asks), tree.Spec{New: func() actor.Actor { return a }})
	w.sys.Root.RequestWithCustomSender(to, &uipb.Ask{Asker: from, Request: r}, a.pid)
	return a
}

// leave ends the conversation.
func (a *asked) leave() {
	if !a.gone {
		a.gone = true
		a.w.sys.Root.Stop(a.pid)
	}
}

// silent says that nothing was answered yet.
func (a *asked) silent() {
	a.w.t.Helper()
	a.w.d.Settle()
	if len(a.answers) > 0 {
		a.w.t.Errorf("answered %v already", a.answers)
	}
}

// hears says that exactly want was answered; the conversation is over then.
func (a *asked) hears(want proto.Message) {
	a.w.t.Helper()
	a.w.d.Settle()
	if len(a.answers) != 1 || !proto.Equal(a.answers[0], want) {
		a.w.t.Errorf("answered %v, want %T %v", a.answers, want, want)
	}
	a.leave()
}

// fails says that the actor panicked before it answered.
func (a *asked) fails(who string) {
	a.w.t.Helper()
	a.hears(&faultpb.Failed{Actor: "node/" + who})
}

// hears says what was announced since the last time.
func (w *world) hears(want ...*uipb.Announce) {
	w.t.Helper()
	w.d.Settle()
	if !slices.EqualFunc(w.announced, want, func(a, b *uipb.Announce) bool { return proto.Equal(a, b) }) {
		w.t.Errorf("announced %v, want %v", w.announced, want)
	}
	w.announced = nil
}

// journal keeps what a test logs, the system's log included.
type journal struct {
	testing.TB
	lines []string
}

// Logf implements testing.TB.
func (j *journal) Logf(format string, args ...any) {
	j.TB.Helper()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
	j.TB.Logf(format, args...)
}

// logged says how many lines held text since the last time.
func (w *world) logged(text string) (n int) {
	w.d.Settle()
	for _, l := range w.log.lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	w.log.lines = nil
	return n
}

// restart restarts an actor as its supervisor would.
func (w *world) restart(pid *actor.PID) {
	p, _ := w.sys.ProcessRegistry.Get(pid)
	p.SendSystemMessage(pid, &actor.SuspendMailbox{})
	p.SendSystemMessage(pid, &actor.Restart{})
	w.d.Settle()
}

// lenient is for tests that ask who is gone.
type lenient struct{ testing.TB }

// Errorf implements testing.TB.
func (l lenient) Errorf(format string, args ...any) {
	if !strings.HasPrefix(format, "dead letter") {
		l.TB.Helper()
		l.TB.Errorf(format, args...)
	}
}
