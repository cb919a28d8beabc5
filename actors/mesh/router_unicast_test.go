package mesh

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

// TestUnicast goes over five hops and back, by hellos.
func TestUnicast(t *testing.T) {
	spin(t, 6, 1, func(w *webbing) {
		w.join(line(6))
		w.clear()
		near, far := w.nodes[0], w.nodes[5]
		near.command("n005", cmdNodes)
		w.settle()
		if w.transmissions != 5 || len(far.received) != 1 || far.received[0].from != "n004" {
			t.Fatalf("%d transmissions, %v", w.transmissions, far.received)
		}
		if p := far.received[0].packet; p.GetHops() != 4 || p.GetSource() != "n000" {
			t.Errorf("%v", p)
		}
		if got := near.posted[0]; got.ticket != 7 || got.boot != near.o.Boot || got.seq < drawn || fmt.Sprint(got.asked) != "[n005]" {
			t.Errorf("posted %v", got)
		}
		far.answer()
		w.settle()
		if w.transmissions != 10 || len(near.received) != 1 {
			t.Fatalf("%d transmissions, %v", w.transmissions, near.received)
		}
		p := near.received[0].packet
		if p.GetBoot() != near.posted[0].boot || p.GetSeq() != near.posted[0].seq || p.GetSource() != "n005" || !p.GetResponse().GetOk() {
			t.Errorf("%v", p)
		}
		for _, k := range w.nodes[1:5] {
			if len(k.received) > 0 {
				t.Errorf("%s received %v", k.name, k.received)
			}
		}
	})
}

// TestLearnedRoute goes to a node that tells nothing of its links, the way it was heard.
func TestLearnedRoute(t *testing.T) {
	spin(t, 4, 1, func(w *webbing) {
		w.join(line(4))
		ask := func(nonce string) *meshpb.Packet {
			return &meshpb.Packet{Source: "stranger", Destination: "n000", Nonce: nonce, Command: &meshpb.Command{Name: cmdNodes}}
		}
		w.nodes[3].from("n003x", ask("1")) // over a link that is no more
		w.settle()
		w.clear()
		w.nodes[0].answer4(t, w, "1", 3)
		w.nodes[2].from("n003", ask("2"))
		w.settle()
		w.clear()
		w.nodes[0].answer4(t, w, "2", 3)
		w.pass(learnedFor + time.Second)
		w.clear()
		w.nodes[0].answer4(t, w, "3", 0) // it would be known
	})
}

// answer4 answers the stranger.
func (k *knot) answer4(t *testing.T, w *webbing, nonce string, transmissions int) {
	t.Helper()
	k.do(&post{destination: "stranger", response: &meshpb.Response{}, to: &meshpb.Packet{Source: "stranger", Nonce: nonce}})
	w.settle()
	if w.transmissions != transmissions {
		t.Errorf("nonce %s: %d transmissions, want %d", nonce, w.transmissions, transmissions)
	}
}

// TestReturnToSender has a far node die, in all ways that its neighbor may
// learn of it; and packets that have gone too far.
func TestReturnToSender(t *testing.T) {
	returned := func(t *testing.T, k *knot, by, dest string) {
		t.Helper()
		if len(k.received) != 1 {
			t.Fatalf("received %v", k.received)
		}
		p := k.received[0].packet
		want := &meshpb.Response{Ok: new(bool), Reason: reasonReturned, Destination: dest}
		if p.GetSource() != by || p.GetSeq() != k.posted[0].seq || p.GetBoot() != k.o.Boot || !proto.Equal(p.GetResponse(), want) {
			t.Errorf("received %v", p)
		}
	}
	t.Run("the link is cut, and only its end knows", func(t *testing.T) {
		spin(t, 6, 1, func(w *webbing) {
			w.join(line(6))
			w.nodes[5].alive = false
			w.cut(4, 5)
			w.clear()
			w.nodes[0].command("n005", cmdNodes)
			w.settle()
			returned(t, w.nodes[0], "n004", "n005")
		})
	})
	t.Run("it is known for long", func(t *testing.T) {
		spin(t, 6, 1, func(w *webbing) {
			w.join(line(6))
			w.nodes[5].alive = false
			w.cut(4, 5)
			w.greet()
			w.pass(3 * time.Second)
			w.clear()
			w.nodes[0].command("n005", cmdNodes) // the way it was heard
			w.settle()
			returned(t, w.nodes[0], "n004", "n005")
			w.pass(learnedFor)
			w.clear()
			w.nodes[0].command("n005", cmdNodes)
			w.settle()
			if got := w.nodes[0].posted[0]; got.asked != nil || w.transmissions > 0 {
				t.Errorf("posted %v, %d transmissions", got, w.transmissions)
			}
		})
	})
	t.Run("in a ring", func(t *testing.T) {
		spin(t, 6, 1, func(w *webbing) {
			w.join(ring(6))
			w.nodes[3].alive = false
			w.cut(2, 3)
			w.cut(3, 4)
			w.clear()
			w.nodes[0].command("n003", cmdNodes)
			w.settle()
			if len(w.nodes[0].received) != 1 || w.nodes[0].received[0].packet.GetResponse().GetReason() != reasonReturned {
				t.Errorf("received %v", w.nodes[0].received)
			}
		})
	})
	t.Run("hops are spent", func(t *testing.T) {
		spin(t, maxHops+3, 1, func(w *webbing) {
			w.join(line(maxHops + 3))
			w.clear()
			far := fmt.Sprintf("n%03d", maxHops+2)
			w.nodes[1].command(far, cmdNodes) // as many as there may be, and one more
			w.settle()
			returned(t, w.nodes[1], fmt.Sprintf("n%03d", maxHops+1), far)
			w.clear()
			w.nodes[2].command(far, cmdNodes)
			w.settle()
			if got := w.nodes[maxHops+2].received; len(got) != 1 {
				t.Errorf("%d links are too many", maxHops)
			}
			if got := w.dropped(tree.MeshHops); got == 0 {
				t.Error("not counted")
			}
		})
	})
	t.Run("it does not relay", func(t *testing.T) {
		spin(t, 3, 1, func(w *webbing) {
			w.nodes[1].o.Relay = false
			w.join(line(3))
			w.clear()
			w.nodes[1].from("n000", &meshpb.Packet{Source: "n000", Destination: "n002", Boot: w.nodes[0].o.Boot, Seq: 99, Command: &meshpb.Command{}})
			w.settle()
			if len(w.nodes[0].received) != 1 || w.nodes[0].received[0].packet.GetResponse().GetReason() != reasonReturned {
				t.Errorf("received %v", w.nodes[0].received)
			}
		})
	})
}
