package enclave

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestQueueOfAFriend who is not there holds 1,000 messages, says clearly that it
// holds no more, and has them all, in order, after a kill.
func TestQueueOfAFriend(t *testing.T) {
	inBureau(t, 2, func(b *bureau) { b.shelf.takes = time.Millisecond }, func(b *bureau) {
		var e *Enclave
		var events []*enclavepb.Event
		var top *actor.PID
		life := func() {
			o := b.o
			o.Alias, o.Local, o.Seed = "me", "10.0.0.9", b.d.Seed()
			o.Dial = func(m *enclavepb.Dial) *enclavepb.DialFailed {
				return &enclavepb.DialFailed{Ticket: m.GetTicket(), Reason: "nobody there"}
			}
			top = tree.Spawn(b.sys.Root, "", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
				return actor.ReceiveFunc(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *actor.Started:
						e = Spawn(ctx, o)
						ctx.Request(e.Frontends, &enclavepb.Listen{})
					case *enclavepb.Event:
						events = append(events, m)
					}
				})
			}})
			b.d.Run(time.Second)
		}
		ask := func(c *enclavepb.Command) *enclavepb.Result {
			b.results = nil
			b.sys.Root.RequestWithCustomSender(e.Frontends, c, b.person)
			b.d.RunUntil(time.Minute, func() bool { return len(b.results) > 0 })
			if len(b.results) != 1 {
				t.Fatalf("%v is answered %v", c, b.results)
			}
			return b.results[0]
		}
		life()
		if r := ask(add(ada, "Ada")); !r.GetOk() {
			t.Fatal(r)
		}
		for i := range queuedMost {
			b.sys.Root.RequestWithCustomSender(e.Frontends, send("Ada", fmt.Sprint("m", i)), b.person)
		}
		b.d.Run(time.Second)
		for _, r := range b.results[1:] {
			if !r.GetOk() {
				t.Fatal(r)
			}
		}
		if r := ask(send("Ada", "one more")); r.GetOk() || !strings.Contains(r.GetReason(), "1000 messages are waiting for Ada") {
			t.Error(r)
		}
		queued := 0
		for _, e := range events {
			if e.GetProgress().GetDelivery() == enclavepb.Delivery_DELIVERY_QUEUED {
				queued++
			}
		}
		if queued != queuedMost {
			t.Errorf("people were told of %d", queued)
		}
		testkit.Ending(b.sys)
		b.sys.Root.Stop(top)
		b.d.Settle()
		life()
		if c := ask(list()).GetContacts(); len(c) != 1 || c[0].GetHeld() != queuedMost {
			t.Errorf("after the kill: %v", c)
		}
		if r := ask(send(ada, "one more")); r.GetOk() {
			t.Error(r)
		}
		h := ask(&enclavepb.Command{Body: &enclavepb.Command_History{History: &enclavepb.History{With: "Ada", Most: pageMost}}})
		if len(h.GetEntries()) != queuedMost || h.GetMore() {
			t.Fatalf("%d entries: %s", len(h.GetEntries()), h.GetReason())
		}
		for i, entry := range h.GetEntries() {
			if entry.GetMessage() != fmt.Sprint("m", i) || entry.GetDelivery() != enclavepb.Delivery_DELIVERY_QUEUED {
				t.Fatalf("entry %d is %v", i, entry)
			}
		}
		if r := ask(remove("Ada")); !r.GetOk() {
			t.Error(r)
		}
		b.d.Run(time.Second)
		for key := range b.shelf.stay {
			if strings.HasPrefix(key, outboxPrefix) {
				t.Fatalf("%q is left", key)
			}
		}
		b.sys.Root.Stop(top)
	})
}
