//go:build linux

package field

import (
	"strconv"
	"sync"
	"sync/atomic"

	"parley/cmd/parley/bench/crowd"
	"parley/cmd/parley/bench/wire"
)

// publisher is a connection that publishes on its channels in turn, and listens as it must to be allowed to.
type publisher struct {
	*listener
	index int

	pending atomic.Int64 // deliveries and answers under way

	// guarded by mu
	mu      sync.Mutex
	routes  []route
	turn    uint64 // messages sent: the nonce of the next, and whose turn it is
	idle    bool   // nothing under way, and no next burst
	gone    bool   // closed by the server
	budget  uint64 // messages it may still send in this phase
	send    wire.Send
	frames  []byte // scratch
	counted struct {
		messages   uint64
		deliveries int64
	}
}

// route is one of a publisher's channels.
type route struct {
	channel   int
	listeners int    // that will get the next message, itself not counted
	seq       uint64 // of the next message
}

func newPublisher(f *Field, i int) *publisher {
	return &publisher{index: i, idle: true, send: wire.Send{Size: f.o.Size, NoAck: f.o.NoAck}}
}

func (p *publisher) names() []string {
	var n []string
	for _, r := range p.routes {
		n = append(n, p.f.names[r.channel])
	}
	return n
}

// Text takes an answer, or another publisher's message.
func (p *publisher) Text(json []byte, now int64) {
	if s, ok := p.t.finder.Find(json); ok {
		p.hear(s, now)
		return
	}
	a, ok := wire.ParseAnswer(json)
	if !ok {
		p.t.Faults.Stray++
		return
	}
	p.t.Answered(a)
	if !a.OK {
		p.refused(a.Nonce)
	}
	if !p.f.o.NoAck {
		p.settle(1) // otherwise nobody waits for it: the server does not know the extension
	}
}

// refused takes back the deliveries of a message that the server did not take. In a closed loop they stay under way
// until the next message shows the gap, or nothing moves any more.
func (p *publisher) refused(nonce []byte) {
	n, err := strconv.ParseUint(string(nonce), 10, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && n < p.turn {
		p.counted.deliveries -= int64(p.routes[n%uint64(len(p.routes))].listeners)
	}
}

func (p *publisher) Closed(code int, err error) {
	p.listener.Closed(code, err)
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
}

// start begins a phase: bursts that follow each other, until the budget is spent or the field's deadline has passed.
func (p *publisher) start(budget uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget, p.idle = budget, false
	p.burst()
}

// settle takes n deliveries or answers as no longer under way. Whoever takes the last one sends the next burst.
func (p *publisher) settle(n int64) {
	if p.pending.Add(-n) != 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.idle {
		p.burst()
	}
}

// push sends another burst although something is still under way.
func (p *publisher) push() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.idle && p.pending.Load() != 0 {
		p.burst()
	}
}

// burst sends the next messages of a closed loop, or ends it. With mu held.
func (p *publisher) burst() {
	now := crowd.Now()
	n := min(p.f.o.Inflight, int(min(p.budget, maxBurst)))
	if !p.f.closedLoop.Load() || n == 0 || p.gone || now >= p.f.deadline.Load() {
		p.idle = true
		p.f.done()
		return
	}
	p.budget -= uint64(n)
	p.emit(n, now, 0)
}

// maxBurst bounds the messages of one write.
const maxBurst = 1 << 20

// emit writes n messages at once. The first is stamped with the time base, each next one step later. With mu held.
func (p *publisher) emit(n int, base, step int64) {
	b := p.frames[:0]
	var under int64
	for i := range n {
		r := &p.routes[p.turn%uint64(len(p.routes))]
		stamp := wire.Stamp{Publisher: p.index, Channel: r.channel, Seq: r.seq, Nanos: base + int64(i)*step}
		b = p.send.AppendFrame(b, p.m.Mask(), p.f.names[r.channel], stamp, p.turn)
		r.seq++
		p.turn++
		under += int64(r.listeners)
	}
	p.counted.messages += uint64(n)
	p.counted.deliveries += under
	if !p.f.o.NoAck {
		under += int64(n)
	}
	p.frames = b
	// Before the write: the first delivery may arrive before it returns.
	p.pending.Add(under)
	p.m.Write(b)
}

// lose takes a listener off a channel whose next number would have been seq.
func (p *publisher) lose(channel int, seq uint64) {
	p.mu.Lock()
	var lost int64
	for i := range p.routes {
		if r := &p.routes[i]; r.channel == channel {
			r.listeners--
			lost += int64(r.seq - seq)
		}
	}
	p.mu.Unlock()
	if lost > 0 {
		p.settle(lost)
	}
}

func (p *publisher) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// abandon forgets what is under way.
func (p *publisher) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = true
	p.pending.Store(0)
}

func (p *publisher) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted.messages, p.counted.deliveries = 0, 0
}

func (p *publisher) sent() (messages uint64, deliveries int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counted.messages, p.counted.deliveries
}
