package enclave

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

const (
	requestPause = time.Second // between two requests of one address, on whatever links
	goneMost     = 256         // addresses that have gone within requestPause
)

type (
	// introducing tells strangers what a caller says of itself. From stranger.
	introducing struct {
		presence *enclavepb.Presence // frozen
		held     int                 // messages
		gone     bool                // it has hung up
	}
	// letIn tells a stranger that it is a friend now. From strangers.
	letIn struct{}
	// requestDue says that people may be told again of an address.
	requestDue struct{ address string }
)

// IgnoreDeadLetterLogging marks messages that may find strangers stopped.
func (requestDue) IgnoreDeadLetterLogging() {}

// strangers keeps callers whom nobody knows, until somebody decides.
//
//	parent    node
//	receives  knock, introducing, decided, listing, requestDue
//	sends     linkpb.Close, linkpb.Accepted to links; letIn to stranger; holding to friends; told to frontends; enclavepb.Result to who asked for a list
//	stops     with the node
type strangers struct {
	o   *Options // fixed at spawn, as all of this block
	met *meet

	callers map[string]*waiter // owned, as all that follows; by address: who waits, or was told of a moment ago
	links   map[string]*held   // by id of the stranger actor
	drawn   uint64             // links so far
}

// waiter is an address that waits, or whose messages do.
type waiter struct {
	address string
	links   []*held     // oldest first; none: it has gone
	told    bool        // people know of it
	timer   *tree.Timer // until they may be told again; nil: they may
	stale   bool        // they know an older state
}

// held is one link that waits, or what has been said on it.
type held struct {
	pid    *actor.PID // stranger
	number uint64     // smaller: older
	caller *waiter
	introducing
}

func newStrangers(o *Options, met *meet) actor.Actor {
	return &strangers{o: o, met: met, callers: map[string]*waiter{}, links: map[string]*held{}}
}

func (s *strangers) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.onStarted(ctx)
	case *actor.Stopping, *actor.Restarting:
		s.onStopping()
	case *actor.Terminated:
		s.onTerminated(ctx, m)
	case *knock:
		s.onKnock(ctx, m)
	case *introducing:
		s.onIntroducing(ctx, m)
	case *decided:
		s.onDecided(ctx, m)
	case *listing:
		s.onListing(ctx, m)
	case requestDue:
		s.onRequestDue(ctx, m)
	}
}

// onStarted forgets, after a restart, whose links have ended with it.
func (s *strangers) onStarted(ctx actor.Context) {
	for _, id := range slices.Sorted(maps.Keys(s.links)) {
		s.forget(ctx, s.links[id], false)
	}
	clear(s.callers)
}

func (s *strangers) onStopping() {
	for _, w := range s.callers {
		w.timer.Stop()
		w.timer = nil
	}
}

// onKnock keeps a link, if there is room.
func (s *strangers) onKnock(ctx actor.Context, m *knock) {
	if !s.room(ctx, m.address) {
		refuse(ctx, m.link)
		return
	}
	w := s.callers[m.address]
	if w == nil {
		w = &waiter{address: m.address}
		s.callers[m.address] = w
	}
	link, friends, parent := m.link, s.met.friends, ctx.Self()
	s.drawn++
	h := &held{caller: w, number: s.drawn}
	h.pid = tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor {
		return &stranger{address: m.address, link: link, friends: friends, strangers: parent}
	}})
	w.links = append(w.links, h)
	s.links[h.pid.GetId()] = h
	s.count(ctx)
}

// room reports whether there is room for a link of an address. Who is here takes
// of who has hung up longest ago, as far as is known.
func (s *strangers) room(ctx actor.Context, address string) bool {
	w := s.callers[address]
	each := w != nil && len(w.links) >= strangersEach
	if !each && len(s.links) < strangersMost {
		return true
	}
	var oldest *held
	for _, h := range s.links {
		if h.gone && (!each || h.caller == w) && (oldest == nil || h.number < oldest.number) {
			oldest = h
		}
	}
	if oldest == nil {
		return false
	}
	ctx.Stop(oldest.pid)
	s.forget(ctx, oldest, false)
	return true
}

func (s *strangers) count(ctx actor.Context) {
	n := 0
	for _, w := range s.callers {
		if len(w.links) > 0 {
			n++
		}
	}
	ctx.Send(s.met.friends, &holding{n})
}

// onIntroducing hears what a caller says of itself.
func (s *strangers) onIntroducing(ctx actor.Context, m *introducing) {
	h := s.links[ctx.Sender().GetId()]
	if h == nil {
		return
	}
	h.introducing = *m
	w := h.caller
	if w.timer != nil {
		w.stale = true
		return
	}
	s.tell(ctx, w)
}

// tell asks people about an address, not too often.
func (s *strangers) tell(ctx actor.Context, w *waiter) {
	w.told, w.stale = true, false
	w.timer = tree.After(ctx, requestPause, requestDue{w.address})
	ctx.Send(s.met.frontends, &told{&enclavepb.Event{Body: &enclavepb.Event_Request{Request: w.contact()}}})
}

func (s *strangers) onRequestDue(ctx actor.Context, m requestDue) {
	w := s.callers[m.address]
	if w == nil || w.timer == nil {
		return
	}
	w.timer = nil
	switch {
	case len(w.links) == 0:
		delete(s.callers, w.address)
	case w.stale:
		s.tell(ctx, w)
	}
}

// contact is how people see who waits.
func (w *waiter) contact() *enclavepb.Contact {
	c := &enclavepb.Contact{Address: w.address, State: enclavepb.State_STATE_PENDING}
	for _, h := range w.links {
		if h.presence != nil && (c.Presence == nil || !h.gone) {
			c.Presence = h.presence
		}
		c.Held += uint32(h.held)
	}
	return c
}

// contacts are all who wait and people were asked about.
func (s *strangers) contacts() (all []*enclavepb.Contact) {
	for _, address := range slices.Sorted(maps.Keys(s.callers)) {
		if w := s.callers[address]; w.told {
			all = append(all, w.contact())
		}
	}
	return all
}

// onListing ends an answer to list.
func (s *strangers) onListing(ctx actor.Context, m *listing) {
	m.result.Contacts = append(m.result.Contacts, s.contacts()...)
	byName(m.result.Contacts)
	answer(ctx, m.asked, m.result)
}

// onDecided lets the links of an address in, or ends them.
func (s *strangers) onDecided(ctx actor.Context, m *decided) {
	w := s.callers[m.address]
	if w == nil {
		return
	}
	accepted := m.state == enclavepb.State_STATE_FRIEND
	for _, h := range slices.Clone(w.links) {
		if accepted {
			ctx.Send(h.pid, letIn{})
		} else {
			ctx.Stop(h.pid)
		}
		s.forget(ctx, h, accepted)
	}
}

func (s *strangers) onTerminated(ctx actor.Context, m *actor.Terminated) {
	if h := s.links[m.GetWho().GetId()]; h != nil {
		s.forget(ctx, h, false)
	}
}

// forget ends the waiting of a link. A friend is news by itself. Who goes and comes
// back at once is not told of more often than who stays.
func (s *strangers) forget(ctx actor.Context, h *held, accepted bool) {
	delete(s.links, h.pid.GetId())
	w := h.caller
	if w.links = slices.DeleteFunc(w.links, func(o *held) bool { return o == h }); len(w.links) > 0 {
		return
	}
	if accepted || w.timer == nil || len(s.callers) > goneMost {
		delete(s.callers, w.address)
		w.timer.Stop()
	}
	if w.told && !accepted {
		ctx.Send(s.met.frontends, &told{&enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: w.address}}}})
	}
	w.told, w.stale = false, false
	s.count(ctx)
}
