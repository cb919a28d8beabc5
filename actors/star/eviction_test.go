package star

import (
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/starpb"
	"parley/testkit"
)

func TestEvictionWithChallenge(t *testing.T) {
	me := newIdentity(t, 1)
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Challenge: true})
		a, b := h.guest(Three), h.guest(Three)
		a.proves(me, me.at(1))
		a.proves(me, me.at(2))
		if got := b.proves(me, me.at(1)); !slices.Equal(got, []string{me.at(2)}) {
			t.Errorf("the newcomer heard of %q", got)
		}
		if a.peers[me.at(1)] != 1 {
			t.Error("who lost the address, but has another, was not told of the newcomer")
		}
		a.say(&starpb.Leave{Address: me.at(1)})
		h.online(me.at(1), me.at(2))
		a.say(&starpb.Dial{From: me.at(1), To: me.at(2), Dial: "d", Ack: proto.Uint64(90)}).wants(`90 "Not authorized for this address"`)
		a.hangUp()
		h.online(me.at(1))
		b.hangUp()
		h.online()
		h.stop()
	})
}

// TestOustedWhileOthersAreTold takes an address from who has not been answered yet.
func TestOustedWhileOthersAreTold(t *testing.T) {
	me := newIdentity(t, 1)
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Challenge: true})
		a, b, c := h.guest(Three), h.guest(Three), h.guest(Three)
		c.proves(me, me.at(2))
		a.say(a.join(me.at(1), me.public)).wants("0 nonce")
		b.say(b.join(me.at(1), me.public)).wants("0 nonce")
		h.mute = true
		a.say(a.join(me.at(1), me.sign(a.nonce))).wants()
		b.say(b.join(me.at(1), me.sign(b.nonce))).wants()
		d.Run(2 * tellingMost)
		a.wants(`1 "Address in use"`)
		b.wants("1 joined")
		a.say(&starpb.Leave{Address: me.at(1)})
		h.online(me.at(1), me.at(2))
		h.mute = false
		h.stop()
	})
}

// TestRivalOfNobody wants the address of a session that ended without a word.
func TestRivalOfNobody(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		for i := 1; i <= 2; i++ {
			who := caller{session: actor.NewPID(h.sys.Address(), "nobody"), member: 90}
			h.sys.Root.RequestWithCustomSender(h.star.Registry, &enlist{turn: uint64(i), address: at(i), who: who}, h.asker)
		}
		h.online(at(1), at(2))
		g := h.guest(Three)
		g.joins(at(1))
		h.online(at(1))
		g.joins(at(2))
		h.stop()
	})
}

func TestEvictionWithoutChallenge(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		a, b, c := h.guest(Three), h.guest(Three), h.guest(Three)
		a.joins(at(1))
		b.say(b.join(at(1), "")).wants(`0 "Address in use"`)
		d.Run(rivalSilence - time.Millisecond)
		a.say(&starpb.Ping{}).wants("pong ")
		d.Run(rivalSilence - time.Millisecond)
		b.say(b.join(at(1), "")).wants(`1 "Address in use"`)
		d.Run(time.Millisecond)
		b.joins(at(1))
		a.say(&starpb.Dial{From: at(1), To: at(1), Dial: "d", Ack: proto.Uint64(90)}).wants(`90 "Not authorized for this address"`)
		a.hangUp()
		h.online(at(1))
		d.Run(rivalSilence)
		a, b = b, h.guest(Three)
		b.say(b.join(at(1), "")) // while the holder leaves, both at once
		a.say(&starpb.Leave{Address: at(1)})
		c.say(c.join(at(1), ""))
		d.Settle()
		joined := 0
		for _, g := range []*guest{b, c} {
			if slices.Contains(g.heard, "0 joined") {
				joined++
			}
			if len(g.heard) != 1 {
				t.Errorf("%s heard %q", g.name, g.heard)
			}
		}
		if joined != 1 {
			t.Errorf("%d have the address", joined)
		}
		h.online(at(1))
		h.stop()
	})
}
