package link

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

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
	bytes  atomic.Int64 // queued, with chunkCost, or in flight, while open; written under mu, read by the shards

	mu       sync.Mutex
	queue    []chunk       // behind what conn keeps, oldest first
	flight   int           // of bytes: handed to conn, and not all with the kernel
	flown    int           // frames of flight
	flying   proto.Message // drain's: ends in what is being written, uncopied; nil: nothing does
	lagging  lagging
	draining bool // a goroutine is on it; nobody else may write
	state    outState
	hushed   bool              // what the peer says is taken though we say nothing any more
	wanted   bool              // the link actor wants to hear of room
	said     []any             // for the link actor, when mu is free
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
	source string        // not empty: may be dropped, oldest first, and is reported under this name
	lent   bool          // wire is the caller's again after send: copy it to keep it
	charge uint32        // credit to give back when it is written: who does not read answers asks no more
	whole  proto.Message // not nil: given back when this, the last of it, is copied or written
}

// chunkCost is what a chunk in a queue takes beside its bytes: its place, the
// allocation of a copy, and what growing the queue leaves behind. Without it, a
// thousand answers of three bytes would count as nothing, and take 130 KB.
const chunkCost = 128

const (
	closeLinger   = 5 * time.Second // what a closing peer gets to take the close frame, and again to hang up
	drainStep     = 64 << 10        // bytes that are joined for one write of a backlog
	reportPause   = time.Second     // between two reports of dropped frames to one peer
	closeSlow     = 1013            // WebSocket: try again later
	reasonSlow    = "slow consumer"
	reasonStalled = "takes nothing"
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

// say keeps m for unlock.
func (o *Outbound) say(m any) { o.said = append(o.said, m) }

// unlock frees mu, and tells the link actor then: it may run on this goroutine,
// and write at once.
func (o *Outbound) unlock() {
	said, tell := o.said, o.tell
	o.said = nil
	o.mu.Unlock()
	for _, m := range said {
		tell(m)
	}
}

// send writes chunks, a step at a time, until the kernel takes no more; the
// others are queued. join is scratch space that is returned grown.
func (o *Outbound) send(join []byte, chunks ...chunk) []byte {
	o.mu.Lock()
	defer o.unlock()
	for len(chunks) > 0 {
		if o.state != outOpen {
			o.tooLate(chunks)
			break
		}
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
		o.write(wire, framesOf(chunks[:n])) // what the kernel did not take is copied
		o.giveBack(chunks[:n])
		o.settle(chunks[:n])
		chunks = chunks[n:]
	}
	return join
}

// tooLate counts what came for a link that has ended.
func (o *Outbound) tooLate(chunks []chunk) {
	if o.kind.Late != 0 {
		o.kind.metrics.Drop(o.kind.Late, framesOf(chunks))
	}
}

// giveBack returns the memory of messages that end in chunks.
func (o *Outbound) giveBack(chunks []chunk) {
	for i := range chunks {
		if m := chunks[i].whole; m != nil {
			o.kind.lender.GiveBack(m)
		}
	}
}

func framesOf(chunks []chunk) (n int) {
	for _, c := range chunks {
		n += c.frames
	}
	return n
}

// settle gives back the credit of what was handed over.
func (o *Outbound) settle(chunks []chunk) {
	for i := range chunks {
		if c := chunks[i].charge; c > 0 {
			o.credit.give(c)
		}
	}
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

// write hands frames to the connection; a goroutine takes over if it keeps some.
func (o *Outbound) write(wire []byte, frames int) {
	o.flown += frames
	kept, err := o.hand(wire)
	if err != nil {
		o.fail()
		return
	}
	if kept > 0 {
		o.inFlight(kept)
		o.draining = true
		o.kind.driver(o.drain)
		return
	}
	o.flown = 0
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
	if o.stalled() {
		o.kind.metrics.Drop(tree.SlowConsumer, c.frames)
		o.closeSlow(tree.SlowConsumer, reasonStalled)
		return
	}
	if o.full() {
		o.dropLossy()
		if o.full() {
			if c.source != "" {
				o.lose(c)
				return
			}
			o.kind.metrics.Drop(tree.SlowConsumer, c.frames)
			o.closeSlow(tree.SlowConsumer, reasonSlow)
			return
		}
	}
	if c.lent {
		c.wire = append([]byte(nil), c.wire...)
	}
	o.queue = append(o.queue, c)
	o.grow(len(c.wire) + chunkCost)
}

// grow counts bytes. Those of a link that is closing are gone soon, and count
// no more.
func (o *Outbound) grow(n int) {
	if o.state == outOpen {
		o.bytes.Add(int64(n))
		o.kind.Budget.add(n)
		o.tellRoom()
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
		freed += len(c.wire) + chunkCost
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
	frames = framesOf(o.queue)
	o.grow(-o.queued())
	o.queue = nil
	return frames
}

// closeSlow ends a link whose peer does not keep up, and tells it why.
func (o *Outbound) closeSlow(r tree.DropReason, reason string) {
	o.kind.metrics.Drop(r, o.clearQueue())
	o.close(o.kind.SlowCode, reason)
	o.say(&ended{reason})
}

// shut sends a close frame behind what is being written, and ends the socket
// when the peer has taken it, or after closeLinger. code 0: no frame.
func (o *Outbound) shut(code uint32, reason string) {
	o.mu.Lock()
	defer o.unlock()
	switch {
	case o.state == outOpen:
		o.close(code, reason)
	case o.hushed:
		o.hushed = false
		o.deafen(closeLinger)
	}
}

// hush is shut that leaves its side to the peer: what that says is taken until it
// hangs up, or shut is called. It is the server's to see that this ends.
func (o *Outbound) hush(code uint32, reason string) {
	o.mu.Lock()
	defer o.unlock()
	if o.state == outOpen {
		o.hushed = true
		o.close(code, reason)
	}
}

// deafen has nobody listen any more, and the reading end after linger.
func (o *Outbound) deafen(linger time.Duration) {
	if !o.hushed {
		o.credit.close()
		o.conn.hangUp(linger)
	}
}

func (o *Outbound) close(code uint32, reason string) {
	o.grow(-int(o.bytes.Load()))
	o.state = outClosing
	o.lag()
	o.conn.hurry(time.Now().Add(closeLinger))
	o.deafen(2 * closeLinger)
	o.kind.closed(code)
	if code != 0 {
		frame := o.kind.Framing.AppendClose(nil, code, reason)
		if o.draining {
			o.queue = append(o.queue, chunk{wire: frame, frames: 1})
			return
		}
		o.write(frame, 0)
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
	o.deafen(closeLinger)
}

// fail ends a link that cannot be written to.
func (o *Outbound) fail() {
	if o.state == outDead {
		return
	}
	lost := o.clearQueue()
	if o.kind.Late != 0 {
		lost += o.flown // some of them may have been taken
	}
	o.kind.metrics.Drop(tree.WriteFailed, lost)
	o.inFlight(0)
	told := o.state == outClosing
	o.state = outDead
	o.lag()
	o.kind.unsaid.Add(-1)
	o.deafen(0)
	if !told {
		o.say(&ended{"write failed"})
	}
}
