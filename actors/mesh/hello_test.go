package mesh

import (
	"fmt"
	"testing"
	"time"

	"parley/testkit"
)

func helloBureau(t testing.TB, d *testkit.Driver) *bureau {
	return newBureau(t, d, Options{Boot: 7, Seed: d.Seed(), Master: true, Host: "ws://here"}, "hello", newHello)
}

// hellos is what was said since the last call, one a line.
func (b *bureau) hellos() []string {
	b.t.Helper()
	out := []string{}
	for _, p := range b.posts {
		h := p.command.GetHello()
		if p.destination != everyone || p.command.GetName() != cmdHello || h.GetBoot() != 7 || !h.GetMaster() || !h.GetLeaf() || h.GetHost() != "ws://here" {
			b.t.Errorf("posted %+v", p)
		}
		line := fmt.Sprint("ver ", h.GetVer(), " round ", h.GetRound())
		for _, l := range h.GetLinks() {
			line += fmt.Sprint(" ", l.GetPeer(), "=", l.GetMs())
		}
		out = append(out, line)
	}
	b.posts = nil
	return out
}

func (b *bureau) wantHellos(want ...string) {
	b.t.Helper()
	if got := b.hellos(); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("said %q, want %q", got, want)
	}
}

func link(name string, side Side, member uint64) *linked {
	return &linked{neighbor{name: name, side: side, member: member}}
}

// TestHelloGoesOn says that the node lives, 8 to 12 s apart, also after a restart.
func TestHelloGoesOn(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		b := helloBureau(t, d)
		least, most, apart := time.Hour, time.Duration(0), map[time.Duration]bool{}
		last := time.Now()
		d.Run(3 * time.Minute)
		b.restart()
		after := time.Now()
		d.Run(3 * time.Minute)
		for _, at := range b.times {
			if last.Before(after) && at.After(after) {
				last = after // it begins anew
			}
			least, most, apart[at.Sub(last)] = min(least, at.Sub(last)), max(most, at.Sub(last)), true
			last = at
		}
		if n := len(b.hellos()); n != len(b.times) {
			t.Errorf("%d hellos of %d", n, len(b.times))
		}
		if least < 8*time.Second || most > 12*time.Second || len(apart) < 20 {
			t.Errorf("%v to %v apart, %d different", least, most, len(apart))
		}
		b.stop()
	})
}

// TestHelloOfLinks tells of links that come and go, several in one hello.
func TestHelloOfLinks(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		b := helloBureau(t, d)
		b.tell(link("bob", Accepted, 1), link("anna", Dialled, 1))
		d.Run(helloSoon / 2)
		b.tell(link("bob", Dialled, 2)) // a second one: one of them will close
		b.wantHellos()
		d.Run(helloSoon / 2)
		b.wantHellos("ver 0 round 2 anna=1 bob=1")
		b.tell(&unlinked{"bob", Accepted, 2}, &unlinked{"bob", Accepted, 1}, &unlinked{"carl", Accepted, 1})
		d.Run(time.Second)
		b.wantHellos()
		b.tell(&unlinked{"bob", Dialled, 2})
		d.Run(helloSoon)
		b.wantHellos("ver 0 round 3 anna=1")
		b.stop()
	})
}

// TestHelloOfVersions tells of a changed record at once, and of many changes now
// and then.
func TestHelloOfVersions(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		b := helloBureau(t, d)
		b.tell(&version{1}, &version{2})
		d.Run(helloSoon)
		b.wantHellos("ver 2 round 0")
		for v := range uint64(40) {
			b.tell(&version{3 + v})
			d.Run(100 * time.Millisecond)
		}
		b.wantHellos()
		d.Run(time.Second)
		b.wantHellos("ver 42 round 0")
		b.tell(&version{42}) // no news
		d.Run(helloQuiet)
		b.wantHellos()
		b.stop()
	})
}

// TestHelloOfLatency tells of another latency only when it is quite another.
func TestHelloOfLatency(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		b := helloBureau(t, d)
		b.tell(link("bob", Accepted, 1))
		for i, test := range []struct {
			ms    []float64
			round int
			told  string
		}{
			{[]float64{0.02}, 2, "0.5"},
			{[]float64{0.3, 0.9, 0.4}, 2, "0.5"}, // up to twice the noise
			{[]float64{1.1}, 3, "1"},
			{[]float64{2.1, 0.6, 2}, 3, "1"},
			{[]float64{2.3}, 4, "2"},
			{[]float64{80}, 5, "64"},
			{[]float64{159, 41, 100}, 5, "64"},
			{[]float64{39}, 6, "32"},
			{[]float64{1000, 39}, 8, "32"}, // there and back between two hellos
		} {
			for _, ms := range test.ms {
				b.tell(&measured{"bob", ms}, &measured{"nobody", ms})
			}
			b.posts = nil
			for len(b.posts) == 0 {
				d.Run(time.Second)
			}
			if got, want := fmt.Sprint(b.hellos()), fmt.Sprintf("[ver 0 round %d bob=%s]", test.round, test.told); got != want {
				t.Errorf("%d: said %s, want %s", i, got, want)
			}
		}
		b.stop()
	})
}
