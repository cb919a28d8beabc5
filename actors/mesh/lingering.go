package mesh

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// lingering is the names that nobody here is subscribed to any more. They stay
// reserved for a while: who reconnects finds the channel as it was, and one that
// comes and goes does not stir all nodes each time. Who opens one with another
// password, or without, gets it at once.
type lingering struct {
	since map[string]time.Time
	queue []farewell // oldest first; those that came back are still in it
	timer *tree.Timer
}

// farewell is one name and when it was left.
type farewell struct {
	name string
	at   time.Time
}

// lingerOver says that the oldest name has lingered long enough.
type lingerOver struct{}

// IgnoreDeadLetterLogging marks messages that may find reservations stopped.
func (lingerOver) IgnoreDeadLetterLogging() {}

// end tells whether a name lingered. It does no more.
func (l *lingering) end(name string) bool {
	_, was := l.since[name]
	delete(l.since, name)
	return was
}

// next is the name that has lingered longest.
func (l *lingering) next() (f farewell, ok bool) {
	for len(l.queue) > 0 {
		f = l.queue[0]
		if at, still := l.since[f.name]; still && at.Equal(f.at) {
			return f, true
		}
		l.queue[0] = farewell{}
		l.queue = l.queue[1:]
	}
	l.queue = nil
	return farewell{}, false
}

// onDrop lets a name linger that has no subscriber here any more.
func (r *reservations) onDrop(ctx actor.Context, m *meshpb.Drop) {
	name := m.GetChannel()
	if r.asking[name] != nil || r.records.entry(r.records.own, name) == nil {
		return // it was lost before
	}
	if r.o.Linger <= 0 {
		r.unreserve(ctx, name)
		return
	}
	if _, already := r.linger.since[name]; already {
		return
	}
	now := time.Now()
	r.linger.since[name] = now
	r.linger.queue = append(r.linger.queue, farewell{name, now})
	if len(r.linger.queue) == 1 {
		r.rest(ctx)
	}
}

// rest waits for the next name to have lingered long enough.
func (r *reservations) rest(ctx actor.Context) {
	r.linger.timer.Stop()
	r.linger.timer = nil
	if f, ok := r.linger.next(); ok {
		r.linger.timer = tree.After(ctx, max(0, time.Until(f.at.Add(r.o.Linger))), lingerOver{})
	}
}

func (r *reservations) onLingerOver(ctx actor.Context) {
	for {
		f, ok := r.linger.next()
		if !ok || time.Since(f.at) < r.o.Linger {
			break
		}
		r.linger.end(f.name)
		r.unreserve(ctx, f.name)
	}
	r.rest(ctx)
}
