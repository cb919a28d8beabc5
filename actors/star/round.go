package star

import (
	"maps"
	"slices"
	"time"

	"parley/messages"
)

// How announcements are spread.
const (
	seedTime   = 10 * time.Second       // in which everybody is told of everybody
	deltaTime  = time.Minute            // the same, where it is meant for who missed something
	stepTime   = 100 * time.Millisecond // between two steps, unless there are more to be made
	stepLeast  = 5 * time.Millisecond   // between two wake-ups
	sliceBytes = 32 << 10               // of frames that a socket is sent in one step
	groupLeast = 8                      // sockets that are told in one step
	groupMost  = 64                     // the same: 1 ms of a core
	roundRate  = 512 << 20              // bytes a second, at most: a quarter of a core. Rounds of more take longer
	owedMost   = 64                     // multicasts that shards have not written, when a step is made
)

// round is the order in which everybody is told of everybody. It is used again
// until its parts have become too large or too small.
type round struct {
	slices []*slice
	groups []*group
	filled int // group that the last newcomer went to

	began time.Time // set by begin, as all that follows
	took  time.Duration
	next  int // step; a slice goes to all groups before the next one does
}

// peer is a socket that has an address.
type peer struct {
	caller
	addresses []string // that others are told of
	count     int      // of all its addresses

	slice *slice // nil: there is no round
	group *group
	at    int // place in the slice
	seat  int // place in the group's crowd
}

// slice is peers whose addresses are sent in one step.
type slice struct {
	peers  frozen[*peer]
	bytes  int              // of frames
	shared *messages.Shared // of all their addresses; nil: it must be made
}

// group is peers that are told in one step.
type group struct {
	crowd crowd
	size  int
}

// newRound cuts peers into parts of the same size.
func newRound(v *venue, peers map[string]*peer) *round {
	bytes := 0
	for _, p := range peers {
		bytes += p.bytes()
	}
	n, m := v.cuts(len(peers), bytes)
	r := &round{slices: make([]*slice, n), groups: make([]*group, m)}
	for i := range r.slices {
		r.slices[i] = &slice{}
	}
	for i := range r.groups {
		r.groups[i] = &group{crowd: newCrowd(&v.Fanout)}
	}
	for i, id := range slices.Sorted(maps.Keys(peers)) {
		r.place(v, peers[id], r.slices[i*n/len(peers)], r.groups[i*m/len(peers)])
	}
	return r
}

// cuts is how many slices and groups so many peers and bytes of frames are cut
// into. There are as many groups as time to tell them, unless they are small.
func (v *venue) cuts(peers, bytes int) (slices, groups int) {
	slices = parts(bytes, sliceBytes)
	steps := int(v.roundTime() / stepTime)
	return slices, min(max(parts(steps, slices), parts(peers, groupMost)), parts(peers, groupLeast))
}

// parts is how many parts of a size are needed, at least one.
func parts(n, size int) int { return max(1, (n+size-1)/size) }

func (p *peer) bytes() (n int) {
	for _, address := range p.addresses {
		n += len(address) + peerFrame
	}
	return n
}

// place makes a peer part of a slice and of a group.
func (r *round) place(v *venue, p *peer, s *slice, g *group) {
	p.slice, p.group = s, g
	s.peers.add(p, &p.at)
	s.bytes += p.bytes()
	s.shared = nil
	g.crowd.row(&v.Fanout, p.caller).add(p.member, &p.seat)
	g.size++
}

// admit takes in a newcomer. The slice that was sent last is the one that is sent
// again last.
func (r *round) admit(v *venue, p *peer) {
	n := len(r.slices)
	s := r.slices[(r.next/len(r.groups)+n-1)%n]
	if s.bytes > 2*sliceBytes {
		s = slices.MinFunc(r.slices, func(a, b *slice) int { return a.bytes - b.bytes })
	}
	r.filled = (r.filled + 1) % len(r.groups)
	r.place(v, p, s, r.groups[r.filled])
}

// dismiss lets a peer go.
func (r *round) dismiss(v *venue, p *peer) {
	p.slice.peers.remove(&p.at)
	p.slice.bytes -= p.bytes()
	p.slice.shared = nil
	p.group.crowd.row(&v.Fanout, p.caller).remove(&p.seat)
	p.group.size--
	p.slice, p.group = nil, nil
}

// changed notes that a peer's addresses are others now.
func (r *round) changed(p *peer, bytes int) {
	if r != nil {
		p.slice.bytes += bytes
		p.slice.shared = nil
	}
}

// weigh counts the peers, and the bytes of their frames.
func (r *round) weigh() (peers, bytes int) {
	for _, s := range r.slices {
		peers, bytes = peers+len(s.peers.items), bytes+s.bytes
	}
	return peers, bytes
}

// uneven tells whether parts have become too large, or too small.
func (r *round) uneven(v *venue) bool {
	n, m := v.cuts(r.weigh())
	off := func(now, wanted int) bool { return now > 2*wanted || wanted > 2*now }
	return off(len(r.slices), n) || off(len(r.groups), m) ||
		slices.ContainsFunc(r.slices, func(s *slice) bool { return s.bytes > 2*sliceBytes }) ||
		slices.ContainsFunc(r.groups, func(g *group) bool { return g.size > 2*groupMost })
}

// begin starts the round over.
func (r *round) begin(v *venue) {
	peers, bytes := r.weigh()
	r.began, r.next = v.Now(), 0
	r.took = max(v.roundTime(), time.Duration(float64(peers)*float64(bytes)/roundRate*float64(time.Second)))
}

// left tells whether there are steps to be made.
func (r *round) left() bool { return r.next < len(r.slices)*len(r.groups) }

// due is when the next step is to be made; the last one at the end of the round.
func (r *round) due() time.Time {
	return r.began.Add(r.took / time.Duration(len(r.slices)*len(r.groups)) * time.Duration(r.next+1))
}

// take returns the next step.
func (r *round) take() (*slice, *group) {
	s, g := r.slices[r.next/len(r.groups)], r.groups[r.next%len(r.groups)]
	r.next++
	return s, g
}

// frame is a slice as a group is told of it, and the peers that are part of both.
// Their addresses are not in the frame. nil: there are no others.
func (s *slice) frame(g *group) (frame *messages.Shared, own []*peer) {
	for _, p := range s.peers.items {
		if p.group == g && len(p.addresses) > 0 {
			own = append(own, p)
		}
	}
	if len(own) == 0 && s.shared != nil {
		return s.shared, nil
	}
	var addresses []string
	for _, p := range s.peers.items {
		if p.group != g {
			addresses = append(addresses, p.addresses...)
		}
	}
	if len(addresses) == 0 {
		return nil, own
	}
	frame = news(addresses...)
	if len(own) == 0 {
		s.shared = frame
	}
	return frame, own
}
