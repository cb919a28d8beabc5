package enclave

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

const (
	heldMost  = 1000             // events that wait for listeners
	heldBytes = 8 << 20          // of them
	holdTime  = 10 * time.Second // that listeners have to come
)

// holdOver says that listeners have had enough time to come.
type holdOver struct{}

// IgnoreDeadLetterLogging marks messages that may find frontends stopped.
func (holdOver) IgnoreDeadLetterLogging() {}

// listener is told what happens.
type listener struct {
	pid      *actor.PID
	bursts   bool   // it takes enclavepb.Events
	confirms bool   // it says when it has got through with them
	again    bool   // it wants what may have been told before
	shown    uint64 // number of the last Events that it has confirmed
}

// telling is the way of events to listeners.
type telling struct {
	listeners []*listener // in the order they came, each watched
	awaited   int         // listeners that are to come, before anything is told
	held      []*toldAll  // until then, oldest first
	events    int         // in held
	bytes     int         // likewise
	over      *tree.Timer // until holdOver

	number uint64  // of the last Events that are to be confirmed
	under  []batch // that are not yet, oldest first
}

// batch is what goes on when Events are confirmed.
type batch struct {
	number uint64
	notes  []noting
}

// onStarted waits for listeners, if some are to come.
func (f *frontends) onStarted(ctx actor.Context) {
	if f.telling.awaited > 0 {
		f.telling.over = tree.After(ctx, holdTime, holdOver{})
	}
	f.news.start(ctx)
}

// onListen adds a listener, once.
func (f *frontends) onListen(ctx actor.Context, m *enclavepb.Listen) {
	from, t := ctx.Sender(), &f.telling
	if from == nil || t.listener(from) != nil {
		return
	}
	t.listeners = append(t.listeners, &listener{
		pid: from, bursts: m.GetBursts(), confirms: m.GetBursts() && m.GetConfirms(), again: m.GetAgain(), shown: t.number,
	})
	ctx.Watch(from)
	if len(t.listeners) >= t.awaited {
		f.unhold(ctx)
	}
}

func (t *telling) listener(pid *actor.PID) *listener {
	for _, l := range t.listeners {
		if l.pid.Equal(pid) {
			return l
		}
	}
	return nil
}

// leave forgets a listener that is gone.
func (f *frontends) leave(ctx actor.Context, who *actor.PID) {
	t := &f.telling
	for i, l := range t.listeners {
		if l.pid.Equal(who) {
			t.listeners = append(t.listeners[:i:i], t.listeners[i+1:]...)
			f.confirm(ctx)
			return
		}
	}
}

// onTold tells all listeners. The event is one for all of them.
func (f *frontends) onTold(ctx actor.Context, m *told) {
	if f.pass(ctx, m.event) {
		f.tell(ctx, &toldAll{events: &enclavepb.Events{Events: []*enclavepb.Event{m.event}}})
	}
}

func (f *frontends) onToldAll(ctx actor.Context, m *toldAll) { f.tell(ctx, m) }

// tell tells all listeners, or keeps it for those that are to come.
func (f *frontends) tell(ctx actor.Context, m *toldAll) {
	t := &f.telling
	if len(t.listeners) < t.awaited {
		t.held = append(t.held, m)
		t.events += len(m.events.GetEvents())
		if t.bytes += m.Bytes(); t.events > heldMost || t.bytes > heldBytes {
			f.unhold(ctx)
		}
		return
	}
	number := uint64(0)
	if len(m.notes) > 0 {
		t.number++
		number = t.number
		t.under = append(t.under, batch{number, m.notes})
	}
	for _, l := range t.listeners {
		if !l.confirms {
			l.shown = t.number
		}
		l.tell(ctx, m.events.GetEvents(), number)
	}
	f.confirm(ctx)
}

// unhold tells what waits to who has come.
func (f *frontends) unhold(ctx actor.Context) {
	t := &f.telling
	t.over.Stop()
	t.over = nil
	held := t.held
	t.awaited, t.held, t.events, t.bytes = 0, nil, 0, 0
	for _, m := range held {
		f.tell(ctx, m)
	}
}

// tell tells one listener. number is 0 where nobody waits for a confirmation.
func (l *listener) tell(ctx actor.Context, all []*enclavepb.Event, number uint64) {
	if !l.again {
		all = fresh(all)
	}
	switch {
	case l.confirms && number != 0, l.bursts && len(all) > 1:
		m := &enclavepb.Events{Events: all}
		if l.confirms {
			m.Number = number
		}
		ctx.Request(l.pid, m)
	default:
		for _, e := range all {
			ctx.Send(l.pid, e)
		}
	}
}

// fresh are the events that were told to nobody for sure.
func fresh(all []*enclavepb.Event) []*enclavepb.Event {
	for i, e := range all {
		if !e.GetReceived().GetAgain() {
			continue
		}
		out := append([]*enclavepb.Event(nil), all[:i]...)
		for _, e := range all[i+1:] {
			if !e.GetReceived().GetAgain() {
				out = append(out, e)
			}
		}
		return out
	}
	return all
}

// onShown hears how far a listener is.
func (f *frontends) onShown(ctx actor.Context, m *enclavepb.Shown) {
	if l := f.telling.listener(ctx.Sender()); l != nil {
		l.shown = max(l.shown, m.GetNumber())
		f.confirm(ctx)
	}
}

// confirm lets go on what all listeners have got through with.
func (f *frontends) confirm(ctx actor.Context) {
	t := &f.telling
	least := t.number
	for _, l := range t.listeners {
		if l.confirms {
			least = min(least, l.shown)
		}
	}
	for len(t.under) > 0 && t.under[0].number <= least {
		for _, n := range t.under[0].notes {
			ctx.Send(n.to, n.m)
		}
		t.under[0] = batch{}
		t.under = t.under[1:]
	}
	if len(t.under) == 0 {
		t.under = nil
	}
}
