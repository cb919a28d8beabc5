package daemon

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/faultpb"
	"parley/messages/processpb"
	"parley/messages/storepb"
	"parley/messages/uipb"
)

// recall asks the store for the Node that an earlier Daemon left.
func (l *launcher) recall(ctx actor.Context) {
	l.state = l.recalling
	l.again = func(ctx actor.Context) {
		l.serial++
		ctx.Request(l.with.Store, &storepb.ReadRequest{Prefix: nodeKey, Serial: l.serial})
	}
	l.again(ctx)
}

// recalling waits for the record of a Node.
func (l *launcher) recalling(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.onEarlyStart(ctx, m)
	case *faultpb.Failed: // the store
		l.again(ctx)
	case *storepb.ReadResponse:
		if m.GetSerial() == l.serial {
			l.onRecalled(ctx, m)
		}
	}
}

// onEarlyStart lets the first wait until it is known whether a Node runs. For
// all others there will be one, either way.
func (l *launcher) onEarlyStart(ctx actor.Context, m *uipb.Ask) {
	if l.from != nil {
		l.busy(ctx)
		return
	}
	l.from, l.member = ctx.Sender(), m.GetAsker().GetMember()
}

func (l *launcher) onRecalled(ctx actor.Context, m *storepb.ReadResponse) {
	node, flaw := recorded(m)
	switch {
	case flaw != "":
		tree.Log(ctx.ActorSystem()).Error("a Node may be running that cannot be adopted", slog.String("error", flaw))
		if m.GetError() == "" {
			l.forget(ctx)
		}
		l.settle(ctx)
	case node == nil:
		l.settle(ctx)
	default:
		l.node = node
		l.wind(ctx)
		l.state = l.adopting
		l.again = func(ctx actor.Context) { ctx.Request(l.with.Process, l.node) }
		l.again(ctx)
	}
}

// recorded is the Node of a record, nil without one, or why there could be one.
func recorded(m *storepb.ReadResponse) (node *processpb.Adopt, flaw string) {
	if m.GetError() != "" {
		return nil, m.GetError()
	}
	for _, key := range m.GetCorrupt() {
		if key == nodeKey {
			return nil, "its record was damaged"
		}
	}
	for _, r := range m.GetRecords() {
		if r.GetKey() != nodeKey {
			continue
		}
		node = &processpb.Adopt{}
		if err := proto.Unmarshal(r.GetValue(), node); err != nil || node.GetPid() == 0 {
			return nil, "its record is not understood"
		}
	}
	return node, ""
}

// adopting waits for whether it is that very process.
func (l *launcher) adopting(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.onEarlyStart(ctx, m)
	case *processpb.Ready:
		if m.GetPid() != l.node.GetPid() {
			l.odd(ctx, "another one was adopted", m.GetPid())
			return
		}
		tree.Log(ctx.ActorSystem()).Info("node adopted", slog.Uint64("pid", uint64(m.GetPid())))
		l.keeper = ctx.Sender()
		l.run(ctx)
		l.answer(ctx, l.taken())
		if l.closing != nil {
			ctx.Request(l.with.Process, l.closing)
		}
	case *processpb.Ended:
		if m.GetPid() != l.node.GetPid() && m.GetPid() != 0 {
			l.odd(ctx, "it ended", m.GetPid())
			return
		}
		tree.Log(ctx.ActorSystem()).Info("the Node of an earlier Daemon is gone",
			slog.Uint64("pid", uint64(l.node.GetPid())), slog.String("reason", m.GetFailure()))
		l.forget(ctx)
		l.settle(ctx)
	case *overdue:
		if m.clock == l.clock {
			// The record is kept: a later Daemon may adopt it.
			tree.Log(ctx.ActorSystem()).Error("a Node may be running that was not adopted", slog.Uint64("pid", uint64(l.node.GetPid())))
			l.settle(ctx)
		}
	}
}

// settle goes on without a Node of an earlier Daemon.
func (l *launcher) settle(ctx actor.Context) {
	l.vacate(ctx)
	if l.from != nil {
		l.begin(ctx)
	}
	if l.closing != nil {
		l.ended(ctx, &processpb.Ended{})
	}
}

// forget deletes the record of the Node.
func (l *launcher) forget(ctx actor.Context) {
	ctx.Request(l.with.Store, &storepb.Write{Deletes: []string{nodeKey}})
}
