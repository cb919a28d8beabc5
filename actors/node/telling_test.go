package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/messages/uipb"
	"parley/testkit"
)

func goneOf(i int) *enclavepb.Event {
	return &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: fmt.Sprint(i)}}}
}

func receivedOf(i int) *enclavepb.Event {
	return &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: fmt.Sprint(i)}}}
}

// tell has events happen, a burst after the other.
func (c *crowd) tell(all ...*enclavepb.Event) {
	for burst := range slices.Chunk(all, tellingMost) {
		c.sys.Root.Send(c.people, &enclavepb.Events{Events: burst})
	}
	c.d.Settle()
}

// confirm has broadcasts get through with what was announced, and returns what that
// was, in order: events as addresses, and what was missed.
func (c *crowd) confirm() (all []string) {
	for c.d.Settle(); len(c.announced) > 0; c.d.Settle() {
		now := c.announced
		c.announced = nil
		for _, m := range now {
			r := m.GetResponse()
			switch d := r.GetMissed(); {
			case !m.GetOptIn() || !m.GetLossy() || !m.GetPrivate():
				c.t.Errorf("everybody is told %v", m)
			case d == nil:
				all = append(all, r.GetEvent().GetGone().GetAddress()+r.GetEvent().GetReceived().GetFrom())
			case d.GetSource() != r.GetOpcode():
				c.t.Errorf("of %s those are told who want %s", d.GetSource(), r.GetOpcode())
			default:
				all = append(all, fmt.Sprint(d.GetSource(), " ", d.GetCount()))
			}
			if m.GetConfirm() {
				c.sys.Root.Send(c.people, &uipb.Announced{})
			}
		}
	}
	return all
}

// TestPeopleTellsWhatIsMissed before anything that comes behind it, and not too often:
// who is told asks again for all there is.
func TestPeopleTellsWhatIsMissed(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		const full = tellingMost + tellingWait
		var all []*enclavepb.Event
		for i := range full {
			all = append(all, receivedOf(i))
		}
		c.tell(all...)
		c.tell(goneOf(1), goneOf(2)) // two messages are lost for these
		if n := len(c.announced); n != tellingMost {
			t.Fatalf("%d are on their way", n)
		}
		got := c.confirm()
		if len(got) != full+1 || got[tellingMost-1] != "63" || got[tellingMost] != "messageReceived 2" || got[tellingMost+1] != "66" || got[full] != "2" {
			t.Fatalf("%d are told of: %.200q", len(got), got)
		}
		c.tell(all...)
		c.tell(all...)
		c.tell(goneOf(3))
		told := c.confirm()
		for _, line := range told {
			if strings.Contains(line, " ") {
				t.Errorf("told %q within a second of what was missed", line)
			}
		}
		missed := 2*full + 1 - len(told)
		c.d.Run(missedPause)
		if got = c.confirm(); missed < full || len(got) != 1 || got[0] != fmt.Sprint("messageReceived ", missed) {
			t.Errorf("told %q, %d were missed", got, missed)
		}
		c.d.Run(missedPause)
		if got = c.confirm(); len(got) != 0 {
			t.Errorf("told %q", got)
		}
		if n := tree.Of(c.sys).Dropped(tree.LossyDropped); n != int64(missed)+2 {
			t.Errorf("%d are counted", n)
		}
		c.stop()
	})
}

// TestPeopleTellsWhatIsRefused, and that over a failure of its own, too.
func TestPeopleTellsWhatIsRefused(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		c := newCrowd(t, d)
		p := &people{}
		refuse := p.refused(c.sys)
		refuse(&enclavepb.Events{Events: []*enclavepb.Event{goneOf(1), receivedOf(2), goneOf(3)}})
		refuse(actor.WrapEnvelope(goneOf(4)))
		refuse(&uipb.Announced{})
		lost := p.telling.lost.take()
		if lost["contactStatus"] != 3 || lost["messageReceived"] != 1 || len(lost) != 2 || tree.Of(c.sys).Dropped(tree.MailboxFull) != 5 {
			t.Errorf("lost %v", lost)
		}
		var all []*enclavepb.Event
		for i := range tellingMost + tellingWait + 7 {
			all = append(all, goneOf(i))
		}
		c.tell(all...)
		c.restart(c.people)
		if got := c.confirm(); len(got) != tellingMost+tellingWait+1 || got[tellingMost] != "contactStatus 7" {
			t.Errorf("%d are told of: %.200q", len(got), got)
		}
		c.stop()
	})
}
