package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// kinShake is the handshake of a node of our own.
func kinShake(instance string) *enclavepb.Packet {
	p := shake("x", Available)
	p.Id = instance
	return p
}

// ack is such a node's acknowledgement.
func ack(id string) *enclavepb.Packet {
	return &enclavepb.Packet{Ack: id, Timestamp: proto.Int64(1), Charge: 1}
}

// quiet is a node that does not dial, with a friend.
func quiet(t testing.TB, d *testkit.Driver, change func(n *node), opts ...testkit.SystemOption) (*world, *node) {
	t.Helper()
	w := newWorld(t, d, opts...)
	n := w.addWith("10.0.0.1", func(n *node) {
		n.o.Dial = nil
		if change != nil {
			change(n)
		}
	})
	n.must(add("10.0.0.2", "Bo"))
	n.told()
	return w, n
}

// TestQueued stores messages for a friend that is offline, and sends them in order.
func TestQueued(t *testing.T) {
	for _, outbox := range []bool{true, false} {
		t.Run(fmt.Sprint("outbox ", outbox), func(t *testing.T) {
			testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
				w, n := quiet(t, d, func(n *node) { n.o.Outbox = outbox })
				r := n.must(send("Bo", "a"), send("10.0.0.2", "b"), send("Bo", "c"))
				if r[0].GetMessageId() == "" || r[0].GetMessageId() == r[1].GetMessageId() || r[0].GetId() != "c-a" || r[0].GetCmd() != "send" {
					t.Errorf("answered %v", r)
				}
				n.wantTold("QUEUED 10.0.0.2 c-a", "QUEUED 10.0.0.2 c-b", "QUEUED 10.0.0.2 c-c")
				if got := n.contacts(); !slices.Equal(got, []string{`10.0.0.2 "Bo" FRIEND 0 held=3`}) || n.status().GetQueued() != 3 {
					t.Errorf("contacts are %q", got)
				}
				e := n.call("10.0.0.2:5")
				if len(e.messages()) != 0 {
					t.Error("sent before it was known to whom")
				}
				e.say(shake("x", 1))
				if got := e.messages(); !slices.Equal(got, []string{"a", "b", "c"}) {
					t.Errorf("heard %q", got)
				}
				n.wantTold(`status 10.0.0.2 "x" 1 "" held=3`, "SENT 10.0.0.2 c-a", "SENT 10.0.0.2 c-b", "SENT 10.0.0.2 c-c")
				if s := n.status(); s.GetQueued() != 0 || len(n.boxes.all["10.0.0.2"]) != 0 {
					t.Errorf("%v waits, %d in the outbox", s, len(n.boxes.all["10.0.0.2"]))
				}
				n.must(send("Bo", "d"))
				n.wantTold("SENT 10.0.0.2 c-d")
				if len(n.talk.entries) != 4 || !n.talk.entries[3].GetOwn() || n.talk.entries[3].GetDelivery() != enclavepb.Delivery_DELIVERY_QUEUED {
					t.Errorf("the chronicle has %v", n.talk.entries)
				}
				w.stop()
			})
		})
	}
}

// TestAcknowledged keeps what a node of our own has not acknowledged, and sends
// it again on the next link.
func TestAcknowledged(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Outbox = true })
		e := n.call("10.0.0.2:5").say(kinShake("peer"))
		n.told()
		ids := map[string]string{}
		for _, text := range []string{"a", "b", "c"} {
			ids[text] = n.must(send("Bo", text))[0].GetMessageId()
		}
		n.wantTold("SENT 10.0.0.2 c-a", "SENT 10.0.0.2 c-b", "SENT 10.0.0.2 c-c")
		if n.status().GetQueued() != 3 {
			t.Error("what is not acknowledged was forgotten")
		}
		e.say(ack("unknown"), ack(ids["b"]))
		n.wantTold("DELIVERED 10.0.0.2 c-a", "DELIVERED 10.0.0.2 c-b")
		if len(n.boxes.all["10.0.0.2"]) != 1 {
			t.Errorf("the outbox has %v", n.boxes.all)
		}
		e.bye()
		n.must(send("Bo", "d"))
		n.wantTold(`status 10.0.0.2 "x" 0 "" held=1`, "QUEUED 10.0.0.2 c-d")
		e = n.call("10.0.0.2:6").say(kinShake("peer"))
		if got := e.messages(); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("heard %q", got)
		}
		for _, m := range e.heard[1:] {
			if p := m.(*enclavepb.Packet); p.GetId() == "" || p.GetTimestamp() == 0 {
				t.Errorf("heard %v", p)
			}
		}
		f := n.call("10.0.0.2:7").say(kinShake("peer")) // the newest stays, and gets it all again
		if got := f.messages(); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("heard %q", got)
		}
		f.say(ack(f.heard[len(f.heard)-1].(*enclavepb.Packet).GetId()))
		got := n.told()
		if want := "DELIVERED 10.0.0.2 c-d"; len(got) == 0 || got[len(got)-1] != want {
			t.Errorf("told %q", got)
		}
		for id, steps := range n.talk.state {
			if !slices.Equal(steps, []enclavepb.Delivery{enclavepb.Delivery_DELIVERY_SENT, enclavepb.Delivery_DELIVERY_DELIVERED}) {
				t.Errorf("%s went through %v", id, steps)
			}
		}
		w.stop()
	})
}

// TestHeardOnce acknowledges what has come when the chronicle has it, and drops
// what comes again.
func TestHeardOnce(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		store := &paperStore{}
		w, n := quiet(t, d, func(n *node) { n.store, store.chron = store, &n.talk })
		message := func(id, text string) *enclavepb.Packet {
			p := words(text)
			p.Id = id
			return p
		}
		acks := func(e *end) (out []string) {
			for _, m := range e.heard {
				if id := m.(*enclavepb.Packet).GetAck(); id != "" {
					out = append(out, id)
				}
			}
			e.heard = nil
			return out
		}
		n.talk.takes = func() time.Duration { return time.Second }
		e := n.call("10.0.0.2:5").say(kinShake("peer"), message("peer-1", "a"), message("peer-2", "b"), message("peer-1", "a"))
		if got := acks(e); len(got) != 0 {
			t.Errorf("acknowledged %q too early", got)
		}
		d.Run(time.Second)
		if got := acks(e); len(got) == 0 || got[len(got)-1] != "peer-2" {
			t.Errorf("acknowledged %q", got)
		}
		n.talk.takes = nil
		e.say(message("peer-2", "b"))
		if got := acks(e); !slices.Equal(got, []string{"peer-2"}) {
			t.Errorf("acknowledged %q", got)
		}
		e.say(message("other/id", "c"), message("other/id", "c"), message("run-zz", "d"), message("run-zy", "no"), message("run-100", "e"))
		e.say(message(strings.Repeat("x", idMost+1), "f"), message(strings.Repeat("x", idMost+1), "g"))
		e.bye()
		n.kill()
		n.start()
		d.Settle()
		e = n.call("10.0.0.2:6").say(kinShake("peer"), message("peer-2", "b"), message("run-100", "e"), message("peer-3", "h"))
		if got := acks(e); len(got) == 0 || got[len(got)-1] != "peer-3" {
			t.Errorf("acknowledged %q", got)
		}
		var want []string
		for _, text := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			want = append(want, "10.0.0.2 "+text)
		}
		if !slices.Equal(n.talk.said, want) {
			t.Errorf("said %q", n.talk.said)
		}
		n.must(remove("Bo"))
		if len(n.talk.marks) != 0 {
			t.Errorf("records left: %q", n.talk.marks)
		}
		w.stop()
	})
}

// TestLinkIsBusy hands messages over together that were written while a link was
// busy. What a link has not taken when it ends goes over the next one.
func TestLinkIsBusy(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		n.told()
		e.paced = true
		n.must(send("Bo", "a"))
		rs := n.ask(send("Bo", "b"), send("Bo", "c"))
		if got := e.messages(); !slices.Equal(got, []string{"a"}) || len(rs) != 0 {
			t.Errorf("heard %q, answered %v", got, rs)
		}
		n.wantTold()
		e.take()
		if got := e.messages(); !slices.Equal(got, []string{"a", "b", "c"}) || len(n.results) != 2 {
			t.Errorf("heard %q, answered %v", got, n.results)
		}
		n.wantTold("SENT 10.0.0.2 c-a")
		n.ask(send("Bo", "d"))
		e.bye() // b and c were not taken: they may have been written, or not
		n.wantTold("QUEUED 10.0.0.2 c-b", "QUEUED 10.0.0.2 c-c", "QUEUED 10.0.0.2 c-d", `status 10.0.0.2 "x" 0 "" held=3`)
		if len(n.results) != 1 || !n.results[0].GetOk() {
			t.Errorf("answered %v", n.results)
		}
		e = n.call("10.0.0.2:6").say(shake("x", 1))
		if got := e.messages(); !slices.Equal(got, []string{"b", "c", "d"}) {
			t.Errorf("heard %q", got)
		}
		n.wantTold(`status 10.0.0.2 "x" 1 "" held=3`, "SENT 10.0.0.2 c-b", "SENT 10.0.0.2 c-c", "SENT 10.0.0.2 c-d")
		w.stop()
	})
}

// TestBatches are limited in messages and bytes.
func TestBatches(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		var want []string
		for i := range batchMost + 10 {
			want = append(want, fmt.Sprint(i))
		}
		for range 5 {
			want = append(want, strings.Repeat("x", batchBytes/2))
		}
		for _, text := range want {
			n.must(send("Bo", text))
		}
		e := n.call("10.0.0.2:5")
		e.paced = true
		e.say(shake("x", 1))
		if got := len(e.messages()); got != batchMost {
			t.Errorf("%d messages at once", got)
		}
		e.take()
		if got := len(e.messages()); got != batchMost+11 {
			t.Errorf("%d messages then", got)
		}
		e.take()
		if got := len(e.messages()); got != batchMost+13 {
			t.Errorf("%d messages in the end", got)
		}
		e.take()
		e.take()
		if got := e.messages(); !slices.Equal(got, want) {
			t.Errorf("heard %d messages", len(got))
		}
		w.stop()
	})
}

// TestSendingLimits refuses what is too much, and says so.
func TestSendingLimits(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Outbox = true })
		for text, reason := range map[string]string{
			"":                                   "write one",
			"\xff":                               "UTF-8",
			strings.Repeat("x", packetMost+1):    "too long",
			strings.Repeat("\n", packetMost/6+1): "too long",
			strings.Repeat(`"`, packetMost/2+1):  "too long",
		} {
			if got := n.refuses(send("Bo", text)); !strings.Contains(got, reason) {
				t.Errorf("%.10q: %q", text, got)
			}
		}
		for range lettersBytes / packetMost {
			n.must(send("Bo", strings.Repeat("x", packetMost)))
		}
		if got := n.refuses(send("Bo", strings.Repeat("x", packetMost))); !strings.Contains(got, "are waiting for Bo already") {
			t.Error(got)
		}
		n.must(remove("Bo"), add("10.0.0.2", "Bo"))
		if len(n.boxes.all) != 0 {
			t.Error("what waited for a contact that was removed is still there")
		}
		for range queuedMost {
			n.must(send("Bo", "x"))
		}
		if got := n.refuses(send("Bo", "x")); !strings.Contains(got, "1000 messages are waiting for Bo already") {
			t.Error(got)
		}
		n.call("10.0.0.2:5").say(kinShake("peer"))
		for range unsettledMost - queuedMost {
			n.must(send("Bo", "x"))
		}
		n.refuses(send("Bo", "x"))
		w.stop()
	})
}

// TestOutboxDecides has an outbox that is slow, or full, or fails, or does not
// tell what waits.
func TestOutboxDecides(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Outbox = true }, testkit.ExpectFailures(1))
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		n.told()
		n.boxes.takes = func() time.Duration { return time.Second }
		if got := n.ask(send("Bo", "a")); len(got) != 0 || len(e.messages()) != 0 {
			t.Error("sent or answered before it was stored")
		}
		d.Run(time.Second)
		if len(n.results) != 1 || !n.results[0].GetOk() || !slices.Equal(e.messages(), []string{"a"}) {
			t.Errorf("answered %v, heard %q", n.results, e.messages())
		}
		n.wantTold("SENT 10.0.0.2 c-a")
		n.ask(send("Bo", "b"))
		n.boxes.takes, n.boxes.refuse = nil, "disk full"
		if got := n.refuses(send("Bo", "c")); got != "the message could not be stored: disk full" {
			t.Error(got)
		}
		n.boxes.refuse = ""
		n.must(send("Bo", "d")) // behind b, which is not stored yet
		if got := e.messages(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("heard %q", got)
		}
		d.Run(time.Second)
		if got := e.messages(); !slices.Equal(got, []string{"a", "b", "d"}) {
			t.Errorf("heard %q", got)
		}
		n.boxes.fail = 1
		n.results = nil
		n.ask(send("Bo", "e"))
		d.Run(outboxPause)
		if got := e.messages(); !slices.Equal(got, []string{"a", "b", "d", "e"}) || len(n.results) != 1 {
			t.Errorf("heard %q, answered %v", got, n.results)
		}
		w.stop()
	})
}

// TestOutboxRecalled finds after a kill what waited, and sends it first.
func TestOutboxRecalled(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Outbox, n.store = true, &paperStore{} })
		a := n.must(send("Bo", "a"))[0]
		n.must(send("Bo", "b"))
		n.kill()
		n.boxes.blind = "broken"
		n.start()
		d.Settle()
		rs := n.ask(send("Bo", "c"))
		if len(rs) != 0 && rs[0].GetOk() {
			t.Errorf("answered %v", rs)
		}
		n.boxes.blind = ""
		d.Run(outboxPause)
		if len(n.results) == 0 {
			t.Error("not answered")
		}
		c := n.must(send("Bo", "d"))[0]
		if a.GetMessageId() == c.GetMessageId() {
			t.Error("an id was used twice")
		}
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		if got := e.messages(); !slices.Equal(slices.DeleteFunc(got, func(s string) bool { return s == "c" }), []string{"a", "b", "d"}) {
			t.Errorf("heard %q", got)
		}
		n.boxes.mute = true
		n.kill()
		n.start()
		d.Settle()
		for range heldSends {
			n.ask(send("Bo", "x"))
		}
		if got := n.refuses(send("Bo", "x")); got != reasonBusy {
			t.Error(got)
		}
		n.ask(remove("Bo"))
		if len(n.results) != heldSends+1 {
			t.Errorf("%d of %d were answered", len(n.results), heldSends+1)
		}
		w.stop()
	})
}

// TestNothingIsKept has no history: the chronicle hears of our own words nothing,
// of the peer's what it is to tell people.
func TestNothingIsKept(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.o.Retention = -1 })
		e := n.call("10.0.0.2:5").say(kinShake("peer"), words("hi"))
		id := n.must(send("Bo", "hello"))[0].GetMessageId()
		e.say(ack(id))
		if len(n.talk.entries) != 1 || len(n.talk.state) != 0 {
			t.Errorf("the chronicle has %v, %v", n.talk.entries, n.talk.state)
		}
		w.stop()
	})
}

// TestSlowChronicle gives a link no more credit than the chronicle keeps up with.
func TestSlowChronicle(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		n.talk.takes = func() time.Duration { return time.Second }
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		const most = unnotedMost / saidBytes
		for range 2 * most {
			e.say(words("x"))
		}
		if held := e.taken - e.given; held < most-2*settleStep || held > most+2*settleStep {
			t.Errorf("%d of credit are held", held)
		}
		d.Run(time.Second)
		if e.taken != e.given {
			t.Errorf("%d of credit are held in the end", e.taken-e.given)
		}
		w.stop()
	})
}

// TestWindow has no more on the way to a node of our own than it has to
// acknowledge; whoever says more is answered later.
func TestWindow(t *testing.T) {
	testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, nil)
		e := n.call("10.0.0.2:5").say(kinShake("peer"))
		for range windowMost {
			n.must(send("Bo", "x"))
		}
		if rs := n.ask(send("Bo", "y")); len(rs) != 0 || len(e.messages()) != windowMost {
			t.Errorf("answered %v, %d messages are on the way", rs, len(e.messages()))
		}
		e.say(ack(e.heard[1].(*enclavepb.Packet).GetId()))
		if len(n.results) != 1 || len(e.messages()) != windowMost+1 {
			t.Errorf("answered %v, %d messages are on the way", n.results, len(e.messages()))
		}
		w.stop()
	})
}
