package link

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"parley/actors/tree"
)

// Outbound is the writing side of one link. Its send never waits: what the
// kernel does not take is queued, bounded in bytes, and drained by a goroutine
// that lives only while there is a backlog.
//
// The link actor and the link's fan-out shard both send; the order on the wire
// is the order of their calls.
type Outbound struct {
	member uint64    // fixed at spawn, as all of this block
	kind   *Kind     //
	conn   *Conn     // never blocks
	w      io.Writer // conn, or TLS on top of it
	tell   func(any) // sends to the link actor

	credit credit       // inbound, here because answers go out here
	seen   atomic.Int64 // coarse seconds (Kind.clock) when the peer was last heard
	bytes  atomic.Int64 // queued or in flight while open; written under mu, read by the shards

	mu       sync.Mutex
	queue    []chunk // behind what conn keeps, oldest first
	flight   int     // of bytes: handed to conn, and not all with the kernel
	draining bool    // a goroutine is on it; nobody else may write
	state    outState
	lost     map[string]uint64 // dropped frames to report, by source
	reported time.Time         // when lost was last told

	due    int64 // owned by the shard: second of its next visit by the wheel
	pinged int64 // owned by the shard: second of its last ping
	gone   bool  // owned by the shard: detached
	place  int   // owned by the shard: 1 + where in work this batch's frames are; 0: none

	asked atomic.Pointer[question] // the last ping that is timed, until its pong; last, because it is rarely looked at
}

type outState uint8

const (
	outOpen    outState = iota
	outClosing          // the close frame is queued; nothing else is taken
	outDead             // nothing can be written any more
)

// chunk is one or more whole frames.
type chunk struct {
	wire   []byte
	frames int
	source string // not empty: may be dropped, oldest first, and is reported under this name
	lent   bool   // wire is the caller's again after send: copy it to keep it
}

const (
	closeLinger   = 5 * time.Second // what a closing peer gets to take the close frame, and again to hang up
	drainStep     = 64 << 10        // bytes that are joined for one write of a backlog
	reportPause   = time.Second     // between two reports of dropped frames to one peer
	closeSlow     = 1013            // WebSocket: try again later
	reasonSlow    = "slow consumer"
	reasonCeiling = "node out of room for queues"
)

// ended tells the link actor that its outbound is finished.
type ended struct{ reason string }

// lostFrames tells the link actor what to report to its peer.
type lostFrames struct{ counts map[string]uint64 }

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (*ended) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find the link stopped.
func (*lostFrames) IgnoreDeadLetterLogging() {}

// send writes chunks, a step at a time, until the kernel takes no more; the
// others are queued. join is scratch space that is returned grown.
func (o *Outbound) send(join []byte, chunks ...chunk) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(chunks) > 0 && o.state == outOpen {
		if o.draining {
			o.enqueue(chunks[0])
			chunks = chunks[1:]
			continue
		}
		n := oneWrite(chunks)
		wire := chunks[0].wire
		if n > 1 {
			join = join[:0]
			for _, c := range chunks[:n] {
				join = append(join, c.wire...)
			}
			wire = join
		}
		o.write(wire)
		chunks = chunks[n:]
	}
	return join
}

// oneWrite is how many chunks are joined for one write. What the kernel leaves
// of that is copied and can no longer be dropped, so it has a limit.
func oneWrite(chunks []chunk) int {
	size, n := len(chunks[0].wire), 1
	for n < len(chunks) && size+len(chunks[n].wire) <= drainStep {
		size += len(chunks[n].wire)
		n++
	}
	return n
}

// write hands bytes to the connection; a goroutine takes over if it keeps some.
func (o *Outbound) write(wire []byte) {
	kept, err := o.hand(wire)
	if err != nil {
		o.fail()
		return
	}
	if kept > 0 {
		o.inFlight(kept)
		o.draining = true
		o.kind.driver(o.drain)
	}
}

// hand writes through TLS, if there is any.
func (o *Outbound) hand(wire []byte) (kept int, err error) {
	if o.w == io.Writer(o.conn) {
		return o.conn.offer(wire)
	}
	o.conn.mine(true)
	_, err = o.w.Write(wire)
	o.conn.mine(false)
	if err != nil {
		return 0, err
	}
	return o.conn.kept(), nil
}

// inFlight notes how much the connection keeps.
func (o *Outbound) inFlight(n int) {
	o.grow(n - o.flight)
	o.flight = n
}

// queued is the backlog behind what is being written.
func (o *Outbound) queued() int { return int(o.bytes.Load()) - o.flight }

// full reports a backlog that is over one of its limits.
func (o *Outbound) full() bool {
	k := o.kind
	return o.queued() > k.OutboundLimit || k.OutboundCount > 0 && len(o.queue) > k.OutboundCount
}

// enqueue takes one chunk into the backlog. A backlog that is already over the
// limit loses what it may lose, or ends the link.
func (o *Outbound) enqueue(c chunk) {
	if o.full() {
		o.dropLossy()
		if o.full() {
			if c.source != "" {
				o.lose(c)
				return
			}
			o.closeSlow(tree.SlowConsumer, reasonSlow)
			return
		}
	}
	if c.lent {
		c.wire = append([]byte(nil), c.wire...)
	}
	o.queue = append(o.queue, c)
	o.grow(len(c.wire))
}

// grow counts bytes. Those of a link that is closing are gone soon, and count
// no more.
func (o *Outbound) grow(n int) {
	if o.state == outOpen {
		o.bytes.Add(int64(n))
		o.kind.Budget.add(n)
	}
}

// dropLossy drops the oldest chunks that may be dropped until the backlog is
// well below its limit: it looks at all of the queue, which must not be needed
// for each frame.
func (o *Outbound) dropLossy() {
	over, many := o.queued()-o.kind.OutboundLimit/4*3, 0
	if most := o.kind.OutboundCount; most > 0 {
		many = len(o.queue) - most/4*3
	}
	kept := o.queue[:0]
	freed := 0
	for i, c := range o.queue {
		if c.source == "" || freed >= over && i-len(kept) >= many {
			kept = append(kept, c)
			continue
		}
		freed += len(c.wire)
		o.lose(c)
	}
	clear(o.queue[len(kept):])
	o.queue = kept
	o.grow(-freed)
}

func (o *Outbound) lose(c chunk) {
	if o.lost == nil {
		o.lost = map[string]uint64{}
	}
	o.lost[c.source] += uint64(c.frames)
	o.kind.metrics.Drop(tree.LossyDropped, c.frames)
}

// clearQueue drops the backlog and returns how many frames that were.
func (o *Outbound) clearQueue() (frames int) {
	for _, c := range o.queue {
		frames += c.frames
	}
	o.grow(-o.queued())
	o.queue = nil
	return frames
}

// closeSlow ends a link whose peer does not keep up, and tells it why.
func (o *Outbound) closeSlow(r tree.DropReason, reason string) {
	o.kind.metrics.Drop(r, o.clearQueue())
	o.close(o.kind.SlowCode, reason)
	o.tell(&ended{reason})
}

// shut sends a close frame behind what is being written, and ends the socket
// when the peer has taken it, or after closeLinger. code 0: no frame.
func (o *Outbound) shut(code uint32, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == outOpen {
		o.close(code, reason)
	}
}

func (o *Outbound) close(code uint32, reason string) {
	o.grow(-int(o.bytes.Load()))
	o.state = outClosing
	o.credit.close()
	o.conn.hurry(time.Now().Add(closeLinger))
	o.conn.hangUp(2 * closeLinger)
	o.kind.closed(code)
	if code != 0 {
		frame := o.kind.Framing.AppendClose(nil, code, reason)
		if o.draining {
			o.queue = append(o.queue, chunk{wire: frame, frames: 1})
			return
		}
		o.write(frame)
	}
	if !o.draining && o.state != outDead {
		o.finish()
	}
}

// finish ends our side; the reader closes the socket when the peer has hung up.
func (o *Outbound) finish() {
	o.state = outDead
	o.kind.unsaid.Add(-1)
	o.conn.closeWrite()
	o.conn.hangUp(closeLinger)
}

// fail ends a link that cannot be written to.
func (o *Outbound) fail() {
	if o.state == outDead {
		return
	}
	o.kind.metrics.Drop(tree.WriteFailed, o.clearQueue())
	o.inFlight(0)
	told := o.state == outClosing
	o.state = outDead
	o.kind.unsaid.Add(-1)
	o.credit.close()
	o.conn.hangUp(0)
	if !told {
		o.tell(&ended{"write failed"})
	}
}

// drain runs while there is a backlog.
func (o *Outbound) drain() {
	for {
		err := o.conn.flush(o.kind.WriteTimeout)
		wire, more := o.next(err)
		if !more {
			return
		}
		if len(wire) > 0 {
			if _, err := o.hand(wire); err != nil {
				o.mu.Lock()
				o.fail()
				o.draining = false
				o.mu.Unlock()
				return
			}
		}
	}
}

// next decides what drain does after a flush: err ends the link or closes it
// as slow; nothing queued ends drain; else the oldest chunks are joined.
func (o *Outbound) next(err error) (wire []byte, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && o.state == outOpen {
			o.closeSlow(tree.SlowConsumer, reasonSlow)
			return nil, true
		}
		o.fail()
	}
	if o.state != outDead {
		o.inFlight(o.conn.kept())
	}
	o.report()
	if o.state == outDead || len(o.queue) == 0 {
		if o.state != outDead && o.flight > 0 {
			return nil, true // TLS wrote on its own meanwhile
		}
		o.draining = false
		o.queue = nil
		if o.state == outClosing {
			o.finish()
		}
		return nil, false
	}
	n := oneWrite(o.queue)
	wire = o.queue[0].wire
	if n > 1 {
		wire = append([]byte(nil), wire...)
		for _, c := range o.queue[1:n] {
			wire = append(wire, c.wire...)
		}
	}
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	o.flight += len(wire)
	return wire, true
}

// report tells the link actor about lost frames: when the backlog is gone, and
// meanwhile once a second.
func (o *Outbound) report() {
	if len(o.lost) == 0 || o.state != outOpen {
		return
	}
	now := time.Now()
	if len(o.queue) > 0 && now.Sub(o.reported) < reportPause {
		return
	}
	o.reported = now
	o.tell(&lostFrames{o.lost})
	o.lost = nil
}
