package link

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

// echo answers every message with itself.
func echo(ctx actor.Context, text string) {
	ctx.Send(ctx.Sender(), newWord("echo "+text))
}

func TestLinkTalksToItsServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{serve: echo})
		a, b := w.dial().listen(), w.dial().listen()
		a.say("one")
		a.want("echo one")
		b.say("two")
		b.say("three")
		b.want("echo two", "echo three")
		a.want()
		if got := w.kind.Links(); got != 2 {
			t.Errorf("%d links open, want 2", got)
		}
		if got, want := w.servers[0].remote, a.LocalAddr().String(); got != want {
			t.Errorf("served as %q, want %q", got, want)
		}
		_ = a.Close()
		b.say("bye 3001")
		b.wantEnd("close 3001 ")
		if !w.isGone(w.servers[0]) || !w.isGone(w.servers[1]) {
			t.Error("a server was not told that its link ended")
		}
		w.stop()
	})
}

func TestLinkEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(w *world, p *peer)
		want []string
	}{
		{"the server closes", func(w *world, _ *peer) {
			w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4321, Reason: "enough"})
		}, []string{"close 4321 enough"}},
		{"the server closes silently", func(w *world, _ *peer) {
			w.sys.Root.Send(w.link(1), &linkpb.Close{})
		}, nil},
		{"the server closes twice", func(w *world, _ *peer) {
			w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4321, Reason: "enough"})
			w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 4322, Reason: "more"})
		}, []string{"close 4321 enough"}},
		{"the peer closes", func(_ *world, p *peer) { p.say("bye 1000") }, []string{"close 1000 "}},
		{"the peer breaks the rules", func(_ *world, p *peer) { p.say("bad 1002") }, []string{"close 1002 bad line"}},
		{"the peer half-closes", func(_ *world, p *peer) { _ = p.CloseWrite() }, nil},
		{"the server panics", func(w *world, p *peer) { p.say("panic") }, []string{"close 1011 server failed"}},
		{"the server is gone", func(w *world, _ *peer) { // as the system tells whoever sent to it
			w.sys.Root.Send(w.link(1), &actor.DeadLetterResponse{})
		}, []string{"close 1013 not served"}},
		{"the link's actor panics", func(w *world, _ *peer) { w.say(1, appendMarker) }, []string{"close 1001 going away"}},
		{"the decoder panics", func(_ *world, p *peer) { p.say(decodeMarker) }, []string{"close 1011 internal error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				failures := 0
				switch c.name {
				case "the server panics", "the link's actor panics", "the decoder panics":
					failures = 1
				}
				w := newWorld(t, options{failures: failures, serve: func(ctx actor.Context, text string) {
					if text == "panic" {
						panic(text)
					}
					echo(ctx, text)
				}})
				p, other := w.dial().listen(), w.dial().listen()
				c.act(w, p)
				p.wantEnd(c.want...)
				other.say("still there?")
				other.want("echo still there?")
				w.cast(messages.Multicast{Members: []uint64{1, 2}}, "to all")
				other.want("to all")
				third := w.dial().listen()
				third.say("new")
				third.want("echo new")
				if got := w.kind.Links(); got != 2 {
					t.Errorf("%d links open, want 2", got)
				}
				w.stop()
			})
		})
	}
}

// TestPeerLingers has a peer that takes its time to hang up: our side waits
// closeLinger, and no longer.
func TestPeerLingers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{serve: echo})
		p := w.dial()
		w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 1001, Reason: "bye"})
		synctest.Wait()
		for range 4 { // what it still sends does not matter
			time.Sleep(time.Second)
			p.say("still talking")
		}
		synctest.Wait()
		if n := w.net.Open(); n != 2 {
			t.Errorf("%d ends open within %v, want 2", n, closeLinger)
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if n := w.net.Open(); n != 1 {
			t.Errorf("%d ends open after %v, want the peer's only", n, closeLinger)
		}
		if got := w.heard(1); len(got) != 0 {
			t.Errorf("a server heard %q of a link that was closed", got)
		}
		p.listen().wantEnd("close 1001 bye")
		w.stop()
	})
}

func TestNobodyServes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{deaf: true})
		p := w.dial().listen()
		time.Sleep(acceptTimeout - time.Millisecond)
		p.want()
		time.Sleep(time.Millisecond)
		p.wantEnd("close 1013 not served")
		w.stop()
	})
}

// TestLateServerIsTold has a server accept a link that was given up: it must
// hear of the end, or it would serve nobody for ever.
func TestLateServerIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{deaf: true})
		p := w.dial().listen()
		synctest.Wait()
		var late *actor.PID
		for _, shard := range w.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
			for _, id := range shard.Keys() {
				if strings.HasPrefix(id, w.links.GetId()+"/") {
					late = w.sys.NewLocalPID(id)
				}
			}
		}
		time.Sleep(acceptTimeout)
		p.wantEnd("close 1013 not served")
		told := 0
		server := tree.Spawn(w.sys.Root, "late", tree.Spec{New: func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					ctx.Request(late, &linkpb.Accepted{})
				case *linkpb.Closed:
					told++
				}
			})
		}})
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		w.sys.Root.Stop(server)
		w.stop()
	})
}

// TestOnlyWhatHasAFrameIsWritten sends a link messages that are none of its
// protocol, among them the actor library's own, which are protobuf too.
func TestOnlyWhatHasAFrameIsWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		p := w.dial().listen()
		w.sys.Root.Send(w.link(1), &relaypb.HealthRequest{})
		w.sys.Root.Send(w.link(1), &linkpb.Drained{})
		w.sys.Root.Send(w.link(1), &actor.Terminated{})
		w.sys.Root.Send(w.link(1), "no message at all")
		w.say(1, "fine")
		p.want("fine")
		w.stop()
	})
}

func TestDrainSaysGoodbyeInBatches(t *testing.T) {
	const n = 2*drainBatch + 10
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		peers := make([]*peer, n)
		for i := range peers {
			peers[i] = w.dial().listen()
		}
		start := time.Now()
		f := w.sys.Root.RequestFuture(w.links, &linkpb.Drain{Code: closeGoingAway, Reason: "maintenance"}, time.Minute)
		told := func() (count int) {
			synctest.Wait()
			for _, p := range peers {
				p.mu.Lock()
				count += len(p.got)
				p.mu.Unlock()
			}
			return count
		}
		for i, want := range []int{drainBatch, 2 * drainBatch, n} {
			if got := told(); got != want {
				t.Errorf("after batch %d %d were told, want %d", i+1, got, want)
			}
			if i == 0 { // who comes now is told like all others
				w.dial().listen().wantEnd("close 1001 maintenance")
			}
			time.Sleep(drainPause)
		}
		if m, err := f.Result(); err != nil || m.(*linkpb.Drained) == nil {
			t.Errorf("drain was answered with %v, %v", m, err)
		}
		if took := time.Since(start); took > 4*drainPause {
			t.Errorf("draining took %v", took)
		}
		for _, p := range peers {
			p.wantEnd("close 1001 maintenance")
		}
		w.stop()
	})
}

func TestDrainWithoutLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		start := time.Now()
		m, err := w.sys.Root.RequestFuture(w.links, &linkpb.Drain{Code: 1001}, time.Minute).Result()
		if _, ok := m.(*linkpb.Drained); !ok || err != nil {
			t.Errorf("drain was answered with %v, %v", m, err)
		}
		if time.Since(start) != 0 {
			t.Errorf("draining nothing took %v", time.Since(start))
		}
		w.stop()
	})
}

// TestDrainWaitsForLastWords has a peer behind when the node stops: Drained must
// not come before its goodbye is with the kernel, or 5 s are over.
func TestDrainWaitsForLastWords(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("reads=%v", reads), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, options{window: 100})
				p := w.dial()
				w.say(1, string(make([]byte, 150)))
				synctest.Wait()
				start := time.Now()
				f := w.sys.Root.RequestFuture(w.links, &linkpb.Drain{Code: 1001, Reason: "bye"}, time.Minute)
				done := make(chan struct{})
				go func() {
					defer close(done)
					if _, err := f.Result(); err != nil {
						t.Error(err)
					}
				}()
				time.Sleep(time.Second)
				select {
				case <-done:
					t.Fatal("drained with a goodbye still in this process")
				default:
				}
				least, most := time.Second, time.Second+2*drainPause
				if reads {
					p.take(150)
				} else {
					least, most = closeLinger, closeLinger+2*drainPause
				}
				<-done
				if took := time.Since(start); took < least || took > most {
					t.Errorf("drained after %v, want %v to %v", took, least, most)
				}
				if reads {
					p.listen().wantEnd(string(make([]byte, 150)), "close 1001 bye")
				}
				_ = p.Close()
				w.stop()
			})
		})
	}
}
