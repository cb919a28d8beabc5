package link

import "time"

// lagging is how long a link that is behind is waited for.
type lagging struct {
	behind bool      // it has more than StallBytes to be written
	since  time.Time // nothing is known to be taken since
	taken  int64     // Conn.taken then
}

// lag notes whether the link is behind. With mu held, as for stalled.
func (o *Outbound) lag() {
	k := o.kind
	behind := k.StallAfter > 0 && o.state == outOpen && o.bytes.Load() > int64(k.StallBytes)
	if behind == o.lagging.behind {
		return
	}
	o.lagging.behind = behind
	if !behind {
		k.behind.Add(-1)
		return
	}
	k.behind.Add(1)
	o.lagging.since, o.lagging.taken = time.Now(), o.conn.taken.Load()
}

// stalled reports that the link is behind and that its peer takes nothing. A step
// of 64 KiB is the least that is seen to be taken.
func (o *Outbound) stalled() bool {
	o.lag()
	p := &o.lagging
	if !p.behind {
		return false
	}
	now := time.Now()
	if now.Sub(p.since) < o.kind.StallAfter {
		return false
	}
	taken := o.conn.taken.Load()
	if taken == p.taken {
		return true
	}
	p.since, p.taken = now, taken
	return false
}
