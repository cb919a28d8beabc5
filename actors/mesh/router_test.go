package mesh

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/meshpb"
)

// from hands a router packets that came over the link of a peer.
func (k *knot) from(peer string, packets ...*meshpb.Packet) {
	k.do(&arrived{from: peer, link: k.pid("link-" + peer), packets: packets, charge: 1})
}

func (k *knot) command(to, name string) {
	k.ask(&post{ticket: 7, destination: to, command: &meshpb.Command{Name: name}})
}

// answer has a node answer the last command that it received.
func (k *knot) answer() {
	p := k.received[len(k.received)-1].packet
	ok := true
	k.do(&post{destination: p.GetSource(), response: &meshpb.Response{Ok: &ok}, to: p})
}

// TestDuplicateName has a node hear of another of its name.
func TestDuplicateName(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		k := w.nodes[0]
		p := func(seq uint64) *meshpb.Packet {
			return &meshpb.Packet{Source: "n000", Destination: "*", Boot: k.o.Boot + 1, Seq: seq, Command: &meshpb.Command{}}
		}
		for seq := range uint64(3) {
			k.from("n001", p(seq+1))
		}
		if len(k.ailments) != 1 || k.ailments[0].GetReason() != "duplicate name" || k.ailments[0].GetHealthy() != "degraded" || k.ailments[0].GetOver() {
			t.Fatalf("%v", k.ailments)
		}
		w.pass(twinFor - 2*time.Second)
		k.from("n001", p(9))
		w.pass(twinFor - time.Second)
		if len(k.ailments) != 1 {
			t.Fatalf("%v", k.ailments)
		}
		w.pass(2 * time.Second)
		if len(k.ailments) != 2 || !k.ailments[1].GetOver() {
			t.Fatalf("%v", k.ailments)
		}
	})
}

// TestGone tells of nodes that were not heard, or not reachable, for a minute.
func TestGone(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		w.subscribe("x", 3)
		k := w.nodes[0]
		if got := k.router.topology.alive(k.router.out.lanes); fmt.Sprint(got) != "[n001 n002 n003]" {
			t.Fatalf("alive: %v", got)
		}
		w.cut(1, 2)
		w.greet()
		if got := k.router.topology.alive(k.router.out.lanes); fmt.Sprint(got) != "[n001]" {
			t.Errorf("alive: %v", got)
		}
		for range 5 {
			w.pass(10 * time.Second)
			w.greet()
		}
		k.do(&holds{"ghost", "y", true})
		if k.gone != nil {
			t.Errorf("gone already: %v", k.gone)
		}
		for range 2 {
			w.pass(10 * time.Second)
			w.greet()
		}
		if got := fmt.Sprint(k.gone); got != "[n002 n003]" {
			t.Errorf("gone: %s", got)
		}
		w.link(1, 2)
		w.greet()
		if got := k.router.topology.alive(k.router.out.lanes); fmt.Sprint(got) != "[n001 n002 n003]" {
			t.Errorf("alive: %v", got)
		}
		for range 6 {
			w.pass(10 * time.Second)
			w.greet()
		}
		if got := fmt.Sprint(k.gone); got != "[n002 n003 ghost]" {
			t.Errorf("gone: %s", got)
		}
		k.ask(&meshpb.NetworkRequest{})
		if got := k.network; got.GetSelf() != "n000" || len(got.GetMembers()) != 4 || got.GetMembers()[1].GetLinks()[1].GetPeer() != "n002" || got.GetMembers()[1].GetLinks()[1].GetMs() != 1 {
			t.Errorf("network: %v", got)
		}
	})
}

// TestRestart has a node come back with the same name. What it sends is new.
func TestRestart(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(line(3))
		w.subscribe("x", 0, 2)
		w.nodes[0].publish("x", "1")
		w.settle()
		w.cut(0, 1)
		time.Sleep(time.Millisecond)
		w.nodes[0].start(time.Now())
		w.nodes[0].do(&holds{"n002", "x", true})
		w.link(0, 1)
		w.nodes[0].publish("x", "2")
		w.greet()
		w.nodes[0].publish("x", "3")
		w.settle()
		if got := fmt.Sprint(w.nodes[2].delivered); got != "[x:1 x:2 x:3]" {
			t.Errorf("%s", got)
		}
		if len(w.nodes[0].ailments) > 0 {
			t.Errorf("%v", w.nodes[0].ailments)
		}
	})
}

// TestForeign has a node in the mesh that tells nothing of itself: all is
// flooded, and it gets all.
func TestForeign(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(line(3))
		k, seed := w.nodes[2], w.add("seed")
		w.wires[[2]int{2, 3}] = &wire{up: true}
		k.do(&linked{neighbor{name: "seed", side: side(k, seed), member: 4, link: k.pid("link-seed"), foreign: true}})
		seed.alive = false
		w.check = func(p *meshpb.Packet) {
			if p.GetTree() != 0 {
				t.Errorf("along a tree: %v", p)
			}
		}
		for range 2 {
			k.hello(nil)
			w.pass(strangerFor)
		}
		w.clear()
		w.nodes[0].publish("x", "a")
		w.nodes[0].command("seed", cmdNodes)
		w.nodes[0].command("*", cmdNodes)
		w.settle()
		got := w.nodes[0].posted[1].asked
		if fmt.Sprint(got) != "[n001 n002 seed]" {
			t.Errorf("asked %v", got)
		}
		if w.transmissions != 9 {
			t.Errorf("%d transmissions, want 3 each", w.transmissions)
		}
		k.from("seed", &meshpb.Packet{Source: "seed", Destination: "n000", Nonce: "u", Response: &meshpb.Response{}})
		k.from("seed", &meshpb.Packet{Source: "seed", Destination: "*", Nonce: "u", Message: &meshpb.Message{Channel: "x"}})
		w.settle()
		if len(w.nodes[0].received) != 1 || w.nodes[0].received[0].packet.GetNonce() != "u" {
			t.Errorf("received %v", w.nodes[0].received)
		}
		if !slices.ContainsFunc(w.nodes[0].heard, func(h *heard) bool { return h.node == "seed" && h.foreign }) {
			w.pass(strangerBeat * time.Second)
			if !slices.ContainsFunc(w.nodes[0].heard, func(h *heard) bool { return h.node == "seed" && h.foreign }) {
				t.Error("reservations were not told of the foreign node")
			}
		}
	})
}

// TestDelivery gives a channel what has its key, or none.
func TestDelivery(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		k := w.nodes[1]
		hash := []byte{0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		k.router.Receive(&paperContext{k: k, msg: &meshpb.Carry{Channel: "x", Hash: hash}, sender: k.pid("channel")})
		k.router.Receive(&paperContext{k: k, msg: &meshpb.Carry{Channel: "open"}, sender: k.pid("channel")})
		seq := uint64(1 << 30)
		send := func(channel, text string, key *string) {
			seq++
			k.from("n000", &meshpb.Packet{
				Source: "n000", Destination: "*", Boot: w.nodes[0].o.Boot, Seq: seq,
				Message: &meshpb.Message{Channel: channel, Payload: []byte(text), Key: key},
			})
		}
		for _, c := range []string{"x", "open", "other"} {
			send(c, "none", nil)
			send(c, "ours", proto.String("ab01020304050607"))
			send(c, "theirs", proto.String("ab01020304050608"))
			send(c, "empty", proto.String(""))
		}
		if got := strings.Join(k.delivered, " "); got != "x:none x:ours open:none open:empty" {
			t.Errorf("delivered %s", got)
		}
		var keys []string
		w.check = func(p *meshpb.Packet) {
			keys = append(keys, fmt.Sprint(p.GetMessage().Key != nil, p.GetMessage().GetKey()))
		}
		w.nodes[0].do(&holds{"n001", "x", true}) // others learn of it
		k.do(&holds{"n000", "x", true})
		k.publish("x", "a")
		k.do(&meshpb.Drop{Channel: "x"})
		k.publish("x", "b")
		if got := strings.Join(keys, " "); got != "trueab01020304050607 false" {
			t.Errorf("keys %q", got)
		}
		send("x", "late", nil)
		if len(k.delivered) != 4 {
			t.Error("delivered to a channel that is closed")
		}
	})
}

// TestAlone has a router say whether anybody else is known: linked, or gone and
// not forgotten, for then what does not reach it is counted.
func TestAlone(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		k, alone := w.nodes[0], &atomic.Bool{}
		k.o.Alone = alone
		k.do(&meshpb.Drop{Channel: "x"})
		if !alone.Load() {
			t.Error("nobody is there, and somebody is known")
		}
		w.link(0, 1)
		if alone.Load() {
			t.Error("alone, and linked")
		}
		w.settle()
		w.cut(0, 1)
		if w.settle(); alone.Load() {
			t.Error("alone, and somebody was here just now")
		}
		w.pass(5 * time.Minute)
		if !alone.Load() {
			t.Error("nobody is remembered, and somebody is known")
		}
	})
}

// TestJoined has the packets of one wake-up go in as few frames as may be, in
// order, and each peer's in its own form.
func TestJoined(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(line(3))
		w.subscribe("x", 0, 2)
		w.pass(3 * time.Second)
		w.clear()
		b := &tree.Batch{}
		for i := range 600 {
			b.Messages = append(b.Messages, &meshpb.Publish{Message: &meshpb.Message{Channel: "x", Payload: []byte(fmt.Sprint(i))}})
		}
		w.nodes[0].do(b)
		if w.frames != 3 {
			t.Errorf("%d frames, want 3 of at most %d packets", w.frames, framePackets)
		}
		w.settle()
		for i, got := range w.nodes[2].delivered {
			if got != fmt.Sprint("x:", i) {
				t.Fatalf("%s came as the %dth", got, i)
			}
		}
		if len(w.nodes[2].delivered) != 600 {
			t.Errorf("%d came", len(w.nodes[2].delivered))
		}
		w.clear()
		b.Messages = nil
		for range 10 {
			b.Messages = append(b.Messages, &meshpb.Publish{Message: &meshpb.Message{Channel: "x", Payload: make([]byte, 20<<10)}})
		}
		w.nodes[0].do(b)
		if w.frames != 4 {
			t.Errorf("%d frames, want 4 of at most %d bytes", w.frames, frameBytes)
		}
		w.nodes[0].router.out.lanes[0].pb = false
		w.clear()
		w.nodes[0].do(b)
		if w.frames != 10 {
			t.Errorf("%d JSON frames, want 10 of one packet", w.frames)
		}
	})
}

// TestOnly sends to one peer and no other.
func TestOnly(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(full(3))
		w.clear()
		w.nodes[0].ask(&post{destination: "n002", command: &meshpb.Command{Name: cmdChannels}, only: "n002"})
		w.nodes[0].ask(&post{destination: "n009", command: &meshpb.Command{Name: cmdChannels}, only: "n009"})
		if got := w.nodes[0].posted; fmt.Sprint(got[0].asked, got[1].asked) != "[n002] []" || w.transmissions != 1 {
			t.Errorf("%v %v, %d transmissions", got[0], got[1], w.transmissions)
		}
		w.nodes[0].command("n000", cmdNodes) // itself
		if got := w.nodes[0]; fmt.Sprint(got.posted[2].asked) != "[n000]" || len(got.received) != 1 || w.transmissions != 1 {
			t.Errorf("%v %v", got.posted[2], got.received)
		}
		w.nodes[0].answer()
		if got := w.nodes[0].received; len(got) != 2 || !got[1].packet.GetResponse().GetOk() {
			t.Errorf("%v", got)
		}
	})
}

// TestManyVia floods a message that has come a long way: its peers would refuse
// one with more names.
func TestManyVia(t *testing.T) {
	spin(t, 3, 1, func(w *webbing) {
		w.join(line(3))
		w.clear()
		var via []string
		for i := range viaMost {
			via = append(via, fmt.Sprint("v", i))
		}
		sent := 0
		w.check = func(p *meshpb.Packet) {
			if sent++; len(p.GetVia()) != viaMost {
				t.Errorf("%d names", len(p.GetVia()))
			}
		}
		w.nodes[1].from("n000", &meshpb.Packet{
			Source: "n000", Destination: "*", Boot: w.nodes[0].o.Boot, Seq: 99, Hops: 1, Via: via, Message: &meshpb.Message{Channel: "c"},
		})
		w.settle()
		if sent != 1 {
			t.Errorf("sent %d times", sent)
		}
	})
}

// TestCredit comes back at once, or when there is room.
func TestCredit(t *testing.T) {
	spin(t, 2, 1, func(w *webbing) {
		w.join(line(2))
		k := w.nodes[1]
		hold := false
		k.o.Hold = func() bool { return hold }
		k.settled = 0
		k.from("n000")
		if k.settled != 1 {
			t.Errorf("%d given back, want 1", k.settled)
		}
		hold = true
		k.from("n000")
		k.from("n000")
		k.do(payday{k.router.round})
		if k.settled != 1 {
			t.Errorf("%d given back, want 1", k.settled)
		}
		hold = false
		k.from("n000")
		if k.settled != 1 {
			t.Errorf("%d given back before payday", k.settled)
		}
		k.do(payday{k.router.round - 1})
		k.do(payday{k.router.round})
		if k.settled != 4 {
			t.Errorf("%d given back, want 4", k.settled)
		}
	})
}

// TestLoad weighs what waits.
func TestLoad(t *testing.T) {
	var l messages.Load = &arrived{packets: []*meshpb.Packet{
		{Message: &meshpb.Message{Payload: make([]byte, 1000)}},
		{Command: &meshpb.Command{Records: make([]*meshpb.Record, 10)}, Json: make([]byte, 500)},
	}}
	if got, want := l.Bytes(), 3*arrivedBytes+1000+10*arrivedEntry+500; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
