package guard

import (
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"
)

// logEvery is the least time between two log lines of one reason: a flood of
// connections must not become a flood of lines.
const logEvery = time.Second

// counters holds one counter a reason. The map is fixed at creation, so reading
// it needs no lock.
type counters struct {
	log      *slog.Logger
	start    time.Time
	byReason map[string]*counter
}

type counter struct {
	total   atomic.Uint64
	logged  atomic.Uint64 // total at the last log line
	nextLog atomic.Int64  // ns since counters.start
}

func newCounters(log *slog.Logger) *counters {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &counters{log: log, start: time.Now(), byReason: make(map[string]*counter)}
	for _, reason := range Reasons() {
		c.byReason[reason] = new(counter)
	}
	return c
}

// add counts one, and logs it unless this reason has been logged within
// logEvery; that line says how many went before it in silence.
func (c *counters) add(reason string, peer netip.Addr, err error) {
	n := c.byReason[reason]
	if n == nil {
		n = c.byReason[ReasonOther]
	}
	total := n.total.Add(1)
	next, now := n.nextLog.Load(), int64(time.Since(c.start))
	if now < next || !n.nextLog.CompareAndSwap(next, now+int64(logEvery)) {
		return
	}
	attrs := []any{"reason", reason, "times", total - n.logged.Swap(total)}
	if peer.IsValid() {
		attrs = append(attrs, "last_peer", peer.String())
	}
	if err != nil {
		attrs = append(attrs, "err", err)
	}
	c.log.Warn("turned away at the door", attrs...)
}

func (c *counters) snapshot() map[string]uint64 {
	counts := make(map[string]uint64, len(c.byReason))
	for reason, n := range c.byReason {
		counts[reason] = n.total.Load()
	}
	return counts
}
