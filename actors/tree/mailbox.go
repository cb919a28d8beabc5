package tree

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages"
)

// Batch hands all Loads that were queued in a row to an actor whose Spec says
// so. It is the actor's only while Receive runs.
type Batch struct{ Messages []messages.Load }

// Gauge follows the Loads in one mailbox. Any goroutine may read it.
type Gauge struct{ bytes atomic.Int64 }

// Bytes is what is queued or being handled.
func (g *Gauge) Bytes() int64 { return g.bytes.Load() }

// entry is one queued message; size is 0 for control messages.
type entry struct {
	msg  any
	size int
}

// How many messages' room an idle mailbox keeps: those of a Mold none, because
// they are many and mostly idle; a shard's queue is long whenever it has work.
const (
	keepQueue   = 64
	keepBatched = 1024
)

// mailboxKind is what the mailboxes of one Spec have in common.
type mailboxKind struct {
	log     *slog.Logger
	limit   int64     // bytes of Load
	refused func(any) // gets what is over limit
	batched bool
	inline  bool // run on the sender's goroutine
	keep    int  // messages
}

// mailbox hands everything queued to its actor at each wake-up. System messages
// go first; a suspended mailbox keeps its user messages; a message whose handler
// panicked is gone, those behind it are not.
type mailbox struct {
	kind    *mailboxKind // fixed at spawn, as all of this block
	id      string
	invoker actor.MessageInvoker
	disp    actor.Dispatcher
	wake    func()
	gauge   *Gauge
	batch   *Batch // nil: not batched

	status atomic.Int32 // idle or running

	mu    sync.Mutex
	queue []entry // user messages, oldest first
	sys   []any   // system messages, oldest first

	suspended bool    // owned by the running goroutine, as all that follows
	ending    bool    // Stop has come
	at        int     // first of taken that is not handled
	taken     []entry // what this wake-up took
	current   any     // what the actor is handling, for the report of its panic
}

const (
	idle int32 = iota
	running
)

func newMailbox(id string, k *mailboxKind, g *Gauge) *mailbox {
	m := &mailbox{id: id, kind: k, gauge: g}
	if k.batched {
		m.batch = &Batch{}
	}
	if g == nil {
		m.gauge = &Gauge{}
	}
	m.wake = m.process
	return m
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(i actor.MessageInvoker, d actor.Dispatcher) {
	m.invoker = i
	if m.disp == nil {
		m.disp = d
	}
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(msg any) {
	size := 0
	if l, ok := unwrap(msg).(messages.Load); ok {
		size = l.Bytes()
		if total := m.gauge.bytes.Add(int64(size)); total > m.kind.limit && total > int64(size) {
			m.gauge.bytes.Add(-int64(size))
			m.kind.refused(msg)
			return
		}
	}
	m.mu.Lock()
	m.queue = append(m.queue, entry{msg, size})
	m.mu.Unlock()
	m.schedule()
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(msg any) {
	m.mu.Lock()
	m.sys = append(m.sys, msg)
	m.mu.Unlock()
	m.schedule()
}

func unwrap(msg any) any {
	if e, ok := msg.(*actor.MessageEnvelope); ok {
		return e.Message
	}
	return msg
}

func (m *mailbox) schedule() {
	if !m.status.CompareAndSwap(idle, running) {
		return
	}
	if m.kind.inline {
		m.process()
		return
	}
	m.disp.Schedule(m.wake)
}

// process is one wake-up. It ends when nothing is left to do, or gives the
// dispatcher a turn after throughput messages.
func (m *mailbox) process() {
	if m.batch != nil {
		runtime.Gosched() // let the senders that woke us finish their burst: it is joined
	}
	for {
		if m.run() {
			m.disp.Schedule(m.wake)
			return
		}
		suspended, left := m.suspended, m.at < len(m.taken) // after idle they are another goroutine's
		m.status.Store(idle)
		m.mu.Lock()
		more := len(m.sys) > 0 || !suspended && (left || len(m.queue) > 0)
		m.mu.Unlock()
		if !more || !m.status.CompareAndSwap(idle, running) {
			return
		}
	}
}

// run handles messages until there are none, and reports whether it stopped
// early to let others run.
func (m *mailbox) run() (yield bool) {
	defer func() {
		if r := recover(); r != nil {
			m.kind.log.Error("actor panicked", slog.String("actor", m.id), slog.Any("reason", r), slog.String("stack", string(debug.Stack())))
			m.invoker.EscalateFailure(r, m.current)
		}
		m.current = nil
	}()
	for n := m.disp.Throughput(); n > 0; n-- {
		for m.nextSystem() {
			m.handleSystem()
		}
		if m.suspended && m.ending {
			m.discard()
		}
		if m.suspended || !m.take() {
			return false
		}
		m.handleNext()
	}
	return true
}

// nextSystem makes the oldest system message current, if there is one.
func (m *mailbox) nextSystem() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sys) == 0 {
		return false
	}
	m.current = m.sys[0]
	if m.sys = m.sys[1:]; len(m.sys) == 0 {
		m.sys = nil
	}
	return true
}

// handleSystem handles current. A restart that comes behind a stop is too late:
// the library would bring the actor back to life, unknown to its parent.
func (m *mailbox) handleSystem() {
	switch m.current.(type) {
	case *actor.SuspendMailbox:
		m.suspended = true
		return
	case *actor.ResumeMailbox:
		m.suspended = false
		return
	case *actor.Stop:
		m.ending = true
	case *actor.Restart:
		if m.ending {
			return
		}
	}
	m.invoker.InvokeSystemMessage(m.current)
}

// discard drops what an actor that failed and is being stopped has not handled:
// nobody will resume it, and its gauge must not stay up.
func (m *mailbox) discard() {
	for m.take() {
		for ; m.at < len(m.taken); m.at++ {
			m.handled(m.taken[m.at].size)
			m.taken[m.at] = entry{}
		}
	}
}

// take makes sure that taken has an unhandled entry, if there is one anywhere.
func (m *mailbox) take() bool {
	if m.at < len(m.taken) {
		return true
	}
	spare := m.taken[:0]
	if cap(spare) > m.kind.keep {
		spare = nil
	}
	m.mu.Lock()
	m.taken, m.queue = m.queue, spare
	m.mu.Unlock()
	m.at = 0
	return len(m.taken) > 0
}

// handleNext hands over the next entry, or all Loads in a row of a batched
// mailbox. The entries are consumed first: a panic must not bring them back.
func (m *mailbox) handleNext() {
	first := m.taken[m.at]
	if m.batch != nil && first.size > 0 {
		if _, enveloped := first.msg.(*actor.MessageEnvelope); !enveloped {
			m.handleBatch()
			return
		}
	}
	m.taken[m.at] = entry{}
	m.at++
	m.current = first.msg
	defer m.handled(first.size) // also when the handler panics
	m.invoker.InvokeUserMessage(first.msg)
}

func (m *mailbox) handleBatch() {
	size := 0
	m.batch.Messages = m.batch.Messages[:0]
	for ; m.at < len(m.taken); m.at++ {
		e := m.taken[m.at]
		load, ok := e.msg.(messages.Load)
		if !ok {
			break
		}
		size += e.size
		m.batch.Messages = append(m.batch.Messages, load)
		m.taken[m.at] = entry{}
	}
	m.current = m.batch
	defer m.handled(size)
	m.invoker.InvokeUserMessage(m.batch)
	clear(m.batch.Messages)
}

func (m *mailbox) handled(size int) {
	if size > 0 {
		m.gauge.bytes.Add(-int64(size))
	}
}
