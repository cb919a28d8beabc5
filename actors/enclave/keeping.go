package enclave

import (
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages/enclavepb"
)

const (
	cutMost   = 8          // links whose rest is passed over
	closeFail = 1011       // the code of links that end because nothing can be stored
	lostPause = redialMost // until a peer whose messages could not be stored is dialled
)

// keeping is what the database has of what was heard, as far as is known: more is
// heard than that, and might get lost.
type keeping struct {
	safe  []byte            // the newest mark that is stored; empty: none is
	past  map[string]uint64 // number of the last message that an earlier run of this node has stored, by run of the peer's; fixed
	told  map[string]uint64 // of those, the last one that people were told again
	epoch uint32            // how often messages were not stored
	cuts  []*actor.PID      // links that were ended then
}

// begin takes what the store has.
func (k *keeping) begin(m *enclavepb.Heard) {
	for _, s := range m.GetStreams() {
		if k.past == nil {
			k.past, k.told = map[string]uint64{}, map[string]uint64{}
		}
		k.past[s.GetName()] = s.GetLast()
	}
	if value, err := proto.Marshal(m); err == nil {
		k.safe = value
	}
}

// untold reports that a message that comes again was stored by an earlier run of
// this node, which may have ended before it could tell people. It notes that they
// are told now.
func (k *keeping) untold(id string, numbered bool) bool {
	run, n, ok := splitID(id)
	if !ok || !numbered || n > k.past[run] || n <= k.told[run] {
		return false
	}
	k.told[run] = n
	return true
}

// deaf reports that what a link says is passed over.
func (k *keeping) deaf(link *actor.PID) bool {
	return len(k.cuts) > 0 && slices.ContainsFunc(k.cuts, func(o *actor.PID) bool { return o.Equal(link) })
}

// others are the ids of the burst that are no numbers.
func (h *hearing) others() (ids []string) {
	if len(h.known) == 0 {
		return nil
	}
	for _, s := range h.told {
		if id := s.entry.GetId(); h.known[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// unhear takes back what has come and could not be stored: it comes again, when
// its sender has another link. All that was said on those that there are is passed
// over from now on, for it stands behind what is missing.
func (f *friend) unhear(ctx actor.Context) {
	h := &f.hearing
	h.keeping.epoch++
	heard := &enclavepb.Heard{}
	if err := proto.Unmarshal(h.keeping.safe, heard); err != nil {
		panic("enclave: what was heard of " + f.address + ": " + err.Error())
	}
	h.streams = heard.GetStreams()
	for _, n := range append(h.notes, note{others: h.others()}) {
		for _, id := range n.others {
			delete(h.known, id)
		}
	}
	h.notes, h.last, h.again, h.joined, h.size, h.weight, h.keeping.told = nil, "", "", 0, 0, 0, map[string]uint64{}
	h.told = slices.DeleteFunc(h.told, func(s *said) bool { return s.entry.GetId() != "" })
	for _, s := range h.told { // nobody says these again
		s.joined, s.epoch = false, h.keeping.epoch
		h.weight += s.weight()
	}
	f.weigh(h.weight - h.unnoted)
	tree.Log(ctx.ActorSystem()).Error("messages of a friend could not be stored, and are asked for again", slog.String("address", f.address))
	for len(f.lines) > 0 {
		l := f.lines[0]
		h.keeping.cuts = append(h.keeping.cuts, l.link)
		f.close(ctx, l, closeFail)
		f.parted(ctx, l)
	}
	h.keeping.cuts = h.keeping.cuts[max(0, len(h.keeping.cuts)-cutMost):]
	if f.state == working && !f.redial.wished {
		f.dialIn(ctx, lostPause)
	}
}
