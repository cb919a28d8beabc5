package enclave

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/actors/enclave"
	"parley/messages/enclavepb"
)

// dialRounds is how often two nodes dial each other at once. PARLEY_DIALS says
// another number than what suffices for a change.
func dialRounds(t *testing.T) int {
	const few = 24
	text := os.Getenv("PARLEY_DIALS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PARLEY_DIALS is %q, want a number from 1 on", text)
	}
	return n
}

// pairsMost is how many nodes dial each other beside each other.
const pairsMost = 48

// gate lets two dials through when both are there, the later one a little later.
type gate struct {
	mu    sync.Mutex
	other chan struct{} // closed when the second has come; nil: nobody waits
	rng   *rand.Rand
}

func (g *gate) pass() {
	g.mu.Lock()
	if first := g.other; first != nil {
		g.other = nil
		late := g.rng.IntN(200)
		g.mu.Unlock()
		close(first)
		for range late { // from together to one after the other
			runtime.Gosched()
		}
		return
	}
	wait := make(chan struct{})
	g.other = wait
	g.mu.Unlock()
	select {
	case <-wait:
	case <-time.After(Patience): // the test is over, or has failed
	}
}

// TestSimultaneousDials has pairs of nodes dial each other at the same moment,
// over real TCP, while both talk; then the connection that is left is reset, and
// they do it again. Each time exactly one is left, without another dial, and
// everything arrives once and in order.
func TestSimultaneousDials(t *testing.T) {
	rounds := dialRounds(t)
	pairs := min(rounds, pairsMost)
	seed := rand.Uint64()
	t.Logf("%d rounds, seed %d", rounds, seed)
	var all sync.WaitGroup
	for i := range pairs {
		p := newPair(t, i, rand.New(rand.NewPCG(seed, uint64(i))))
		all.Go(func() { p.dial((rounds + i) / pairs) })
	}
	all.Wait()
}

// pair is two nodes that are friends.
type pair struct {
	t    *testing.T
	name string
	rng  *rand.Rand
	both [2]*House
	said int // by each
}

func newPair(t *testing.T, i int, rng *rand.Rand) *pair {
	t.Helper()
	p := &pair{t: t, name: fmt.Sprint("pair ", i), rng: rng}
	g := &gate{rng: rand.New(rand.NewPCG(rng.Uint64(), 0))}
	for k := range p.both {
		o := HouseOptions{Listen: fmt.Sprintf("127.0.%d.%d:0", 12+k, 1+i), Gate: g.pass, Options: enclave.Options{Alias: p.name}}
		if i%4 == 0 { // the others keep in memory what was not acknowledged
			o.Data, o.Outbox, o.Retention = t.TempDir(), true, time.Hour
		}
		p.both[k] = NewHouse(t, o)
	}
	return p
}

func (p *pair) dial(rounds int) {
	for round := range rounds {
		if round == 0 {
			for k, h := range p.both {
				h.Must(Add(p.both[1-k].Address, "Other"))
			}
		} else {
			for _, k := range p.rng.Perm(2) { // either is the first to know
				p.both[k].Cut()
			}
		}
		p.say(5)
		Until(p.t, p.name+" dials", func() bool { return p.both[0].Dials() == round+1 && p.both[1].Dials() == round+1 })
		p.say(5)
		Until(p.t, p.name+" has had two links, and has one", func() bool { return p.is(2, 1) })
		p.say(2)
		p.heard()
	}
	for _, h := range p.both {
		if h.Dials() != rounds || !p.is(2, 1) {
			p.t.Errorf("%s: %d dials in %d rounds", p.name, h.Dials(), rounds)
		}
	}
}

// is says whether both have had so many connections since the last cut, and have
// so many.
func (p *pair) is(all, open int) bool {
	for _, h := range p.both {
		if a, o := h.Wires(); a != all || o != open {
			return false
		}
	}
	return true
}

func (p *pair) say(n int) {
	for range n {
		for _, h := range p.both {
			h.Must(Send("Other", strconv.Itoa(p.said)))
		}
		p.said++
	}
}

// heard waits until all has arrived, and is known to.
func (p *pair) heard() {
	var want []string
	for i := range p.said {
		want = append(want, strconv.Itoa(i))
	}
	for k, h := range p.both {
		Until(p.t, p.name+" hears all", func() bool { return len(said(h, p.both[1-k].IP)) >= p.said && delivered(h) >= p.said })
		if got := said(h, p.both[1-k].IP); !slices.Equal(got, want) || delivered(h) != p.said {
			p.t.Errorf("%s has heard %q, and %d were delivered", p.name, got, delivered(h))
		}
	}
}

// delivered is how many messages were acknowledged by the friend.
func delivered(h *House) (n int) {
	for _, e := range h.Events() {
		if e.GetProgress().GetDelivery() == enclavepb.Delivery_DELIVERY_DELIVERED {
			n++
		}
	}
	return n
}
