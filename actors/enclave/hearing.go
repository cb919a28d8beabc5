package enclave

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
)

const (
	heardPrefix = "heard/" // of the store's records: address → Heard
	unnotedMost = 4 << 20  // bytes of messages on their way to the chronicle, beyond which a link is read no faster than they get there
	unnotedAll  = 64 << 20 // likewise of all friends, beyond which unnotedLeast is the limit of each
	joinedMost  = 64       // messages that are stored in one write because of the mark that they share
	joinedBytes = 64 << 10 // bytes of them, but for the last
)

// unnotedLeast is more than the largest message weighs.
const unnotedLeast = 128 << 10

// hearing is which messages of a friend have come. A node of our own numbers
// those of each run, and sends them in order, so the last number of some runs is
// enough; of ids that others make up the newest are remembered, until this node ends.
type hearing struct {
	streams []*enclavepb.Stream // heard of last is last
	ids     []string            // a ring
	at      int                 // in ids: the oldest, once there are resendMost
	known   map[string]bool     // ids
	told    []*said             // of the burst that is being handled
	last    string              // newest id in told
	joined  int                 // messages at the end of told that a mark is to come for
	size    int                 // bytes of those
	weight  int                 // of told
	note    uint64              // last one
	notes   []note              // that noted is awaited of
	unnoted int                 // weight of notes, and of told
	again   string              // a message that came again, long after it was noted

	confirmed string // the last message that was acknowledged, or should have been
	keeping   keeping
}

// note is a burst on its way to the chronicle.
type note struct {
	number uint64
	id     string // of its last message that has one
	weight int
	others []string // ids that are remembered as they are
}

// begin takes what the store has.
func (h *hearing) begin(m *enclavepb.Heard) {
	h.streams = m.GetStreams()
	h.keeping.begin(m)
}

// restartHearing expects no answers: they may have been lost. What they were to confirm
// comes again, and is confirmed then.
func (f *friend) restartHearing() {
	h := &f.hearing
	h.notes = nil
	f.weigh(h.weight - h.unnoted)
}

// weigh changes how much is on its way to the chronicle.
func (f *friend) weigh(by int) {
	f.hearing.unnoted += by
	f.met.unnoted.Add(int64(by))
}

// lagging reports that so much is on its way to the chronicle that the links are
// to be read no faster than it gets there.
func (f *friend) lagging() bool {
	n := f.hearing.unnoted
	return n > unnotedMost || n > unnotedLeast && f.met.unnoted.Load() > unnotedAll
}

// onPacket takes what came over a link. What a link has said that was closed here
// may come after that, and counts as far as it cannot come again.
func (f *friend) onPacket(ctx actor.Context, m *enclavepb.Packet) {
	l := f.lineOf(ctx.Sender())
	f.soon(ctx)
	if l == nil {
		f.numbers = f.numbers || numbers(m)
		f.hear(ctx, m, f.numbers)
		f.acked(ctx, m.GetAck())
		return
	}
	switch {
	case m.Message == nil:
		l.owes += m.GetCharge()
	case f.lagging():
		l.pledged += m.GetCharge()
	default:
		l.owes += m.GetCharge()
	}
	l.settle(ctx, settleStep)
	if l.retired {
		f.overhear(ctx, l, m)
		return
	}
	f.take(ctx, l, m)
}

// numbers reports that a packet is the handshake of who numbers its messages.
func numbers(m *enclavepb.Packet) bool { return m.Message == nil && m.GetId() != "" }

// take does what a packet says, each part of it by itself.
func (f *friend) take(ctx actor.Context, l *line, m *enclavepb.Packet) {
	l.bad = 0
	if m.GetId() != "" || m.GetAck() != "" {
		l.kin = true
	}
	if !l.greeted && !f.greet(ctx, l, m) {
		return
	}
	f.hear(ctx, m, l.peer != "")
	f.acked(ctx, m.GetAck())
	f.see(ctx, l, m)
}

// greet takes the first packet of a link; false: the link is none.
func (f *friend) greet(ctx actor.Context, l *line, m *enclavepb.Packet) bool {
	if m.Message == nil {
		l.peer = m.GetId()
	}
	if l.peer == f.instance {
		f.itself(ctx, l)
		return false
	}
	l.greeted = true
	l.late.Stop()
	l.late = nil
	f.numbers = l.peer != ""
	f.dialNoMore(ctx)
	if !l.dialled {
		f.redial.failures = 0
	}
	if f.redial.self {
		f.redial.self, f.redial.failures = false, 0
	}
	f.supersede(ctx, l)
	f.tune(ctx)
	return true
}

// see takes how the peer wants to be seen.
func (f *friend) see(ctx actor.Context, l *line, m *enclavepb.Packet) {
	if m.Status != nil && m.GetStatus() == Offline {
		f.farewell(ctx, l)
		return
	}
	if m.Status == nil && m.Alias == nil && m.StatusMessage == nil && f.presence.GetStatus() != Offline {
		return
	}
	p := proto.CloneOf(f.presence)
	switch {
	case m.Status != nil:
		p.Status = m.GetStatus()
	case p.GetStatus() == Offline: // it is here, and does not say how
		p.Status = Available
	}
	if m.Alias != nil {
		p.Alias = m.GetAlias()
	}
	if m.StatusMessage != nil {
		p.StatusMessage = m.GetStatusMessage()
	}
	f.presume(ctx, p)
}

// farewell ends all links: the peer goes offline, as it has said on one of them.
func (f *friend) farewell(ctx actor.Context, said *line) {
	f.redial.bye = true
	for len(f.lines) > 0 {
		l := f.lines[0]
		if l == said {
			f.close(ctx, l, closeNormal)
		} else {
			f.retire(ctx, l)
		}
		f.parted(ctx, l)
	}
}

// presume notes how the peer is, and tells everybody.
func (f *friend) presume(ctx actor.Context, p *enclavepb.Presence) {
	if proto.Equal(p, f.presence) {
		return
	}
	f.presence = p
	f.pace.changed(ctx, f)
}

// hear takes a message, unless it has come before. numbered says that its sender
// numbers what it says.
func (f *friend) hear(ctx actor.Context, m *enclavepb.Packet, numbered bool) {
	h := &f.hearing
	if m.Message == nil || f.state == over || h.keeping.deaf(ctx.Sender()) {
		return
	}
	id := m.GetId()
	if len(id) > idMost {
		id = ""
	}
	again := id != "" && !h.fresh(id, numbered)
	if again && !h.keeping.untold(id, numbered) {
		if len(h.notes) == 0 && h.last == "" { // else it is acknowledged with those that are on their way
			h.again = id
		}
		return
	}
	at := m.GetTimestamp()
	if m.Timestamp == nil {
		at = f.now()
	}
	u := &utterance{}
	u.entry.Message, u.entry.Timestamp, u.entry.Id = m.GetMessage(), at, id
	s := &u.said
	s.address, s.name, s.extra, s.entry = f.address, f.name(), m.GetExtra(), &u.entry
	s.again, s.epoch = again, h.keeping.epoch
	h.joined++
	h.size += len(m.GetMessage())
	h.weight += s.weight()
	f.weigh(s.weight())
	h.told = append(h.told, s)
	if id != "" {
		h.last = id
	}
	if h.joined >= joinedMost || h.size > joinedBytes {
		f.seal(s)
	} else {
		s.joined = true
	}
}

// utterance is a message that has come, in one piece of memory.
type utterance struct {
	said  said
	entry enclavepb.Entry
}

// seal has s stored with a mark of what has come up to it.
func (f *friend) seal(s *said) {
	h := &f.hearing
	s.joined = false
	if h.last != "" && len(h.streams) > 0 {
		s.mark = f.mark()
	}
	h.joined, h.size = 0, 0
}

// mark is the record of what has come so far; nil: there is no store.
func (f *friend) mark() *storepb.Record {
	if f.o.Store == nil {
		return nil
	}
	value, err := proto.Marshal(&enclavepb.Heard{Streams: f.hearing.streams})
	if err != nil {
		panic("enclave: what was heard of " + f.address + ": " + err.Error())
	}
	return &storepb.Record{Key: heardPrefix + f.address, Value: value}
}

// handOn gives a burst to the chronicle, and acknowledges what had come before.
func (f *friend) handOn(ctx actor.Context) {
	h := &f.hearing
	if n := len(h.told); n > 0 {
		s := h.told[n-1]
		if h.joined > 0 {
			f.seal(s)
		}
		h.note++
		s.note = h.note
		h.notes = append(h.notes, note{h.note, h.last, h.weight, h.others()})
		h.last, h.weight = "", 0
		if n == 1 {
			ctx.Request(f.met.chronicle, s)
		} else {
			ctx.Request(f.met.chronicle, &saidAll{slices.Clone(h.told)})
		}
		clear(h.told)
		if h.told = h.told[:0]; cap(h.told) > keepTold {
			h.told = nil
		}
	}
	if h.again != "" {
		f.acknowledge(ctx, h.again)
		h.again = ""
	}
}

// keepTold is how many messages' room is kept between bursts.
const keepTold = 128

// onNoted acknowledges what the chronicle has, and all before it.
func (f *friend) onNoted(ctx actor.Context, m *noted) {
	h := &f.hearing
	switch {
	case m.epoch != h.keeping.epoch:
		return
	case m.lost:
		f.unhear(ctx)
		return
	case m.mark != nil:
		h.keeping.safe = m.mark.GetValue()
	}
	id := ""
	for len(h.notes) > 0 && h.notes[0].number <= m.note {
		n := h.notes[0]
		h.notes = h.notes[1:]
		f.weigh(-n.weight)
		if n.id != "" {
			id = n.id
		}
	}
	if len(h.notes) == 0 {
		h.notes = nil
	}
	if id != "" {
		f.acknowledge(ctx, id)
	}
	if f.lagging() {
		return
	}
	for _, l := range f.ears() {
		if l.pledged > 0 {
			l.owes, l.pledged = l.owes+l.pledged, 0
			l.settle(ctx, 1)
		}
	}
}

// acknowledge says that a message has come, and all that were sent before it.
func (f *friend) acknowledge(ctx actor.Context, id string) {
	f.hearing.confirmed = id
	f.confirm(ctx)
}

// confirm says it again where the link that it was said on may not have brought it.
func (f *friend) confirm(ctx actor.Context) {
	if id := f.hearing.confirmed; id != "" && f.voice != nil && f.voice.kin {
		ctx.Send(f.voice.link, &enclavepb.Packet{Ack: id, Timestamp: proto.Int64(f.now())})
	}
}
