package star

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/linkpb"
	"parley/messages/starpb"
	"parley/testkit"
)

func TestNamespaces(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		three := h.guest(Three)
		three.joins(at(1))
		three.say(&starpb.Connect{Namespace: "/x"}).wants("refused /x")
		three.say(&starpb.Connect{Namespace: "/"}).wants()
		three.joins(at(2))
		three.say(&starpb.Disconnect{}, &starpb.Disconnect{}).wants()
		h.online()
		three.say(
			three.join(at(1), ""), &starpb.Leave{Address: at(1)}, &starpb.Dial{From: at(1), To: at(1), Dial: "d", Ack: proto.Uint64(1)},
			&starpb.Stream{Kind: starpb.Stream_KIND_QUEUE, Id: "d.dialer", Charge: 3}, &starpb.Answered{Ack: 1}, &starpb.Invalid{Reason: "x", Ack: proto.Uint64(2), Charge: 1},
		).wants()
		three.say(&starpb.Ping{Data: "probe"}).wants("pong probe")
		three.say(&starpb.Connect{Namespace: "/"}).wants()
		three.joins(at(3))
		h.online(at(3))

		four := h.guest(Four)
		four.say(&starpb.Ping{}, &starpb.Alive{Charge: 2}, &starpb.Disconnect{}).wants("pong ")
		four.say(&starpb.Connect{Namespace: "/x"}, &starpb.Connect{Namespace: "/"}).wants("refused /x", "connected")
		four.joins(at(4))
		four.say(&starpb.Disconnect{}).wants()
		h.online(at(3))
		four.say(&starpb.Connect{Namespace: "/"}).wants("connected")
		four.joins(at(4))
		four.say(&starpb.Connect{Namespace: "/"}).wants()
		if four.code != closeProtocol {
			t.Errorf("who connects twice is closed with %d", four.code)
		}
		h.online(at(3))
		h.stop()
	})
}

// TestNotConnected are the things that clients of Engine.IO 4 may not do before
// they have asked for a namespace.
func TestNotConnected(t *testing.T) {
	for _, m := range []proto.Message{
		&starpb.Join{Address: at(1), Ack: proto.Uint64(0)}, &starpb.Leave{Address: at(1)}, &starpb.Dial{From: at(1), To: at(1), Dial: "d"},
		&starpb.Stream{Kind: starpb.Stream_KIND_QUEUE, Id: "d.dialer", Charge: 3}, &starpb.Answered{}, &starpb.Invalid{Reason: "x", Charge: 1},
	} {
		testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
			h := newHall(t, d, Options{Strict: true})
			g := h.guest(Four)
			g.say(m).wants()
			if g.code != closeProtocol {
				t.Errorf("%T: closed with %d", m, g.code)
			}
			h.online()
			h.stop()
		})
	}
}

func TestInvalid(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		g := h.guest(Three)
		g.say(&starpb.Invalid{Reason: "Invalid arguments", Ack: proto.Uint64(7), Charge: 1}).wants(`7 "Invalid arguments"`)
		g.say(&starpb.Invalid{Reason: "Invalid arguments", Ack: proto.Uint64(0), Charge: 5}).wants(`0 "Invalid arguments"`)
		g.say(&starpb.Invalid{Reason: "Invalid arguments", Charge: 5}).wants()
		if n := h.counted("star_invalid_total", ""); n != 3 {
			t.Errorf("%d counted", n)
		}
		if g.credit != 0 {
			t.Errorf("%d units are held", g.credit)
		}
		g.say(&linkpb.Malformed{Reason: "bad JSON", Charge: 1}).wants()
		if g.code != closeProtocol {
			t.Errorf("closed with %d", g.code)
		}
		h.stop()
	})
}

func TestTooManySockets(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Sockets: 2})
		a, _, c := h.guest(Three), h.guest(Four), h.guest(Three)
		if c.code != closeTryLater {
			t.Errorf("the third one is closed with %d", c.code)
		}
		a.hangUp()
		d.Settle()
		if b := h.guest(Four); b.code != 0 {
			t.Errorf("the next one is closed with %d", b.code)
		}
		h.stop()
	})
}

// TestSessionFails has a session panic. It is its client's end only.
func TestSessionFails(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		boom := false
		h := newHall(t, d, Options{Strict: true, Now: func() time.Time {
			if boom {
				boom = false
				panic("the world ends here")
			}
			return time.Now()
		}}, testkit.ExpectFailures(1))
		a, b := h.guest(Three), h.guest(Three)
		a.joins(at(1))
		b.joins(at(2))
		boom = true
		a.say(&starpb.Ping{}).wants()
		if a.code != closeInternal {
			t.Errorf("closed with %d", a.code)
		}
		h.online(at(2))
		b.joins(at(3))
		h.stop()
	})
}

// TestRegistryFails has the registry panic while it registers. Who caused it
// begins anew; what is known of the others is still known.
func TestRegistryFails(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		boom := 0
		h := newHall(t, d, Options{Strict: true, Now: func() time.Time {
			if boom--; boom == 0 {
				panic("the world ends here")
			}
			return time.Now()
		}}, testkit.ExpectFailures(1))
		a, b := h.guest(Three), h.guest(Three)
		a.joins(at(1))
		boom = 2 // the session, then the registry
		b.say(b.join(at(2), "")).wants()
		if b.code != closeInternal {
			t.Errorf("closed with %d", b.code)
		}
		h.online(at(1))
		a.joins(at(3))
		h.guest(Three).joins(at(2))
		h.online(at(1), at(2), at(3))
		h.stop()
	})
}

// TestLinkGoneBeforeAccepted leaves no session behind.
func TestLinkGoneBeforeAccepted(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		h.sys.Root.Send(h.links, func(ctx actor.Context) {
			h.sys.Root.RequestWithCustomSender(h.star.Sessions[Three], &linkpb.Opened{Member: 1}, actor.NewPID(h.sys.Address(), "nobody"))
		})
		d.Settle()
		if n := h.status().GetSockets(); n != 0 {
			t.Errorf("%d sockets", n)
		}
		h.stop()
	})
}
