package pipe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/enclavepb"
	"parley/messages/faultpb"
)

// TestUnanswered: so many lines are read and no more, until there are answers, or
// there never will be.
func TestUnanswered(t *testing.T) {
	b := newBack(t)
	b.busy = true
	out := b.listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 3 * askedMost {
			b.say(t, fmt.Sprintf(`{"cmd":"list","id":"%d"}`+"\n", i))
		}
	}()
	until(t, "commands", func() bool { return b.heard() == askedMost })
	b.say(t, "\n") // it takes its turn
	if got := b.heard(); got != askedMost {
		t.Errorf("%d commands", got)
	}
	for i := range 10 {
		b.sys.Root.Send(b.pipe, &enclavepb.Result{Id: fmt.Sprint(i), Cmd: "list", Ok: true})
		out.line(t)
		out.line(t)
		until(t, "next command", func() bool { return b.heard() == askedMost+i+1 })
	}
	b.sys.Root.Send(b.pipe, &faultpb.Failed{})
	if got := out.line(t); !strings.Contains(got, reasonFailed) {
		t.Error(got)
	}
	until(t, "next command", func() bool { return b.heard() == askedMost+11 })
	b.sys.Root.Send(b.pipe, &actor.DeadLetterResponse{})
	if got := out.line(t); !strings.Contains(got, reasonLeaving) {
		t.Error(got)
	}
	until(t, "next command", func() bool { return b.heard() == askedMost+12 })
	b.sys.Root.Send(b.pipe, answersLate{count: 5}) // there were answers since
	b.sys.Root.Send(b.pipe, answersLate{count: 12})
	for range askedMost {
		if got := out.line(t); !strings.Contains(got, reasonLate) {
			t.Error(got)
		}
	}
	until(t, "next commands", func() bool { return b.heard() == 2*askedMost+12 })
	b.mu.Lock()
	b.busy = false
	b.mu.Unlock()
	b.sys.Root.Send(b.pipe, answersLate{count: 12})
	<-done
	until(t, "all commands", func() bool { return b.heard() == 3*askedMost })
}

// TestUnasked: failures of others are nobody's answers.
func TestUnasked(t *testing.T) {
	b := newBack(t)
	b.sys.Root.Send(b.pipe, &faultpb.Failed{})
	b.sys.Root.Send(b.pipe, &actor.DeadLetterResponse{})
	b.sys.Root.Send(b.pipe, answersLate{})
	b.tell(7, 1)
	if got := numberOf(b.listen(t).line(t)); got != 7 {
		t.Error(got)
	}
}

// TestAgain: an actor that begins again after a failure has its pipes, and listens.
func TestAgain(t *testing.T) {
	b := newBack(t)
	b.busy = true
	b.say(t, strings.Repeat(`{"cmd":"list"}`+"\n", askedMost))
	until(t, "commands", func() bool { return b.heard() == askedMost })
	b.mu.Lock()
	b.listener, b.busy = nil, false
	b.mu.Unlock()
	b.sys.Root.Send(b.pipe, (*spoken)(nil)) // a bug of who sent it
	b.say(t, `{"cmd":"list"}`)
	until(t, "next command", func() bool { return b.heard() == askedMost+1 })
	if b.listener != nil {
		t.Error("it listens twice")
	}
}
