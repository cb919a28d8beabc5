package link

import (
	"parley/actors/tree"
	"parley/messages"
)

// joinMost is how many bytes of frames are joined to one chunk.
const joinMost = 256 << 10

// deliver sends a group's frames to its members: joined to one buffer that all
// of them share. A member that sent some of them gets only the others.
func (s *shard) deliver(g *group, direct bool) {
	firm, sole := s.joined(g)
	n := len(g.first.Members) + len(g.first.Lossy)
	s.kind.sent.Add(int64(n * len(g.all)))
	bytes := 0
	for _, c := range firm {
		bytes += len(c.wire)
	}
	s.kind.written.Add(int64(n * bytes))
	for _, id := range g.first.Members {
		s.toMember(g, id, sole, firm, direct)
	}
	if len(g.first.Lossy) == 0 {
		return
	}
	lossy := make([]chunk, len(firm))
	for i, c := range firm {
		c.source = g.first.Source
		lossy[i] = c
	}
	for _, id := range g.first.Lossy {
		s.toMember(g, id, sole, lossy, direct)
	}
}

// joined makes the chunks of a group. sole is the origin of all its messages, 0
// if they have several.
func (s *shard) joined(g *group) (chunks []chunk, sole uint64) {
	sole = g.first.Origin
	if len(g.all) == 1 {
		return []chunk{{wire: s.wire(g.first), frames: g.first.Frames()}}, sole
	}
	size := 0
	for _, m := range g.all {
		size += len(s.wire(m))
		if m.Origin != sole {
			sole = 0
		}
	}
	var c chunk
	for _, m := range g.all {
		w := s.wire(m)
		if len(c.wire)+len(w) > joinMost && c.frames > 0 {
			chunks, c = append(chunks, c), chunk{}
		}
		if c.wire == nil {
			c.wire = make([]byte, 0, min(size, joinMost+len(w)))
		}
		c.wire, c.frames = append(c.wire, w...), c.frames+m.Frames()
		size -= len(w)
	}
	return append(chunks, c), sole
}

func (s *shard) wire(m *messages.Multicast) []byte {
	return m.Frame.Frame(s.kind.Codec.Slot(), s.kind.shared)
}

// toMember sends chunks to one member, unless it sent some of the group.
func (s *shard) toMember(g *group, id, sole uint64, chunks []chunk, direct bool) {
	o := s.links[id]
	if o == nil {
		if s.kind.Late != 0 {
			s.kind.metrics.Drop(s.kind.Late, framesOf(chunks))
		}
		return
	}
	if sole == id {
		return
	}
	if sole == 0 && g.sentBy(id) {
		chunks = s.others(g, id, chunks[0].source)
		if len(chunks) == 0 {
			return
		}
	}
	if direct {
		s.join = o.send(s.join, chunks...)
		return
	}
	s.touch(o, chunks...)
}

func (g *group) sentBy(id uint64) bool {
	for _, m := range g.all {
		if m.Origin == id {
			return true
		}
	}
	return false
}

// others is a group's frames without those that id sent.
func (s *shard) others(g *group, id uint64, source string) (chunks []chunk) {
	for _, m := range g.all {
		if m.Origin != id {
			chunks = append(chunks, chunk{wire: s.wire(m), frames: m.Frames(), source: source})
		}
	}
	return chunks
}

// parcel is what one link gets in one write at the end of a batch.
type parcel struct {
	out    *Outbound
	chunks []chunk
}

// keepParcels is how many parcels' room a shard keeps between batches.
const keepParcels = 4096

// keepChunks is how many chunks' room a parcel keeps.
const keepChunks = 64

// touch adds chunks to a link's parcel.
func (s *shard) touch(o *Outbound, chunks ...chunk) {
	if o.place == 0 {
		if s.touched == len(s.work) {
			s.work = append(s.work, parcel{})
		}
		s.work[s.touched].out = o
		s.touched++
		o.place = s.touched
	}
	p := &s.work[o.place-1]
	p.chunks = append(p.chunks, chunks...)
}

// sendAll writes the parcels.
func (s *shard) sendAll() {
	for i := range s.work[:s.touched] {
		p := &s.work[i]
		s.join = p.out.send(s.join, p.chunks...)
		p.out.place, p.out = 0, nil
		clear(p.chunks)
		if p.chunks = p.chunks[:0]; cap(p.chunks) > keepChunks {
			p.chunks = nil
		}
	}
	s.touched = 0
	if len(s.work) > keepParcels {
		s.work = nil
	}
}

// answer collects the answer to a multicast's origin, behind what it delivered.
func (s *shard) answer(m *messages.Multicast) {
	o := s.links[m.Origin]
	if o == nil || m.Answer == nil {
		return
	}
	b, from, err := s.kind.appendWire(s.arena, m.Answer)
	if err != nil {
		return
	}
	s.arena = b
	s.touch(o, chunk{wire: b[from:], frames: 1, lent: true})
}

// evict closes a link to make room, unless it is closing anyway.
func (o *Outbound) evict() bool {
	o.mu.Lock()
	defer o.unlock()
	if o.state != outOpen {
		return false
	}
	o.closeSlow(tree.OutboundFull, reasonCeiling)
	return true
}
