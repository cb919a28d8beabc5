package link

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"parley/actors/tree"
)

// drainBuffers hold what is joined for one write of a backlog.
var drainBuffers = sync.Pool{New: func() any { b := make([]byte, 0, drainStep); return &b }}

// drain runs while there is a backlog.
func (o *Outbound) drain() {
	join := drainBuffers.Get().(*[]byte)
	defer drainBuffers.Put(join)
	for {
		err := o.conn.flush(o.kind.WriteTimeout)
		wire, more := o.next(err, *join)
		if !more {
			return
		}
		if len(wire) > 0 {
			if err := o.handOver(wire); err != nil {
				o.mu.Lock()
				o.fail()
				o.draining = false
				o.unlock()
				return
			}
		}
	}
}

// handOver is hand for drain, which flushes next: without TLS nothing is copied.
func (o *Outbound) handOver(wire []byte) error {
	if o.w == io.Writer(o.conn) {
		return o.conn.keep(wire)
	}
	_, err := o.hand(wire)
	return err
}

// next decides what drain does after a flush: err ends the link or closes it
// as slow; nothing queued ends drain; else the oldest chunks are joined in join.
func (o *Outbound) next(err error, join []byte) (wire []byte, more bool) {
	o.mu.Lock()
	defer o.unlock()
	flown := o.flying
	o.flying = nil
	if err == nil && flown != nil {
		o.kind.lender.GiveBack(flown)
	}
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && o.state == outOpen {
			o.closeSlow(tree.SlowConsumer, reasonSlow)
			return nil, true
		}
		o.fail()
	}
	if o.state != outDead {
		if o.inFlight(o.conn.kept()); o.flight == 0 {
			o.flown = 0
		}
		o.lag()
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
		wire = join[:0]
		for _, c := range o.queue[:n] {
			wire = append(wire, c.wire...)
		}
		o.giveBack(o.queue[:n])
	} else {
		o.flying = o.queue[0].whole
	}
	o.flown += framesOf(o.queue[:n])
	o.grow(-n * chunkCost)
	o.settle(o.queue[:n])
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
	o.say(&lostFrames{o.lost})
	o.lost = nil
}
