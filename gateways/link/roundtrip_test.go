package link

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/messages"
)

// timed is a kind of links whose round trips are wanted.
func timed(k *Kind) { k.Ping, k.Dead, k.RoundTrips = 5*time.Second, 15*time.Second, true }

// pings are what came since the last call, without the word.
func (p *peer) pings() (all []string) {
	for _, line := range p.lines() {
		if data, ok := strings.CutPrefix(line, "ping "); ok {
			all = append(all, data)
		}
	}
	return all
}

// TestRoundTrip: the first ping comes soon, and each tells how long it took.
func TestRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: timed})
		p := w.dial().listen()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		var want []time.Duration
		for i := range 3 {
			asked := p.pings()
			if len(asked) != 1 || len(asked[0]) != 16 {
				t.Fatalf("ping %d is %q", i, asked)
			}
			slow := time.Duration(i+1) * 10 * time.Millisecond
			time.Sleep(slow)
			p.say("pong %s", asked[0])
			synctest.Wait()
			want = append(want, 500*time.Millisecond+slow) // pings come at whole seconds
			time.Sleep(5*time.Second - slow)
			synctest.Wait()
		}
		if got := w.trips(1); !slices.Equal(got, want) {
			t.Errorf("round trips %v, want %v", got, want)
		}
		w.stop()
	})
}

// TestPongsThatTellNothing: those to earlier pings, to none, twice the same, and
// those that come before they were asked for.
func TestPongsThatTellNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: timed})
		p := w.dial().listen()
		p.say("pong")
		p.say("pong 0000000000000000")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		first := p.pings()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		second := p.pings()
		if len(first) != 1 || len(second) != 1 || first[0] == second[0] {
			t.Fatalf("pings %q, %q", first, second)
		}
		for _, data := range []string{first[0], "", "00", second[0] + "00"} {
			p.say("pong %s", data)
		}
		if got := w.trips(1); len(got) > 0 {
			t.Errorf("told of %v", got)
		}
		p.say("pong %s", second[0])
		synctest.Wait()
		p.say("pong %s", second[0])
		if got := w.trips(1); !slices.Equal(got, []time.Duration{500 * time.Millisecond}) {
			t.Errorf("told of %v", got)
		}
		w.stop()
	})
}

// TestPingsStayEmpty where nobody wants round trips.
func TestPingsStayEmpty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.Ping = 5 * time.Second }})
		p := w.dial().listen()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		p.say("pong")
		if got := p.lines(); !slices.Equal(got, []string{"ping"}) {
			t.Errorf("heard %q", got)
		}
		if got := w.trips(1); len(got) > 0 {
			t.Errorf("told of %v", got)
		}
		w.stop()
	})
}

// mixedWords are words of which those that begin with a mark go out binary.
type mixedWords struct{ words }

func (mixedWords) Binary(m proto.Message) bool {
	s, ok := m.(interface{ GetValue() string })
	return ok && strings.HasPrefix(s.GetValue(), "bits")
}

// TestBinaryFrames: what the codec says goes out binary does so on every way out.
func TestBinaryFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.Codec = mixedWords{} }})
		p := w.dial().listen()
		w.say(1, "text")
		w.say(1, "bits")
		synctest.Wait()
		w.cast(messages.Multicast{Members: []uint64{1}}, "text fanned out")
		synctest.Wait()
		w.cast(messages.Multicast{Members: []uint64{1}}, "bits fanned out")
		synctest.Wait()
		w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String("bits answered")}, "")
		synctest.Wait()
		w.cast(messages.Multicast{Origin: 1, Answer: wrapperspb.String("text answered")}, "")
		synctest.Wait()
		want := []string{"text", "binary bits", "text fanned out", "binary bits fanned out", "binary bits answered", "text answered"}
		if got := p.lines(); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		w.stop()
	})
}

// TestTickets reach who serves.
func TestTickets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.dial().listen()
		l, err := w.net.Listen("other:1")
		if err != nil {
			t.Fatal(err)
		}
		far, err := w.net.Dial(t.Context(), "client", "other:1")
		if err != nil {
			t.Fatal(err)
		}
		near, err := Listener(l).Accept()
		if err != nil {
			t.Fatal(err)
		}
		Admit(w.kind, w.links, newLineSocket(near.(*Conn), near), 42)
		synctest.Wait()
		w.mu.Lock()
		if len(w.servers) != 2 || w.servers[0].ticket != 0 || w.servers[1].ticket != 42 {
			t.Errorf("%d links, tickets %v", len(w.servers), w.servers)
		}
		w.mu.Unlock()
		_, _ = far.Close(), l.Close()
		synctest.Wait()
		w.stop()
	})
}

// TestOwnCloseCodes are counted by their names, others together.
func TestOwnCloseCodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { k.CloseCodes = []uint32{4403} }})
		for _, code := range []string{"4403", "4404", "4405"} {
			p := w.dial().listen()
			p.say("bad %s", code)
			synctest.Wait()
		}
		if own, other := w.kind.closes[4403].Load(), w.kind.closes[otherCode].Load(); own != 1 || other != 2 {
			t.Errorf("%d and %d", own, other)
		}
		w.stop()
	})
}
