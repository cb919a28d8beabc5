package enclave

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

// What people are told of unknown callers, however often they call: in newsPause
// newsEach times of one address, and newsMost times of all. What is more waits, and
// gives way to what is newer.
// Source: gateways/enclave/PROTOCOL.md, Limits.
const (
	newsPause = time.Second
	newsEach  = 4
	newsMost  = 16
	newsKnown = 4 * strangersMost // addresses that wait to be told of
)

// newsDue says that it may be told again who waits.
type newsDue struct{}

// IgnoreDeadLetterLogging marks messages that may find frontends stopped.
func (newsDue) IgnoreDeadLetterLogging() {}

// news is what is told of unknown callers, who come and go as they like.
type news struct {
	callers map[string]*visitor // told of within newsPause, or to be told of
	told    int                 // within newsPause
	timer   *tree.Timer         // until newsDue; nil: callers is empty
}

// visitor is an address of which people were told, or are to be.
type visitor struct {
	known bool             // people believe that it waits
	next  *enclavepb.Event // what they are to be told; nil: nothing
	told  int              // so often they were told within newsPause
	since uint64           // order in which next came
}

func newNews() news { return news{callers: map[string]*visitor{}} }

func (n *news) start(ctx actor.Context) {
	if len(n.callers) > 0 {
		n.timer = tree.After(ctx, newsPause, newsDue{})
	}
}

func (n *news) stop() {
	n.timer.Stop()
	n.timer = nil
}

// pass reports whether an event is told now. One about an unknown caller may be
// told later, or give way to a newer one.
func (f *frontends) pass(ctx actor.Context, e *enclavepb.Event) bool {
	n := &f.news
	switch b := e.GetBody().(type) {
	case *enclavepb.Event_Status: // a friend waits for nobody
		delete(n.callers, b.Status.GetAddress())
	case *enclavepb.Event_Request:
		return f.hear(ctx, b.Request.GetAddress(), e, true)
	case *enclavepb.Event_Gone:
		return f.hear(ctx, b.Gone.GetAddress(), e, false)
	}
	return true
}

// hear reports whether it is told now that an address waits, or waits no more.
func (f *frontends) hear(ctx actor.Context, address string, e *enclavepb.Event, waits bool) bool {
	n := &f.news
	c := n.callers[address]
	switch {
	case c == nil && len(n.callers) >= newsKnown: // the list has it
		return false
	case c == nil:
		c = &visitor{known: !waits} // for long
		n.callers[address] = c
		if n.timer == nil {
			n.timer = tree.After(ctx, newsPause, newsDue{})
		}
	}
	if !waits && !c.known {
		c.next = nil
		return false
	}
	if c.told >= newsEach || n.told >= newsMost {
		if c.next == nil {
			f.drawn++
			c.since = f.drawn
		}
		c.next = e
		return false
	}
	n.note(c, waits)
	return true
}

// note notes that people are told of a caller.
func (n *news) note(c *visitor, waits bool) {
	n.told++
	c.told++
	c.known, c.next = waits, nil
}

// onNewsDue tells what has waited, the oldest first.
func (f *frontends) onNewsDue(ctx actor.Context) {
	n := &f.news
	n.timer, n.told = nil, 0
	all := slices.SortedFunc(maps.Values(n.callers), func(a, b *visitor) int { return int(a.since) - int(b.since) })
	for _, c := range all {
		c.told = 0
		if c.next != nil && n.told < newsMost {
			e := c.next
			n.note(c, e.GetRequest() != nil)
			f.tell(ctx, &toldAll{events: &enclavepb.Events{Events: []*enclavepb.Event{e}}})
		}
	}
	maps.DeleteFunc(n.callers, func(_ string, c *visitor) bool { return c.next == nil && c.told == 0 })
	n.start(ctx)
}
