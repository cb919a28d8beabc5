package daemon

import (
	"fmt"
	"testing"
	"time"

	"parley/actors/ui"
	"parley/messages/uipb"
	"parley/testkit"
)

// TestNextTurnWaitsForTheLastWord: what setup says next comes behind what it
// said last, at every user interface; who never confirms holds it up for a moment
// only.
func TestNextTurnWaitsForTheLastWord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.mute = true
		a, b := w.set(anna, "ip", "1"), w.set(berta, "ip", "2")
		w.quiet()
		a.wants("ip=1(Set)")
		if len(b.answers) > 0 || len(w.broadcasts("setup")) != 1 {
			t.Fatalf("answered %v, announced %v", b.answers, w.announced)
		}
		w.d.Run(confirmMost - time.Millisecond)
		if len(b.answers) > 0 {
			t.Fatalf("answered %v", b.answers)
		}
		w.d.Run(2 * time.Millisecond)
		b.wants("ip=2(Set)")
		if len(w.broadcasts("setup")) != 2 {
			t.Errorf("announced %v", w.announced)
		}
		w.mute = false
		w.d.Run(confirmMost)
		c, d := w.set(anna, "ip", "3"), w.set(berta)
		w.quiet()
		c.wants("ip=3(Set)")
		d.wants("ip=3(Set)")
	})
}

// TestAskerThatIsGoneHoldsUpNobody: its dead letter is as good as its word.
func TestAskerThatIsGoneHoldsUpNobody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.disk.held = true
		a := w.set(anna, "ip", "1")
		b := w.set(berta, "ip", "2")
		w.quiet()
		w.hangUp(a)
		w.release()
		w.quiet()
		b.wants("ip=2(Set)")
	})
}

// TestFailureOfTheNextTurn is told to whose turn it was, not to who confirmed the
// answer before.
func TestFailureOfTheNextTurn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.space.fail = true
		a, b := w.set(carla), w.set(anna, "ip", "1")
		w.quiet()
		a.wants("")
		if !isFailed(b.answer()) {
			t.Errorf("answered %v", b.answer())
		}
	}, testkit.ExpectFailures(1))
}

// TestNoNodeWithoutItsFile: what a config file says must not get lost unnoticed.
func TestNoNodeWithoutItsFile(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.set(anna, "config-file", "nowhere.toml")
		w.quiet()
		a := w.launch(anna)
		w.quiet()
		a.refused(ui.CodeLaunch, "config-file: no such file: nowhere.toml")
		w.set(anna, "config-file", "-")
		w.quiet()
		w.launch(anna)
		w.quiet()
		if len(w.nodes) != 1 {
			t.Errorf("%d Nodes", len(w.nodes))
		}
		w.last().getReady()
		w.quiet()
	})
}

// TestNoNodeWithoutWhatItWasToldInVain: a value of the file that is not handed on,
// as one of the wrong type, keeps a Node from starting without it; one that a user
// interface gave instead does not.
func TestNoNodeWithoutWhatItWasToldInVain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.quiet()
		w.space.files["a"] = map[string]string{"chain": "c"}
		w.space.problems = []Problem{{"db-password", "a:7:1: others may read the file"}}
		w.set(anna, "config-file", "a")
		w.quiet()
		a := w.launch(anna)
		w.quiet()
		a.refused(ui.CodeLaunch, "db-password: a:7:1: others may read the file")
		w.set(anna, "db-password", "s")
		w.quiet()
		w.launch(anna)
		w.quiet()
		if len(w.nodes) != 1 {
			t.Fatalf("%d Nodes", len(w.nodes))
		}
		w.last().getReady()
		w.quiet()
	})
}

// TestStartAtOnceAfterAnEnd: what is left to be said of one Node is not taken for
// news of the next.
func TestStartAtOnceAfterAnEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.up()
		for range 20 {
			w.last().end(killed())
			nodes := len(w.nodes)
			var asked []*talk
			for i := range 10 { // each when it likes: before the end is known, or in the middle of it
				w.d.Post(fmt.Sprint("impatient", i), func() { asked = append(asked, w.launch(anna)) })
			}
			w.quiet()
			if len(w.nodes) == nodes {
				asked = append(asked, w.launch(anna))
				w.quiet()
			}
			w.last().getReady()
			w.quiet()
			won := 0
			for _, a := range asked {
				if _, ok := a.answer().(*uipb.Started); ok {
					won++
				} else {
					a.refused(ui.CodeRunning, "already running")
				}
			}
			if won != 1 {
				t.Fatalf("%d were told of a new Node", won)
			}
		}
	})
}
