package star

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/starpb"
	"parley/testkit"
)

// TestDial follows a dial in the order that clients of the public server see.
func TestDial(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.say(dialMessage(anna, bert, "d", 7))
		anna.wants("accept d.dialer")
		bert.wants("0 incoming d /anna")
		bert.say(accepts("d.dialer"))
		bert.say(&starpb.Answered{Ack: 0})
		bert.wants("accept d.listener")
		anna.wants("7")
		anna.say(accepts("d.listener"))
		anna.say(chunk("d.dialer", "hello", 0))
		bert.wants("d.dialer hello")
		bert.say(chunk("d.listener", "yes", 0))
		anna.wants("d.listener yes")
		bert.say(ends("d.listener", "true"))
		anna.wants("d.listener true")
		anna.say(chunk("d.dialer", "more", 0)) // one half is still open
		anna.say(ends("d.dialer", "true"))
		bert.wants("d.dialer more", "d.dialer true")
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		for _, c := range []struct {
			name string
			want int64
		}{
			{"star_dials", 0},
			{"rendezvous_dials_total", 1},
			{"rendezvous_dials_total_success", 1},
			{"rendezvous_dials_total_failure", 0},
			{"star_streams_total", 2},
			{"star_stream_bytes_total", int64(len("hello" + "yes" + "true" + "more" + "true"))},
		} {
			if got := x.counted(c.name, ""); got != c.want {
				t.Errorf("%s is %d, want %d", c.name, got, c.want)
			}
		}
		anna.settled()
		bert.settled()
		x.stop()
	})
}

// TestDialOneself has one socket on both sides.
func TestDialOneself(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna := x.phone("/anna")
		anna.say(dialMessage(anna, anna, "d", 7))
		anna.wants("accept d.dialer", "0 incoming d /anna")
		anna.say(accepts("d.dialer"))
		anna.say(&starpb.Answered{Ack: 0})
		anna.wants("accept d.listener", "7")
		anna.say(accepts("d.listener"))
		anna.lazy = true
		anna.say(chunk("d.dialer", "there", 40_000))
		anna.say(chunk("d.listener", "back", 20_000))
		anna.say(ends("d.dialer", "true"))
		anna.wants("d.dialer there", "d.listener back", "d.dialer true")
		if anna.held != 3+2+1 {
			t.Errorf("%d charges are held", anna.held)
		}
		anna.lazy = false
		anna.say(ends("d.listener", "true"))
		anna.wants("d.listener true")
		anna.settled()
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		anna.connected(anna, "d") // the id is free again
		anna.hangUp()
		x.d.Settle()
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		x.stop()
	})
}

// TestDialRefused has each reason why a dial leads nowhere.
func TestDialRefused(t *testing.T) {
	long := strings.Repeat("x", dialIDMost+1)
	for _, c := range []struct {
		name   string
		dial   func(anna, bert *phone) *starpb.Dial
		answer string // what bert says; empty: nothing
		after  time.Duration
		want   []string // what anna hears
		heard  []string // what bert hears
		reason string
	}{
		{
			"from another's address", func(anna, bert *phone) *starpb.Dial {
				return &starpb.Dial{From: bert.name, To: anna.name, Dial: "d", Ack: proto.Uint64(5)}
			},
			"", 0,
			[]string{`5 "Not authorized for this address"`},
			nil, errUnauthorized,
		},
		{
			"from nobody's address, to nobody", func(*phone, *phone) *starpb.Dial {
				return &starpb.Dial{From: "/x", To: "/y", Dial: long, Ack: proto.Uint64(5)}
			},
			"", 0,
			[]string{`5 "Not authorized for this address"`},
			nil, errUnauthorized,
		},
		{
			"to nobody", func(anna, _ *phone) *starpb.Dial {
				return &starpb.Dial{From: anna.name, To: "/y", Dial: "d", Ack: proto.Uint64(5)}
			},
			"", 0,
			[]string{`5 "Peer not found"`},
			nil, errNotFound,
		},
		{
			"with a long id", func(anna, bert *phone) *starpb.Dial { return dialMessage(anna, bert, long, 5) },
			"", 0,
			[]string{`5 "Invalid dial id"`},
			nil, errDialID,
		},
		{
			"by the other client", func(anna, bert *phone) *starpb.Dial { return dialMessage(anna, bert, "d", 5) },
			`{"no":"<&\u2028"}`, 0,
			[]string{"accept d.dialer", `5 {"no":"<&\u2028"}`},
			[]string{"0 incoming d /anna"},
			refusedByPeer,
		},
		{
			"by silence", func(anna, bert *phone) *starpb.Dial { return dialMessage(anna, bert, "d", 5) },
			"", ackTime,
			[]string{"accept d.dialer", `5 "Dial timed out"`},
			[]string{"0 incoming d /anna"},
			errTimedOut,
		},
		{
			"without a wish to know", func(anna, _ *phone) *starpb.Dial { return &starpb.Dial{From: anna.name, To: "/y", Dial: "d"} },
			"", 0, nil, nil, errNotFound,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				x := newExchange(t, d)
				anna, bert := x.phone("/anna"), x.phone("/bert")
				anna.say(c.dial(anna, bert))
				d.Settle()
				if c.after > 0 {
					d.Run(c.after - time.Millisecond)
					if len(x.proxies()) != 1 {
						t.Error("the dial is over too early")
					}
					d.Run(time.Millisecond)
				}
				if c.answer != "" {
					bert.say(&starpb.Answered{Ack: 0, Error: []byte(c.answer)})
				}
				anna.wants(c.want...)
				bert.wants(c.heard...)
				anna.settled()
				bert.settled()
				if got := x.counted("star_dial_failures_total", c.reason); got != 1 {
					t.Errorf("%d failures because of %q", got, c.reason)
				}
				if all, bad := x.counted("rendezvous_dials_total", ""), x.counted("rendezvous_dials_total_failure", ""); all != 1 || bad != 1 {
					t.Errorf("%d dials, %d failures", all, bad)
				}
				if n := len(x.proxies()); n != 0 {
					t.Errorf("%d proxies are left", n)
				}
				bert.say(&starpb.Answered{Ack: 0}) // too late
				bert.say(accepts("d.dialer"))
				bert.wants("end d.dialer")
				anna.connected(bert, "d") // the id is free
				x.stop()
			})
		})
	}
}

// TestDialIDInUse has an id twice on one socket, and twice at the rendezvous.
func TestDialIDInUse(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert, cora, dora := x.phone("/anna"), x.phone("/bert"), x.phone("/cora"), x.phone("/dora")
		anna.connected(bert, "d")
		anna.say(dialMessage(anna, cora, "d", 3))
		anna.wants(`3 "Dial id in use"`)
		cora.say(dialMessage(cora, bert, "d", 4)) // bert has it, cora does not
		cora.wants("accept d.dialer", `4 "Dial id in use"`)
		bert.wants()
		cora.connected(dora, "d") // neither has it
		cora.say(chunk("d.dialer", "c", 0))
		anna.say(chunk("d.dialer", "a", 0))
		bert.wants("d.dialer a")
		dora.wants("d.dialer c")
		// Both dial each other under one id at once: one cannot, or neither.
		anna.say(dialMessage(anna, dora, "e", 5))
		dora.say(dialMessage(dora, anna, "e", 6))
		d.Settle()
		refused := 0
		for _, h := range slices.Concat(anna.heard, dora.heard) {
			if strings.HasSuffix(h, `"Dial id in use"`) {
				refused++
			}
		}
		if n := len(x.proxies()); refused+n != 2+2 || refused == 0 {
			t.Errorf("%d dials, anna heard %q, dora %q", n, anna.heard, dora.heard)
		}
		for _, p := range x.phones {
			p.settled()
		}
		x.stop()
	})
}

// TestStreamsOfASocket are counted apart from those that others dial to it, and
// of these each other socket has a few.
func TestStreamsOfASocket(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, cora := x.phone("/anna"), x.phone("/cora")
		var crowd []*phone
		for i := range streamsMost / callersMost {
			p := x.phone(fmt.Sprint("/", i))
			for j := range callersMost {
				p.dial(anna, fmt.Sprint(i, "to", j))
			}
			p.say(dialMessage(p, anna, "more", 3))
			p.wants("accept more.dialer", `3 "Too many streams"`)
			crowd = append(crowd, p)
		}
		cora.say(dialMessage(cora, anna, "d", 3))
		cora.wants("accept d.dialer", `3 "Too many streams"`)
		anna.wants()
		for i := range streamsMost { // what others do takes nothing from her own
			anna.dial(crowd[i/callersMost], fmt.Sprint("by", i))
		}
		anna.say(dialMessage(anna, cora, "d", 3))
		anna.wants(`3 "Too many streams"`)
		if got := x.counted("star_dial_failures_total", errStreams); got != int64(len(crowd))+2 {
			t.Errorf("%d failures", got)
		}
		crowd[0].hangUp()
		x.d.Settle()
		cora.connected(anna, "d")
		anna.connected(cora, "e")
		anna.settled()
		x.stop()
	})
}

// TestDialsToOneself are the client's own.
func TestDialsToOneself(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		for i := range streamsMost {
			anna.dial(anna, fmt.Sprint(i))
		}
		anna.say(dialMessage(anna, anna, "d", 3))
		anna.wants(`3 "Too many streams"`)
		bert.connected(anna, "d")
		x.stop()
	})
}

// TestUnansweredRings are forgotten in time, and not at once.
func TestUnansweredRings(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		for i := range acksMost {
			anna.say(dialMessage(anna, bert, fmt.Sprint(i), 1))
			d.Settle()
			anna.say(&starpb.Disconnect{})
			d.Settle()
			anna = x.phone("/anna" + fmt.Sprint(i))
		}
		anna.say(dialMessage(anna, bert, "d", 3))
		anna.wants("accept d.dialer", `3 "Too many requests"`)
		d.Run(ackTime)
		bert.heard = nil
		anna.connected(bert, "d")
		bert.say(&starpb.Answered{Ack: 0, Error: []byte(`"no"`)}) // long forgotten
		anna.say(chunk("d.dialer", "hello", 0))
		bert.wants("d.dialer hello")
		bert.settled()
		x.stop()
	})
}

// TestLeaving ends the dials of a client that stays connected. It is told
// nothing, gets its credit back, and hears nothing more.
func TestLeaving(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		x := newExchange(t, d)
		anna, bert := x.phone("/anna"), x.phone("/bert")
		anna.connected(bert, "d")
		bert.dial(anna, "e")
		anna.say(accepts("e.dialer"))
		anna.lazy, bert.lazy = true, true
		anna.say(chunk("d.dialer", "x", 50_000))
		bert.say(chunk("d.listener", "y", 50_000))
		d.Settle()
		anna.heard, bert.heard = nil, nil
		anna.say(dialMessage(anna, bert, "f", 9)) // under way
		anna.say(&starpb.Disconnect{})
		d.Settle()
		if n := len(x.proxies()); n != 0 {
			t.Errorf("%d proxies are left", n)
		}
		anna.settled()
		bert.settled()
		for _, h := range anna.heard {
			if strings.HasPrefix(h, "end") {
				t.Errorf("anna heard %q", anna.heard)
			}
		}
		got := slices.DeleteFunc(slices.Clone(bert.heard), func(h string) bool { return strings.Contains(h, "incoming") })
		if !slices.Equal(got, []string{"end d.dialer"}) { // the other it has not accepted
			t.Errorf("bert heard %q", bert.heard)
		}
		anna.do(func(ctx actor.Context) { anna.take(ctx) })
		bert.do(func(ctx actor.Context) { bert.take(ctx) })
		anna.settled()
		bert.settled()
		x.stop()
	})
}

// TestRegistryIsSilent ends dials that it has not answered.
func TestRegistryIsSilent(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		sys := testkit.System(t, testkit.Under(d))
		var heard []any
		mute := tree.Spawn(sys.Root, "mute", tree.Spec{New: func() actor.Actor { return &dialRoot{} }})
		client := tree.Spawn(sys.Root, "client", tree.Spec{New: func() actor.Actor { return &dialEar{&heard} }})
		v := &venue{registry: mute, counts: newCounts(sys)}
		p := newProxies(v)
		pid := tree.Spawn(sys.Root, "proxies", tree.Spec{New: func() actor.Actor { return p }})
		ask := func(id string, ack *uint64) {
			sys.Root.Send(pid, &dial{from: "/anna", to: "/bert", id: id, who: caller{session: client, link: client}, ack: ack})
		}
		ask("d", proto.Uint64(1))
		d.Run(ackTime - time.Millisecond)
		if len(heard) > 0 {
			t.Fatalf("heard %v", heard)
		}
		ask("e", nil)
		d.Run(time.Millisecond)
		if c, r := heard[0].(*closed), heard[1].(*starpb.Reply); len(heard) != 2 || c.id != "d" || string(r.GetError()) != quotedTimedOut {
			t.Fatalf("heard %v", heard)
		}
		who := &caller{session: client, link: client}
		sys.Root.Send(pid, &found{dial: 1, who: who}) // at last
		d.Settle()
		if len(heard) != 2 {
			t.Errorf("heard %v", heard[2:])
		}
		ask("f", proto.Uint64(2))
		sys.Root.Send(pid, &found{dial: 3, who: who})
		d.Run(ackTime / 2)
		if n := len(p.(*proxies).sought); n != 1 {
			t.Errorf("%d dials are looked up, want e", n)
		}
		sys.Root.Send(pid, &found{dial: 2})
		d.Run(ackTime)
		ask("e", nil)
		d.Settle()
		heard = nil
		sys.Root.Stop(pid)
		d.Settle()
		if c, ok := heard[0].(*closed); !ok || len(heard) != 1 || c.id != "e" {
			t.Errorf("heard %v", heard)
		}
		testkit.Stop(t, sys, mute, client)
	})
}

const quotedTimedOut = `"Dial timed out"`

// dialEar keeps what it hears.
type dialEar struct{ heard *[]any }

func (e *dialEar) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		*e.heard = append(*e.heard, m)
	}
}
