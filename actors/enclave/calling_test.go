package enclave

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/linkpb"
	"parley/testkit"
)

// TestFriendCalls has a friend call: both sides say at once who they are.
func TestFriendCalls(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial, o.Alias = nil, "ann" })
		n.must(add("10.0.0.2", "Bo"))
		n.wantTold(`status 10.0.0.2 "" 0 "" held=0`)
		e := n.call("[::ffff:10.0.0.2]:40000")
		if len(e.heard) != 1 {
			t.Fatalf("heard %v", e.heard)
		}
		p := e.heard[0].(*enclavepb.Packet)
		if p.GetAlias() != "ann" || p.Status == nil || p.GetStatus() != Available || p.StatusMessage == nil || p.GetTimestamp() != time.Now().Unix() || p.Message != nil {
			t.Errorf("handshake is %v", p)
		}
		e.say(shake("bob", Away))
		n.wantTold(`status 10.0.0.2 "bob" 2 "" held=0`)
		e.say(&enclavepb.Packet{StatusMessage: proto.String("lunch"), Charge: 1}, &enclavepb.Packet{Timestamp: proto.Int64(1), Charge: 1})
		n.wantTold(`status 10.0.0.2 "bob" 2 "lunch" held=0`)
		e.say(&enclavepb.Packet{Message: proto.String("hi"), Status: proto.Uint32(Busy), Timestamp: proto.Int64(77), Extra: []byte(`{"x":1}`), Charge: 1}, words("you"))
		n.wantTold(`status 10.0.0.2 "bob" 3 "lunch" held=0`, `message 10.0.0.2 "hi"`, `message 10.0.0.2 "you"`)
		if got := n.talk.entries; len(got) != 2 || got[0].GetTimestamp() != 77 || got[1].GetTimestamp() != time.Now().Unix() || got[0].GetOwn() {
			t.Errorf("the chronicle has %v", got)
		}
		if s := n.status(); s.GetFriends() != 1 || s.GetOnline() != 1 || s.GetQueued() != 0 {
			t.Errorf("status is %v", s)
		}
		if e.given != e.taken {
			t.Errorf("took %d of credit, gave %d back", e.taken, e.given)
		}
		e.bye()
		n.wantTold(`status 10.0.0.2 "bob" 0 "" held=0`)
		w.stop()
	})
}

// TestIgnoredCalls closes at once and says nothing: who is ignored, who is not
// allowed, and what has no address.
func TestIgnoredCalls(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) {
			o.Dial = nil
			o.Allow = func(address string) bool { return address != "10.0.0.4" }
		})
		n.must(ignore("10.0.0.2"), add("10.0.0.3", ""), add("10.0.0.4", ""))
		n.told()
		for remote, open := range map[string]bool{
			"10.0.0.2:1": false, "10.0.0.3:1": true, "10.0.0.4:1": true, "10.0.0.5:1": true, "pipe": false, "0.0.0.0:3": false,
		} {
			e := n.call(remote)
			if e.gone == open || !open && len(e.heard) > 0 {
				t.Errorf("%s: gone %v, heard %v", remote, e.gone, e.heard)
			}
		}
		n.must(remove("10.0.0.4"))
		if e := n.call("10.0.0.4:1"); !e.gone {
			t.Error("let in who is not allowed")
		}
		friend := n.call("10.0.0.3:7").say(shake("x", Available))
		n.told()
		n.must(ignore("10.0.0.3")) // a friend no more
		n.wantTold("gone 10.0.0.3")
		if !friend.gone || !n.call("10.0.0.3:8").gone {
			t.Error("a friend that is ignored has a link")
		}
		n.wantTold()
		w.stop()
	})
}

// TestStrangerWaits holds a caller whom nobody knows until it is accepted, and
// hands over what it has said.
func TestStrangerWaits(t *testing.T) {
	testkit.Seeds(t, 10, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		e := n.call("10.0.0.2:5")
		n.wantTold()
		e.say(shake("bob", Away))
		n.wantTold(`request 10.0.0.2 "bob" 2 "" held=0`)
		for i := range strangerHeld + 3 {
			e.say(words(fmt.Sprint(i)))
		}
		e.say(&enclavepb.Packet{Alias: proto.String("rob"), Message: proto.String("17"), Charge: 1})
		n.wantTold()
		d.Run(requestPause)
		n.wantTold(`request 10.0.0.2 "rob" 2 "" held=16`)
		d.Run(time.Minute)
		n.wantTold()
		if got, want := n.contacts(), []string{`10.0.0.2 "" PENDING 2 held=16`}; !slices.Equal(got, want) {
			t.Errorf("contacts are %q, want %q", got, want)
		}
		if s := n.status(); s.GetWaiting() != 1 || s.GetFriends() != 0 {
			t.Errorf("status is %v", s)
		}
		if len(e.heard) != 0 || e.given != 0 {
			t.Errorf("a stranger has heard %v, and has %d of credit back", e.heard, e.given)
		}
		n.must(accept("10.0.0.2", "Bo"))
		got := n.told()
		var want []string
		for i := range strangerHeld {
			want = append(want, fmt.Sprintf(`message 10.0.0.2 "%d"`, i))
		}
		if got := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, "message") }); !slices.Equal(got, want) {
			t.Errorf("held messages are %q", got)
		}
		if !slices.Contains(got, `status 10.0.0.2 "rob" 2 "" held=0`) || slices.Contains(got, "gone 10.0.0.2") {
			t.Errorf("told %q", got)
		}
		if len(e.heard) != 1 || e.gone || e.given != e.taken {
			t.Errorf("heard %v, gone %v, %d of %d credit", e.heard, e.gone, e.given, e.taken)
		}
		n.must(send("Bo", "hello")) // the link is the friend's
		e.say(words("later"))
		n.wantTold("SENT 10.0.0.2 c-hello", `message 10.0.0.2 "later"`)
		if got := e.messages(); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("heard %q", got)
		}
		d.Run(waitTime)
		if e.gone || len(n.dials) != 0 {
			t.Errorf("gone %v, dialled %v", e.gone, n.dials)
		}
		if s := n.status(); s.GetWaiting() != 0 || s.GetOnline() != 1 {
			t.Errorf("status is %v", s)
		}
		e.bye()
		n.wantTold(`status 10.0.0.2 "rob" 0 "" held=0`)
		w.stop()
	})
}

// TestStrangerIsDecided ends a stranger's waiting in all other ways.
func TestStrangerIsDecided(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(d *testkit.Driver, n *node, e *end)
		known bool // people knew of it
	}{
		{"ignored", func(_ *testkit.Driver, n *node, _ *end) { n.must(ignore("10.0.0.2")) }, true},
		{"nobody decides", func(d *testkit.Driver, _ *node, e *end) {
			d.Run(waitTime - requestPause - time.Millisecond)
			if e.gone {
				panic("too early")
			}
			d.Run(time.Millisecond)
		}, true},
		{"speaks nonsense", func(_ *testkit.Driver, _ *node, e *end) {
			for range badMost {
				e.say(&linkpb.Malformed{Charge: 1})
			}
		}, true},
		{"strangers fails", func(d *testkit.Driver, n *node, _ *end) { n.fail(n.sibling(nameStrangers)); d.Settle() }, true},
		{"says nothing", func(d *testkit.Driver, _ *node, e *end) {
			d.Run(handshakeTime - requestPause - time.Millisecond)
			if e.gone {
				panic("too early")
			}
			d.Run(time.Millisecond)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
				w := newWorld(t, d)
				n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
				e := n.call("10.0.0.2:5")
				if c.known {
					e.say(shake("bob", Available), &linkpb.Malformed{Charge: 1}, words("x"))
				}
				d.Run(requestPause)
				n.told()
				c.end(d, n, e)
				if !e.gone {
					t.Error("the link is still there")
				}
				if c.known {
					n.wantTold("gone 10.0.0.2")
				}
				n.wantTold()
				if len(e.heard) != 0 || n.status().GetWaiting() != 0 {
					t.Errorf("heard %v, status %v", e.heard, n.status())
				}
				w.stop()
			})
		})
	}
}

// TestStrangersLimits holds 64 links in all, 2 of an address.
func TestStrangersLimits(t *testing.T) {
	testkit.Seeds(t, 2, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		for i := range strangersMost / strangersEach {
			for j := range strangersEach {
				if n.call(fmt.Sprintf("10.0.1.%d:%d", i, j+1)).say(shake("x", Available), words(fmt.Sprint(j))).gone {
					t.Fatalf("stranger %d was not held", i)
				}
			}
			if !n.call(fmt.Sprintf("10.0.1.%d:9", i)).gone {
				t.Fatal("a third link of an address was held")
			}
		}
		if !n.call("10.0.0.9:9").gone {
			t.Error("the 65th link was held")
		}
		if s := n.status(); s.GetWaiting() != strangersMost/strangersEach {
			t.Errorf("status is %v", s)
		}
		n.told()
		n.must(accept("10.0.1.0", "")) // with two links: the newest stays, nothing is lost
		got := slices.DeleteFunc(n.told(), func(s string) bool { return !strings.HasPrefix(s, "message") })
		slices.Sort(got)
		if !slices.Equal(got, []string{`message 10.0.1.0 "0"`, `message 10.0.1.0 "1"`}) || len(w.up(n)) != strangersMost {
			t.Errorf("told %q, %d links", got, len(w.up(n)))
		}
		d.Run(retiredPause)
		if len(w.up(n)) != strangersMost-1 {
			t.Errorf("%d links", len(w.up(n)))
		}
		if n.call("10.0.0.9:9").gone {
			t.Error("there was room again")
		}
		w.stop()
	})
}

// TestAcceptInTheMiddle has packets on their way while a stranger becomes a
// friend, and the link end then: all of it arrives, in order.
func TestAcceptInTheMiddle(t *testing.T) {
	testkit.Seeds(t, 50, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial = nil })
		e := n.call("10.0.0.2:5").say(shake("x", Available), words("0"))
		n.w.sys.Root.Send(n.sibling(nameBook), &asked{accept("10.0.0.2", ""), n.asker})
		for i := range 9 {
			n.w.sys.Root.Send(e.pid, arrive{words(fmt.Sprint(i + 1))})
		}
		n.w.sys.Root.Send(e.pid, arrive{&linkpb.Malformed{Charge: 1}})
		n.w.sys.Root.Send(e.pid, arrive{})
		d.Settle()
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprintf("10.0.0.2 %d", i))
		}
		if len(n.talk.said) == 1 { // the link ended before anybody had decided
			want = want[:1]
		}
		if len(n.talk.said) > 0 && !slices.Equal(n.talk.said, want) {
			t.Errorf("said %q", n.talk.said)
		}
		w.stop()
	})
}

// TestCallersBeforeTheBook are decided about when the address book is there.
func TestCallersBeforeTheBook(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		store := &paperStore{blind: "broken", records: map[string]string{}}
		c := &enclavepb.Contact{Address: "10.0.0.2", State: enclavepb.State_STATE_IGNORED}
		store.records[contactPrefix+"10.0.0.2"] = string(record(c).GetValue())
		n := w.addWith("10.0.0.1", func(n *node) { n.store = store })
		ignored, unknown := n.call("10.0.0.2:5"), n.call("10.0.0.3:5")
		for i := range callersMost - 2 {
			n.call(fmt.Sprintf("10.1.0.2:%d", i+1))
		}
		if e := n.call("10.0.0.4:1"); !e.gone || ignored.gone || unknown.gone {
			t.Error("one more than may wait was not refused")
		}
		store.blind = ""
		d.Run(readAgain)
		if !ignored.gone || unknown.gone || n.status().GetWaiting() != 2 {
			t.Errorf("ignored %v, unknown %v, %v", ignored.gone, unknown.gone, n.status())
		}
		w.stop()
	})
}

// TestGoodbye tells all friends that the node goes offline, within a second.
func TestGoodbye(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", nil)
		n.onDial = func(m *enclavepb.Dial) (*enclavepb.DialFailed, bool) {
			return &enclavepb.DialFailed{Ticket: m.GetTicket()}, true
		}
		n.must(add("10.0.0.2", ""), add("10.0.0.3", ""), add("10.0.0.4", ""))
		d.Run(time.Second)
		a, b := n.call("10.0.0.2:5").say(shake("a", 1)), n.call("10.0.0.3:5")
		drained := 0
		asker := w.paper("drainer", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*linkpb.Drained); ok {
				drained++
			}
		})
		w.sys.Root.RequestWithCustomSender(n.real.Friends, &linkpb.Drain{}, asker)
		d.Settle()
		for _, e := range []*end{a, b} {
			p := e.heard[len(e.heard)-1].(*enclavepb.Packet)
			if !e.gone || p.Status == nil || p.GetStatus() != Offline || p.Timestamp == nil {
				t.Errorf("gone %v, heard %v", e.gone, p)
			}
		}
		if drained != 1 {
			t.Errorf("drained %d times", drained)
		}
		if !n.call("10.0.0.2:6").gone || n.refuses(send("10.0.0.2", "x")) != reasonLeaving {
			t.Error("the node is still there")
		}
		dials := len(n.dials)
		d.Run(10 * time.Minute)
		if len(n.dials) != dials || drained != 1 {
			t.Errorf("dialled %d times after the goodbye", len(n.dials)-dials)
		}
		w.stop()
	})
}

// TestOwnPresence tells friends what has changed, and only that.
func TestOwnPresence(t *testing.T) {
	testkit.Seeds(t, 5, func(t *testing.T, d *testkit.Driver) {
		w := newWorld(t, d)
		n := w.add("10.0.0.1", func(o *Options) { o.Dial, o.Alias = nil, "ann" })
		n.must(add("10.0.0.2", ""))
		e := n.call("10.0.0.2:5").say(shake("a", 1))
		status := func(status uint32, message *string) *enclavepb.Command {
			return &enclavepb.Command{Body: &enclavepb.Command_Status{Status: &enclavepb.SetStatus{Status: status, StatusMessage: message}}}
		}
		alias := func(alias string) *enclavepb.Command {
			return &enclavepb.Command{Body: &enclavepb.Command_Alias{Alias: &enclavepb.SetAlias{Alias: alias}}}
		}
		for _, c := range []struct {
			command *enclavepb.Command
			want    string
		}{
			{status(Away, nil), "status:2"},
			{status(Away, proto.String("lunch")), `status_message:"lunch"`},
			{status(Busy, proto.String("")), `status:3 status_message:""`},
			{status(Busy, nil), ""},
			{alias("bea"), `alias:"bea"`},
		} {
			e.heard = nil
			n.must(c.command)
			got := ""
			for _, m := range e.heard {
				p := m.(*enclavepb.Packet)
				if p.GetTimestamp() != time.Now().Unix() {
					t.Errorf("%v: no timestamp", p)
				}
				p.Timestamp = nil
				got += strings.ReplaceAll(fmt.Sprint(p), "  ", " ")
			}
			if got != c.want {
				t.Errorf("%v: told %q, want %q", c.command, got, c.want)
			}
		}
		p := n.call("10.0.0.2:6").heard[0].(*enclavepb.Packet)
		if p.GetAlias() != "bea" || p.GetStatus() != Busy {
			t.Errorf("handshake is %v", p)
		}
		if own := n.must(list())[0].GetOwn(); own.GetAlias() != "bea" || own.GetStatus() != Busy {
			t.Errorf("own presence is %v", own)
		}
		n.refuses(status(0, nil))
		n.refuses(status(4, nil))
		n.refuses(status(1, proto.String(strings.Repeat("x", statusMost+1))))
		n.refuses(alias("a\nb"))
		n.refuses(alias(strings.Repeat("x", nameMost+1)))
		w.stop()
	})
}
