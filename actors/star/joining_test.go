package star

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/messages/starpb"
	"parley/testkit"
)

func TestJoinOpen(t *testing.T) {
	testkit.Seeds(t, 20, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		a, b, c := h.guest(Three), h.guest(Four), h.guest(Three)
		b.say(&starpb.Connect{Namespace: "/"}).wants("connected")
		if got := a.joins(at(1)); len(got) != 0 {
			t.Errorf("the first one heard of %q", got)
		}
		if got := b.joins(at(2)); !slices.Equal(got, []string{at(1)}) {
			t.Errorf("the second one heard of %q", got)
		}
		if a.peers[at(2)] != 1 || len(a.peers) != 1 {
			t.Errorf("the first one was told of %v", a.peers)
		}
		if got := c.joins(at(3)); !slices.Equal(got, []string{at(1), at(2)}) {
			t.Errorf("the third one heard of %q", got)
		}
		if a.peers[at(3)] != 1 || b.peers[at(3)] != 1 || len(c.peers) != 0 {
			t.Errorf("they were told of %v, %v, %v", a.peers, b.peers, c.peers)
		}
		h.online(at(1), at(2), at(3))
		b.say(&starpb.Leave{Address: at(2)}).wants()
		h.online(at(1), at(3))
		if got := a.joins(at(1)); !slices.Equal(got, []string{at(3)}) {
			t.Errorf("who joins twice heard of %q", got)
		}
		if c.peers[at(1)] != 0 {
			t.Error("who is online already was announced again")
		}
		c.hangUp()
		h.online(at(1))
		if got := h.status(); got.GetSockets() != 2 {
			t.Errorf("%d sockets", got.GetSockets())
		}
		if n := h.counted("rendezvous_joins_total_success", ""); n != 4 {
			t.Errorf("%d joins were counted", n)
		}
		h.stop()
	})
}

// TestOthersAreToldFirst joins many at once. Whoever was online then has been told
// of a newcomer before that one is answered.
func TestOthersAreToldFirst(t *testing.T) {
	testkit.Seeds(t, 40, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		const many = 12
		for i := range many {
			g := h.guest(Version(i % int(versions)))
			if g.version == Four {
				g.say(&starpb.Connect{Namespace: "/"}).wants("connected")
			}
		}
		answered := map[string]bool{}
		for i, g := range h.guests {
			g.onAnswer = func(m *starpb.Reply) {
				answered[at(i)] = true
				for _, address := range m.GetAddresses() {
					var n int
					if _, err := fmt.Sscanf(address, "/dns4/star.example/tcp/%d/", &n); err != nil {
						t.Fatal(err)
					}
					if h.guests[n].peers[at(i)] == 0 {
						t.Errorf("guest %d was answered before guest %d was told of it", i, n)
					}
				}
			}
			g.say(g.join(at(i), ""))
		}
		d.Settle()
		if len(answered) != many {
			t.Errorf("%d of %d were answered", len(answered), many)
		}
		for i, g := range h.guests {
			for j := range h.guests {
				if i != j && g.peers[at(j)] == 0 && !slices.Contains(g.last, at(j)) {
					t.Errorf("guest %d never heard of guest %d", i, j)
				}
			}
			if g.peers[at(i)] > 0 || slices.Contains(g.last, at(i)) {
				t.Errorf("guest %d heard of itself", i)
			}
		}
		h.stop()
	})
}

// TestShardThatFailed answers joins although a shard never says that it has
// written.
func TestShardThatFailed(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true})
		a, b := h.guest(Three), h.guest(Three)
		a.joins(at(1))
		h.mute = true
		b.say(b.join(at(2), "")).wants()
		d.Run(tellingMost + time.Second)
		b.wants("0 joined")
		h.mute = false
		h.guest(Three).joins(at(3))
		d.Run(tellingMost)
		h.stop()
	})
}

// TestRefusals are joins that fail, one after the other, of one client.
func TestRefusals(t *testing.T) {
	me, other := newIdentity(t, 1), newIdentity(t, 2)
	for _, c := range []struct {
		name          string
		open          bool // no challenge
		lax           bool // not strict
		address, data string
		want          string
	}{
		{name: "no address", address: "", data: me.public, want: errAddress},
		{name: "no address of WebSocketStar", address: "/ip4/1.2.3.4/tcp/1/ipfs/" + me.id, data: me.public, want: errAddress},
		{name: "lax, no address", lax: true, address: "", data: me.public, want: errAddress},
		{name: "lax, address too long", lax: true, address: strings.Repeat("x", addressMost+1), data: me.public, want: errAddress},
		{name: "lax, address is no text", lax: true, address: "/\xff/ipfs/" + me.id, data: me.public, want: errAddress},
		{name: "lax, no id", lax: true, address: "anything", data: me.public, want: errNotMatching},
		{name: "open, no address of WebSocketStar", open: true, address: "anything", want: errAddress},
		{name: "no key", address: me.at(1), want: errNoID},
		{name: "no hex", address: me.at(1), data: "key", want: errCrypto},
		{name: "odd hex", address: me.at(1), data: me.public + "0", want: errCrypto},
		{name: "no key in it", address: me.at(1), data: "0801", want: errCrypto},
		{name: "too long", address: me.at(1), data: strings.Repeat("00", 1<<20), want: errCrypto},
		{name: "signature without a nonce", address: me.at(1), data: me.sign("nonce 1"), want: errCrypto},
		{name: "another's key", address: me.at(1), data: other.public, want: errNotMatching},
	} {
		testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
			h := newHall(t, d, Options{Challenge: !c.open, Strict: !c.lax})
			g := h.guest(Three)
			g.say(g.join(c.address, c.data)).wants(`0 "` + c.want + `"`)
			g.say(&starpb.Join{Address: c.address, Data: c.data}).wants() // nobody wants an answer
			h.online()
			if n := h.counted("star_join_failures_total", c.want); n != 2 {
				t.Errorf("%s: %d failures counted", c.name, n)
			}
			if c.open || c.lax {
				h.stop()
				return
			}
			g.proves(me, me.at(1))
			h.online(me.at(1))
			h.stop()
		})
	}
}

func TestTooManyAddresses(t *testing.T) {
	me := newIdentity(t, 1)
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{Strict: true, Challenge: true})
		g := h.guest(Three)
		for i := range addressesMost {
			g.say(g.join(me.at(i), me.public)).wants(fmt.Sprint(i, " nonce"))
		}
		g.say(g.join(me.at(100), me.public)).wants(fmt.Sprintf(`%d "Too many addresses"`, addressesMost))
		h.d.Run(nonceTime)
		for i := range addressesMost {
			g.proves(me, me.at(i))
		}
		g.say(g.join(me.at(100), me.public)).wants(fmt.Sprintf(`%d "Too many addresses"`, g.acks-1))
		g.proves(me, me.at(3)) // it has that already
		g.say(&starpb.Leave{Address: me.at(3)})
		g.proves(me, me.at(100))
		h.stop()
	})
}

// TestAddressesThatHurt are online, but others are not told of them.
func TestAddressesThatHurt(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		h := newHall(t, d, Options{})
		a, b, c := h.guest(Three), h.guest(Three), h.guest(Three)
		a.joins(at(1))
		hurts := strings.Replace(at(2), "/ipfs/", "/p2p/", 1)
		if got := b.joins(hurts); !slices.Equal(got, []string{at(1)}) {
			t.Errorf("who has it heard of %q", got)
		}
		if got := c.joins("anything"); !slices.Equal(got, []string{at(1)}) {
			t.Errorf("who comes later heard of %q", got)
		}
		h.online(at(1), hurts, "anything")
		h.pass(3 * seedTime)
		if len(a.peers) != 0 || len(b.peers) != 1 || b.peers[at(1)] < 2 {
			t.Errorf("they were told of %v and %v", a.peers, b.peers)
		}
		h.stop()
	})
}
