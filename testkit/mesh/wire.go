package mesh

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

const (
	// silence is how long a link that hears nothing goes on. Source:
	// gateways/mesh/PROTOCOL.md, Links.
	silence = 15 * time.Second
	// noticed is the longest that an end needs to see that its link was cut.
	noticed = 100 * time.Millisecond
)

// parcel is one frame on its way.
type parcel struct {
	frame   []byte
	binary  bool
	message proto.Message // instead of a frame, where there is no codec
	close   *linkpb.Close // the last of a direction
}

// pack makes a parcel of what a link sends. It is nil for what has no frame.
func (s *Sim) pack(m proto.Message) *parcel {
	if s.o.Codec == nil {
		if p, ok := m.(*meshpb.Packet); ok { // a text frame carries one packet
			m = &meshpb.Frame{Packets: []*meshpb.Packet{p}}
		}
		return &parcel{message: proto.Clone(m)}
	}
	frame, err := s.o.Codec.Append(nil, m)
	if err != nil {
		s.T.Errorf("a message has no frame: %v: %v", err, m)
		return nil
	}
	return &parcel{frame: frame, binary: s.o.Codec.Binary(m)}
}

// unpack makes a message of a parcel, and says what it holds of a link's credit.
func (s *Sim) unpack(p *parcel) (proto.Message, uint32) {
	if p.message == nil {
		return s.o.Codec.Decode(p.frame, p.binary)
	}
	charge := messages.Charge(proto.Size(p.message))
	switch m := p.message.(type) {
	case *meshpb.Frame:
		m.Charge = charge
	case *linkpb.Malformed:
		m.Charge = charge
	}
	return p.message, charge
}

// plug is what an end of a wire is put into: a node's link, or a rogue.
type plug interface {
	// arrive takes a parcel.
	arrive(p *parcel)
	// hangUp ends it without a word.
	hangUp()
	// serves reports whether frames get through to somebody.
	serves() bool
}

// wire is one connection between two nodes.
type wire struct {
	sim     *Sim
	id      int
	base    time.Duration // one way
	names   [2]string     // who dialled, who accepted
	plugs   [2]plug       // nil: over
	last    [2]time.Time  // arrivals of the youngest parcel, by where it goes
	held    [2][]*parcel  // arrived while it stalled, by where they go
	dead    bool          // nothing gets through any more
	stalled int           // times it stalled, odd: it does
}

// connect makes a wire whose ends are not plugged in.
func (s *Sim) connect(from, to string) *wire {
	s.made++
	w := &wire{sim: s, id: s.made, base: s.latency(from, to), names: [2]string{from, to}}
	s.wires = append(s.wires, w)
	return w
}

func (w *wire) between() [2]string { return pair(w.names[0], w.names[1]) }

func (w *wire) serves() bool {
	return !w.dead && w.stalled%2 == 0 && w.plugs[0] != nil && w.plugs[1] != nil && w.plugs[0].serves() && w.plugs[1].serves()
}

// send puts a parcel on its way to the end called to.
func (w *wire) send(to int, p *parcel) {
	if w.dead {
		return
	}
	at := time.Now().Add(w.sim.travel(w.base))
	if at.Before(w.last[to]) {
		at = w.last[to]
	}
	w.last[to] = at
	w.sim.D.After(time.Until(at), func() { w.arrive(to, p) })
}

func (w *wire) arrive(to int, p *parcel) {
	switch {
	case w.dead || w.plugs[to] == nil:
	case w.stalled%2 == 1:
		w.held[to] = append(w.held[to], p)
	default:
		w.plugs[to].arrive(p)
	}
}

// unplug tells that an end is over. The other end hears of it by what is still
// on its way: a close frame, or, if the end said nothing, that all is over.
func (w *wire) unplug(end int, said bool) {
	w.plugs[end] = nil
	w.sim.Watch.changed("link over")
	if !said {
		w.cut()
	}
	if w.plugs[0] == nil && w.plugs[1] == nil {
		w.dead = true
	}
	if w.dead && w.plugs[0] == nil && w.plugs[1] == nil {
		w.sim.wires = slices.DeleteFunc(w.sim.wires, func(o *wire) bool { return o == w })
	}
}

// cut loses all that is on its way, and ends both ends before long.
func (w *wire) cut() {
	w.lose(noticed)
}

func (w *wire) lose(within time.Duration) {
	if w.dead {
		return
	}
	w.dead = true
	w.held = [2][]*parcel{}
	w.sim.Watch.changed("link cut")
	for i, p := range w.plugs {
		if p != nil {
			w.sim.D.After(w.sim.between(0, within), func() {
				if w.plugs[i] != nil {
					w.plugs[i].hangUp()
				}
			})
		}
	}
}

// stall holds back what arrives. If it does not resume, both ends give up.
func (w *wire) stall() {
	if w.dead || w.stalled%2 == 1 {
		return
	}
	w.stalled++
	round := w.stalled
	w.sim.D.After(silence, func() {
		if w.stalled == round {
			w.lose(time.Second)
		}
	})
}

func (w *wire) resume() {
	if w.stalled%2 == 0 {
		return
	}
	w.stalled++
	for to, held := range w.held {
		w.held[to] = nil
		for _, p := range held {
			if w.plugs[to] != nil && !w.dead {
				w.plugs[to].arrive(p)
			}
		}
	}
}
