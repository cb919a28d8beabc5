package link

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/messages"
)

const (
	testPing = 30 * time.Second
	testDead = 75 * time.Second
)

func pinging(k *Kind) { k.Ping, k.Dead = testPing, testDead }

// answer makes a peer answer every ping until it is closed.
func (p *peer) answer() *peer {
	p.listen()
	go func() {
		for seen := 0; ; time.Sleep(100 * time.Millisecond) {
			p.mu.Lock()
			pings, over := 0, p.err != nil
			for _, l := range p.got {
				if l == "ping" {
					pings++
				}
			}
			p.mu.Unlock()
			if over {
				return
			}
			for ; seen < pings; seen++ {
				_, _ = io.WriteString(p.SimConn, "pong\n")
			}
		}
	}()
	return p
}

func TestSilentPeerIsPingedThenClosed(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, options{kind: func(k *Kind) { pinging(k); k.Shards = shards }})
				time.Sleep(333 * time.Millisecond) // the wheel's seconds are not the peers'
				var peers []*peer
				for range shards {
					peers = append(peers, w.dial().listen())
				}
				at := time.Now()
				for _, s := range []struct {
					after time.Duration
					want  []string
				}{
					{testPing - 2*time.Second, nil},
					{testPing + time.Second, []string{"ping"}},
					{2*testPing - 2*time.Second, nil},
					{2*testPing + time.Second, []string{"ping"}},
					{testDead - time.Second - time.Millisecond, nil},
				} {
					time.Sleep(time.Until(at.Add(s.after)))
					for _, p := range peers {
						p.want(s.want...)
					}
				}
				time.Sleep(2*time.Second + 2*time.Millisecond)
				for _, p := range peers {
					p.wantEnd("close 1008 no sign of life")
				}
				w.stop()
			})
		})
	}
}

// TestAnySignOfLifeCounts has peers that say something now and then, but never
// answer a ping.
func TestAnySignOfLifeCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: pinging})
		talks, quiet := w.dial().listen(), w.dial().listen()
		time.Sleep(20 * time.Second)
		for range 5 {
			talks.say("I am here")
			time.Sleep(testDead - 2*time.Second)
		}
		if talks.ended() != nil {
			t.Error("a peer that talks was closed")
		}
		if !errors.Is(quiet.ended(), io.EOF) {
			t.Error("a peer that is silent was not closed")
		}
		time.Sleep(4 * time.Second)
		if got := talks.lines(); got[len(got)-1] != "close 1008 no sign of life" {
			t.Errorf("heard %s", brief(got))
		}
		w.stop()
	})
}

func TestPeersThatAnswerStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, options{kind: func(k *Kind) { pinging(k); k.Shards = 2 }})
		a, b := w.dial().answer(), w.dial().answer()
		const span = 20 * time.Minute
		time.Sleep(span + time.Second)
		for _, p := range []*peer{a, b} {
			if got := p.lines(); p.ended() != nil || len(got) != int(span/testPing) {
				t.Errorf("%d pings in %v, ended %v", len(got), span, p.ended())
			}
			_ = p.Close()
		}
		w.stop()
	})
}

// TestAPeerBehindIsNotPinged: a ping would only wait in its backlog, and it
// shows by reading, however slowly, that it lives.
func TestAPeerBehindIsNotPinged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const size, n = 10_000, 100
		w := newWorld(t, options{window: size, kind: pinging})
		p := w.dial()
		line := strings.Repeat("x", size-1)
		for range n {
			w.say(1, line)
		}
		for range n - 1 {
			time.Sleep(time.Second)
			p.take(size)
		}
		synctest.Wait()
		got := p.lines()
		if slices.Contains(got, "ping") || len(got) != n-1 {
			t.Errorf("heard %s", brief(got))
		}
		p.answer()
		time.Sleep(testPing)
		if got := p.lines(); !slices.Contains(got, "ping") || p.ended() != nil {
			t.Errorf("heard %s, ended %v", brief(got), p.ended())
		}
		_ = p.Close()
		w.stop()
	})
}

// TestShardsAgreeOnTheTime has a shard that loses seconds again and again: its
// restarts take time, and so does its work. Links of neither may be judged by
// the other's clock.
func TestShardsAgreeOnTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const failures = 60
		w := newWorld(t, options{failures: failures, kind: func(k *Kind) { pinging(k); k.Shards = 2 }})
		odd, even := w.dial().answer(), w.dial().answer() // in shards 1 and 0
		for range failures {
			time.Sleep(2500 * time.Millisecond)
			w.cast(messages.Multicast{Members: []uint64{2}, Origin: 9}, appendMarker)
		}
		time.Sleep(testDead)
		if odd.ended() != nil || even.ended() != nil {
			t.Errorf("peers that answer were closed: %v, %v", odd.ended(), even.ended())
		}
		silent := []*peer{w.dial().listen(), w.dial().listen()}
		time.Sleep(testDead - 1001*time.Millisecond)
		for _, p := range silent {
			if p.ended() != nil {
				t.Error("a silent peer was closed early")
			}
		}
		time.Sleep(2002 * time.Millisecond)
		for _, p := range silent {
			p.wantEnd("ping", "ping", "close 1008 no sign of life")
		}
		_, _ = odd.Close(), even.Close()
		w.stop()
	})
}

func TestWheelSettings(t *testing.T) {
	for _, c := range []struct {
		name       string
		ping, dead time.Duration
		want       []string // in 300 s
	}{
		{"neither", 0, 0, nil},
		{"pings only", 100 * time.Second, 0, []string{"ping", "ping", "ping"}},
		{"rare pings", 140 * time.Second, 0, []string{"ping", "ping"}}, // once round the wheel
		{"dead only", 0, 200 * time.Second, []string{"close 1008 no sign of life"}},
		{"dead before the first ping", 100 * time.Second, 50 * time.Second, []string{"close 1008 no sign of life"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, options{kind: func(k *Kind) { k.Ping, k.Dead = c.ping, c.dead }})
				p := w.dial().listen()
				time.Sleep(301 * time.Second)
				p.want(c.want...)
				_ = p.Close()
				w.stop()
			})
		})
	}
}
