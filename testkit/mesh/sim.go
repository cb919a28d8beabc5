package mesh

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/testkit"
)

// Codec puts messages into frames, as a link's codec does.
type Codec interface {
	Decode(frame []byte, binary bool) (m proto.Message, charge uint32)
	Append(dst []byte, m proto.Message) ([]byte, error)
	Binary(m proto.Message) bool
}

// Options are what a Sim is made of.
type Options struct {
	Codec   Codec         // nil: messages are passed as copies
	Latency time.Duration // one way, of every link; 0: drawn for each from latencyLeast to latencyMost
	Jitter  float64       // a frame takes up to this many times longer; 0: none
	Quick   bool          // passwords are hashed at once
}

// How long a frame travels, where nothing else is said.
const (
	latencyLeast = time.Millisecond
	latencyMost  = 50 * time.Millisecond
)

// Sim is a network of nodes.
type Sim struct {
	T testing.TB
	D *testkit.Driver

	o     Options
	rng   *rand.Rand
	nodes map[string]*Node // all that ever were, the last of each name
	wires []*wire          // those that are not over, oldest first
	apart map[[2]string]Gap
	base  map[[2]string]time.Duration // one way
	made  int                         // wires so far
	asked int                         // expectations so far
	diary []string

	// Sent counts what was put on wires.
	Sent Tally
	// Ops counts what a random run did.
	Ops int
	// Watch checks what clients hear.
	Watch *Watch
}

// Tally counts packets by what they are: "message", "response", or a command's name.
type Tally map[string]int

// note counts what one frame carries.
func (t Tally) note(m proto.Message) {
	switch m := m.(type) {
	case *meshpb.Frame:
		for _, p := range m.GetPackets() {
			t.note(p)
		}
	case *meshpb.Packet:
		switch {
		case m.GetMessage() != nil:
			t["message"]++
		case m.GetCommand() != nil:
			t[m.GetCommand().GetName()]++
		default:
			t["response"]++
		}
	case *meshpb.Handshake:
		t["handshake"]++
	}
}

// Gap is what is wrong between two nodes.
type Gap int

const (
	// Open is no gap.
	Open Gap = iota
	// Cut ends links at once, and refuses new ones.
	Cut
	// Stall holds everything back. After a while both sides give up.
	Stall
)

// String implements fmt.Stringer.
func (g Gap) String() string { return [...]string{"open", "cut", "stalled"}[g] }

// New returns a network without nodes.
func New(t testing.TB, d *testkit.Driver, o Options) *Sim {
	s := &Sim{
		T: t, D: d, o: o, rng: rand.New(rand.NewPCG(d.Seed(), simStream)), nodes: map[string]*Node{},
		apart: map[[2]string]Gap{}, base: map[[2]string]time.Duration{}, Sent: Tally{},
	}
	s.Watch = newWatch(s)
	t.Cleanup(s.tell)
	return s
}

// simStream tells this package's draws from others with the same seed.
const simStream = 0x6d657368

// Rand is what a test draws from, so that a seed has one history.
func (s *Sim) Rand() *rand.Rand { return s.rng }

// Run lets time pass.
func (s *Sim) Run(span time.Duration) { s.D.Run(span) }

// RunUntil lets time pass until done holds; it reports whether it did.
func (s *Sim) RunUntil(most time.Duration, done func() bool) bool { return s.D.RunUntil(most, done) }

// Must is RunUntil that fails the test, and returns how long it took.
func (s *Sim) Must(most time.Duration, what string, done func() bool) time.Duration {
	s.T.Helper()
	start := time.Now()
	if !s.RunUntil(most, done) {
		s.T.Fatalf("after %v: not %s", most, what)
	}
	return time.Since(start)
}

// Node returns the node of a name; nil: there was none.
func (s *Sim) Node(name string) *Node { return s.nodes[name] }

// Up lists the nodes that run, by name.
func (s *Sim) Up() []*Node {
	var up []*Node
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		if n := s.nodes[name]; n.up {
			up = append(up, n)
		}
	}
	return up
}

func pair(a, b string) [2]string {
	if b < a {
		a, b = b, a
	}
	return [2]string{a, b}
}

// latency is how long a frame takes between two nodes, without jitter.
func (s *Sim) latency(a, b string) time.Duration {
	if s.o.Latency > 0 {
		return s.o.Latency
	}
	p := pair(a, b)
	d, ok := s.base[p]
	if !ok {
		d = s.between(latencyLeast, latencyMost)
		s.base[p] = d
	}
	return d
}

// SetLatency fixes how long a frame takes between two nodes.
func (s *Sim) SetLatency(a, b string, d time.Duration) { s.base[pair(a, b)] = d }

func (s *Sim) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.rng.Int64N(int64(most-least)))
}

// travel is how long the next frame takes.
func (s *Sim) travel(base time.Duration) time.Duration {
	if s.o.Jitter <= 0 {
		return base
	}
	return time.Duration(float64(base) * (1 + s.rng.Float64()*s.o.Jitter))
}

// Separate makes a gap between two nodes, or heals it with Open.
func (s *Sim) Separate(a, b string, g Gap) {
	p := pair(a, b)
	if s.apart[p] == g {
		return
	}
	s.Watch.changed("gap")
	s.logf("%s and %s: %v", a, b, g)
	s.apart[p] = g
	for _, w := range slices.Clone(s.wires) {
		if w.between() != p {
			continue
		}
		switch g {
		case Cut:
			w.cut()
		case Stall:
			w.stall()
		case Open:
			w.resume()
		}
	}
}

// Gap is what is wrong between two nodes.
func (s *Sim) Gap(a, b string) Gap { return s.apart[pair(a, b)] }

// Partition separates some nodes from all others.
func (s *Sim) Partition(some []string, g Gap) {
	names := slices.Sorted(maps.Keys(s.nodes))
	for _, a := range names {
		for _, b := range names {
			if slices.Contains(some, a) && !slices.Contains(some, b) {
				s.Separate(a, b, g)
			}
		}
	}
}

// Heal ends all gaps.
func (s *Sim) Heal() {
	for _, p := range slices.SortedFunc(maps.Keys(s.apart), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		s.Separate(p[0], p[1], Open)
	}
}

// Linked reports whether two nodes have a link that carries frames.
func (s *Sim) Linked(a, b string) bool {
	return slices.ContainsFunc(s.wires, func(w *wire) bool { return w.between() == pair(a, b) && w.serves() })
}

// Ends is how many ends of links between two nodes are not over.
func (s *Sim) Ends(a, b string) int {
	n := 0
	for _, w := range s.wires {
		for _, p := range w.plugs {
			if w.between() == pair(a, b) && p != nil {
				n++
			}
		}
	}
	return n
}

// Links is how many links there are that carry frames.
func (s *Sim) Links() int {
	n := 0
	for _, w := range s.wires {
		if w.serves() {
			n++
		}
	}
	return n
}

// Components are the nodes that links connect, each sorted by name, in the
// order of their first names.
func (s *Sim) Components() [][]*Node {
	left := s.Up()
	var all [][]*Node
	for len(left) > 0 {
		part := []*Node{left[0]}
		left = left[1:]
		for i := 0; i < len(part); i++ {
			left = slices.DeleteFunc(left, func(n *Node) bool {
				if !s.Linked(part[i].Name, n.Name) {
					return false
				}
				part = append(part, n)
				return true
			})
		}
		slices.SortFunc(part, func(a, b *Node) int { return slices.Compare([]string{a.Name}, []string{b.Name}) })
		all = append(all, part)
	}
	return all
}

// Close ends all nodes, and fails the test if anything is left of them.
func (s *Sim) Close() {
	s.T.Helper()
	for _, n := range s.Up() {
		testkit.Dying(n.sys)
	}
	for _, n := range s.Up() {
		n.end()
	}
	testkit.Rest(s.D)
}

// logf notes what happened, for a test that fails or replays one seed.
func (s *Sim) logf(format string, args ...any) {
	line := fmt.Sprintf("%10s %s", s.Watch.Span().Round(time.Microsecond), fmt.Sprintf(format, args...))
	if testkit.Replaying() {
		s.T.Log(line)
		return
	}
	s.diary = append(s.diary, line)
}

// tell logs the diary of a test that failed.
func (s *Sim) tell() {
	if s.T.Failed() {
		s.T.Logf("what happened:\n%s", strings.Join(s.diary, "\n"))
	}
}
