package chat

import (
	"slices"
)

const (
	// linesMost of one conversation are in memory, or scrolledMost while somebody
	// reads older ones; the node has the rest.
	linesMost, scrolledMost = 2000, 20_000
	// earlyMost news of messages are kept whose ids are not known yet.
	earlyMost = 100
)

// line is one entry, and how it is shown.
type line struct {
	entry
	n     uint64 // of sendAsk; 0: it was not sent from here
	after uint64 // serial of the newest line when it was sent

	rows    []string // for columns and name; nil: not known
	columns int
	name    string
}

// conversation is what was said with one contact.
type conversation struct {
	lines   []*line // oldest first
	top     uint64  // no line has a higher serial
	more    bool    // the node has older ones
	loaded  bool    // the newest page came
	loading bool    // a page was asked for
	stale   bool    // the page that was asked for is too old
	locked  *lockedError
	unread  int
	up      int // rows between the last one and the bottom of the window
	early   map[string]delivery
}

// newest is the highest serial; 0: none.
func (c *conversation) newest() uint64 {
	top := uint64(0)
	for _, l := range c.lines {
		top = max(top, l.serial)
	}
	return top
}

// oldest is the lowest serial; 0: none.
func (c *conversation) oldest() uint64 {
	for _, l := range c.lines {
		if l.serial != 0 {
			return l.serial
		}
	}
	return 0
}

// add puts a line at the end. false: it is there already.
func (c *conversation) add(l *line) bool {
	if l.serial != 0 && l.serial <= c.top && slices.ContainsFunc(c.lines, func(o *line) bool { return o.serial == l.serial }) {
		return false
	}
	c.lines = append(c.lines, l)
	c.top = max(c.top, l.serial)
	most := linesMost
	if c.up > 0 {
		most = scrolledMost
	}
	if over := len(c.lines) - most; over > 0 {
		clear(c.lines[:over])
		c.lines = c.lines[over:]
		c.more = c.more || c.oldest() != 0
	}
	return true
}

// reload takes the newest page. It returns how many messages of the other's came
// that were not known, when some were known before.
func (c *conversation) reload(entries []entry, more bool) (fresh int) {
	known, top, last := c.loaded, c.newest(), uint64(0)
	old := c.lines
	c.lines = make([]*line, 0, len(entries))
	ids := map[string]bool{}
	for _, e := range entries {
		if known && !e.own && e.serial > top {
			fresh++
		}
		c.lines = append(c.lines, &line{entry: e})
		ids[e.id] = true
		last = max(last, e.serial)
	}
	first := c.oldest()
	// What is not in the history was not sent only where all is kept: a page is
	// there, and nothing was told of that is in none.
	keeps := len(entries) > 0 && !slices.ContainsFunc(old, func(l *line) bool { return !l.own && l.serial == 0 })
	var before []*line
	for _, l := range old {
		switch {
		case l.serial != 0 && l.serial < first && top >= first: // an older page
			before = append(before, l)
		case l.serial > last, l.serial == 0 && (l.id == "" || !ids[l.id]) && !c.settle(l, keeps):
			c.lines = append(c.lines, l)
		}
	}
	if len(before) > 0 {
		c.lines = append(before, c.lines...)
	} else {
		c.more = more
	}
	c.top = c.newest()
	c.loaded, c.locked = true, nil
	return fresh
}

// settle finds out what became of a line of which the node said nothing. keeps:
// the history would have it, if the node had. true: it has.
func (c *conversation) settle(l *line, keeps bool) bool {
	if l.state != unclear {
		return false
	}
	for _, o := range c.lines {
		if o.own && o.n == 0 && o.serial > l.after && o.text == l.text {
			o.n = l.n // it stands for one line only
			return true
		}
	}
	if keeps {
		l.state, l.rows = refused, nil
	}
	return false
}

// prepend takes an older page.
func (c *conversation) prepend(entries []entry, more bool) {
	first := c.oldest()
	var older []*line
	for _, e := range entries {
		if first == 0 || e.serial < first {
			older = append(older, &line{entry: e})
		}
	}
	c.lines = append(older, c.lines...)
	c.more = more && len(older) > 0
}

// move notes how far a message has come. false: it is not known here.
func (c *conversation) move(id string, to delivery) bool {
	for _, l := range slices.Backward(c.lines) {
		if l.own && l.id == id {
			if to > l.state || l.state > delivered {
				l.state, l.rows = to, nil
			}
			return true
		}
	}
	return false
}

// remember keeps what was said of a message whose id may come soon.
func (c *conversation) remember(id string, to delivery) {
	if c.early == nil || len(c.early) >= earlyMost {
		c.early = map[string]delivery{}
	}
	c.early[id] = max(c.early[id], to)
}

// mine is the line that was sent from here; nil: it is gone.
func (c *conversation) mine(n uint64) *line {
	for _, l := range slices.Backward(c.lines) {
		if l.n == n {
			return l
		}
	}
	return nil
}

// waits tells whether a message of ours is on its way to the node.
func (c *conversation) waits() bool {
	return slices.ContainsFunc(c.lines, func(l *line) bool { return l.own && l.state == sending })
}
