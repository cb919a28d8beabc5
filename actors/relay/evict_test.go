package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
	"parley/testkit"
)

// TestEviction tells members behind all that they were sent, and lets nobody
// stay.
func TestEviction(t *testing.T) {
	testkit.Seeds(t, seeds*2, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 2, roomy, newPaperMesh())
		a, b, c, e := w.client(), w.client(), w.client(), w.client()
		for _, p := range []*peer{a, b, c} {
			s := sub("x", "old", "0")
			s.Lossy = p == b
			p.says(s, sub("other", "", "1")).wantsAll("0 ok", "1 ok")
		}
		w.later(int(d.Seed()%6), func() { w.mesh.evict(w.sys.Root, "x", paperSum("x", "new")) })
		a.says(send("x", `"1"`, "2"), send("x", `"2"`, "3"), send("other", `"3"`, "4"))
		c.says(unsub("x", "2"))
		e.says(sub("x", "old", "2"))
		d.Settle()
		last := func(p *peer, text string) {
			t.Helper()
			i := slices.Index(p.heard, text)
			if i < 0 || slices.ContainsFunc(p.heard[i+1:], func(h string) bool { return strings.HasPrefix(h, "x: ") }) {
				t.Errorf("%d heard %q", p.member, p.heard)
			}
		}
		last(a, "error x channel lost")
		last(b, "error x channel lost")
		last(c, "2 ok")
		if !slices.Contains(e.heard, "2 invalid password") && !slices.Contains(e.heard, "error x channel lost") {
			t.Errorf("e heard %q", e.heard)
		}
		for _, p := range w.peers {
			p.settledUp()
		}
		a.says(send("x", `"4"`, "5"), unsub("x", "6"), sub("x", "old", "7"), sub("x", "new", "8"))
		a.wantsAll("5 channel does not exist", "6 channel does not exist", "7 invalid password", "8 ok")
		w.mesh.settled()
		w.stop()
	})
}

// TestEvictionOfWhatIsNotOpen changes nothing.
func TestEvictionOfWhatIsNotOpen(t *testing.T) {
	meshed(t, roomy, func(t *testing.T, w *world) {
		w.mesh.slowly(asking)
		a := w.client()
		w.sys.Root.Send(w.channels, &meshpb.Evict{Channel: "x"})
		a.says(sub("x", "", "1"))
		w.d.Settle()
		w.sys.Root.Send(w.channels, &meshpb.Evict{Channel: "x"}) // of an earlier one
		w.d.Run(asking)
		a.wants("1 ok")
		w.mesh.evict(w.sys.Root, "x", nil)
		w.sys.Root.Send(w.channels, &meshpb.Evict{Channel: "x"}) // twice
		a.wants("error x channel lost")
		a.says(sub("x", "", "2"))
		w.d.Run(asking)
		a.wants("2 ok")
		if got := fmt.Sprint(w.mesh.dropped); got != "[x]" {
			t.Errorf("given back %s", got)
		}
	})
}

// TestFailuresInTheMesh gives back what is lost, and keeps who waits.
func TestFailuresInTheMesh(t *testing.T) {
	testkit.Seeds(t, seeds, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh(), testkit.ExpectFailures(2))
		w.mesh.slowly(asking)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1"), sub("y", "", "2"))
		d.Run(asking)
		a.wantsAll("1 ok", "2 ok")
		w.sys.Root.Send(w.core.open["x"].pid, channelPoison)
		a.wants("error x channel lost")
		if got := fmt.Sprint(w.mesh.dropped); got != "[x]" {
			t.Errorf("given back %s", got)
		}
		w.mesh.settled()
		b.says(sub("z", "pw", "1"))
		d.Run(asking) // a hash is wanted
		d.Settle()
		w.sys.Root.Send(w.channels, channelsPoison)
		d.Settle()
		a.wants("error y channel lost")
		a.says(sub("z", "pw", "3"))
		w.quiet()
		b.wants("1 ok")
		a.wants("3 ok")
		if got := fmt.Sprint(w.mesh.dropped); got != "[x y]" {
			t.Errorf("given back %s", got)
		}
		w.mesh.settled()
		w.stop()
	})
}

// TestOpeningThatChannelsFailOn is given back, and all who waited are answered.
func TestOpeningThatChannelsFailOn(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh(), testkit.ExpectFailures(1))
		w.mesh.slowly(asking)
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1"))
		d.Settle()
		b.says(sub("x", "", "1"))
		d.Settle()
		w.core.open = nil // it cannot be written to
		d.Run(asking)
		a.wants("1 busy")
		b.wants("1 busy")
		if len(w.mesh.own)+len(w.mesh.carried) > 0 {
			t.Errorf("reserved are %v, carried %v", w.mesh.own, w.mesh.carried)
		}
		a.says(sub("x", "", "2"))
		d.Run(asking)
		a.wants("2 ok")
		w.mesh.settled()
		w.stop()
	})
}

// TestStopWhileTheMeshIsAsked leaves no timer.
func TestStopWhileTheMeshIsAsked(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh())
		w.mesh.slowly(-1)
		w.client().says(sub("x", "", "1"), sub("y", "", "2"))
		d.Settle()
		w.stop()
	})
}

// heldUp does something while an actor is at work and takes nothing else.
func heldUp(w *world, pid *actor.PID, f func()) {
	w.sys.Root.Send(pid, func(actor.Context) { f() })
	w.d.Settle()
}

// TestEvictionBehindItsShard comes behind the messages that wait there.
func TestEvictionBehindItsShard(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w := newWorldIn(t, d, 1, roomy, newPaperMesh())
		a, b := w.client(), w.client()
		a.says(sub("x", "", "1")).wants("1 ok")
		b.says(sub("x", "", "1")).wants("1 ok")
		heldUp(w, w.shards[0], func() {
			a.says(send("x", `"1"`, "2"))
			d.Settle()
			w.mesh.deliver(w.sys.Root, "x", `"2"`)
			d.Settle()
			w.mesh.evict(w.sys.Root, "x", nil)
			d.Settle()
			b.wants()
		})
		b.wants(`x: "1"`, `x: "2"`, "error x channel lost")
		a.wants("2 ok", `x: "2"`, "error x channel lost")
		a.settledUp()
		w.mesh.settled()
		w.stop()
	})
}
