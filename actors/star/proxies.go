package star

import (
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/starpb"
)

// findLate says that the registry has not answered in time: it failed.
type findLate struct{ dial uint64 }

// IgnoreDeadLetterLogging marks messages that may find proxies stopped.
func (findLate) IgnoreDeadLetterLogging() {}

// proxies supervises one proxy a dial, from the moment on that it is known who
// is dialled.
//
//	parent    node
//	receives  dial, found, findLate
//	sends     find to registry; for dials that lead nowhere, closed to sessions and starpb.Reply to links
//	stops     with the node
type proxies struct {
	venue *venue // fixed at spawn

	meters *meters // set by Started, as all of this block
	mold   *tree.Mold

	sought map[uint64]*sought // owned, as all that follows; outlives a restart
	drawn  uint64             // last number of a dial
}

// sought is a dial whose other side is looked up.
type sought struct {
	dial  *dial
	timer *tree.Timer
}

func newProxies(v *venue) actor.Actor {
	return &proxies{venue: v, sought: map[uint64]*sought{}}
}

func (p *proxies) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.meters = newMeters(ctx.ActorSystem(), p.venue.counts)
		p.mold = tree.NewMold(ctx.ActorSystem(), tree.Spec{Inline: true})
	case *actor.Stopping:
		p.onStopping(ctx)
	case *dial:
		p.onDial(ctx, m)
	case *found:
		p.onFound(ctx, m)
	case findLate:
		p.fail(ctx, m.dial, errTimedOut)
	case *actor.Terminated:
		p.meters.dials.Add(-1)
	}
}

// onStopping leaves no timer behind. A restart does not come by here: timers go
// on, so every dial has an end.
func (p *proxies) onStopping(ctx actor.Context) {
	for _, n := range slices.Sorted(maps.Keys(p.sought)) {
		p.fail(ctx, n, errTimedOut)
	}
}

func (p *proxies) onDial(ctx actor.Context, m *dial) {
	p.meters.dialled.Add(1)
	p.drawn++
	p.sought[p.drawn] = &sought{m, tree.After(ctx, ackTime, findLate{p.drawn})}
	ctx.Request(p.venue.registry, &find{address: m.to, dial: p.drawn})
}

func (p *proxies) onFound(ctx actor.Context, m *found) {
	s := p.sought[m.dial]
	switch {
	case s == nil: // it took too long
	case m.who == nil:
		p.fail(ctx, m.dial, errNotFound)
	default:
		s.timer.Stop()
		delete(p.sought, m.dial)
		p.meters.dials.Add(1)
		p.mold.Spawn(ctx, newProxy(p.venue, p.meters, s.dial, m.who))
	}
}

// fail ends a dial that has no proxy. The session hears of it first: its client
// may try again with the same id.
func (p *proxies) fail(ctx actor.Context, n uint64, reason string) {
	s := p.sought[n]
	if s == nil {
		return
	}
	s.timer.Stop()
	delete(p.sought, n)
	p.meters.dialFailed(reason)
	ctx.Send(s.dial.who.session, &closed{id: s.dial.id})
	s.dial.reply(ctx, quoted(reason))
}

// reply answers who dialled, if it wants to know. err is raw JSON; nil: success.
func (d *dial) reply(ctx actor.Context, err []byte) {
	if d.ack != nil {
		ctx.Send(d.who.link, &starpb.Reply{Ack: *d.ack, Error: err, Settled: true})
	}
}

// quoted is a text of this package as raw JSON. None has anything to escape.
func quoted(text string) []byte { return []byte(`"` + text + `"`) }

// refusedByPeer is the reason that dials are counted under which a client answers
// with an error of its own. All others are texts for clients.
const refusedByPeer = "refused by peer"

func (c *counts) dialFailed(reason string) {
	c.unanswered.Add(1)
	c.refusals(reason).Add(1)
}

// meters are what streams are counted with, beside counts.
type meters struct {
	*counts
	*tree.Metrics
	streams, bytes *tree.Counter
}

func newMeters(sys *actor.ActorSystem, c *counts) *meters {
	m := tree.Of(sys)
	return &meters{
		counts:  c,
		Metrics: m,
		streams: m.Counter("star_streams_total", "Streams of dials that were accepted.", "", ""),
		bytes:   m.Counter("star_stream_bytes_total", "Bytes of streams that were passed on.", "", ""),
	}
}
