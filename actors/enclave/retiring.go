package enclave

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/linkpb"
)

// Links that another has taken the place of. Source: gateways/enclave/PROTOCOL.md,
// Links.
const (
	retiredMost  = 8                // of one friend
	retiredPause = 10 * time.Second // without a word, after which one is closed
	retiredTime  = 5 * time.Minute  // after which it is closed all the same
)

// retiredDue says that it is time to see whether a retired link still says something.
type retiredDue struct{ number uint32 }

// IgnoreDeadLetterLogging marks messages that may find a friend stopped.
func (retiredDue) IgnoreDeadLetterLogging() {}

// ears are all links that are listened to.
func (f *friend) ears() []*line {
	if len(f.retired) == 0 {
		return f.lines
	}
	return slices.Concat(f.retired, f.lines)
}

// retire has another link take the place of l, which counts no more. Who numbers its
// messages says again what has not come. Who does not, cannot: of its link only our
// side is ended, and what it has said, or says before it hangs up, is heard.
func (f *friend) retire(ctx actor.Context, l *line) {
	if l.peer != "" {
		f.close(ctx, l, closeNormal)
		return
	}
	f.lines = slices.DeleteFunc(f.lines, func(o *line) bool { return o == l })
	l.late.Stop()
	l.late = tree.After(ctx, retiredPause, retiredDue{l.number})
	l.retired, l.since, l.spoke = true, time.Now(), false
	ctx.Send(l.link, &linkpb.Close{Code: closeNormal, Listen: true})
	if f.retired = append(f.retired, l); len(f.retired) > retiredMost {
		silent := slices.IndexFunc(f.retired, func(o *line) bool { return !o.greeted })
		f.close(ctx, f.retired[max(silent, 0)], closeNormal)
	}
}

// overhear takes what a retired link says. How its peer is, newer links say.
func (f *friend) overhear(ctx actor.Context, l *line, m *enclavepb.Packet) {
	if !l.greeted && numbers(m) { // it will say again what does not come
		f.numbers = true
		f.close(ctx, l, closeNormal)
		return
	}
	l.greeted, l.spoke = true, true
	f.hear(ctx, m, false)
	f.acked(ctx, m.GetAck())
	if m.Status != nil && m.GetStatus() == Offline {
		f.close(ctx, l, closeNormal)
	}
}

// onRetiredDue closes a retired link that says nothing any more; one that is not read
// because the database lags may.
func (f *friend) onRetiredDue(ctx actor.Context, m retiredDue) {
	l := f.find(m.number)
	switch {
	case l == nil:
	case time.Since(l.since) < retiredTime && (l.spoke || l.pledged > 0):
		l.spoke = false
		l.late = tree.After(ctx, retiredPause, m)
	default:
		f.close(ctx, l, closeNormal)
	}
}
