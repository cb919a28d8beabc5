package link

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
)

// phrases are words of which each is a frame: "a|b" is two.
type phrases struct{ words }

func (p phrases) AppendFrames(dst []byte, f Framing, m proto.Message) ([]byte, error) {
	payload, err := p.Append(nil, m)
	if err != nil {
		return append(dst, "half a frame"...), err
	}
	for part := range strings.SplitSeq(string(payload), "|") {
		dst = f.AppendFrame(dst, []byte(part))
	}
	return dst, nil
}

// AppendParts leaves out what follows a colon.
func (p phrases) AppendParts(dst []byte, parts []Part, f Framing, m proto.Message) ([]byte, []Part, error) {
	wire, err := p.AppendFrames(nil, f, m)
	if err != nil {
		return dst, parts, err
	}
	for {
		i := bytes.IndexByte(wire, ':')
		if i < 0 {
			return append(dst, wire...), parts, nil
		}
		dst = append(dst, wire[:i]...)
		end := i + bytes.IndexByte(wire[i:], '\n')
		parts = append(parts, Part{At: len(dst), Wire: wire[i:end]})
		wire = wire[end:]
	}
}

// TestFramesOfOneMessageStayTogether on all ways to the wire.
func TestFramesOfOneMessageStayTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.Codec = phrases{} }})
		a, b := w.dial().listen(), w.dial().listen()
		w.say(1, "one|two")
		a.want("one", "two")
		w.cast(messages.Multicast{Members: []uint64{1, 2}}, "three|four|five")
		a.want("three", "four", "five")
		b.want("three", "four", "five")
		w.cast(messages.Multicast{Members: []uint64{2}, Origin: 1, Answer: wrapperspb.String("ok|yes")}, "six")
		a.want("ok", "yes")
		b.want("six")
		w.cast(messages.Multicast{Origin: 1, Answer: &linkpb.Drained{}}, "")
		w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String("|")}, "")
		a.want("", "")
		_, _ = a.Close(), b.Close()
		w.stop()
	})
}

// TestPartsAreWhereTheyBelong, whether they are written at once or wait.
func TestPartsAreWhereTheyBelong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 100, kind: func(k *Kind) { k.Codec = phrases{} }})
		p := w.dial()
		long := strings.Repeat("x", 200)
		var want []string
		for _, text := range []string{"a", "a:one", ":two|b", "c|d:" + long + "|:" + long, "e|f:|g", ":", appendUnknown, "h|i"} {
			var m proto.Message = wrapperspb.String(text)
			if text == appendUnknown {
				m = &linkpb.Drained{}
			} else {
				want = append(want, strings.Split(text, "|")...)
			}
			w.sys.Root.Send(w.link(1), &messages.Paced{Message: m})
		}
		p.listen().want(want...)
		_ = p.Close()
		w.stop()
	})
}

// appendUnknown stands for a message that has no frame.
const appendUnknown = "?"

// pacer sends at a pace, and notes what it is told.
type pacer struct {
	pid *actor.PID

	mu    sync.Mutex
	sent  uint32
	taken []uint32
	gone  int // times that it was told that a link is dead
}

type paced struct {
	to *actor.PID
	m  *messages.Paced
}

func newPacer(w *world) *pacer {
	p := &pacer{}
	p.pid = tree.Spawn(w.sys.Root, "", tree.Spec{New: func() actor.Actor { return funcActor(p.receive) }})
	return p
}

func (p *pacer) receive(ctx actor.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := ctx.Message().(type) {
	case paced:
		p.sent += m.m.Charge
		ctx.Request(m.to, m.m)
	case *linkpb.Taken:
		p.taken = append(p.taken, m.GetCharge())
	case *actor.DeadLetterResponse:
		p.gone++
	}
}

func (p *pacer) stop(w *world) {
	w.sys.Root.Stop(p.pid)
	synctest.Wait()
}

// say makes p send a text of n bytes to a member's link.
func (p *pacer) say(w *world, member, n int, charge uint32) {
	w.sys.Root.Send(p.pid, paced{w.link(member), &messages.Paced{Message: wrapperspb.String("x:" + strings.Repeat("x", max(0, n-3))), Charge: charge, Size: n}})
}

// open is what p was not told of yet; told are the sums that it was.
func (p *pacer) open() (open uint32, told []uint32) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	open = p.sent
	for _, n := range p.taken {
		open -= n
	}
	return open, append([]uint32(nil), p.taken...)
}

func (p *pacer) want(t *testing.T, want ...uint32) {
	t.Helper()
	if _, got := p.open(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestPacedIsTakenWhenThereIsRoom: at once while the backlog is small, else when
// it is again, and then all that is open in one word to each.
func TestPacedIsTakenWhenThereIsRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const window = 10_000
		w := newWorld(t, options{window: window})
		p := w.dial()
		a, b := newPacer(w), newPacer(w)
		a.say(w, 1, window, 1) // in the window
		a.want(t, 1)
		a.say(w, 1, roomMost, 2) // all of the room
		a.want(t, 1, 2)
		a.say(w, 1, 1000, 3)
		b.say(w, 1, 1000, 4)
		a.say(w, 1, 1000, 5)
		b.say(w, 1, 1000, 6)
		a.want(t, 1, 2)
		b.want(t)
		p.take(window)
		a.want(t, 1, 2) // 64 KiB are being written, 4,000 B wait
		p.take(roomMost - window)
		synctest.Wait()
		a.want(t, 1, 2, 8)
		b.want(t, 10)
		w.sys.Root.Send(w.link(1), &messages.Paced{Message: wrapperspb.String("from nobody")})
		p.listen()
		b.say(w, 1, 1000, 7)
		b.want(t, 10, 7)
		_ = p.Close()
		a.stop(w)
		b.stop(w)
		w.stop()
	})
}

// TestPacedOfALinkThatEnds is answered, however it ends; one that is sent to a
// link that is gone comes back.
func TestPacedOfALinkThatEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, p *peer){
		"closed":  func(w *world, _ *peer) { w.sys.Root.Send(w.link(1), &linkpb.Close{Code: 1000}) },
		"hung up": func(_ *world, p *peer) { _ = p.Close() },
		"cut":     func(_ *world, p *peer) { p.Cut() },
		"slow":    func(*world, *peer) { time.Sleep(11 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, options{window: 1000})
				p := w.dial()
				a, b := newPacer(w), newPacer(w)
				a.say(w, 1, 2*roomMost, 1)
				b.say(w, 1, 1000, 2)
				a.say(w, 1, 1000, 3)
				a.want(t)
				link := w.link(1)
				end(w, p)
				a.want(t, 4)
				b.want(t, 2)
				time.Sleep(20 * time.Second)
				w.sys.Root.Send(b.pid, paced{link, &messages.Paced{Message: wrapperspb.String("late"), Charge: 9}})
				if open, _ := b.open(); open != 9 || b.gone != 1 {
					t.Errorf("%d open, told %d times that it is dead", open, b.gone)
				}
				_ = p.Close()
				a.stop(w)
				b.stop(w)
				w.stop()
			})
		})
	}
}

// TestPacedRefused: a link whose own queue is over its limit is gone for who
// paces itself.
func TestPacedRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		a := newPacer(w)
		w.kind.refusePaced(&actor.MessageEnvelope{Message: &messages.Paced{}, Sender: a.pid})
		w.kind.refusePaced(&actor.MessageEnvelope{Message: &messages.Paced{}})
		w.kind.refusePaced(&messages.Paced{})
		if a.open(); a.gone != 1 {
			t.Errorf("told %d times", a.gone)
		}
		a.stop(w)
		w.stop()
	})
}

// TestPacedKeepsItsWord has senders and a peer do anything: whenever nothing
// moves, all is taken if there is room, and what was said last is not if there
// is none; at the end all is.
func TestPacedKeepsItsWord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{window: 20_000, kind: func(k *Kind) { k.OutboundLimit = 16 << 20 }})
		member := 0
		rapid.Check(timeless{t}, func(t *rapid.T) {
			p := w.dial()
			member++
			defer func() { // when it fails, too: the next try shall not find this link
				_ = p.Close()
				synctest.Wait()
			}()
			backlog := w.kind.Budget.Used // there is one link at a time
			pacers := []*pacer{newPacer(w), newPacer(w)}
			t.Repeat(map[string]func(*rapid.T){
				"paced": func(t *rapid.T) {
					a := rapid.SampledFrom(pacers).Draw(t, "who")
					a.say(w, member, rapid.IntRange(1, 2*roomMost).Draw(t, "size"), rapid.Uint32Range(0, 9).Draw(t, "charge")+1)
					if open, _ := a.open(); (open > 0) != (backlog() > roomMost) {
						t.Fatalf("%d open with a backlog of %d", open, backlog())
					}
				},
				"other": func(t *rapid.T) { w.say(member, strings.Repeat("y", rapid.IntRange(1, roomMost).Draw(t, "size"))) },
				"read":  func(t *rapid.T) { p.some(rapid.IntRange(1, 4*roomMost).Draw(t, "bytes")) },
				"": func(t *rapid.T) {
					synctest.Wait()
					if backlog() > roomMost {
						return
					}
					for _, a := range pacers {
						if open, _ := a.open(); open > 0 {
							t.Fatalf("%d open with a backlog of %d", open, backlog())
						}
					}
				},
			})
			if !rapid.Bool().Draw(t, "cut") {
				p.some(1 << 30)
			}
			_ = p.Close()
			for _, a := range pacers {
				if open, _ := a.open(); open > 0 {
					t.Fatalf("%d open at the end", open)
				}
				a.stop(w)
			}
		})
		w.stop()
	})
}

// some reads up to n bytes of those that are there or come by that.
func (p *peer) some(n int) {
	b := make([]byte, min(n, 64<<10))
	for n > 0 {
		_ = p.SetReadDeadline(time.Now().Add(time.Nanosecond))
		got, err := p.Read(b[:min(n, len(b))])
		if n -= got; err != nil {
			break
		}
		synctest.Wait()
	}
	_ = p.SetReadDeadline(time.Time{})
}

// TestAnUnreadPeerIsNotSilent: who waits for its server cannot show that it
// lives. It is pinged, and its time begins when it is read again.
func TestAnUnreadPeerIsNotSilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: pinging})
		p := w.dial().listen()
		for range 100 {
			p.say("message")
		}
		time.Sleep(10*testPing + time.Second)
		if got := p.lines(); len(got) != 10 || p.ended() != nil {
			t.Errorf("heard %s, ended %v", brief(got), p.ended())
		}
		w.sys.Root.Send(w.link(1), &linkpb.Settled{All: true})
		wantHeard(t, w, 100, "settled")
		time.Sleep(testDead - 2*time.Second)
		if p.ended() != nil {
			t.Error("closed too early")
		}
		time.Sleep(4 * time.Second)
		if got := p.lines(); p.ended() == nil || got[len(got)-1] != "close 1008 no sign of life" {
			t.Errorf("heard %s, ended %v", brief(got), p.ended())
		}
		w.stop()
	})
}
