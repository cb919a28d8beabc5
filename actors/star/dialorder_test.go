package star

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/starpb"
	"parley/testkit"
)

// TestWrongOrders says what clients should not, or not yet. Each costs little,
// and nobody else notices.
func TestWrongOrders(t *testing.T) {
	type cast struct{ anna, bert, cora *phone }
	for _, c := range []struct {
		name string
		say  func(c cast)
		want [3][]string // that anna, bert and cora hear
	}{
		{"accept before incoming", func(c cast) {
			c.bert.say(accepts("e.dialer"))
		}, [3][]string{nil, {"end e.dialer"}, nil}},
		{"accept of one's own stream", func(c cast) {
			c.anna.say(accepts("d.dialer"))
			c.bert.say(accepts("d.listener"))
		}, [3][]string{{"end d.dialer"}, {"end d.listener"}, nil}},
		{"accept before the dial is heard of", func(c cast) {
			c.anna.say(dialMessage(c.anna, c.bert, "e", 3))
			c.anna.say(accepts("e.listener"))
			c.anna.say(chunk("e.dialer", "x", 0))
			c.anna.x.d.Settle()
			c.bert.say(accepts("e.dialer"))
			c.bert.say(&starpb.Answered{Ack: 1})
			c.bert.say(chunk("e.listener", "y", 0))
		}, [3][]string{{"accept e.dialer", "3", "e.listener y"}, {"1 incoming e /anna", "e.dialer x", "accept e.listener"}, nil}},
		{"all at once, to nobody", func(c cast) {
			c.anna.say(&starpb.Dial{From: "/anna", To: "/nobody", Dial: "e", Ack: proto.Uint64(3)})
			c.anna.say(chunk("e.dialer", "swallowed", 100_000))
			c.anna.say(ends("e.dialer", "true"))
		}, [3][]string{{`3 "Peer not found"`}, nil, nil}},
		{"accept twice", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.bert.say(accepts("d.dialer"))
			c.anna.say(chunk("d.dialer", "x", 0))
		}, [3][]string{nil, {"d.dialer x"}, nil}},
		{"queue before accept", func(c cast) {
			c.anna.say(chunk("d.dialer", "x", 0))
			c.anna.x.d.Settle()
			c.bert.say(accepts("d.dialer"))
		}, [3][]string{nil, {"d.dialer x"}, nil}},
		{"end before accept", func(c cast) {
			c.anna.say(chunk("d.dialer", "x", 0))
			c.anna.say(ends("d.dialer", "true"))
			c.anna.say(chunk("d.dialer", "y", 0))
			c.anna.x.d.Settle()
			c.bert.say(accepts("d.dialer"))
		}, [3][]string{nil, {"d.dialer x", "d.dialer true"}, nil}},
		{"queue of what is read", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.anna.say(accepts("d.listener"))
			c.anna.say(chunk("d.listener", "x", 0))
			c.bert.say(ends("d.dialer", "true"))
		}, [3][]string{}},
		{"a foreign dial", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.anna.say(accepts("d.listener"))
			c.cora.say(chunk("d.dialer", "x", 0))
			c.cora.say(ends("d.listener", "true"))
			c.cora.say(accepts("d.dialer"))
		}, [3][]string{nil, nil, {"end d.dialer"}}},
		{"error twice", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.anna.say(ends("d.dialer", `"broken"`))
			c.anna.say(ends("d.dialer", "true"))
		}, [3][]string{nil, {`d.dialer "broken"`}, nil}},
		{"queue after error", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.anna.say(ends("d.dialer", "true"))
			c.anna.say(chunk("d.dialer", "x", 0))
		}, [3][]string{nil, {"d.dialer true"}, nil}},
		{"queue after the end of all", func(c cast) {
			c.bert.say(accepts("d.dialer"))
			c.anna.say(accepts("d.listener"))
			c.anna.say(ends("d.dialer", "true"))
			c.bert.say(ends("d.listener", "true"))
			c.anna.x.d.Settle()
			c.anna.say(chunk("d.dialer", "x", 0))
			c.bert.say(ends("d.listener", "true"))
		}, [3][]string{{"d.listener true"}, {"d.dialer true"}, nil}},
		{"no stream of a dial", func(c cast) {
			c.anna.say(chunk("d", "x", 0))
			c.anna.say(accepts("d.reader"))
			c.anna.say(accepts(""))
			c.anna.say(accepts(".dialer"))
			c.anna.say(&starpb.Stream{Id: "d.dialer", Charge: 1})
		}, [3][]string{{"end .dialer"}, nil, nil}},
		{"acks that nobody waits for", func(c cast) {
			c.bert.say(&starpb.Answered{Ack: 0, Error: []byte("true")}) // was answered
			c.bert.say(&starpb.Answered{Ack: 1})
			c.anna.say(&starpb.Answered{Ack: 0})
			c.cora.say(&starpb.Answered{Ack: 1<<64 - 1})
		}, [3][]string{}},
		{"queue before the dial is answered", func(c cast) {
			c.cora.say(dialMessage(c.cora, c.bert, "e", 3))
			c.cora.x.d.Settle()
			c.bert.say(accepts("e.dialer"))
			c.bert.say(chunk("e.listener", "y", 0))
			c.cora.say(chunk("e.dialer", "x", 0))
			c.cora.x.d.Settle()
			c.bert.say(&starpb.Answered{Ack: 1})
			c.bert.x.d.Settle()
			c.cora.say(accepts("e.listener"))
			c.bert.say(chunk("e.listener", "z", 0))
		}, [3][]string{nil, {"1 incoming e /cora", "e.dialer x", "accept e.listener"}, {"accept e.dialer", "3", "e.listener y", "e.listener z"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				x := newExchange(t, d)
				all := cast{x.phone("/anna"), x.phone("/bert"), x.phone("/cora")}
				all.anna.dial(all.bert, "d")
				c.say(all)
				for i, p := range x.phones {
					p.wants(c.want[i]...)
					p.settled()
				}
				x.stop()
			})
		})
	}
}

// TestManyAcks are a million answers to nothing: none is kept, and nobody hears
// of them.
func TestManyAcks(t *testing.T) {
	const many = 1_000_000
	s := &session{venue: &venue{}, over: true}
	for range acksMost {
		s.calls.open = append(s.calls.open, ring{ack: s.calls.next, call: &call{}})
		s.calls.next++
	}
	m := &starpb.Answered{}
	allocs := testing.AllocsPerRun(many, func() {
		m.Ack = m.Ack*6364136223846793005 + 1442695040888963407 | 1<<20
		s.onAnswered(nil, m)
	})
	if allocs > 1 || len(s.calls.open) != acksMost {
		t.Errorf("%v allocations an ack, %d are open", allocs, len(s.calls.open))
	}
}
