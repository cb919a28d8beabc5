package enclave

import (
	"log/slog"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/messages/storepb"
)

// Close codes, which only counters show: the wire has none.
const (
	closeNormal = 1000
	closeGoing  = 1001
	closePolicy = 1008
)

// onOpened serves a link: one that was dialled is its friend's, of others the
// address decides.
func (f *friends) onOpened(ctx actor.Context, m *linkpb.Opened) {
	link := ctx.Sender()
	if m.GetTicket() != 0 {
		t := f.dialling.over(m.GetTicket())
		f.dialNext(ctx)
		if t == nil || f.leaving != nil {
			refuse(ctx, link)
			return
		}
		if p := f.people[t.address]; p != nil && p.pid != nil {
			ctx.Forward(p.pid)
			return
		}
		refuse(ctx, link)
		return
	}
	c := caller{link, m}
	switch {
	case f.leaving != nil, !f.begun && len(f.callers) == callersMost:
		refuse(ctx, link)
	case !f.begun:
		f.callers = append(f.callers, c)
	default:
		f.call(ctx, c)
	}
}

// call decides about a link that somebody else opened.
func (f *friends) call(ctx actor.Context, c caller) {
	address := canonical(c.m.GetRemote())
	p := f.people[address]
	_, ignored := f.ignored[address]
	switch {
	case address == "" || ignored:
		refuse(ctx, c.link)
	case p != nil:
		ctx.RequestWithCustomSender(p.pid, c.m, c.link)
	case f.o.Allow != nil && !f.o.Allow(address):
		refuse(ctx, c.link)
	default:
		ctx.RequestWithCustomSender(f.met.strangers, &knock{address: address, link: c.link, opened: c.m}, c.link)
	}
}

// hold has a message wait until it is known who is a friend.
func (f *friends) hold(ctx actor.Context, m *asked) {
	if len(f.sends) == heldSends {
		answer(ctx, m, refused(m, reasonBusy))
		return
	}
	f.sends = append(f.sends, m)
}

// goOn goes on with messages that waited, or answers them at the node's end.
func (f *friends) goOn(ctx actor.Context) {
	sends := f.sends
	f.sends = nil
	for _, m := range sends {
		if f.begun {
			attempt(ctx, m, func() { f.onAsked(ctx, m) })
		} else {
			answer(ctx, m, refused(m, reasonLeaving))
		}
	}
}

// refuse ends a link without a word. A link that was not accepted would wait for
// that after its end.
func refuse(ctx actor.Context, link *actor.PID) {
	ctx.Send(link, &linkpb.Close{Code: closePolicy})
	ctx.Request(link, &linkpb.Accepted{})
}

// onAdmitted hands a link that waited to its friend.
func (f *friends) onAdmitted(ctx actor.Context, m *admitted) {
	if p := f.people[m.address]; p != nil && p.pid != nil && f.leaving == nil {
		ctx.Forward(p.pid)
		return
	}
	ctx.Stop(ctx.Sender()) // with its link
}

// onReadResponse learns which messages have come before. Without that, one may
// come twice, if its sender did not hear that it had come.
func (f *friends) onReadResponse(ctx actor.Context, m *storepb.ReadResponse) {
	if f.hasHeard {
		return
	}
	log := tree.Log(ctx.ActorSystem())
	if m.GetError() != "" {
		log.Warn("which messages have come before could not be read: some may come twice", slog.String("reason", m.GetError()))
	}
	f.heard = map[string]*enclavepb.Heard{}
	for _, r := range m.GetRecords() {
		h := &enclavepb.Heard{}
		address := strings.TrimPrefix(r.GetKey(), heardPrefix)
		if err := proto.Unmarshal(r.GetValue(), h); err != nil {
			log.Warn("which messages of a friend have come before is damaged: some may come twice", slog.String("address", address))
			continue
		}
		f.heard[address] = h
	}
	f.hasHeard = true
	f.late.Stop()
	f.begin(ctx)
}

// onDrain says goodbye to all friends.
func (f *friends) onDrain(ctx actor.Context) {
	if f.leaving != nil {
		return
	}
	f.leaving = &leaving{asker: ctx.Sender(), left: map[string]bool{}, timer: tree.After(ctx, goodbyeTime, leaveLate{})}
	for _, c := range f.callers {
		refuse(ctx, c.link)
	}
	f.callers = nil
	for address, p := range f.people {
		if p.pid != nil {
			f.leaving.left[address] = false
			ctx.Send(p.pid, leave{})
		}
	}
	if len(f.leaving.left) == 0 {
		f.endLeaving(ctx)
	}
}

func (f *friends) onLeft(ctx actor.Context, m *left) {
	if f.leaving == nil {
		return
	}
	delete(f.leaving.left, m.address)
	if len(f.leaving.left) == 0 {
		f.endLeaving(ctx)
	}
}

// endLeaving answers, when all have heard it or had the time to.
func (f *friends) endLeaving(ctx actor.Context) {
	f.leaving.timer.Stop()
	if f.leaving.asker != nil {
		ctx.Send(f.leaving.asker, &linkpb.Drained{})
		f.leaving.asker = nil
	}
}
