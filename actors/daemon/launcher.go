package daemon

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/processpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
)

// launchMost is how long a launch may take by the launcher's own clock: the 10 s
// that a Node gets to be ready, its end by force, and then some. It is for
// answers that never come.
const launchMost = 14 * time.Second

// Records of the Node that runs, for a later Daemon.
const (
	nodeKey  = "node"       // a processpb.Adopt
	shownKey = "node-setup" // a uipb.SetupResponse: what it was started with. nodeKey is a prefix of it: they are read together
)

const (
	launchFailed = "Could not launch Node: "
	textRunning  = launchFailed + "already running"
	textClosing  = launchFailed + "the Daemon is stopping"
	textBroke    = launchFailed + "something failed inside of the Daemon; its log says why"
	textLate     = launchFailed + "the Daemon got no answer; its log may say why"
)

// launcher starts the Node, knows whether one runs, and hears of its end. There
// is one at a time. Its states: recalling and adopting what an earlier Daemon
// left; idle; freezing, launching and recording a new one; running.
//
//	parent    daemon
//	receives  uipb.Ask, uipb.Answered, frozen, storepb.ReadResponse, storepb.Written, processpb.Ready, processpb.Ended, processpb.Stop (from who ends the Daemon), faultpb.Failed, overdue, lost, unheard
//	sends     processpb.Launch, processpb.Adopt, processpb.Stop to the process gateway; processpb.Keep, processpb.Stop to a Node's keeper there; freeze to setup; whereabouts to setup and redirect; over to crash; storepb.ReadRequest, storepb.Write to the store; uipb.Started, uipb.Fault to askers; uipb.Announce to broadcasts; processpb.Ended to who asked to stop
//	stops     with the daemon
type launcher struct {
	with  Launching // fixed at spawn
	count counts

	state       func(ctx actor.Context) // owned, as all that follows; nil: not started
	again       func(ctx actor.Context) // asks once more for what the state waits for; nil: for nothing
	from        *actor.PID              // who waits for a launch; nil: nobody
	member      uint64                  // of the user interface behind from
	node        *processpb.Adopt        // the Node that is ready, or is being adopted
	keeper      *actor.PID              // the Node's actor in the gateway
	shown       *uipb.SetupResponse     // what the Node was started with; nil: not known
	incarnation uint64                  // of the Node that runs, or did last
	serial      uint64                  // of the last question to the store
	clock       uint64                  // of the last launch or adoption: the gateway's news of it carry this number
	late        *tree.Timer
	forsaken    bool            // the launch under way has been stopped
	closing     *processpb.Stop // the Daemon ends; nil: it does not
	stoppers    []*actor.PID    // who is told when no Node runs any more
	goodbye     goodbye         // what they are told, and when
}

// Launching is whom the launcher works with.
type Launching struct {
	Setup, Redirect, Crash, Broadcasts *actor.PID
	Store                              *actor.PID
	Process                            *actor.PID // the process gateway
	// Directory gives the Node's own directory, given data-directory; nil: the same.
	Directory func(data string) string
}

// counts are the launcher's numbers for operators.
type counts struct{ running, ready, failed, requested, crashed *tree.Counter }

// overdue says that a launch or an adoption took too long.
type overdue struct{ clock uint64 }

// IgnoreDeadLetterLogging marks messages that may find the launcher stopped.
func (*overdue) IgnoreDeadLetterLogging() {}

// SpawnLauncher starts the actor that answers `start`. At first it looks for a
// Node that an earlier Daemon left; until it has found out, setup and redirect
// let requests wait.
//
// A processpb.Stop to it is for the end of the Daemon: the answer is a
// processpb.Ended when no Node runs any more, at once if none does, and from
// then on no Node is started.
func SpawnLauncher(ctx actor.SpawnerContext, with Launching) *actor.PID {
	sys := ctx.ActorSystem()
	m := tree.Of(sys)
	if with.Directory == nil {
		with.Directory = func(data string) string { return data }
	}
	l := &launcher{with: with, count: counts{
		running:   m.Level("node_running", "Whether a Node runs: 0 or 1."),
		ready:     m.Counter("node_launches_total", "Nodes launched, by outcome.", "outcome", "ready"),
		failed:    m.Counter("node_launches_total", "Nodes launched, by outcome.", "outcome", "failed"),
		requested: m.Counter("node_ends_total", "Nodes that ended after they were ready.", "how", "requested"),
		crashed:   m.Counter("node_ends_total", "Nodes that ended after they were ready.", "how", "crashed"),
	}}
	// Before who spawns can hand out PIDs: no request is ahead of this.
	sys.Root.Send(with.Setup, &whereabouts{node: unknown})
	sys.Root.Send(with.Redirect, &whereabouts{node: unknown})
	// What runs outlives a restart.
	return tree.Spawn(ctx, "launcher", tree.Spec{Asked: true, New: func() actor.Actor { return l }})
}

func (l *launcher) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.onStarted(ctx)
	case *actor.Stopping:
		l.late.Stop()
		l.goodbye.late.Stop()
	case *actor.Terminated: // it may have overtaken the last word
		ctx.Send(ctx.Self(), &lost{m.GetWho()})
	case *lost:
		l.onLost(ctx, m)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case *processpb.Stop:
		l.onStop(ctx, m)
	case *storepb.Written:
		l.onWritten(ctx, m)
	case *processpb.Ready:
		l.onReady(ctx, m)
	case *processpb.Ended:
		l.onEnded(ctx, m)
	case *uipb.Ask:
		l.goodbye.owed++
		l.state(ctx)
	case *uipb.Answered:
		l.onAnswered(ctx)
	case *unheard:
		l.part(ctx)
	default:
		l.state(ctx)
	}
}

// onStarted recalls what there is. After a restart, what was lost with the
// message that made it fail is asked for once more.
func (l *launcher) onStarted(ctx actor.Context) {
	switch {
	case l.state == nil:
		l.recall(ctx)
	case l.again != nil:
		l.again(ctx)
	}
}

// lost says that an actor of the gateway is gone, behind all that it said.
type lost struct{ keeper *actor.PID }

// IgnoreDeadLetterLogging marks messages that may find the launcher stopped.
func (*lost) IgnoreDeadLetterLogging() {}

// onLost finds the gateway's actor gone without a word of the Node.
func (l *launcher) onLost(ctx actor.Context, m *lost) {
	if l.keeper != nil && l.keeper.Equal(m.keeper) {
		l.keeper = nil
		l.again(ctx)
	}
}

// onStop stops the Node, and lets no other start.
func (l *launcher) onStop(ctx actor.Context, m *processpb.Stop) {
	l.closing = m
	if ctx.Sender() != nil {
		l.stoppers = append(l.stoppers, ctx.Sender())
	}
	l.state(ctx)
}

func (l *launcher) onWritten(ctx actor.Context, m *storepb.Written) {
	if m.GetError() != "" {
		tree.Log(ctx.ActorSystem()).Error("the record of the Node could not be changed", slog.String("error", m.GetError()))
	}
	l.state(ctx)
}

// onReady hears that a Node is ready. One whose launch was given up, and whose
// stop came too late, is stopped again.
func (l *launcher) onReady(ctx actor.Context, m *processpb.Ready) {
	if m.GetLaunch() == l.clock {
		l.state(ctx)
		return
	}
	l.refuse(ctx, m)
}

func (l *launcher) refuse(ctx actor.Context, m *processpb.Ready) {
	tree.Log(ctx.ActorSystem()).Error("a Node is ready that was given up", slog.Uint64("pid", uint64(m.GetPid())))
	if ctx.Sender() != nil {
		ctx.Request(ctx.Sender(), &processpb.Stop{})
	}
}

// onEnded hears of an end. That of a launch which was given up was told then, and
// is not the end of the next one.
func (l *launcher) onEnded(ctx actor.Context, m *processpb.Ended) {
	if m.GetLaunch() != l.clock {
		tree.Log(ctx.ActorSystem()).Warn("ignored the end of a process", slog.Uint64("pid", uint64(m.GetPid())), slog.String("how", manner(m)))
		return
	}
	l.state(ctx)
}

// answer is for who waits for a launch.
func (l *launcher) answer(ctx actor.Context, m any) {
	if l.from != nil {
		ctx.Send(l.from, m)
		l.from = nil
	}
}

// vacate is how each way without a Node begins: nobody may hear that it is gone
// while others still know it.
func (l *launcher) vacate(ctx actor.Context) {
	l.late.Stop()
	l.state, l.again, l.keeper, l.shown, l.forsaken = l.idle, nil, nil, nil, false
	gone := &whereabouts{node: absent}
	ctx.Send(l.with.Setup, gone)
	ctx.Send(l.with.Redirect, gone)
}

// idle waits for somebody who wants a Node.
func (l *launcher) idle(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.from, l.member = ctx.Sender(), m.GetAsker().GetMember()
		l.begin(ctx)
	case *processpb.Stop:
		l.ended(ctx, &processpb.Ended{})
	case *frozen: // too late
		ctx.Send(l.with.Setup, &whereabouts{node: absent})
	case *processpb.Ready: // too late
		l.refuse(ctx, m)
	}
}

// begin launches for who waits.
func (l *launcher) begin(ctx actor.Context) {
	if l.closing != nil {
		l.answer(ctx, ui.Fault(ui.CodeLaunch, textClosing))
		return
	}
	l.forsaken = false
	l.wind(ctx)
	ctx.Send(l.with.Redirect, &whereabouts{node: unknown})
	l.state = l.freezing
	l.again = func(ctx actor.Context) { ctx.Request(l.with.Setup, &freeze{}) }
	l.again(ctx)
}

// wind starts the clock of a launch or an adoption.
func (l *launcher) wind(ctx actor.Context) {
	l.late.Stop()
	l.clock++
	l.late = tree.After(ctx, launchMost, &overdue{l.clock})
}

// busy answers who wants a Node while there is one, or will be.
func (l *launcher) busy(ctx actor.Context) { ctx.Respond(l.taken()) }

func (l *launcher) taken() *uipb.Fault {
	if l.closing != nil {
		return ui.Fault(ui.CodeLaunch, textClosing)
	}
	return ui.Fault(ui.CodeRunning, textRunning)
}
