package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/processpb"
)

// process is one Node, from its launch or adoption to its end. What it does to
// the Node takes one system call; what may wait is a goroutine of its run.
//
//	parent    processes
//	receives  processpb.Launch, processpb.Adopt, processpb.Keep, processpb.Stop, begun, ready, exited, overdue, force
//	sends     processpb.Ready and processpb.Ended to who asked; known and over to processes
//	stops     when the Node has ended, by processes
type process struct {
	options *Options // fixed at spawn
	run     *run     // fixed at spawn; shared with its goroutines

	asker   *actor.PID // set by Launch or Adopt
	launch  uint64     // set by these, too: how the asker calls it
	adopted bool       // set by Adopt
	pid     uint32     // set by begun; 0: not started yet
	started uint64     // set by begun; clock ticks since boot
	port    uint32     // set by begun
	limit   *tree.Timer

	isReady   bool          // it was told to who asked
	ended     bool          // the same of Ended
	stopping  bool          // it is to end
	grace     time.Duration // until it ends by force; set by Stop
	stops     int           // how often it was told to end: the latest counts
	condemned string        // why we end it; empty: somebody asked, or nobody
}

// begun says that the process runs.
type begun struct {
	pid     uint32
	started uint64
	port    uint32
}

// ready says that the Node serves.
type ready struct{}

// exited is the end of a process, or why there was none.
type exited struct {
	code    *int32 // nil: killed, or not known
	signal  string // empty: none
	lines   []string
	failure string
}

// overdue says that ReadyLimit is over.
type overdue struct{}

// force says that the grace of a stop is over.
type force struct{ stop int }

// IgnoreDeadLetterLogging marks messages that may find the actor stopped.
func (begun) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the actor stopped.
func (ready) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the actor stopped.
func (*exited) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the actor stopped.
func (overdue) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the actor stopped.
func (force) IgnoreDeadLetterLogging() {}

func (p *process) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *processpb.Launch:
		p.onLaunch(ctx, m)
	case *processpb.Adopt:
		p.onAdopt(ctx, m)
	case begun:
		p.onBegun(ctx, m)
	case ready:
		p.onReady(ctx)
	case *processpb.Keep:
		p.onKeep(ctx, m)
	case *processpb.Stop:
		p.onStop(ctx, m)
	case overdue:
		p.onOverdue(ctx)
	case force:
		p.onForce(ctx, m)
	case *exited:
		p.onExited(ctx, m)
	case *actor.Stopping:
		p.onStopping()
	}
}

func (p *process) onLaunch(ctx actor.Context, m *processpb.Launch) {
	p.asker, p.launch = ctx.Sender(), m.GetNumber()
	p.limit = tree.After(ctx, p.options.ReadyLimit, overdue{})
	root, self, r, o := ctx.ActorSystem().Root, ctx.Self(), p.run, p.options
	tree.Go(ctx.ActorSystem(), func() { r.launch(o, m, func(m any) { root.Send(self, m) }) })
}

// onAdopt starts to watch over a Node. One that is watched over already has a
// new asker then.
func (p *process) onAdopt(ctx actor.Context, m *processpb.Adopt) {
	switch {
	case p.asker == nil:
		p.asker, p.launch, p.adopted, p.pid = ctx.Sender(), m.GetNumber(), true, m.GetPid()
		root, self, r, o := ctx.ActorSystem().Root, ctx.Self(), p.run, p.options
		tree.Go(ctx.ActorSystem(), func() { r.adopt(o, m, func(m any) { root.Send(self, m) }) })
	case p.ended:
		ctx.Respond(&processpb.Ended{Pid: m.GetPid(), Failure: hasEnded(m.GetPid()), Launch: m.GetNumber()})
	case p.started != m.GetStartTime():
		ctx.Respond(&processpb.Ended{Pid: m.GetPid(), Failure: notThatOne(m.GetPid()), Launch: m.GetNumber()})
	default:
		p.asker, p.launch = ctx.Sender(), m.GetNumber()
		if p.isReady {
			p.sayReady(ctx)
		}
	}
}

func (p *process) onBegun(ctx actor.Context, m begun) {
	p.pid, p.started, p.port = m.pid, m.started, m.port
	ctx.Request(ctx.Parent(), known{m.pid})
	if p.stopping { // it was told before it ran
		p.end(ctx)
	}
}

// onReady passes it on, unless the Node is being ended: nobody should turn to it
// then.
func (p *process) onReady(ctx actor.Context) {
	p.limit.Stop()
	if p.stopping {
		return
	}
	p.isReady = true
	p.sayReady(ctx)
}

// sayReady tells who asked, who learns this actor's PID as the sender.
func (p *process) sayReady(ctx actor.Context) {
	ctx.Request(p.asker, &processpb.Ready{Pid: p.pid, StartTime: p.started, Port: p.port, Launch: p.launch})
}

func (p *process) onKeep(ctx actor.Context, m *processpb.Keep) {
	if p.isReady && m.GetPid() == p.pid && !p.adopted {
		tree.Go(ctx.ActorSystem(), p.run.keep)
	}
}

func (p *process) onStop(ctx actor.Context, m *processpb.Stop) {
	p.stopping, p.grace = true, time.Duration(m.GetGraceMs())*time.Millisecond
	if p.started != 0 {
		p.end(ctx)
	}
}

func (p *process) onOverdue(ctx actor.Context) {
	if p.isReady || p.stopping {
		return
	}
	p.condemned = fmt.Sprintf("process: the Node was not ready within %v", p.options.ReadyLimit)
	p.stopping, p.grace = true, p.options.KillAfter
	if p.started != 0 {
		p.end(ctx)
	}
}

// end asks the Node to end, and sees to it that it does.
func (p *process) end(ctx actor.Context) {
	p.stops++
	if p.grace == 0 {
		p.signal(ctx, syscall.SIGKILL)
		return
	}
	p.signal(ctx, syscall.SIGTERM)
	tree.After(ctx, p.grace, force{p.stops})
}

func (p *process) onForce(ctx actor.Context, m force) {
	if m.stop == p.stops {
		p.signal(ctx, syscall.SIGKILL)
	}
}

func (p *process) signal(ctx actor.Context, s syscall.Signal) {
	if err := p.run.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tree.Log(ctx.ActorSystem()).Warn("cannot stop the node", slog.Uint64("pid", uint64(p.pid)), slog.Any("error", err))
	}
}

func (p *process) onExited(ctx actor.Context, m *exited) {
	failure := m.failure
	if p.condemned != "" {
		failure = p.condemned
	}
	ctx.Request(p.asker, &processpb.Ended{
		Pid: p.pid, Ready: p.isReady, ExitCode: m.code, Signal: m.signal, LastLines: m.lines, Failure: failure, Launch: p.launch,
	})
	// Whoever asks for this Node until processes has forgotten it is answered.
	p.ended = true
	ctx.Request(ctx.Parent(), over{p.pid})
}

// onStopping lets the Node know that nobody watches over it any more, if it has
// not ended.
func (p *process) onStopping() {
	p.limit.Stop()
	p.run.abandon()
}
