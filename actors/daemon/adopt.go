package daemon

import (
	"log/slog"
	"slices"

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
	node, shown, flaw := recorded(m)
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
		l.wind(ctx)
		node.Number = l.clock
		l.node, l.shown = node, shown
		l.state = l.adopting
		l.again = func(ctx actor.Context) { ctx.Request(l.with.Process, l.node) }
		l.again(ctx)
	}
}

// shownMost bounds what is kept of a Setup space, in bytes: it is a record.
const shownMost = 32 << 10

// records are what a later Daemon reads of a Node.
func records(node *processpb.Adopt, shown *uipb.SetupResponse) []*storepb.Record {
	value, err := proto.Marshal(node)
	if err != nil {
		panic(err) // numbers
	}
	out := []*storepb.Record{{Key: nodeKey, Value: value}}
	if value, err = proto.Marshal(shown); err == nil && shown != nil && len(value) <= shownMost {
		out = append(out, &storepb.Record{Key: shownKey, Value: value})
	}
	return out
}

// recorded is the Node of a record, nil without one, and what it was started with,
// nil if that is not known; or why there could be one.
func recorded(m *storepb.ReadResponse) (node *processpb.Adopt, shown *uipb.SetupResponse, flaw string) {
	if m.GetError() != "" {
		return nil, nil, m.GetError()
	}
	if slices.Contains(m.GetCorrupt(), nodeKey) {
		return nil, nil, "its record was damaged"
	}
	for _, r := range m.GetRecords() {
		switch r.GetKey() {
		case nodeKey:
			node = &processpb.Adopt{}
			if err := proto.Unmarshal(r.GetValue(), node); err != nil || node.GetPid() == 0 {
				return nil, nil, "its record is not understood"
			}
		case shownKey:
			s := &uipb.SetupResponse{}
			if proto.Unmarshal(r.GetValue(), s) == nil && len(s.GetValues()) > 0 {
				shown = s
			}
		}
	}
	return node, shown, ""
}

// adopting waits for whether it is that very process.
func (l *launcher) adopting(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Ask:
		l.onEarlyStart(ctx, m)
	case *processpb.Ready:
		tree.Log(ctx.ActorSystem()).Info("node adopted", slog.Uint64("pid", uint64(m.GetPid())))
		l.keeper = ctx.Sender()
		l.run(ctx)
		l.answer(ctx, l.taken())
		if l.closing != nil {
			ctx.Request(l.with.Process, l.closing)
		}
	case *processpb.Ended:
		l.onMissed(ctx, m)
	case *overdue:
		if m.clock == l.clock {
			// The record is kept: a later Daemon may adopt it.
			tree.Log(ctx.ActorSystem()).Error("a Node may be running that was not adopted", slog.Uint64("pid", uint64(l.node.GetPid())))
			l.settle(ctx)
		}
	}
}

// textMissed is how a Node ended that no Daemon has seen end.
const textMissed = "no Daemon was there to see how it ended: "

// onMissed tells of the Node of an earlier Daemon that it is gone: who used it has
// not heard of that yet, for nobody was there to tell.
func (l *launcher) onMissed(ctx actor.Context, m *processpb.Ended) {
	tree.Log(ctx.ActorSystem()).Info("the Node of an earlier Daemon is gone",
		slog.Uint64("pid", uint64(l.node.GetPid())), slog.String("reason", m.GetFailure()))
	l.forget(ctx)
	l.incarnation++
	l.count.crashed.Add(1)
	e := &processpb.Ended{Pid: l.node.GetPid(), Ready: true, Failure: textMissed + manner(m)}
	ctx.Send(l.with.Crash, &over{incarnation: l.incarnation, ended: e})
	l.settle(ctx)
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

// forget deletes the records of the Node.
func (l *launcher) forget(ctx actor.Context) {
	ctx.Request(l.with.Store, &storepb.Write{Deletes: []string{nodeKey, shownKey}})
}
