package pipe

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/faultpb"
)

// mailboxBytes is how much of events may wait for the actor: what is more, readers
// are told of as they are of what they did not read in time.
const mailboxBytes = 16 << 20

// answerTime is how long nothing may be answered until what was asked never will.
const answerTime = 30 * time.Second

// Why a command is refused, for people.
const (
	reasonFailed  = "this failed inside the node, which has logged why: try again"
	reasonLeaving = "the node is shutting down: try again when it is back"
	reasonLate    = "this was not answered in 30 s: try again later"
)

// Pipes are the two named pipes of a folder, checked.
type Pipes struct {
	folder *folder
	told   *told
}

// Open makes a folder and its pipes where they are not, and refuses what is not
// ours alone: a symbolic link, another kind of file, another owner, a mode that
// lets others in. The error tells people what to do. The folder's own folder must
// be there.
func Open(path string) (*Pipes, error) {
	f, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{nameIn, nameOut} {
		if err := f.make(name); err != nil {
			f.close()
			return nil, err
		}
	}
	told, err := openTold(f)
	if err != nil {
		f.close()
		return nil, err
	}
	return &Pipes{f, told}, nil
}

// Close lets go of pipes that were never spawned.
func (p *Pipes) Close() {
	p.told.close()
	p.folder.close()
}

// Spawn starts the front end of pipes, which it owns from now on. frontends
// answers enclavepb.Command, and is told enclavepb.Listen.
func Spawn(ctx actor.SpawnerContext, name string, p *Pipes, frontends *actor.PID) *actor.PID {
	e := newEnds(ctx.ActorSystem(), p, frontends)
	return tree.Spawn(ctx, name, tree.Spec{
		Limit: mailboxBytes, Inline: true, New: func() actor.Actor { return &pipe{ends: e, frontends: frontends} },
		Refused: func(msg any) {
			n, batch := 1, uint64(0)
			if m, ok := actor.UnwrapEnvelopeMessage(msg).(*enclavepb.Events); ok {
				n, batch = len(m.GetEvents()), m.GetNumber()
			}
			tree.Of(ctx.ActorSystem()).Drop(tree.MailboxFull, n)
			e.out.lose(n)
			e.out.confirm(batch)
		},
	})
}

type (
	// spoken is a line that a front end has written; nil: it was too long.
	spoken struct{ line []byte }
	// answersLate tells how many commands were answered some time ago.
	answersLate struct{ count uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find the pipe's actor stopped.
func (*spoken) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the pipe's actor stopped.
func (answersLate) IgnoreDeadLetterLogging() {}

// pipe is the front end of two named pipes: what is written to one becomes
// commands, their results and all events become lines in the other.
//
//	parent    node
//	receives  spoken, answersLate, enclavepb.Result, enclavepb.Event, enclavepb.Events, faultpb.Failed (from frontends)
//	sends     enclavepb.Command, enclavepb.Listen, enclavepb.Shown to frontends
//	stops     with the node
type pipe struct {
	ends      *ends // fixed at spawn, as frontends
	frontends *actor.PID

	asked int         // owned, as all that follows: commands that are not answered
	count uint64      // answers so far
	late  *tree.Timer // until answersLate; nil: nobody waits
	lines [][]byte    // scratch, empty
}

func (p *pipe) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.onStarted(ctx)
	case *actor.Restarting:
		p.late.Stop()
	case *actor.Stopped:
		p.onStopped()
	case *spoken:
		p.onSpoken(ctx, m)
	case *enclavepb.Result:
		p.onAnswered(m)
	case *faultpb.Failed:
		p.onFailed(reasonFailed)
	case *actor.DeadLetterResponse:
		p.onFailed(reasonLeaving)
	case *enclavepb.Event:
		p.ends.out.tell(0, m)
	case *enclavepb.Events:
		p.ends.out.tell(m.GetNumber(), m.GetEvents()...)
	case answersLate:
		p.onAnswersLate(ctx, m)
	}
}

// onStarted begins; after a failure it forgets what was asked, and stays who it is
// for frontends.
func (p *pipe) onStarted(ctx actor.Context) {
	if !p.ends.begin(ctx.ActorSystem(), ctx.Self()) {
		return
	}
	ctx.Request(p.frontends, &enclavepb.Listen{Bursts: true, Confirms: true, Again: true})
}

func (p *pipe) onStopped() {
	p.late.Stop()
	p.ends.end()
}

// onSpoken asks what a line says, or tells what is wrong with it.
func (p *pipe) onSpoken(ctx actor.Context, m *spoken) {
	r := &enclavepb.Result{Reason: reasonLong}
	var c *enclavepb.Command
	if m.line != nil {
		c, r = decode(m.line)
	}
	if c == nil {
		p.ends.answered(1)
		p.lines = p.ends.tell(appendResult(p.lines, r))
		return
	}
	p.asked++
	if p.late == nil {
		p.wait(ctx)
	}
	ctx.Request(p.frontends, c)
}

func (p *pipe) onAnswered(r *enclavepb.Result) {
	if p.asked > 0 {
		p.asked--
		p.ends.answered(1)
	}
	p.count++
	p.lines = p.ends.tell(appendResult(p.lines, r))
}

// onFailed answers for one command, nobody knows which.
func (p *pipe) onFailed(reason string) {
	if p.asked > 0 {
		p.onAnswered(&enclavepb.Result{Reason: reason})
	}
}

func (p *pipe) wait(ctx actor.Context) {
	p.late = tree.After(ctx, answerTime, answersLate{p.count})
}

// onAnswersLate gives up what is not answered for long: the lines behind it are to
// be read one day.
func (p *pipe) onAnswersLate(ctx actor.Context, m answersLate) {
	p.late = nil
	switch {
	case p.asked == 0:
	case p.count != m.count:
		p.wait(ctx)
	default:
		tree.Log(ctx.ActorSystem()).Error("commands from a named pipe were not answered", slog.Int("commands", p.asked))
		for range p.asked {
			p.lines = p.ends.tell(appendResult(p.lines, &enclavepb.Result{Reason: reasonLate}))
		}
		p.ends.answered(p.asked)
		p.asked = 0
	}
}
