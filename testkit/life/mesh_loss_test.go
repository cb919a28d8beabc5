package life_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/gateways/ws"
)

// The load: 42 clients on one channel, of whom four publish, 500 messages a second
// together and as fast as the machine lets them: 20,000 deliveries a second.
const (
	audience  = 21 // at each of two nodes
	speakers  = 2  // among them
	speakPace = 8 * time.Millisecond
	phase     = 100 // messages of one speaker between two changes; about what it takes to dial again
)

// hall is the clients of one mesh, and what they heard.
type hall struct {
	t        *testing.T
	speakers []*speaker
	members  []*member
	all      sync.WaitGroup
	over     chan struct{} // closed when nobody is to speak any more
}

// speaker is a client that publishes.
type speaker struct {
	*member
	id   int
	said atomic.Int64 // messages
	last atomic.Int64 // number of the last; 0: it goes on

	mu    sync.Mutex
	taken map[string]bool // texts that its node took
}

// member is a client that listens.
type member struct {
	node  *meshNode
	ws    *ws.Client
	ready chan struct{} // closed when it is subscribed
	acked func(nonce string, ok bool)

	mu    sync.Mutex // guards what follows
	heard map[string]bool
	last  map[string]int // number of the last message, by speaker
	wrong []string       // what came twice, or too late
}

// gather has clients at some nodes.
func gather(t *testing.T, nodes ...*meshNode) *hall {
	t.Helper()
	h := &hall{t: t, over: make(chan struct{})}
	for _, n := range nodes {
		for i := range audience {
			w, err := ws.Dial(t.Context(), "ws://"+n.relay+"/connect", 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			m := &member{node: n, ws: w, ready: make(chan struct{}), heard: map[string]bool{}, last: map[string]int{}}
			if i < speakers {
				s := &speaker{member: m, id: len(h.speakers), taken: map[string]bool{}}
				m.acked = s.acked
				h.speakers = append(h.speakers, s)
			}
			h.members = append(h.members, m)
			h.all.Go(m.listen)
			if err := w.Say([]byte(`{"command":"subscribe","data":{"topic":"hall"},"nonce":"in"}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		for _, m := range h.members {
			_ = m.ws.Close()
		}
		h.all.Wait()
	})
	for _, m := range h.members {
		eventually(t, "a client is subscribed", func() bool {
			select {
			case <-m.ready:
				return true
			default:
				return false
			}
		})
	}
	return h
}

func (m *member) listen() {
	for {
		b, err := m.ws.Hear()
		if err != nil {
			return
		}
		var f struct {
			Type, Nonce string
			Data        struct {
				OK      bool
				Message string
			}
		}
		switch err := json.Unmarshal(b, &f); {
		case err != nil:
		case f.Type == "message":
			m.hear(f.Data.Message)
		case f.Nonce == "in" && f.Data.OK:
			close(m.ready)
		case m.acked != nil:
			m.acked(f.Nonce, f.Data.OK)
		}
	}
}

func (m *member) hear(text string) {
	who, number, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(number)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n <= m.last[who] {
		m.wrong = append(m.wrong, fmt.Sprintf("%q behind %d", text, m.last[who]))
	}
	m.last[who], m.heard[text] = n, true
}

func (s *speaker) acked(nonce string, ok bool) {
	if ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken[nonce] = true
	}
}

// speak publishes until nobody is to speak any more.
func (h *hall) speak() {
	for _, s := range h.speakers {
		h.all.Go(func() {
			t := time.NewTicker(speakPace)
			defer t.Stop()
			for {
				text := fmt.Sprintf("%d %d", s.id, s.said.Load()+1)
				if s.ws.Say(fmt.Appendf(nil, `{"command":"send","data":{"channel":"hall","message":%q},"nonce":%q}`, text, text)) != nil {
					return
				}
				n := s.said.Add(1)
				select {
				case <-t.C:
				case <-h.over:
					s.last.Store(n)
					return
				}
			}
		})
	}
}

// wait lets every speaker say some more.
func (h *hall) wait() {
	h.t.Helper()
	for _, s := range h.speakers {
		until := s.said.Load() + phase
		eventually(h.t, "a client publishes", func() bool { return s.said.Load() >= until })
	}
}

// reach waits until all hear from all, of what is said from now on.
func (h *hall) reach() {
	h.t.Helper()
	for _, s := range h.speakers {
		h.hears(s, s.said.Load()+1)
	}
}

// hush ends it, and waits until all have heard the last of all.
func (h *hall) hush() {
	h.t.Helper()
	close(h.over)
	for _, s := range h.speakers {
		eventually(h.t, "a speaker ends", func() bool { return s.last.Load() > 0 })
		h.hears(s, s.last.Load())
	}
	for _, s := range h.speakers {
		eventually(h.t, "all is answered", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.taken[fmt.Sprintf("%d %d", s.id, s.last.Load())]
		})
	}
}

// hears waits until all others have heard a message, or a later one.
func (h *hall) hears(s *speaker, number int64) {
	h.t.Helper()
	who := strconv.Itoa(s.id)
	for _, m := range h.members {
		if m == s.member {
			continue
		}
		eventually(h.t, fmt.Sprintf("a client at %s hears message %d of speaker %s", m.node.name, number, who), func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return int64(m.last[who]) >= number
		})
	}
}

// judge looks whether what was promised was kept, and every message that the
// clients of a node lost is one that is known to have been on a link or in a node
// that died, or counted.
func (h *hall) judge(known map[string]bool, counted ...*meshNode) {
	h.t.Helper()
	drops, reasons := 0, ""
	for _, n := range counted {
		all, text := dropped(h.t, n)
		drops, reasons = drops+all, reasons+n.name+"\n"+text
	}
	missed := map[*meshNode]map[string]bool{} // by the node of who missed it
	for _, m := range h.members {
		m.mu.Lock()
		if len(m.wrong) > 0 {
			h.t.Errorf("a client at %s heard %d messages twice or too late, the first %s", m.node.name, len(m.wrong), m.wrong[0])
		}
		lost := missed[m.node]
		if lost == nil {
			lost = map[string]bool{}
			missed[m.node] = lost
		}
		for _, s := range h.speakers {
			s.mu.Lock()
			for text := range s.taken {
				switch {
				case m == s.member || m.heard[text]:
				case m.node == s.node:
					h.t.Errorf("a client at %s missed %q, which was said there", m.node.name, text)
				default:
					lost[text] = true
				}
			}
			s.mu.Unlock()
		}
		m.mu.Unlock()
	}
	total, unknown := 0, 0
	for _, lost := range missed {
		for text := range lost {
			if total++; !known[text] {
				unknown++
			}
		}
	}
	if total == 0 {
		h.t.Error("nothing was lost: the link was never cut")
	}
	if unknown > drops {
		h.t.Errorf("%d of %d messages were lost and are not known to have been on a link; the nodes counted %d:\n%s", unknown, total, drops, reasons)
	}
	h.t.Logf("%d messages lost, %d of them neither on a link nor in a dead node, %d counted\n%s", total, unknown, drops, reasons)
}

// exposed are the words for nodes that are counted, let all clients in at once, and
// link with nobody by themselves.
var exposed = []string{
	"--metrics-address", "127.0.0.1:0", "--public-url", "ws://127.0.0.1:1/", "--connect-rate-per-address", "100000", "--connect-burst", "100000",
}

// place is where a node listens, once that is known.
type place chan string

// get waits until it is known.
func (p place) get() string {
	at := <-p
	p <- at
	return at
}

// TestLinkLossUnderLoad cuts the link between two nodes, and mends it.
func TestLinkLossUnderLoad(t *testing.T) {
	at := make(place, 1)
	way := newToll(t, "anna", at.get)
	a := joinMesh(t, "anna", nil, append(exposed, "--relay-hosts", way.node().relay)...)
	at <- a.relay
	b := joinMesh(t, "ben", []*meshNode{way.node()}, exposed...)
	linked(t, a, "ben")
	h := gather(t, a, b)
	h.speak()
	h.reach()
	h.wait()
	way.cut()
	h.wait()
	way.heal()
	h.reach()
	h.wait()
	h.hush()
	h.judge(way.known(false), a, b)
}

// TestNodeLossUnderLoad kills the node between two others, and starts it again.
func TestNodeLossUnderLoad(t *testing.T) {
	at := make(place, 1)
	left, right := newToll(t, "ben", at.get), newToll(t, "ben", at.get)
	behind := append(exposed, "--relay-hosts", left.node().relay+","+right.node().relay)
	b := joinMesh(t, "ben", nil, behind...)
	at <- b.relay // it comes back there
	a := joinMesh(t, "anna", []*meshNode{left.node()}, exposed...)
	c := joinMesh(t, "carl", []*meshNode{right.node()}, exposed...)
	linked(t, b, "anna", "carl")
	h := gather(t, a, c)
	h.speak()
	h.reach()
	h.wait()
	b.end(syscall.SIGKILL)
	h.wait()
	b.start(nil, behind...)
	h.reach()
	h.wait()
	h.hush()
	known := left.known(true, right)
	for text := range right.known(true, left) {
		known[text] = true
	}
	h.judge(known, a, b, c)
}
