package tree

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"
)

// parcel is a Load; note is a control message. Both are told apart by number.
type (
	parcel struct {
		number, size int
		bad          bool // its handler panics
	}
	note struct {
		number int
		bad    bool
		post   func() // what its handler posts
	}
)

func (p *parcel) Bytes() int { return p.size }

// model is what a mailbox should do, as simple as can be. It is the mailbox's
// invoker and dispatcher as well: one goroutine makes every step.
type model struct {
	t     *rapid.T
	box   *mailbox
	gauge Gauge
	limit int

	user      []any // posted and not handled, oldest first
	sys       []any
	bytes     int // of user, and of what is being handled
	suspended bool
	ending    bool // Stop was handled
	refused   []any
	wakes     []func() // scheduled and not run
	batch     int      // messages a wake-up may handle
	running   bool
	expected  any // a panic is under way: the message it should be reported with
}

func newModel(t *rapid.T) *model {
	m := &model{t: t, limit: rapid.IntRange(1, 300).Draw(t, "limit"), batch: rapid.IntRange(1, 5).Draw(t, "throughput")}
	batched := rapid.Bool().Draw(t, "batched")
	m.box = newMailbox("a", testKind(m.limit, batched, &m.refused), &m.gauge)
	m.box.RegisterHandlers(m, m)
	return m
}

// testKind makes mailboxes that collect what they refuse.
func testKind(limit int, batched bool, refused *[]any) *mailboxKind {
	s := Spec{Limit: int64(limit), Batch: batched, Refused: func(msg any) { *refused = append(*refused, msg) }}
	return s.mailboxes(&world{log: slog.New(slog.DiscardHandler)})
}

// Schedule implements actor.Dispatcher.
func (m *model) Schedule(f func()) {
	if m.wakes = append(m.wakes, f); len(m.wakes) > 1 {
		m.t.Fatal("scheduled twice")
	}
}

// Throughput implements actor.Dispatcher.
func (m *model) Throughput() int { return m.batch }

// post posts a user message, and foretells whether it is refused.
func (m *model) post(msg any) {
	before := len(m.refused)
	size := 0
	p, load := unwrap(msg).(*parcel)
	if load {
		size = p.size
	}
	full := load && m.bytes > 0 && m.bytes+size > m.limit
	m.box.PostUserMessage(msg)
	if refused := len(m.refused) > before; refused != full {
		m.t.Fatalf("%d bytes with %d queued of %d: refused %v", size, m.bytes, m.limit, refused)
	}
	if full {
		return
	}
	m.user = append(m.user, msg)
	m.bytes += size
}

func (m *model) postSystem(msg any) {
	m.sys = append(m.sys, msg)
	m.box.PostSystemMessage(msg)
}

// absorb takes off the system queue what the actor never sees.
func (m *model) absorb() {
	for len(m.sys) > 0 {
		switch m.sys[0].(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		case *actor.Restart:
			if !m.ending {
				return
			}
		default:
			return
		}
		m.sys = m.sys[1:]
	}
}

// enter checks that a handler runs alone, and that no panic was left unreported.
func (m *model) enter() func() {
	if m.running || m.expected != nil {
		m.t.Fatal("handled while another message is handled, or before its panic was reported")
	}
	m.running = true
	return func() { m.running = false }
}

// InvokeSystemMessage implements actor.MessageInvoker.
func (m *model) InvokeSystemMessage(msg any) {
	defer m.enter()()
	m.absorb()
	if len(m.sys) == 0 || m.sys[0] != msg {
		m.t.Fatalf("system message %v out of order, want %v", msg, m.sys)
	}
	m.sys = m.sys[1:]
	switch msg := msg.(type) {
	case *actor.Stop:
		m.ending = true
	case *note:
		m.handle(msg, msg)
	}
}

// InvokeUserMessage implements actor.MessageInvoker.
func (m *model) InvokeUserMessage(msg any) {
	defer m.enter()()
	m.absorb()
	if len(m.sys) > 0 || m.suspended {
		m.t.Fatalf("user message %v while suspended (%v) or before system messages %v", msg, m.suspended, m.sys)
	}
	got := []any{msg}
	if b, ok := msg.(*Batch); ok {
		got = nil
		for _, l := range b.Messages {
			got = append(got, l)
		}
	}
	if len(got) == 0 || len(got) > len(m.user) || !slices.Equal(got, m.user[:len(got)]) {
		m.t.Fatalf("handled %v, want the first of %v", got, m.user)
	}
	m.user = m.user[len(got):]
	size := 0
	defer func() { m.bytes -= size }()
	for _, g := range got {
		switch g := unwrap(g).(type) {
		case *parcel:
			if _, batched := msg.(*Batch); m.box.batch != nil && g.size > 0 && !batched && unwrap(msg) == msg {
				m.t.Fatal("a Load came alone to a batched actor")
			}
			size += g.size
			if g.bad {
				m.expected = msg
			}
		case *note:
			m.handle(msg, g)
		}
	}
	if m.expected != nil {
		panic("bad")
	}
}

// handle is what the handler of a note does.
func (m *model) handle(msg any, n *note) {
	if n.post != nil {
		n.post()
	}
	if n.bad {
		m.expected = msg
		panic("bad")
	}
}

// EscalateFailure implements actor.MessageInvoker as the library does: the
// actor is suspended at once; its supervisor resumes it later.
func (m *model) EscalateFailure(_, msg any) {
	if m.expected == nil || msg != m.expected {
		m.t.Fatalf("panic reported with %v, want %v", msg, m.expected)
	}
	m.expected = nil
	m.postSystem(&actor.SuspendMailbox{})
}

// wake runs what is scheduled, if anything.
func (m *model) wake() {
	if len(m.wakes) > 0 {
		f := m.wakes[0]
		m.wakes = nil
		f()
	}
	m.check()
}

// check holds between steps.
func (m *model) check() {
	if len(m.wakes) == 0 {
		m.absorb()
		if m.ending && m.suspended { // nobody will resume it
			m.user, m.bytes = nil, 0
		}
	}
	if got := m.gauge.Bytes(); got != int64(m.bytes) {
		m.t.Fatalf("gauge says %d bytes, %d are queued", got, m.bytes)
	}
	if m.expected != nil {
		m.t.Fatal("a panic was not reported")
	}
	if len(m.wakes) == 0 && (len(m.sys) > 0 || len(m.user) > 0 && !m.suspended) {
		m.t.Fatalf("asleep with %v and %v", m.sys, m.user)
	}
}

// TestMailbox makes random posts, suspensions, panics and wake-ups, and compares
// every call of the actor with the model.
func TestMailbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		number := 0
		message := func(t *rapid.T) any {
			number++
			bad := rapid.IntRange(0, 9).Draw(t, "bad") == 0
			var msg any = &parcel{number, rapid.IntRange(0, 100).Draw(t, "size"), bad}
			if rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
				msg = &note{number: number, bad: bad}
			}
			if rapid.IntRange(0, 5).Draw(t, "enveloped") == 0 {
				msg = &actor.MessageEnvelope{Message: msg}
			}
			return msg
		}
		t.Repeat(map[string]func(*rapid.T){
			"user": func(t *rapid.T) { m.post(message(t)) },
			"burst": func(t *rapid.T) {
				for range rapid.IntRange(1, 2*keepQueue).Draw(t, "n") {
					m.post(message(t))
				}
			},
			"system": func(t *rapid.T) {
				number++
				m.postSystem(&note{number: number, bad: rapid.IntRange(0, 9).Draw(t, "bad") == 0})
			},
			"posts while handled": func(t *rapid.T) {
				inner := message(t)
				number++
				m.post(&note{number: number, post: func() { m.post(inner); m.postSystem(&note{number: -number}) }})
			},
			"suspend": func(*rapid.T) { m.postSystem(&actor.SuspendMailbox{}) },
			"stop": func(t *rapid.T) {
				if rapid.IntRange(0, 19).Draw(t, "now") == 0 {
					m.postSystem(&actor.Stop{})
				}
			},
			"restart": func(*rapid.T) { m.postSystem(&actor.Restart{}) },
			"resume":  func(*rapid.T) { m.postSystem(&actor.ResumeMailbox{}) },
			"wake":    func(*rapid.T) { m.wake() },
			"":        func(*rapid.T) { m.check() },
		})
		for m.suspended || len(m.wakes) > 0 {
			if len(m.wakes) == 0 {
				m.postSystem(&actor.ResumeMailbox{})
			}
			m.wake()
		}
		if len(m.user) > 0 || m.gauge.Bytes() != 0 || m.box.UserMessageCount() != 0 {
			t.Fatalf("left: %v, %d bytes", m.user, m.gauge.Bytes())
		}
	})
}

// TestControlIsNeverRefused fills a mailbox to its limit.
func TestControlIsNeverRefused(t *testing.T) {
	var refused []any
	m := newMailbox("a", testKind(10, false, &refused), nil)
	m.RegisterHandlers(nil, asleep{})
	big, next := &parcel{number: 1, size: 100}, &actor.MessageEnvelope{Message: &parcel{number: 2, size: 1}}
	m.PostUserMessage(big) // one is always taken
	m.PostUserMessage(next)
	for range 1000 {
		m.PostUserMessage(&note{})
	}
	if n := m.UserMessageCount(); n != 1001 || len(refused) != 1 || refused[0] != next || m.gauge.Bytes() != 100 {
		t.Errorf("%d queued, refused %v, %d bytes", n, refused, m.gauge.Bytes())
	}
}

// asleep runs nothing.
type asleep struct{}

func (asleep) Schedule(func()) {}
func (asleep) Throughput() int { return 1 }
