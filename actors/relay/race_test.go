package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/meshpb"
	"parley/messages/relaypb"
	"parley/messages/vaultpb"
)

const (
	racers   = 24
	commands = 150 // of each
	credits  = 64  // charges a racer may hold
)

// race is a relay on the driver that nodes use, with peers on goroutines: all
// that the driver of the other tests does one at a time happens at once.
type race struct {
	t      *testing.T
	sys    *actor.ActorSystem
	shards []*actor.PID

	mu     sync.Mutex // guards what follows
	racers map[uint64]*racer
}

// racer is one peer, on goroutines of its reader, its link and its shard.
type racer struct {
	race   *race
	member uint64
	link   *actor.PID
	served chan *actor.PID

	mu      sync.Mutex
	cond    *sync.Cond
	held    int
	open    map[string]int // answers to each nonce
	last    map[string]int // number of the last message, by sender and channel
	replies int
}

func (r *race) get(member uint64) *racer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.racers[member]
}

// failHandler fails a test for each panic that is logged.
type failHandler struct {
	slog.Handler
	t *testing.T
}

func (h failHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		r.Attrs(func(a slog.Attr) bool { h.t.Errorf("%s: %v", r.Message, a); return true })
	}
	return nil
}
func (h failHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h failHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h failHandler) WithGroup(string) slog.Handler            { return h }

func (p *racer) give(charge uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held -= int(charge); p.held < 0 {
		p.race.t.Errorf("%d was given back more than it held", p.member)
	}
	p.cond.Broadcast()
}

func (p *racer) hear(m proto.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m := m.(type) {
	case *relaypb.Answer:
		p.answered(string(m.GetNonce()))
	case *relaypb.Error:
		p.answered(string(m.GetNonce()))
	case *relaypb.Message:
		var from, number int
		if _, err := fmt.Sscanf(string(m.GetMessage()), `"%d %d"`, &from, &number); err != nil || uint64(from) == p.member {
			p.race.t.Errorf("%d heard %s: %v", p.member, m.GetMessage(), err)
		}
		key := fmt.Sprint(from, " ", m.GetChannel())
		if number <= p.last[key] {
			p.race.t.Errorf("%d heard %s after %d", p.member, m.GetMessage(), p.last[key])
		}
		p.last[key] = number
	}
	p.cond.Broadcast()
}

func (p *racer) answered(nonce string) {
	p.replies++
	if n, ok := p.open[nonce]; !ok || n > 0 {
		p.race.t.Errorf("%d heard another answer to %q", p.member, nonce)
	}
	p.open[nonce]++
}

// raceLink is the link's actor.
type raceLink struct{ *racer }

func (l *raceLink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case func(actor.Context):
		m(ctx)
	case *linkpb.Accepted:
		l.served <- ctx.Sender()
	case *relaypb.Answer:
		l.hear(m)
		l.give(m.GetCharge())
	case *relaypb.Error:
		l.hear(m)
		l.give(m.GetCharge())
	case *linkpb.Close:
		l.race.t.Errorf("%d was closed: %v", l.member, m)
	}
}

// raceShard writes to racers.
type raceShard struct{ race *race }

func (s *raceShard) Receive(ctx actor.Context) {
	b, ok := ctx.Message().(*tree.Batch)
	if !ok {
		return
	}
	for _, l := range b.Messages {
		m := l.(*messages.Multicast)
		for _, ids := range [][]uint64{m.Members, m.Lossy} {
			for _, id := range ids {
				if id != m.Origin {
					s.race.get(id).hear(m.Frame.Message)
				}
			}
		}
		o := s.race.get(m.Origin)
		if m.Answer != nil {
			o.hear(m.Answer)
		}
		if m.Charge > 0 {
			o.give(m.Charge)
		}
	}
}

// run says commands as fast as its credit allows. A rude one hangs up in the
// midst of them.
func (p *racer) run(rude bool) {
	server := <-p.served
	rng := rand.New(rand.NewPCG(p.member, 0))
	for i := range commands {
		p.say(server, rng, i)
		if rude && i == commands/2 {
			break
		}
	}
	root := p.race.sys.Root
	if rude {
		root.Send(p.link, func(ctx actor.Context) { ctx.Send(server, &linkpb.Closed{}); ctx.Stop(ctx.Self()) })
		p.say(server, rng, commands)
		return
	}
	p.mu.Lock()
	for p.held > 0 || p.replies < len(p.open) {
		p.cond.Wait()
	}
	p.mu.Unlock()
	root.Send(p.link, func(ctx actor.Context) { ctx.Send(server, &linkpb.Closed{}); ctx.Stop(ctx.Self()) })
}

func (p *racer) say(server *actor.PID, rng *rand.Rand, i int) {
	name, nonce := string(rune('a'+rng.IntN(4))), fmt.Sprint(i)
	charge := uint32(1)
	var m proto.Message
	switch rng.IntN(8) {
	case 0, 1:
		password := ""
		if name == "d" {
			password = "p"
		}
		s := sub(name, password, nonce)
		s.Lossy = rng.IntN(2) == 0
		m = s
	case 2:
		m = unsub(name, nonce)
	case 3:
		m, charge = &relaypb.List{Nonce: []byte(nonce)}, messages.ChargeAll
	default:
		charge = uint32(1 + rng.IntN(3))
		m = &relaypb.Send{Channel: name, Message: fmt.Appendf(nil, `"%d %d"`, p.member, i+1), Nonce: []byte(nonce), Charge: charge}
	}
	p.mu.Lock()
	for p.held >= credits {
		p.cond.Wait()
	}
	p.held += int(charge)
	p.open[nonce] = 0
	p.mu.Unlock()
	p.race.sys.Root.RequestWithCustomSender(server, m, p.link)
}

// instantVault answers at once, and now and then that it is busy.
type instantVault struct{ n int }

func (v *instantVault) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*vaultpb.HashRequest); ok {
		v.n++
		ctx.Respond(&vaultpb.HashResponse{Busy: v.n%7 == 0, Hash: paperSum(m.GetChannel(), "p")})
	}
}

// raceMesh stands for reservations and the router of a mesh. It opens what it is
// asked for, and says what this node says as another node.
type raceMesh struct {
	t       *testing.T
	open    map[string]bool
	carried map[string]*actor.PID
}

// abroad is added to the number of a racer whose message comes back.
const abroad = 1000

func (m *raceMesh) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *meshpb.OpenRequest:
		name := msg.GetChannel()
		if m.open[name] {
			m.t.Errorf("asked for %q, which is open", name)
		}
		m.open[name] = true
		ctx.Respond(&meshpb.OpenResponse{Channel: name, Outcome: meshpb.Outcome_OUTCOME_OPEN, Hash: msg.GetHash()})
	case *meshpb.Carry:
		m.carried[msg.GetChannel()] = ctx.Sender()
	case *meshpb.Drop: // once as reservations, and once as router
		delete(m.open, msg.GetChannel())
		delete(m.carried, msg.GetChannel())
	case *tree.Batch:
		for _, l := range msg.Messages {
			p := l.(*meshpb.Publish).GetMessage()
			var from, number int
			_, _ = fmt.Sscanf(string(p.GetPayload()), `"%d %d"`, &from, &number)
			ctx.Send(m.carried[p.GetChannel()], &meshpb.Delivery{Message: &meshpb.Message{
				Channel: p.GetChannel(), Payload: fmt.Appendf(nil, `"%d %d"`, from+abroad, number),
			}})
		}
	}
}

// spawn starts the two of a raceMesh.
func (m *raceMesh) spawn(ctx actor.Context) Mesh {
	start := func(name string) *actor.PID {
		own := &raceMesh{m.t, map[string]bool{}, map[string]*actor.PID{}}
		return tree.Spawn(ctx, name, tree.Spec{Batch: true, New: func() actor.Actor { return own }})
	}
	return Mesh{Router: start("router"), Reservations: start("reservations"), Behind: func() bool { return false }}
}

func TestRace(t *testing.T)        { racing(t, nil) }
func TestRaceInAMesh(t *testing.T) { racing(t, &raceMesh{}) }

func racing(t *testing.T, m *raceMesh) {
	synctest.Test(t, func(t *testing.T) {
		pool := tree.NewPool()
		r := &race{t: t, racers: map[uint64]*racer{}}
		r.sys = tree.New(tree.Options{Driver: pool, Log: slog.New(failHandler{t: t})})
		var clients, channels *actor.PID
		top := tree.Spawn(r.sys.Root, "top", tree.Spec{New: func() actor.Actor {
			return &puppet{func(ctx actor.Context) {
				for i := range 2 {
					r.shards = append(r.shards, tree.Spawn(ctx, fmt.Sprint("shard", i), tree.Spec{Batch: true, New: func() actor.Actor { return &raceShard{r} }}))
				}
				var seam Mesh
				if m != nil {
					m.t = t
					seam = m.spawn(ctx)
				}
				channels = SpawnChannels(ctx, roomy, Fanout{Shards: r.shards, Gauges: []*tree.Gauge{{}, {}}}, seam)
				vault := tree.Spawn(ctx, "vault", tree.Spec{New: func() actor.Actor { return &instantVault{} }})
				clients = SpawnClients(ctx, roomy, channels, vault)
				stats := SpawnStats(ctx, clients, channels)
				Meet(ctx, channels, clients, stats)
			}}
		}})
		synctest.Wait()
		var all sync.WaitGroup
		for i := range uint64(racers) {
			p := &racer{race: r, member: i + 1, served: make(chan *actor.PID, 1), open: map[string]int{}, last: map[string]int{}}
			p.cond = sync.NewCond(&p.mu)
			r.mu.Lock()
			r.racers[p.member] = p
			r.mu.Unlock()
			p.link = tree.Spawn(r.sys.Root, "", tree.Spec{New: func() actor.Actor { return &raceLink{p} }})
			r.sys.Root.RequestWithCustomSender(clients, &linkpb.Opened{Member: p.member}, p.link)
			all.Go(func() { p.run(i%4 == 0) })
		}
		all.Wait()
		time.Sleep(5 * time.Second) // those who left may have a password under way
		synctest.Wait()
		for _, supervisor := range []*actor.PID{clients, channels} {
			for _, id := range below(r.sys, supervisor) {
				t.Errorf("%s is left", id)
			}
		}
		r.sys.Root.Stop(top)
		synctest.Wait()
		r.sys.Shutdown()
		pool.Close()
		time.Sleep(15 * time.Second) // the library's throttle of dead letters
	})
}
