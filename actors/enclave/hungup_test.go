package enclave

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// hangsUp are the ways of a caller to go, with how many messages it says then.
var hangsUp = map[string]struct {
	leave func(e *end)
	more  int
}{
	"hangs up":     {(*end).bye, 0},
	"goes offline": {func(e *end) { e.say(shake("x", Offline)) }, 0},
	"says goodbye": {func(e *end) {
		e.say(&enclavepb.Packet{Status: proto.Uint32(Offline), Message: proto.String("bye"), Charge: 1})
	}, 1},
}

// TestHungUp has an unknown caller go before anybody has decided: what it has said
// waits as it would, unless there is nothing, or it says it again.
func TestHungUp(t *testing.T) {
	for name, way := range hangsUp {
		t.Run(name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				w := newWorld(t, d)
				n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
				e := n.call("10.0.0.2:5").say(shake("bob", Away), words("a"), words("b"))
				nothing, again := n.call("10.0.0.3:5").say(shake("x", 1)), n.call("10.0.0.4:5").say(kinShake("peer"), numbered("peer", 1, "a"))
				late := n.call("10.0.0.5:5").say(shake("x", 1), words("c"))
				d.Run(2 * requestPause)
				n.told()
				held := 2 + way.more
				for _, x := range []*end{e, again, late} {
					way.leave(x)
				}
				nothing.bye()
				for _, x := range []*end{e, nothing, again, late} {
					if !x.gone || len(x.heard) > 0 {
						t.Errorf("gone %v, heard %v", x.gone, x.heard)
					}
				}
				told := n.told()
				slices.Sort(told)
				news := []string{"gone 10.0.0.3", "gone 10.0.0.4", fmt.Sprintf(`request 10.0.0.2 "bob" 0 "" held=%d`, held), fmt.Sprintf(`request 10.0.0.5 "x" 0 "" held=%d`, held-1)}
				if !slices.Equal(told, news) {
					t.Errorf("told %q, want %q", told, news)
				}
				d.Run(time.Minute)
				n.wantTold()
				n.must(accept("10.0.0.2", "Bo"))
				want := []string{"10.0.0.2 a", "10.0.0.2 b", "10.0.0.2 bye"}[:held]
				if !slices.Equal(n.talk.said, want) || n.status().GetWaiting() != 1 {
					t.Errorf("said %q, %v", n.talk.said, n.status())
				}
				if got := n.told(); slices.Contains(got, "gone 10.0.0.2") || got[0] != `status 10.0.0.2 "" 0 "" held=0` {
					t.Errorf("told %q", got)
				}
				d.Run(waitTime - time.Minute - 2*requestPause - time.Millisecond)
				n.wantTold()
				d.Run(time.Millisecond)
				n.wantTold("gone 10.0.0.5")
				if n.status().GetWaiting() != 0 || len(n.talk.said) != held {
					t.Errorf("said %q, %v", n.talk.said, n.status())
				}
				w.stop()
			})
		})
	}
}

// TestHungUpMakesRoom for who is here: of its own address first, then of all.
func TestHungUpMakesRoom(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		for i := range strangersMost / strangersEach {
			for j := range strangersEach {
				n.call(fmt.Sprintf("10.0.1.%d:%d", i, j+1)).say(shake(fmt.Sprint(j), 1), words(fmt.Sprint(j))).bye()
			}
		}
		d.Run(2 * requestPause)
		n.told()
		a := n.call("10.0.1.0:3").say(shake("2", Away), words("2"))
		n.wantTold(`request 10.0.1.0 "2" 2 "" held=1`) // and soon one more
		b := n.call("10.0.2.0:1").say(shake("x", 1))
		d.Run(requestPause)
		got := n.told()
		if b.gone || !slices.Contains(got, `request 10.0.2.0 "x" 1 "" held=0`) {
			t.Errorf("told %q", got)
		}
		n.must(accept("10.0.1.0", ""), accept("10.0.1.1", ""), accept("10.0.1.2", ""))
		want := []string{"10.0.1.0 2", "10.0.1.1 0", "10.0.1.1 1", "10.0.1.2 0", "10.0.1.2 1"}
		got = slices.Sorted(slices.Values(n.talk.said))
		if a.gone || !slices.Equal(got, want) {
			t.Errorf("gone %v, said %q", a.gone, got)
		}
		for i := range strangersMost - 1 - 4 {
			if n.call(fmt.Sprintf("10.0.3.%d:1", i)).say(shake("x", 1)).gone {
				t.Fatalf("number %d was not held", i)
			}
		}
		w.stop()
	})
}
