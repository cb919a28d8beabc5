package tree

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// DropReason names why something was not delivered or a connection was cut.
// Each has one counter, parley_drops_total{reason}.
type DropReason int

// The reasons. Their names are what operators see; String gives them.
const (
	MailboxFull    DropReason = iota // an actor's queue was over its limit
	SlowConsumer                     // a link was closed with frames still queued
	LossyDropped                     // frames dropped for a subscriber that agreed to it
	OutboundFull                     // a link was closed because the node-wide ceiling was reached
	WriteFailed                      // the peer went away with frames still queued
	SlowDown                         // a publish was refused because fan-out is behind
	PasswordBusy                     // a password was not checked: the queue was full
	MeshMalformed                    // a packet from another node made no sense
	MeshSpoofed                      // a packet named a source that its link may not speak for
	MeshHops                         // a packet had come over too many links
	MeshUnroutable                   // there was no way to a packet's destination
	MeshRecordFull                   // another node has more channels open, or all together, than is kept
	MeshHello                        // a node said hello more often than it may; its last one counts
	MeshNodesFull                    // a node said hello, and there are more than are kept
	MeshLinkLost                     // packets were queued for a link that ended, or came for it when it had
	MeshOutOfReach                   // a message went out while a node that wants it was out of reach, once a node
	StarHeld                         // packets of a stream waited for a reader, and were more than are kept
	dropReasons
)

var dropNames = [dropReasons]string{
	"mailbox full", "slow consumer", "lossy dropped", "outbound ceiling", "write failed", "slow down", "password busy",
	"mesh malformed", "mesh spoofed", "mesh hops spent", "mesh unroutable",
	"mesh record full", "mesh hello too often", "mesh nodes full", "mesh link lost", "mesh out of reach", "star held",
}

// String is the label of the counter.
func (r DropReason) String() string { return dropNames[r] }

// Counter is one number for operators. Any goroutine may change it.
type Counter struct {
	atomic.Int64
	Name, Help   string // as in the exposition; Name without the parley_ prefix
	Label, Value string // at most one label, from a fixed set; empty: none
	Gauge        bool   // may go down
}

// Metrics holds a system's counters. Registering takes a lock and happens at
// start; counting does not.
type Metrics struct {
	log    *slog.Logger
	drops  [dropReasons]*Counter
	logged [dropReasons]atomic.Int64 // Unix second of the last log line
	panics *Counter

	mu  sync.Mutex
	all map[string]*Counter
}

func newMetrics(log *slog.Logger) *Metrics {
	m := &Metrics{log: log, all: map[string]*Counter{}}
	for r := range dropReasons {
		m.drops[r] = m.counter("drops_total", "Frames or requests dropped, by reason.", "reason", r.String(), false)
	}
	m.panics = m.counter("actor_panics_total", "Panics in actors: bugs.", "", "", false)
	return m
}

// Of returns the counters of a system.
func Of(sys *actor.ActorSystem) *Metrics { return of(sys).metrics }

// Drop counts n dropped things, and logs it at most once a second a reason.
func (m *Metrics) Drop(r DropReason, n int) {
	total := m.drops[r].Add(int64(n))
	now, last := time.Now().Unix(), m.logged[r].Load()
	if n > 0 && now != last && m.logged[r].CompareAndSwap(last, now) {
		m.log.Info("dropped", slog.String("reason", r.String()), slog.Int("now", n), slog.Int64("total", total))
	}
}

// Dropped is how many were dropped for one reason.
func (m *Metrics) Dropped(r DropReason) int64 { return m.drops[r].Load() }

// Panicked counts a panic.
func (m *Metrics) Panicked() { m.panics.Add(1) }

// Counter returns the counter of that name and label, made at its first use.
func (m *Metrics) Counter(name, help, label, value string) *Counter {
	return m.counter(name, help, label, value, false)
}

// Level is Counter for a number that goes up and down.
func (m *Metrics) Level(name, help string) *Counter {
	return m.counter(name, help, "", "", true)
}

func (m *Metrics) counter(name, help, label, value string, gauge bool) *Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := name + "\x00" + value
	if old, ok := m.all[key]; ok {
		return old
	}
	n := &Counter{Name: name, Help: help, Label: label, Value: value, Gauge: gauge}
	m.all[key] = n
	return n
}

// All lists the counters by name and label.
func (m *Metrics) All() []*Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Counter, 0, len(m.all))
	for _, c := range m.all {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Counter) int {
		return strings.Compare(a.Name+"\x00"+a.Value, b.Name+"\x00"+b.Value)
	})
	return out
}
