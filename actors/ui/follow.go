package ui

import (
	"maps"

	"github.com/asynkron/protoactor-go/actor"
)

type (
	// Follow asks broadcasts which of these opt-in broadcasts anybody has subscribed
	// to, now and whenever that changes. The answer is Followed; it ends with the
	// sender (watched).
	Follow struct{ Opcodes []string }
	// Followed tells which broadcasts are wanted. It is frozen. What is announced all
	// the same is for nobody.
	Followed struct{ Wanted map[string]bool }
)

// IgnoreDeadLetterLogging marks messages that may find who follows stopped.
func (*Followed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find broadcasts stopped.
func (*Follow) IgnoreDeadLetterLogging() {}

// follower wants to know which broadcasts are of use.
type follower struct {
	pid     *actor.PID
	opcodes []string
	wanted  map[string]bool // last told
}

func (b *broadcasts) onFollow(ctx actor.Context, m *Follow) {
	b.unfollow(ctx.Sender())
	f := follower{pid: ctx.Sender(), opcodes: m.Opcodes, wanted: b.wanted(m.Opcodes)}
	b.follows = append(b.follows, f)
	ctx.Watch(f.pid)
	ctx.Send(f.pid, &Followed{f.wanted})
}

func (b *broadcasts) onGone(m *actor.Terminated) { b.unfollow(m.Who) }

func (b *broadcasts) unfollow(pid *actor.PID) {
	for i := range b.follows {
		if b.follows[i].pid.Equal(pid) {
			b.follows = append(b.follows[:i:i], b.follows[i+1:]...)
			return
		}
	}
}

// wanted are those of some opt-in broadcasts that anybody has subscribed to.
func (b *broadcasts) wanted(opcodes []string) map[string]bool {
	out := map[string]bool{}
	for _, o := range opcodes {
		for i := range b.members {
			if b.members[i].opcodes[o] {
				out[o] = true
				break
			}
		}
	}
	return out
}

// tellFollowers tells those for whom something has changed.
func (b *broadcasts) tellFollowers(ctx actor.Context) {
	for i := range b.follows {
		f := &b.follows[i]
		if now := b.wanted(f.opcodes); !maps.Equal(now, f.wanted) {
			f.wanted = now
			ctx.Send(f.pid, &Followed{now})
		}
	}
}
