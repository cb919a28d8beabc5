package link

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages"
	"parley/messages/linkpb"
)

// wantHeard fails the test unless the server of member 1 got n messages so far.
func wantHeard(t *testing.T, w *world, n int, when string) {
	t.Helper()
	if got := len(w.heard(1)); got != n {
		t.Errorf("%s: the server has %d messages, want %d", when, got, n)
	}
}

func TestReaderStopsAtTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial().listen()
		for i := range 200 {
			p.say("message %d", i)
		}
		wantHeard(t, w, 64, "nothing settled")
		time.Sleep(time.Hour)
		wantHeard(t, w, 64, "an hour later")
		w.say(1, "ack 1")
		wantHeard(t, w, 65, "one answered")
		w.sys.Root.Send(w.link(1), &linkpb.Settled{Charge: 10})
		wantHeard(t, w, 75, "ten settled")
		w.cast(messages.Multicast{Origin: 1, Charge: 5}, "")
		wantHeard(t, w, 80, "five fanned out")
		w.sys.Root.Send(w.link(1), &linkpb.Settled{All: true})
		wantHeard(t, w, 144, "all forgiven")
		w.sys.Root.Send(w.link(1), &linkpb.Settled{Charge: 1_000_000})
		wantHeard(t, w, 200, "more settled than is held")
		if got := w.heard(1); got[199] != "message 199" {
			t.Errorf("the last is %q", got[199])
		}
		for range 200 {
			p.say("more")
		}
		wantHeard(t, w, 208, "what was settled too much is no credit")
		p.say("bye 1000") // unread: it is behind what waits
		_ = p.Close()
		w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 1000})
		w.stop()
	})
}

// TestBigMessagesHoldMoreCredit: four of 256 KiB are as much as 64 small ones.
func TestBigMessagesHoldMoreCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 4 << 20})
		p := w.dial().listen()
		for range 10 {
			p.say("%s", strings.Repeat("x", 256<<10))
		}
		wantHeard(t, w, 4, "17 units each")
		w.sys.Root.Send(w.link(1), &linkpb.Settled{Charge: 17})
		wantHeard(t, w, 5, "one settled")
		_ = p.Close()
		w.stop()
	})
}

// TestAPeerIsSlowedNotDropped: who sends faster than it is served is read as
// fast as it is served, and loses nothing.
func TestAPeerIsSlowedNotDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 1000
		w := newWorld(t, options{window: 2000, serve: func(ctx actor.Context, _ string) {
			ctx.Send(ctx.Sender(), newWord("ack 1"))
		}})
		p := w.dial().listen()
		for i := range n {
			p.say("%04d", i) // waits while the window is full
		}
		got := w.heard(1)
		for i := range got {
			if got[i] != fmt.Sprintf("%04d", i) {
				t.Fatalf("message %d is %q", i, got[i])
			}
		}
		if len(got) != n || len(p.lines()) != n {
			t.Errorf("%d messages came", len(got))
		}
		w.stop()
	})
}

// TestWhoReadsNoAnswersIsReadNoMore: small answers that pile up cost what they
// cost, and no more are asked for until they are read.
func TestWhoReadsNoAnswersIsReadNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, window = 5000, 600
		w := newWorld(t, options{window: window, serve: func(ctx actor.Context, _ string) {
			ctx.Send(ctx.Sender(), newWord("ack 1"))
		}})
		p := w.dial()
		go func() {
			for range n {
				p.say("q")
			}
		}()
		const answer = len("ack 1\n")
		most := window/answer + creditLimit + 2
		if got := len(w.heard(1)); got > most || got < most/2 {
			t.Errorf("%d questions were heard, %d answers may be unread", got, most)
		}
		if used := w.kind.Budget.Used(); used > int64((answer+chunkCost)*(creditLimit+1)) {
			t.Errorf("%d bytes are counted", used)
		}
		p.listen()
		wantHeard(t, w, n, "all are read")
		if got := len(p.lines()); got != n {
			t.Errorf("%d answers came", got)
		}
		_ = p.Close()
		w.stop()
	})
}

// TestClosedLinkLetsItsReaderGo, and what is still sent to it is lost in peace.
func TestClosedLinkLetsItsReaderGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial().listen()
		for range 100 {
			p.say("message")
		}
		wantHeard(t, w, 64, "full")
		w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4000, Reason: "enough"})
		p.wantEnd("close 4000 enough")
		wantHeard(t, w, 64, "closed")
		w.stop()
	})
}

// TestMessageRate slows the reading of a peer that talks too much.
func TestMessageRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.MessageRate = 10 }, serve: func(ctx actor.Context, _ string) {
			ctx.Send(ctx.Sender(), newWord("ack 1"))
		}})
		p := w.dial().listen()
		for range 50 {
			p.say("message")
		}
		wantHeard(t, w, 11, "a burst") // the eleventh waits behind its own reading
		time.Sleep(time.Second)
		wantHeard(t, w, 21, "a second later")
		time.Sleep(3 * time.Second)
		wantHeard(t, w, 50, "all")
		_ = p.Close()
		w.stop()
	})
}
