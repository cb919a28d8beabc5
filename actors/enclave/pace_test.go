package enclave

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// statuses are what people were told of how friends are.
func (n *node) statuses() (all []*enclavepb.Presence) {
	for _, e := range n.events {
		if s := e.GetStatus(); s != nil {
			all = append(all, s.GetPresence())
		}
	}
	return all
}

// TestFlips: a friend that changes its status ten thousand times a second is told of
// few times, whatever it says, and as it is in the end.
func TestFlips(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		e := n.call("10.0.0.2:5").say(shake("x", Available))
		d.Run(time.Minute)
		n.events = nil
		rng := rand.New(rand.NewPCG(d.Seed(), 1))
		const seconds, each = 3, 500
		var last *enclavepb.Packet
		for i := range seconds * each {
			last = &enclavepb.Packet{Status: proto.Uint32(1 + rng.Uint32N(3)), Alias: proto.String(fmt.Sprint("x", i))}
			e.say(last)
			d.Run(time.Second / each)
			if i < paceMost && len(n.statuses()) != i+1 {
				t.Fatalf("%d events of %d changes", len(n.statuses()), i+1)
			}
		}
		d.Run(time.Second)
		all := n.statuses()
		most := paceMost + int((seconds+1)*time.Second/paceEvery)
		if end := all[len(all)-1]; len(all) > most || len(all) < most/2 || end.GetAlias() != last.GetAlias() || end.GetStatus() != last.GetStatus() {
			t.Errorf("%d events, the last says %v, and was to say %v", len(all), end, last)
		}
		w.stop()
	})
}

// TestComingsAndGoings: one who comes and goes all the time is no louder.
func TestComingsAndGoings(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		d.Run(time.Minute)
		n.events = nil
		for range 50 {
			n.call("10.0.0.2:5").say(shake("x", Available)).say(&enclavepb.Packet{Status: proto.Uint32(Offline)})
			d.Run(10 * time.Millisecond)
		}
		d.Run(time.Second)
		all := n.statuses()
		if len(all) > paceMost+6 || all[len(all)-1].GetStatus() != Offline {
			t.Errorf("%d events, the last says %v", len(all), all[len(all)-1])
		}
		w.stop()
	})
}
