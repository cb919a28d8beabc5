package star

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/starpb"
	"parley/testkit"
)

// switchboard lets clients dial each other and do what they like, and says what
// they may hear.
type switchboard struct {
	*exchange
	rng    *rand.Rand
	people []*patron
	dials  []*modelDial // by ack-1
	faulty bool         // proxies may fail
}

// patron is a client with its habits.
type patron struct {
	*phone
	mood    int                      // what it does with an ss-incomming
	grants  map[string]bool          // streams that it may write
	over    map[string]bool          // streams that it has ended
	hasty   map[string]bool          // streams that it may have ended, before it was asked to write
	said    map[string][]*modelChunk // by stream
	accepts map[string]int           // said by stream
	heardIn map[string][]int         // numbers of chunks, by stream
	endings map[string]int           // heard by stream
	replies map[uint64]int           // heard by ack
	asked   map[uint64]bool          // dials by ack; true: an answer is due
	failed  map[uint64]bool          // dials that were answered with an error
	barged  map[string]bool          // streams that it has accepted without being told of them
	open    []string                 // streams that it has not accepted yet
}

// modelChunk is one that a client said.
type modelChunk struct {
	stream *starpb.Stream
	must   bool // those that come later and are heard come after it
	never  bool // nobody may hear it
}

// modelDial is one that a client asked for.
type modelDial struct {
	id       string
	from, to *patron
}

// Moods.
const (
	prompt    = iota
	lateToAck // accepts, and answers later or never
	lateToRead
	refusing
	silent
	moods
)

func newSwitchboard(t testing.TB, d *testkit.Driver, people int, faulty bool) *switchboard {
	b := &switchboard{exchange: newExchange(t, d, anyDialFailures), rng: rand.New(rand.NewPCG(d.Seed(), 1)), faulty: faulty}
	for i := range people {
		p := &patron{
			phone: b.phone(fmt.Sprint("/", i)), grants: map[string]bool{}, over: map[string]bool{}, hasty: map[string]bool{}, said: map[string][]*modelChunk{},
			accepts: map[string]int{}, heardIn: map[string][]int{}, endings: map[string]int{}, replies: map[uint64]int{}, asked: map[uint64]bool{},
			failed: map[uint64]bool{}, barged: map[string]bool{},
		}
		p.onHear = func(ctx actor.Context, m proto.Message) { b.onHear(p, ctx, m) }
		b.people = append(b.people, p)
	}
	return b
}

func (b *switchboard) somebody() *patron { return b.people[b.rng.IntN(len(b.people))] }

// onHear checks what a client hears, and does what clients do then.
func (b *switchboard) onHear(p *patron, _ actor.Context, m proto.Message) {
	switch m := m.(type) {
	case *starpb.Incoming:
		b.onIncoming(p, m)
	case *starpb.Accept:
		p.grants[m.GetId()] = true
	case *starpb.Reply:
		p.replies[m.GetAck()]++
		d := b.dials[m.GetAck()-1]
		if p.failed[m.GetAck()] = len(m.GetError()) > 0; !p.failed[m.GetAck()] {
			p.open = append(p.open, d.id+".listener")
			if p.mood == prompt {
				p.catchUp()
			}
		}
	case *starpb.End:
		p.endings[m.GetId()]++
	case *starpb.Stream:
		b.onPacket(p, m)
	}
}

func (b *switchboard) onIncoming(p *patron, m *starpb.Incoming) {
	p.open = append(p.open, m.GetDial()+".dialer")
	answer := &starpb.Answered{Ack: m.GetAck()}
	switch p.mood {
	case prompt:
		p.catchUp()
		p.say(answer)
	case lateToAck:
		p.catchUp()
		if b.rng.IntN(2) == 0 {
			p.say(answer)
		}
	case lateToRead:
		p.say(answer)
	case refusing:
		answer.Error = []byte(`"no"`)
		p.say(answer)
	}
	if b.rng.IntN(8) == 0 {
		p.say(answer)
	}
}

// onPacket checks that a packet is one that was said, in this stream and behind
// the last, and that none is missing between them.
func (b *switchboard) onPacket(p *patron, m *starpb.Stream) {
	id := m.GetId()
	if p.accepts[id] == 0 {
		b.t.Errorf("%s hears a packet of %s, and has not accepted it", p.name, id)
	}
	if p.endings[id] > 0 && p.accepts[id] == 1 {
		b.t.Errorf("%s hears a packet of %s after its end", p.name, id)
	}
	writer := b.writer(id)
	var n int
	if _, err := fmt.Sscanf(string(bytes.TrimRight(m.GetPacket(), ".")), "%d", &n); err != nil || writer == nil || n >= len(writer.said[id]) {
		b.t.Fatalf("%s hears %q in %s", p.name, m.GetPacket(), id)
	}
	c, last := writer.said[id][n], -1
	if got := p.heardIn[id]; len(got) > 0 {
		last = got[len(got)-1]
	}
	if c.stream != m || c.never || n <= last {
		b.t.Errorf("%s hears chunk %d of %s after %d; it should not: %v", p.name, n, id, last, c.never)
	}
	for i, missed := range writer.said[id][last+1 : n] {
		if missed.must {
			b.t.Errorf("%s hears chunk %d of %s, and not %d before it", p.name, n, id, last+1+i)
		}
	}
	p.heardIn[id] = append(p.heardIn[id], n)
	if m.GetKind() == starpb.Stream_KIND_ERROR {
		p.endings[id]++
	}
}

// of finds the dial of a stream.
func (b *switchboard) of(stream string) *modelDial {
	id, _, _ := flowOf(stream)
	for _, d := range b.dials {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (b *switchboard) writer(stream string) *patron {
	d := b.of(stream)
	if d == nil {
		return nil
	}
	if strings.HasSuffix(stream, ".dialer") {
		return d.from
	}
	return d.to
}

func (b *switchboard) reader(stream string) *patron {
	d := b.of(stream)
	if strings.HasSuffix(stream, ".dialer") {
		return d.to
	}
	return d.from
}

// accept reads a stream.
func (p *patron) accept(stream string) {
	if p.gone || p.absent {
		return
	}
	p.accepts[stream]++
	p.say(accepts(stream))
}

// catchUp accepts what the client was told of.
func (p *patron) catchUp() {
	for _, stream := range p.open {
		p.accept(stream)
	}
	p.open = nil
}

// sends says a packet of a stream. own: it is this client's to write.
func (b *switchboard) sends(p *patron, stream string, size int, end bool) {
	if p.gone {
		return
	}
	own := b.writer(stream) == p
	c := &modelChunk{
		must: own && p.grants[stream] && !p.over[stream] && !p.hasty[stream] && !p.absent, never: !own || p.over[stream] || p.absent,
	}
	log := p
	if !own {
		log = &patron{said: map[string][]*modelChunk{}} // nobody will find it
	}
	text := fmt.Sprint(len(log.said[stream]))
	c.stream = chunk(stream, text, size)
	if end {
		c.stream = ends(stream, text)
		if own && p.grants[stream] {
			p.over[stream] = true
		} else if own { // it may be swallowed
			p.hasty[stream] = true
		}
	}
	log.said[stream] = append(log.said[stream], c)
	p.say(c.stream)
}

// stream draws one, mostly of a dial that the client takes part in and may write.
func (b *switchboard) stream(p *patron) string {
	for range 20 {
		if len(b.dials) == 0 {
			return "x.dialer"
		}
		id := b.dials[b.rng.IntN(len(b.dials))].id + flowSuffix[b.rng.IntN(flows)]
		if p.grants[id] || b.rng.IntN(40) == 0 {
			return id
		}
	}
	return "x.listener"
}

var sizes = []int{0, 0, 100, 16 << 10, 16 << 10, 70_000, 300_000}

// acts are what may happen, each when the turn of a client comes.
var acts = map[string]func(b *switchboard, p *patron, ctx actor.Context){
	"dial": func(b *switchboard, p *patron, _ actor.Context) {
		d := &modelDial{id: fmt.Sprint("d", len(b.dials)), from: p, to: b.somebody()}
		b.dials = append(b.dials, d)
		ack := uint64(len(b.dials))
		p.asked[ack] = !p.absent
		p.say(dialMessage(p.phone, d.to.phone, d.id, ack))
	},
	"send": func(b *switchboard, p *patron, _ actor.Context) {
		b.sends(p, b.stream(p), sizes[b.rng.IntN(len(sizes))], false)
	},
	"end":    func(b *switchboard, p *patron, _ actor.Context) { b.sends(p, b.stream(p), 0, true) },
	"accept": func(b *switchboard, p *patron, _ actor.Context) { p.catchUp() },
	"intrude": func(b *switchboard, p *patron, _ actor.Context) {
		if len(b.dials) > 0 {
			stream := b.dials[b.rng.IntN(len(b.dials))].id + flowSuffix[b.rng.IntN(flows)]
			p.barged[stream] = true
			p.accept(stream)
		}
	},
	"mood": func(b *switchboard, p *patron, _ actor.Context) { p.mood = b.rng.IntN(moods) },
	"lazy": func(_ *switchboard, p *patron, _ actor.Context) { p.lazy = true },
	"take": func(b *switchboard, p *patron, ctx actor.Context) { p.lazy = b.rng.IntN(2) == 0; p.take(ctx) },
	"leave": func(_ *switchboard, p *patron, _ actor.Context) {
		if !p.absent {
			p.absent = true
			p.say(&starpb.Disconnect{})
		}
	},
	"hang up": func(b *switchboard, p *patron, ctx actor.Context) {
		p.unfair = b.rng.IntN(2) == 0
		ctx.Stop(ctx.Self())
	},
	"ack": func(b *switchboard, p *patron, _ actor.Context) { p.say(&starpb.Answered{Ack: b.rng.Uint64N(5)}) },
	"fail": func(b *switchboard, p *patron, ctx actor.Context) {
		if all := b.proxies(); len(all) > 0 {
			ctx.Send(all[b.rng.IntN(len(all))], (*gone)(nil))
		}
	},
	"break": func(_ *switchboard, p *patron, _ actor.Context) { p.brittle = true },
}

// orderly are acts of clients and their links; to those proxies fail.
var (
	orderly = []string{
		"dial", "dial", "dial", "send", "send", "send", "send", "send", "send", "end", "end", "accept", "intrude", "mood", "lazy", "take", "leave", "hang up", "ack",
	}
	disorderly = append(slices.Clone(orderly), "fail", "fail", "break", "break")
)

// act lets somebody do something, together with what is under way or after it.
func (b *switchboard) act(kind string) {
	p := b.somebody()
	if !p.gone {
		p.do(func(ctx actor.Context) { acts[kind](b, p, ctx) })
	}
	switch b.rng.IntN(10) {
	case 0, 1, 2:
		b.d.Settle()
	case 3:
		b.d.Run(time.Duration(b.rng.IntN(6000)) * time.Millisecond)
	}
}
