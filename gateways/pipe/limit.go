package pipe

import "parley/messages/enclavepb"

// about is the address that an event is about of which only the newest counts: who
// waits, who does not, how a friend is. Empty: it counts for itself.
func (l *line) about() string {
	switch b := l.event.GetBody().(type) {
	case *enclavepb.Event_Status:
		return b.Status.GetAddress()
	case *enclavepb.Event_Request:
		return b.Request.GetAddress()
	case *enclavepb.Event_Gone:
		return b.Gone.GetAddress()
	}
	return ""
}

// forget notes that a line leaves the queue.
func (o *outlet) forget(l line) {
	o.bytes -= l.size()
	if l.about() != "" {
		o.passing--
	}
}

// limit loses what is too much: first what newer events make worthless, then what
// passes, then all else, each the oldest first.
func (o *outlet) limit() {
	most := keepMost
	if o.read {
		most = keepRead
	}
	full := func() bool { return len(o.queue) > most || o.bytes > keepBytes }
	if full() && o.passing > 0 {
		o.merge()
		o.filter(func(_ int, l *line) bool {
			if l.about() == "" || !full() {
				return true
			}
			o.lost++
			return false
		})
	}
	for full() {
		l := o.queue[0]
		o.queue[0] = line{}
		o.queue = o.queue[1:]
		o.forget(l)
		o.lost += max(1, l.lost)
	}
}

// merge takes events out that a newer one makes worthless: nothing is lost.
func (o *outlet) merge() {
	newest := map[string]int{}
	for i := range o.queue {
		if who := o.queue[i].about(); who != "" {
			newest[who] = i
		}
	}
	if len(newest) == o.passing {
		return
	}
	o.filter(func(i int, l *line) bool {
		who := l.about()
		return who == "" || newest[who] == i
	})
}

// filter takes lines out.
func (o *outlet) filter(stays func(i int, l *line) bool) {
	all := o.queue
	left, n := len(all), 0
	for i := range all {
		o.queue = all[:left] // as long as it would be
		l := all[i]
		if !stays(i, &l) {
			o.forget(l)
			left--
			continue
		}
		all[n] = l
		n++
	}
	clear(all[n:])
	o.queue = all[:n]
}
