package star

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

// TestHeldForTheReader keeps what a reader has not accepted: the first of it at
// the rendezvous' own cost, the rest at the writer's.
func TestHeldForTheReader(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.dial(bert, "d")
		const size = 16<<10 - heldPacketBytes - 8
		text := func(i int) string { return fmt.Sprintf("%08d", i) }
		var want []string
		for i := range heldMost / (16 << 10) {
			anna.say(chunk("d.dialer", text(i), size))
			want = append(want, "d.dialer "+text(i))
		}
		anna.settled()
		for i := range 10 {
			anna.say(chunk("d.dialer", text(1000+i), 0))
			want = append(want, "d.dialer "+text(1000+i))
		}
		d.Settle()
		if anna.held != 10 {
			t.Errorf("%d charges are held, want 10", anna.held)
		}
		bert.wants()
		bert.lazy = true
		bert.say(accepts("d.dialer"))
		bert.wants(want...)
		if anna.held != 10 {
			t.Errorf("%d charges are held, want 10", anna.held)
		}
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		anna.settled()
		bert.settled()
		x.stop()
	})
}

// TestEmptyChunksAreNotFree holds no more of them than of others.
func TestEmptyChunksAreNotFree(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.dial(bert, "d")
		free := 0
		for ; anna.held == 0; free++ {
			if anna.say(chunk("d.dialer", "", 0)); free > heldMost {
				t.Fatalf("%d empty chunks cost their writer nothing", free)
			}
			d.Settle()
		}
		if want := heldMost/heldPacketBytes + 1; free != want {
			t.Errorf("%d empty chunks were taken, want %d", free, want)
		}
		bert.hangUp()
		anna.settled()
		x.stop()
	})
}

// TestSlowReader slows its writer, and nobody else.
func TestSlowReader(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert, cora := x.phone("/anna"), x.phone("/bert"), x.phone("/cora")
		anna.connected(bert, "d")
		cora.connected(bert, "e")
		anna.connected(cora, "f")
		bert.lazy = true
		for range 20 {
			anna.say(chunk("d.dialer", "x", 16<<10))
			bert.say(chunk("d.listener", "y", 16<<10))
			anna.say(chunk("f.dialer", "z", 16<<10))
		}
		d.Settle()
		if anna.held != 40 || bert.held != 0 {
			t.Errorf("%d and %d charges are held, want 40 and none", anna.held, bert.held)
		}
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		for _, p := range x.phones {
			p.settled()
		}
		x.stop()
	})
}

// TestSlowEnd waits for who has not read all: the next dial is not free of what
// the last one left.
func TestSlowEnd(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "d")
		bert.lazy = true
		anna.say(chunk("d.dialer", "x", 100_000))
		anna.say(ends("d.dialer", "true"))
		bert.say(ends("d.listener", "true"))
		bert.wants("d.dialer x", "d.dialer true")
		anna.wants("d.listener true")
		if n := len(x.proxies()); n != 1 || anna.held == 0 {
			t.Errorf("%d proxies, %d charges held", n, anna.held)
		}
		anna.say(dialMessage(anna, bert, "d", 4))
		anna.wants(`4 "Dial id in use"`)
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		anna.settled()
		anna.wants()
		bert.wants()
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		x.stop()
	})
}

// TestGone has either side's socket end, at each stage of a dial.
func TestGone(t *testing.T) {
	for _, c := range []struct {
		name  string
		stage func(anna, bert *phone)
		anna  []string // that anna hears when bert has gone
		bert  []string // that bert hears when anna has gone
	}{
		{"ringing", func(anna, bert *phone) {
			anna.say(dialMessage(anna, bert, "d", 3))
			anna.wants("accept d.dialer")
			bert.wants("0 incoming d /anna")
		}, []string{`3 "Dial timed out"`}, nil},
		{"ringing and accepted", func(anna, bert *phone) {
			anna.say(dialMessage(anna, bert, "d", 3))
			bert.wants("0 incoming d /anna")
			bert.say(accepts("d.dialer"))
			anna.wants("accept d.dialer")
		}, []string{`3 "Dial timed out"`}, []string{"end d.dialer"}},
		{"ringing and written", func(anna, bert *phone) {
			anna.say(dialMessage(anna, bert, "d", 3))
			bert.wants("0 incoming d /anna")
			anna.say(chunk("d.dialer", "x", 0))
			bert.say(chunk("d.listener", "y", 0))
			anna.wants("accept d.dialer")
		}, []string{`3 "Dial timed out"`}, nil},
		{"not accepted", func(anna, bert *phone) { anna.dial(bert, "d") }, nil, nil},
		{"accepted", func(anna, bert *phone) { anna.connected(bert, "d") }, []string{"end d.listener"}, []string{"end d.dialer"}},
		{"half ended", func(anna, bert *phone) {
			anna.connected(bert, "d")
			anna.say(ends("d.dialer", "true"))
			bert.wants("d.dialer true")
		}, []string{"end d.listener"}, nil},
		{"not read", func(anna, bert *phone) {
			anna.connected(bert, "d")
			anna.lazy, bert.lazy = true, true
			anna.say(chunk("d.dialer", "x", 100_000))
			bert.say(chunk("d.listener", "y", 100_000))
			anna.wants("d.listener y")
			bert.wants("d.dialer x")
		}, []string{"end d.listener"}, []string{"end d.dialer"}},
	} {
		for _, fair := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, " ", fair), func(t *testing.T) {
				testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
					for _, first := range []int{0, 1} {
						x := newExchange(t, d)
						both := []*phone{x.phone("/anna"), x.phone("/bert")}
						c.stage(both[0], both[1])
						left := both[1-first]
						both[first].unfair = !fair
						both[first].hangUp()
						left.wants([][]string{c.bert, c.anna}[first]...)
						left.say(chunk("d.dialer", "swallowed", 100_000))
						left.say(chunk("d.listener", "swallowed", 100_000))
						left.settled()
						if n := len(x.proxies()); n != 0 {
							t.Errorf("%d proxies are left", n)
						}
						x.stop()
					}
				})
			})
		}
	}
}

// TestLastWords of a client are kept for who has not accepted yet.
func TestLastWords(t *testing.T) {
	for _, ended := range []bool{false, true} {
		testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
			x := newExchange(t, d)
			anna, bert := x.phone("/anna"), x.phone("/bert")
			anna.dial(bert, "d")
			anna.say(accepts("d.listener"))
			anna.say(chunk("d.dialer", "farewell", heldMost-2000))
			anna.lazy, anna.unfair = true, true
			bert.say(chunk("d.listener", "never taken", 400_000))
			last := "end d.dialer"
			if ended {
				anna.say(ends("d.dialer", "true"))
				last = "d.dialer true"
			}
			d.Settle()
			anna.hangUp()
			d.Settle()
			bert.say(chunk("d.listener", "swallowed", 400_000))
			bert.wants()
			bert.settled()
			bert.say(accepts("d.dialer"))
			bert.wants("d.dialer farewell", last)
			bert.settled()
			if n := len(x.proxies()); n != 0 {
				t.Errorf("%d proxies are left", n)
			}
			x.stop()
		})
	}
}

// TestLinkIsGone hears of a link's end from nobody but the link.
func TestLinkIsGone(t *testing.T) {
	for name, who := range map[string]func(bert *phone) *actor.PID{
		"by name": func(bert *phone) *actor.PID { return bert.tap }, "without": func(*phone) *actor.PID { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				x := newExchange(t, d)
				anna, bert := x.phone("/anna"), x.phone("/bert")
				anna.connected(bert, "d")
				bert.lazy = true
				anna.say(chunk("d.dialer", "x", 100_000))
				d.Settle()
				x.sys.Root.Send(x.proxies()[0], &actor.DeadLetterResponse{Target: who(bert)})
				anna.wants("end d.listener")
				bert.wants("d.dialer x", "end d.dialer")
				anna.settled()
				bert.do(func(ctx actor.Context) { bert.take(ctx) })
				anna.settled()
				x.stop()
			})
		})
	}
}

// TestIdle ends a dial that nobody uses, and not before.
func TestIdle(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "d")
		anna.dial(bert, "e") // nobody accepts
		for range 3 {
			d.Run(idleMost - time.Second)
			bert.say(chunk("d.listener", "x", 0))
			anna.wants("d.listener x")
		}
		if n := len(x.proxies()); n != 1 {
			t.Errorf("%d proxies are left, want the one in use", n)
		}
		d.Run(idleMost - time.Millisecond)
		anna.wants()
		d.Run(time.Millisecond)
		anna.wants("end d.listener")
		bert.wants("end d.dialer")
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		x.stop()
	})
}

// TestProxyFails ends its dial and no other. What it had not got to is settled.
func TestProxyFails(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d, testkit.ExpectFailures(1))
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "e")
		anna.connected(bert, "d")
		bert.lazy = true
		anna.say(chunk("d.dialer", "1", 100_000))
		d.Settle()
		bert.brittle = true
		for _, text := range []string{"2", "3", "4"} {
			anna.say(chunk("d.dialer", text, 100_000))
		}
		anna.wants("end d.listener")
		bert.wants("d.dialer 1", "end d.dialer")
		anna.settled()
		if n := len(x.proxies()); n != 1 {
			t.Errorf("%d proxies are left, want the other", n)
		}
		anna.say(chunk("e.dialer", "5", 0))
		bert.wants("e.dialer 5")
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		anna.settled()
		bert.settled()
		x.stop()
	})
}

// TestProxiesFail ends all dials; those that come later are served.
func TestProxiesFail(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d, testkit.ExpectFailures(1))
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "d")
		anna.say(dialMessage(anna, bert, "e", 3))
		anna.wants("accept e.dialer")
		bert.heard = nil
		anna.say(dialMessage(anna, bert, "f", 4))
		x.sys.Root.Send(actor.NewPID(x.sys.Address(), "top/"+nameProxies), (*found)(nil))
		d.Run(ackTime + time.Second)
		for _, want := range []string{"end d.listener", `3 "Dial timed out"`} {
			if !slices.Contains(anna.heard, want) {
				t.Errorf("anna heard %q", anna.heard)
			}
		}
		if !slices.Contains(bert.heard, "end d.dialer") || slices.Contains(bert.heard, "end e.dialer") {
			t.Errorf("bert heard %q", bert.heard)
		}
		if n, level := len(x.proxies()), x.counted("star_dials", ""); n != 0 || level != 0 {
			t.Errorf("%d proxies, %d counted", n, level)
		}
		anna.heard, bert.heard = nil, nil
		anna.connected(bert, "d")
		anna.settled()
		bert.settled()
		x.stop()
	})
}

// TestPacedCharges tells the streams apart in what a link answers in sum.
func TestPacedCharges(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "d")
		anna.lazy, bert.lazy = true, true
		bert.say(chunk("d.listener", "y", 300_000))
		// More than any link lets through is not paced, but neither lost.
		m := chunk("d.dialer", "x", 0)
		m.Charge = outMost
		anna.say(m)
		d.Settle()
		if anna.held != outMost || bert.held != 19 {
			t.Errorf("%d and %d charges are held", anna.held, bert.held)
		}
		anna.say(chunk("d.dialer", "z", 0))
		d.Settle()
		if anna.held != outMost {
			t.Errorf("%d charges are held", anna.held)
		}
		bert.wants("d.dialer x", "d.dialer z")
		anna.do(func(ctx actor.Context) { anna.take(ctx) })
		bert.settled()
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		anna.settled()
		// What nobody waits for gives nothing back.
		x.sys.Root.Send(x.proxies()[0], &linkpb.Taken{Charge: 1<<32 - 1})
		anna.say(&starpb.Answered{Ack: 99})
		anna.settled()
		bert.settled()
		x.stop()
	})
}
