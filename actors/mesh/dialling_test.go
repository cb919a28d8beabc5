package mesh

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/testkit"
)

// TestRedial has a neighbor that is not there for two minutes.
func TestRedial(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		var log bytes.Buffer
		y := newYard(t, d, Options{Neighbors: []Neighbor{{Name: "b", URL: "ws://b.example/", Token: "secret"}}}, "peers", newPeers,
			testkit.Logging(func(next slog.Handler) slog.Handler { return slog.NewTextHandler(&log, nil) }))
		refused := false
		y.onDial = func(m *meshpb.Dial) *meshpb.DialFailed {
			return &meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "nobody there", Refused: refused}
		}
		y.ask() // the first dial seemed to connect
		y.dialled = y.dialled[:0]
		d.Run(ticketLife) // and did not
		last := time.Now()
		d.Run(3 * time.Minute)
		for i, at := range y.dialled {
			pause := min(time.Second<<i, 30*time.Second)
			if got := at.Sub(last); got < pause*8/10 || got > pause*12/10 {
				t.Errorf("dial %d came after %v, want about %v", i, got, pause)
			}
			last = at
		}
		if n := len(y.dialled); n < 8 || n > 11 {
			t.Errorf("dialled %d times", n)
		}
		text := log.String()
		if n := strings.Count(text, "cannot be reached: see that"); n < 3 || n > 6 {
			t.Errorf("%d lines in the log:\n%s", n, text)
		}
		refused = true
		y.onDial = func(m *meshpb.Dial) *meshpb.DialFailed {
			return &meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "403", Refused: true}
		}
		d.Run(time.Minute)
		if text = log.String(); strings.Count(text, "relay-token") != 1 || strings.Contains(text, "secret") {
			t.Errorf("log:\n%s", text)
		}

		y.onDial = nil
		n := len(y.dials)
		d.RunUntil(time.Minute, func() bool { return len(y.dials) > n })
		s := y.open(y.dials[n].GetTicket()).say(hand("b"))
		d.Run(redialProven - time.Millisecond)
		last = time.Now()
		s.cut() // too soon: it is as bad as a failure
		d.RunUntil(time.Minute, func() bool { return len(y.dials) > n+1 })
		if pause := time.Since(last); pause < 24*time.Second {
			t.Errorf("dialled again after %v", pause)
		}
		s = y.open(y.dials[n+1].GetTicket()).say(hand("b"))
		d.Run(redialProven)
		last = time.Now()
		s.cut()
		d.RunUntil(time.Minute, func() bool { return len(y.dials) > n+2 })
		if pause := time.Since(last); pause < 800*time.Millisecond || pause > 1202*time.Millisecond {
			t.Errorf("dialled again after %v", pause)
		}
		y.stop()
	})
}

// TestRedialAfterRefusal has links that end in every way before they carry packets.
func TestRedialAfterRefusal(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *strand)
		log  string
	}{
		{"closed at once", func(s *strand) { s.cut() }, "refuses this node"},
		{"another name", func(s *strand) { s.say(hand("c")) }, "not who it should be"},
		{"another chain", func(s *strand) {
			h := hand("b")
			h.Chain = "two"
			s.say(h)
		}, "another chain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
				var log bytes.Buffer
				y := newYard(t, d, Options{Chain: "one", Neighbors: []Neighbor{{Name: "b", URL: "ws://b.example"}}}, "peers", newPeers,
					testkit.Logging(func(next slog.Handler) slog.Handler { return slog.NewTextHandler(&log, nil) }))
				c.end(y.open(y.dials[0].GetTicket()))
				d.Run(1200 * time.Millisecond)
				if len(y.dials) != 2 || !strings.Contains(log.String(), c.log) {
					t.Errorf("dialled %d times, log:\n%s", len(y.dials), &log)
				}
				y.stop()
			})
		})
	}
}

// TestNeverItself has neighbors that are this node, in every way that shows.
func TestNeverItself(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		var log bytes.Buffer
		y := newYard(t, d, Options{Host: "wss://m.example/", Neighbors: []Neighbor{
			{Name: "m", URL: "ws://x.example"},
			{URL: "wss://m.example"},
			{URL: "ws://alias.example"},
		}}, "peers", newPeers, testkit.Logging(func(next slog.Handler) slog.Handler { return slog.NewTextHandler(&log, nil) }))
		if len(y.dials) != 1 || y.dials[0].GetUrl() != "ws://alias.example" {
			t.Fatalf("dialled %v", y.dials)
		}
		out, in := y.open(y.dials[0].GetTicket()), y.enter("")
		in.say(out.heard[0])
		in.wantClosed(closeInUse, byeInUse)
		out.say(in.heard[0])
		out.wantClosed(closeInUse, byeInUse)
		d.Run(time.Hour)
		if len(y.dials) != 1 {
			t.Errorf("dialled %d times", len(y.dials))
		}
		if n := strings.Count(log.String(), "remove it from neighbors"); n != 3 {
			t.Errorf("%d lines in the log:\n%s", n, &log)
		}
		if got := y.told("router"); len(got) != 0 {
			t.Errorf("told %q", got)
		}
		y.restart()
		d.Run(time.Minute)
		if len(y.dials) != 1 {
			t.Errorf("dialled %d times", len(y.dials))
		}
		y.stop()
	})
}

// TestLinkedByTheOtherSide has neighbors without names that dial, too: they are
// known by their address, or by the handshake that follows a dial in vain.
func TestLinkedByTheOtherSide(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{URL: "wss://a.example"}, {URL: "ws://1.2.3.4"}}}, "peers", newPeers)
		y.enter("").say(hand("a"))
		b := y.enter("").say(hand("b")) // its address is not that of the configuration
		slices.SortFunc(y.dials, func(a, b *meshpb.Dial) int { return strings.Compare(a.GetUrl(), b.GetUrl()) })
		y.open(y.dials[0].GetTicket()).say(hand("b")).wantClosed(closeInUse, byeInUse)
		y.open(y.dials[1].GetTicket()).cut()
		d.Run(5 * time.Minute)
		if len(y.dials) != 2 {
			t.Fatalf("dialled %v", y.dials)
		}
		b.cut()
		d.Run(1200 * time.Millisecond)
		if len(y.dials) != 3 || y.dials[2].GetUrl() != "ws://1.2.3.4" {
			t.Fatalf("dialled %v", y.dials)
		}
		y.stop()
	})
}

// TestRestartDialsAgain has peers fail with links and dials under way.
func TestRestartDialsAgain(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{Name: "b", URL: "ws://b.example"}, {Name: "c", URL: "ws://c.example"}}}, "peers", newPeers)
		slices.SortFunc(y.dials, func(a, b *meshpb.Dial) int { return int(a.GetTicket()) - int(b.GetTicket()) })
		b := y.open(y.dials[0].GetTicket()).say(hand("b"))
		y.ask(&reach{name: "e", url: "ws://e.example", token: "x"})
		y.told()
		old := y.dials[1].GetTicket()
		y.restart()
		b.wantClosed(closeGoing, byeGoing)
		facts := y.told("router", "scout reached")
		slices.Sort(facts)
		if !slices.Equal(facts, []string{"router unlinked b 1/1", "scout reached e ok=false full=false"}) {
			t.Errorf("told %q", facts)
		}
		y.open(old).wantClosed(closeForbidden, byeForbidden)
		n := 3
		d.Run(1200 * time.Millisecond)
		if len(y.dials) < n+2 {
			t.Fatalf("dialled %d times", len(y.dials))
		}
		var names []string
		for _, m := range y.dials[n:] {
			s := y.open(m.GetTicket())
			name := strings.TrimSuffix(strings.TrimPrefix(m.GetUrl(), "ws://"), ".example")
			s.say(hand(name))
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"b", "c"}) {
			t.Errorf("dialled %q", names)
		}
		d.Run(5 * time.Minute)
		if len(y.dials) != n+2 {
			t.Errorf("dialled %d times in the end", len(y.dials))
		}
		y.stop()
	})
}

// TestReach dials for scout.
func TestReach(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{MaxLinks: 3}, "peers", newPeers)
		reaching := func(name string) *meshpb.Dial {
			y.dials = nil
			y.ask(&reach{name: name, url: "ws://" + name + ".example/", token: "t-" + name})
			if len(y.dials) == 0 {
				return nil
			}
			return y.dials[0]
		}
		m := reaching("b")
		if m.GetUrl() != "ws://b.example" || m.GetToken() != "t-b" || m.GetName() != "m" {
			t.Fatalf("dialled %v", m)
		}
		y.open(m.GetTicket()).say(hand("b"))
		y.wantTold("scout", "scout linked b 1/1", "scout reached b ok=true full=false")
		if reaching("b") != nil {
			t.Error("dialled who is linked")
		}
		y.wantTold("scout", "scout reached b ok=false full=false")
		y.open(reaching("c").GetTicket()).say(hand("x")).wantClosed(closeForbidden, byeForbidden)
		y.wantTold("scout", "scout reached c ok=false full=false")
		y.onDial = func(m *meshpb.Dial) *meshpb.DialFailed {
			return &meshpb.DialFailed{Ticket: m.GetTicket(), Reason: "no"}
		}
		reaching("c")
		y.wantTold("scout", "scout reached c ok=false full=false")
		y.onDial = nil
		reaching("c")
		d.Run(ticketLife)
		y.wantTold("scout", "scout reached c ok=false full=false")
		y.open(reaching("c").GetTicket()).say(hand("c"))
		y.told()
		if reaching("d") != nil {
			t.Error("dialled beyond the pool")
		}
		y.wantTold("scout", "scout reached d ok=false full=true")
		y.strands[0].cut() // nobody dials it again
		d.Run(5 * time.Minute)
		if len(y.dials) != 0 {
			t.Errorf("dialled %v", y.dials)
		}
		y.stop()
	})
}

// TestUndialable has a configuration that cannot work.
func TestUndialable(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{URL: "http://b.example"}}}, "peers", newPeers)
		d.Run(time.Minute)
		if len(y.dials) != 0 {
			t.Errorf("dialled %v", y.dials)
		}
		y.o.Dial = nil
		y.ask(&reach{name: "b", url: "ws://b.example", token: "x"})
		y.wantTold("scout", "scout reached b ok=false full=false")
		y.stop()
	})
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "node-3.example_X": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "ä": false, "*": false, "a/b": false, "a\n": false,
	} {
		if validName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	for url, want := range map[string]string{
		"ws://a:1": "ws://a:1", "wss://a/": "wss://a", "wss://a/x//": "wss://a/x", "http://a": "", "ws://": "", "ws:///": "", "": "",
		"ws://" + strings.Repeat("a", 600): "",
	} {
		if got := dialable(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
	if clip("abc") != "abc" || len(clip(strings.Repeat("a", 100))) != 64 {
		t.Error("clip does not clip")
	}
}

// TestLateOpened: the process stood still for longer than a ticket is good for,
// and the link comes before the timer that says so.
func TestLateOpened(t *testing.T) {
	testkit.Seeds(t, 8, func(t *testing.T, d *testkit.Driver) {
		y := newYard(t, d, Options{Neighbors: []Neighbor{{Name: "far", URL: "ws://far.example"}}}, "peers", newPeers)
		link := y.paper("late link", func(actor.Context) {})
		time.Sleep(ticketLife + time.Second)
		y.sys.Root.RequestWithCustomSender(y.pid, &linkpb.Opened{Protocol: "mesh", Member: 77, Ticket: y.dials[0].GetTicket()}, link)
		d.Settle()
		d.Run(redialMost)
		if len(y.dials) < 2 {
			t.Error("the neighbor is not dialled any more")
		}
		y.stop()
	})
}
