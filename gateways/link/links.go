package link

import (
	"io"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/linkpb"
)

const (
	drainBatch = 256                   // links that are closed at once when the node shuts down
	drainPause = 20 * time.Millisecond // between two batches
)

// links spawns one link for each open socket and never restarts one.
//
//	parent    node
//	receives  accepted, linkpb.Drain, drainNext, overBudget
//	sends     linkpb.Close to links; evict to shards; linkpb.Drained to who asked
//	stops     with the node
type links struct {
	kind     *Kind // fixed at spawn, as all of this block
	shards   []*actor.PID
	upstream *actor.PID

	mold     *tree.Mold    // set by Started
	next     uint64        // member of the next link
	open     int           // links that have not terminated
	draining *linkpb.Drain // set by Drain
	asker    *actor.PID    // set by Drain
	left     []*actor.PID  // links still to be told
}

// accepted hands over a socket that has passed the handshake.
type accepted struct {
	socket Socket
	peer   *linkpb.Peer // nil: not known
	ticket uint64       // 0: none
}

type drainNext struct{}

// overBudget says that the node-wide ceiling is passed.
type overBudget struct{}

// IgnoreDeadLetterLogging marks messages that may find links stopped.
func (drainNext) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find links stopped.
func (overBudget) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find links stopped.
func (*accepted) IgnoreDeadLetterLogging() {}

// SpawnLinks starts the supervisor of a gateway's links. Its sockets are
// served by whom upstream names in answer to linkpb.Opened.
func SpawnLinks(ctx actor.SpawnerContext, name string, k *Kind, shards []*actor.PID, upstream *actor.PID) *actor.PID {
	return tree.Spawn(ctx, name, tree.Spec{New: func() actor.Actor {
		return &links{kind: k, shards: shards, upstream: upstream}
	}})
}

// Accept gives a socket to a gateway's links; peer is nil where nobody asks who
// it is.
func Accept(k *Kind, links *actor.PID, s Socket, peer *linkpb.Peer) {
	k.root.Send(links, &accepted{socket: s, peer: peer})
}

// Admit gives a gateway's links a socket that its server expects under a ticket:
// it let the peer in, or had it dialled.
func Admit(k *Kind, links *actor.PID, s Socket, ticket uint64) {
	k.root.Send(links, &accepted{socket: s, ticket: ticket})
}

func (l *links) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.onStarted(ctx)
	case *accepted:
		l.onAccepted(ctx, m)
	case *actor.Terminated:
		l.open--
	case overBudget:
		ctx.Send(l.shards[0], evict{rest: l.shards[1:]})
	case *linkpb.Drain:
		l.onDrain(ctx, m)
	case drainNext:
		l.onDrainNext(ctx)
	}
}

func (l *links) onStarted(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	l.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{Inline: l.kind.Inline, Refused: l.kind.refusePaced})
	l.kind.Budget.over = func() { root.Send(self, overBudget{}) }
}

func (l *links) onAccepted(ctx actor.Context, m *accepted) {
	l.next++
	out := &Outbound{member: l.next, kind: l.kind, conn: m.socket.Conn(), w: m.socket.Writer()}
	out.seen.Store(l.kind.clock.Load())
	m.socket.Bind(out)
	out.conn.Release()
	out.conn.mine(out.w == io.Writer(out.conn)) // without TLS nobody else writes
	l.open++
	l.kind.unsaid.Add(1)
	shard := l.shards[l.next%uint64(len(l.shards))]
	pid := l.mold.Spawn(ctx, &link{kind: l.kind, socket: m.socket, out: out, upstream: l.upstream, shard: shard, peer: m.peer, ticket: m.ticket})
	if l.draining != nil { // it came in while the listener closed: it is told like all others
		ctx.Send(pid, &linkpb.Close{Code: l.draining.GetCode(), Reason: l.draining.GetReason()})
	}
}

// onDrain says goodbye to all, a batch at a time: ten thousand clients that
// reconnect in the same instant would be the next node's storm.
func (l *links) onDrain(ctx actor.Context, m *linkpb.Drain) {
	if l.draining != nil {
		return
	}
	l.draining, l.asker, l.left = m, ctx.Sender(), slices.Clone(ctx.Children()) // the library's list changes as they go
	l.onDrainNext(ctx)
}

// onDrainNext goes on with the next batch, and ends when the last goodbye is
// with the kernel: what this process still held would die with it.
func (l *links) onDrainNext(ctx actor.Context) {
	n := min(drainBatch, len(l.left))
	for _, pid := range l.left[:n] {
		ctx.Send(pid, &linkpb.Close{Code: l.draining.GetCode(), Reason: l.draining.GetReason()})
	}
	l.left = l.left[n:]
	switch {
	case len(l.left) > 0 || l.open > 0 || l.kind.unsaid.Load() > 0:
		tree.After(ctx, drainPause, drainNext{})
	case l.asker != nil:
		ctx.Send(l.asker, &linkpb.Drained{})
	}
}
