package mesh

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

// What is joined to one frame at most, and how long credit is held back between
// two looks at Options.Hold.
const (
	frameBytes   = 64 << 10
	framePackets = 256
	holdPause    = 10 * time.Millisecond
)

// How many packets are allocated at once, and of how many sets of lanes the
// members are remembered.
const (
	slabPackets = 32
	castsMost   = 4096
)

// packetBytes is the weight of a packet without what it carries.
const packetBytes = 96

// lane is a link as the router writes to it.
type lane struct {
	neighbor // fixed
	at       *vertex
	since    time.Time // linked; fixed
	index    int       // in lanes
	down     bool      // it is no more

	queue []*meshpb.Packet // to be sent
	bytes int
	mark  uint64 // of what is in queue: two lanes with the same have the same
}

// outgoing joins the packets of one wake-up that go the same way.
type outgoing struct {
	ctx    actor.Context // of the message that is being handled
	fanout *[sides]Fanout
	lanes  []*lane // sorted by name
	queued bool
	seq    uint64            // of packets queued
	sent   int               // transmissions
	slab   []meshpb.Packet   // to be used
	casts  map[string][]cast // members of a set of lanes, by their indices
	set    []byte            // scratch
	same   []*lane           // scratch
	done   []bool            // scratch, by index
}

// cast is the members of one shard among some lanes. It is frozen.
type cast struct {
	shard   *actor.PID
	members []uint64
}

// packet returns an empty one.
func (o *outgoing) packet() *meshpb.Packet {
	if len(o.slab) == 0 {
		o.slab = make([]meshpb.Packet, slabPackets)
	}
	p := &o.slab[0]
	o.slab = o.slab[1:]
	return p
}

// copied is a packet one hop further. How it is passed on is not in it.
func (o *outgoing) copied(p *meshpb.Packet) *meshpb.Packet {
	c := o.packet()
	c.Source, c.Destination, c.Boot, c.Seq, c.Nonce = p.Source, p.Destination, p.Boot, p.Seq, p.Nonce
	c.Hops = p.Hops + 1
	c.Message, c.Command, c.Response, c.Json = p.Message, p.Command, p.Response, p.Json
	return c
}

// weigh is about how many bytes a packet is on the wire.
func weigh(p *meshpb.Packet) int {
	n := packetBytes + len(p.Source) + len(p.Destination) + len(p.Nonce) + len(p.Json)
	for _, v := range p.Via {
		n += len(v) + 2
	}
	switch {
	case p.Message != nil:
		n += len(p.Message.Channel) + len(p.Message.Payload) + len(p.Message.Nonce)
	case p.Command != nil:
		n += proto.Size(p.Command)
	case p.Response != nil:
		n += proto.Size(p.Response)
	}
	return n
}

// send queues a packet for some lanes. It is frozen from now on; lanes is not.
func (o *outgoing) send(p *meshpb.Packet, lanes []*lane) {
	size := weigh(p)
	for _, l := range lanes {
		if n := len(l.queue); n >= framePackets || n > 0 && l.bytes+size > frameBytes {
			o.flush()
			break
		}
	}
	o.seq++
	mark := mix(o.seq)
	for _, l := range lanes {
		l.queue = append(l.queue, p)
		l.bytes += size
		l.mark += mark
	}
	o.queued = o.queued || len(lanes) > 0
	o.sent += len(lanes)
}

// flush sends what is queued: what is the same for several lanes once a shard.
func (o *outgoing) flush() {
	if !o.queued {
		return
	}
	o.queued = false
	clear(o.done)
	for i, l := range o.lanes {
		if o.done[i] || len(l.queue) == 0 {
			continue
		}
		o.same = append(o.same[:0], l)
		for j := i + 1; j < len(o.lanes); j++ {
			if m := o.lanes[j]; !o.done[j] && m.pb == l.pb && m.mark == l.mark && slices.Equal(m.queue, l.queue) {
				o.done[j] = true
				o.same = append(o.same, m)
			}
		}
		o.cast(o.same, l.queue, l.bytes, l.pb)
	}
	for _, l := range o.lanes {
		if len(l.queue) > 0 {
			l.queue, l.bytes, l.mark = nil, 0, 0
		}
	}
	clear(o.same)
}

// cast sends packets to some lanes of one encoding: a frame for all of them, or
// one each in JSON.
func (o *outgoing) cast(lanes []*lane, packets []*meshpb.Packet, size int, pb bool) {
	casts := o.members(lanes)
	if pb {
		o.multicast(casts, &meshpb.Frame{Packets: packets}, size, len(packets))
		return
	}
	for _, p := range packets {
		o.multicast(casts, p, weigh(p), 1)
	}
}

func (o *outgoing) multicast(casts []cast, m proto.Message, size, count int) {
	shared := &messages.Shared{Message: m}
	for _, c := range casts {
		o.ctx.Send(c.shard, &messages.Multicast{Members: c.members, Frame: shared, Size: size, Count: count})
	}
}

// members sorts lanes by shard. The same lanes have the same lists: shards join
// what goes to the same members.
func (o *outgoing) members(lanes []*lane) []cast {
	o.set = o.set[:0]
	for _, l := range lanes {
		o.set = append(o.set, byte(l.index), byte(l.index>>8))
	}
	if casts, ok := o.casts[string(o.set)]; ok {
		return casts
	}
	var casts []cast
	for _, l := range lanes {
		shards := o.fanout[l.side].Shards
		pid := shards[l.member%uint64(len(shards))]
		i := slices.IndexFunc(casts, func(c cast) bool { return c.shard == pid })
		if i < 0 {
			i = len(casts)
			casts = append(casts, cast{shard: pid})
		}
		casts[i].members = append(casts[i].members, l.member)
	}
	if len(o.casts) >= castsMost {
		clear(o.casts)
	}
	o.casts[string(o.set)] = casts
	return casts
}

// add makes a new link one of the lanes. There is none of that name.
func (o *outgoing) add(l *lane) {
	i, _ := o.find(l.name)
	o.lanes = slices.Insert(o.lanes, i, l)
	o.renumber()
}

// remove takes a lane out, and returns how many packets are lost with it.
func (o *outgoing) remove(l *lane) (lost int) {
	o.lanes = slices.Delete(o.lanes, l.index, l.index+1)
	lost = l.forget()
	l.down = true
	o.renumber()
	return lost
}

// forget drops what is queued, and returns how many packets that were.
func (l *lane) forget() (lost int) {
	lost = len(l.queue)
	l.queue, l.bytes, l.mark = nil, 0, 0
	return lost
}

func (o *outgoing) find(name string) (int, bool) {
	return slices.BinarySearchFunc(o.lanes, name, func(l *lane, n string) int { return strings.Compare(l.name, n) })
}

func (o *outgoing) renumber() {
	for i, l := range o.lanes {
		l.index = i
	}
	o.casts = map[string][]cast{}
	o.done = make([]bool, len(o.lanes))
}

// debts is inbound credit that is owed to links.
type debts struct{ all []debt }

type debt struct {
	link   *actor.PID
	charge uint32
}

// add owes a link some more.
func (d *debts) add(link *actor.PID, charge uint32) {
	for i := range d.all {
		if d.all[i].link == link || d.all[i].link.Equal(link) {
			d.all[i].charge += charge
			return
		}
	}
	d.all = append(d.all, debt{link, charge})
}

// pay gives back all of it.
func (d *debts) pay(ctx actor.SenderContext) {
	for _, o := range d.all {
		ctx.Send(o.link, &linkpb.Settled{Charge: o.charge})
	}
	clear(d.all)
	d.all = d.all[:0]
}
