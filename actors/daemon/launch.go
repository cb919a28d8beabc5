package daemon

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/actors/ui"
	"parley/messages/faultpb"
	"parley/messages/processpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
)

// freezing waits for what the Node is to be launched with.
func (l *launcher) freezing(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.busy(ctx)
	case *frozen:
		if l.closing != nil {
			l.fail(ctx, textClosing)
			return
		}
		if m.problem != "" {
			l.fail(ctx, launchFailed+m.problem)
			return
		}
		what := &processpb.Launch{
			Settings: m.settings, DataDirectory: l.with.Directory(m.dataDirectory), RealUser: m.realUser, Number: l.clock,
		}
		l.shown = m.shown
		l.state = l.launching
		l.again = func(ctx actor.Context) { l.forsake(ctx, &processpb.Stop{}) }
		ctx.Request(l.with.Process, what)
	case *faultpb.Failed: // setup
		l.fail(ctx, textBroke)
	case *overdue:
		if m.clock == l.clock {
			l.fail(ctx, textLate)
		}
	}
}

// forsake stops the launch under way.
func (l *launcher) forsake(ctx actor.Context, m *processpb.Stop) {
	l.forsaken = true
	ctx.Request(l.with.Process, m)
}

// fail ends a launch without a Node.
func (l *launcher) fail(ctx actor.Context, text string) {
	l.count.failed.Add(1)
	tree.Log(ctx.ActorSystem()).Warn("node not launched", slog.String("reason", text))
	l.vacate(ctx)
	l.answer(ctx, ui.Fault(ui.CodeLaunch, text))
	l.ended(ctx, &processpb.Ended{})
}

// launching waits for the Node to be ready, or gone.
func (l *launcher) launching(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.busy(ctx)
	case *processpb.Stop:
		l.forsake(ctx, m)
	case *processpb.Ready:
		if l.forsaken { // its end will be told
			return
		}
		l.node = &processpb.Adopt{Pid: m.GetPid(), StartTime: m.GetStartTime(), Port: m.GetPort(), Number: l.clock}
		l.keeper = ctx.Sender()
		l.record(ctx)
	case *processpb.Ended:
		if l.closing != nil {
			l.fail(ctx, textClosing)
			return
		}
		l.fail(ctx, launchFailed+reason(m))
	case *overdue:
		if m.clock == l.clock {
			l.forsake(ctx, &processpb.Stop{})
			l.fail(ctx, textLate)
		}
	}
}

// record writes down where the Node is, for a later Daemon.
func (l *launcher) record(ctx actor.Context) {
	puts := records(l.node, l.shown)
	l.state = l.recording
	l.again = func(ctx actor.Context) {
		l.serial++
		ctx.Request(l.with.Store, &storepb.Write{Puts: puts, Serial: l.serial})
	}
	l.again(ctx)
}

// recording waits until a later Daemon would find the Node. One that is not
// written down serves as well; it only ends with this Daemon.
func (l *launcher) recording(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.busy(ctx)
	case *processpb.Stop:
		ctx.Request(l.with.Process, m)
	case *storepb.Written:
		if m.GetSerial() == l.serial {
			l.onRecorded(ctx, m.GetError() == "")
		}
	case *faultpb.Failed: // the store
		l.onRecorded(ctx, false)
	case *overdue:
		if m.clock == l.clock {
			l.onRecorded(ctx, false)
		}
	case *processpb.Ended:
		l.forget(ctx)
		l.fail(ctx, launchFailed+reason(m))
	}
}

// onRecorded tells everybody of the Node.
func (l *launcher) onRecorded(ctx actor.Context, kept bool) {
	n := l.node
	log := tree.Log(ctx.ActorSystem())
	log.Info("node started", slog.Uint64("pid", uint64(n.GetPid())), slog.Uint64("port", uint64(n.GetPort())))
	if kept {
		l.keep(ctx, &processpb.Keep{Pid: n.GetPid()})
	} else {
		log.Warn("the Node will end with this Daemon: its record could not be written")
	}
	l.count.ready.Add(1)
	l.run(ctx)
	l.answer(ctx, started(n))
	ctx.Send(l.with.Broadcasts, &uipb.Announce{
		Response: uipb.Broadcast("nodeStarted", started(n)), Except: l.member, OptIn: true,
	})
}

func (l *launcher) keep(ctx actor.Context, m *processpb.Keep) {
	to := l.keeper
	if to == nil {
		to = l.with.Process
	}
	ctx.Send(to, m)
}

func started(n *processpb.Adopt) *uipb.Started {
	return &uipb.Started{NewProcessId: n.GetPid(), RedirectUiPort: n.GetPort()}
}

// run enters the state in which a Node serves.
func (l *launcher) run(ctx actor.Context) {
	l.late.Stop()
	l.incarnation++
	l.count.running.Store(1)
	l.state = l.running
	l.again = func(ctx actor.Context) { ctx.Request(l.with.Process, l.node) } // its keeper says Ready, or Ended
	l.watch(ctx)
	here := &whereabouts{node: present, port: l.node.GetPort(), shown: l.shown}
	ctx.Send(l.with.Setup, here)
	ctx.Send(l.with.Redirect, here)
}

func (l *launcher) watch(ctx actor.Context) {
	if l.keeper != nil {
		ctx.Watch(l.keeper)
	}
}

// running waits for the Node's end.
func (l *launcher) running(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.busy(ctx)
	case *processpb.Stop:
		ctx.Request(l.with.Process, m)
	case *processpb.Ready: // asked for again
		l.keeper = ctx.Sender()
		l.watch(ctx)
	case *processpb.Ended:
		l.onGone(ctx, m)
	}
}

// onGone tells everybody that the Node is gone. What it leaves behind is in
// order before anybody can ask for the next one.
func (l *launcher) onGone(ctx actor.Context, m *processpb.Ended) {
	requested := l.closing != nil || m.ExitCode != nil && m.GetExitCode() == 0
	l.count.running.Store(0)
	if requested {
		l.count.requested.Add(1)
	} else {
		l.count.crashed.Add(1)
	}
	tree.Log(ctx.ActorSystem()).Info("node ended", slog.Uint64("pid", uint64(m.GetPid())),
		slog.Bool("requested", requested), slog.String("how", manner(m)))
	l.forget(ctx)
	l.vacate(ctx)
	ctx.Send(l.with.Crash, &over{incarnation: l.incarnation, ended: m, requested: requested})
	l.ended(ctx, m)
}
