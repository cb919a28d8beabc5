package mesh

import (
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/actors/mesh"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
)

// Rogue is a node's peer that is no node: it presents itself, and says then what
// a test makes it say. It answers nothing.
type Rogue struct {
	Name string
	Boot uint64 // 0: it speaks nothing but the seed's keys
	// Heard are the packets that it was sent.
	Heard []*meshpb.Packet
	// Closed is why its link was ended; nil: it was not.
	Closed *linkpb.Close
	// Answer answers what it hears; nil: it does not.
	Answer func(p *meshpb.Packet) *meshpb.Packet

	sim    *Sim
	wire   *wire
	seq    uint64
	refuse bool
}

// Rogue dials a node under a name. boot 0 is a node that was written from the
// seed alone.
func (s *Sim) Rogue(n *Node, name string, boot uint64) *Rogue {
	s.T.Helper()
	r := &Rogue{Name: name, Boot: boot, sim: s}
	done := false
	n.expect(n.Mesh.Peers, &meshpb.AdmitRequest{Token: token, Name: name}, func(got any) {
		a, _ := got.(*meshpb.AdmitResponse)
		done = true
		if r.refuse = a.GetTicket() == 0; r.refuse {
			return
		}
		r.wire = s.connect(name, n.Name)
		r.wire.plugs[0] = r
		n.plugIn(r.wire, 1, mesh.Accepted, a.GetTicket())
	})
	s.Must(askMost, "admitted", func() bool { return done })
	if r.refuse {
		return r
	}
	h := &meshpb.Handshake{Name: name}
	if boot > 0 {
		h = &meshpb.Handshake{Name: name, Boot: boot, Time: uint64(time.Now().UnixMilli()), Encodings: []string{"json", "pb"}, Version: "rogue"}
	}
	r.Send(h)
	linked := func() bool {
		return r.Closed != nil || slices.ContainsFunc(n.Peers(), func(p *meshpb.Peer) bool { return p.GetName() == name })
	}
	for began := time.Now(); !linked(); s.Run(latencyMost) { // asking makes steps: it is nothing for RunUntil
		if time.Since(began) > askMost {
			s.T.Fatalf("after %v: not linked", askMost)
		}
	}
	return r
}

// Refused reports whether it was not let in.
func (r *Rogue) Refused() bool { return r.refuse }

// Send puts a message on the wire.
func (r *Rogue) Send(m proto.Message) {
	if p := r.sim.pack(m); p != nil && r.Closed == nil {
		r.wire.send(1, p)
	}
}

// Raw puts a frame on the wire, whatever it is.
func (r *Rogue) Raw(frame []byte, binary bool) {
	if r.Closed == nil {
		r.wire.send(1, &parcel{frame: frame, binary: binary})
	}
}

// Garbage puts a frame on the wire that makes no sense.
func (r *Rogue) Garbage() {
	if r.sim.o.Codec != nil {
		r.Raw([]byte("\x00garbage"), false)
	} else if r.Closed == nil {
		r.wire.send(1, &parcel{message: &linkpb.Malformed{Reason: "garbage"}})
	}
}

// Say sends a packet, with a source and a nonce of its own where it has none.
func (r *Rogue) Say(p *meshpb.Packet) *meshpb.Packet {
	r.seq++
	if p.GetSource() == "" {
		p.Source = r.Name
	}
	if p.GetSeq() == 0 && p.GetNonce() == "" {
		if p.Boot, p.Seq = r.Boot, r.seq; r.Boot == 0 {
			p.Boot, p.Seq, p.Nonce = 0, 0, "rogue"+strconv.FormatUint(r.seq, 10)
		}
	}
	r.Send(p)
	return p
}

// Command sends a command to a node, or to all.
func (r *Rogue) Command(to string, c *meshpb.Command) *meshpb.Packet {
	return r.Say(&meshpb.Packet{Destination: to, Command: c})
}

// Answers are the responses that it was sent to a packet of its own.
func (r *Rogue) Answers(to *meshpb.Packet) (all []*meshpb.Packet) {
	for _, p := range r.Heard {
		if p.GetResponse() != nil && p.GetBoot() == to.GetBoot() && p.GetSeq() == to.GetSeq() && p.GetNonce() == to.GetNonce() {
			all = append(all, p)
		}
	}
	return all
}

// HangUp ends its link.
func (r *Rogue) HangUp() {
	if r.Closed == nil {
		r.Closed = &linkpb.Close{}
		r.wire.unplug(0, false)
	}
}

// arrive implements plug.
func (r *Rogue) arrive(p *parcel) {
	if p.close != nil {
		r.Closed = p.close
		r.wire.unplug(0, true)
		return
	}
	m, _ := r.sim.unpack(p)
	f, ok := m.(*meshpb.Frame)
	if !ok {
		return
	}
	for _, p := range f.GetPackets() {
		r.Heard = append(r.Heard, p)
		if r.Answer == nil {
			continue
		}
		if a := r.Answer(p); a != nil {
			a.Destination, a.Boot, a.Seq, a.Nonce = p.GetSource(), p.GetBoot(), p.GetSeq(), p.GetNonce()
			r.Say(a)
		}
	}
}

// hangUp implements plug.
func (r *Rogue) hangUp() {
	r.Closed = &linkpb.Close{}
	r.wire.unplug(0, false)
}

// serves implements plug.
func (r *Rogue) serves() bool { return r.Closed == nil }
