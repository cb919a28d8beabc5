package enclave

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/enclavepb"
	"parley/messages/storepb"
)

// consequence is what follows when what a friend has said is stored.
type consequence struct {
	from  *actor.PID       // the friend
	m     *said            // what it has said
	event *enclavepb.Event // what people are told
	vital bool             // it comes again if it is not stored, so until then nobody is told
}

// tale is what people are told of a message, in one piece of memory.
type tale struct {
	event    enclavepb.Event
	body     enclavepb.Event_Received
	received enclavepb.Received
	follows  [1]consequence
}

// keeps reports whether an entry is kept. wanted says that it is not though it
// should be.
func (c *chronicle) keeps(ctx actor.Context, own bool) (keeps, wanted bool) {
	switch {
	case c.o.Store == nil || c.o.Retention < 0:
		return false, false
	case c.blind:
		c.lose(ctx, 1, "it could not be read so far")
		return false, true
	case c.writing.bytes > waitRowsMost, own && c.writing.bytes > ownWaitMost:
		c.lose(ctx, 1, "more is said than the database takes")
		return false, true
	}
	return true, false
}

// vital reports that some of a row comes again if it is not stored.
func (r *row) vital() bool {
	return slices.ContainsFunc(r.follows, func(f consequence) bool { return f.vital })
}

// onOurs has a message of our own stored.
func (c *chronicle) onOurs(ctx actor.Context, m *said) {
	if keeps, _ := c.keeps(ctx, true); keeps {
		r := &row{address: m.address}
		c.enter(r, m.entry)
		c.put(ctx, r)
	}
}

// onSaidAll has a burst stored. Messages with no record of their own go with the
// one that has the mark of all.
func (c *chronicle) onSaidAll(ctx actor.Context, from *actor.PID, all []*said) {
	var carried []consequence
	for i, m := range all {
		if m.entry.GetOwn() {
			c.onOurs(ctx, m)
			continue
		}
		r := c.rowOf(ctx, from, m)
		if r == nil {
			continue
		}
		if len(carried) > 0 {
			r.follows = append(carried, r.follows...)
			carried = nil
		}
		if r.empty() && m.joined && i < len(all)-1 {
			carried = r.follows
			continue
		}
		c.put(ctx, r)
	}
	if len(carried) > 0 { // the one that they were to go with was refused
		c.put(ctx, &row{address: all[0].address, follows: carried})
	}
	c.writing.whole()
	c.send(ctx)
}

// rowOf is the row of a message of a friend; nil: it is refused.
func (c *chronicle) rowOf(ctx actor.Context, from *actor.PID, m *said) *row {
	if c.deaf(m) {
		return nil
	}
	r := &row{address: m.address, joined: m.joined}
	vital := m.entry.GetId() != ""
	serial := uint64(0)
	if !m.again {
		keeps, wanted := c.keeps(ctx, false)
		if keeps {
			c.enter(r, m.entry)
			serial = r.entry.GetSerial()
		}
		if wanted && vital {
			c.refuse(ctx, from, m)
			return nil
		}
	}
	if m.mark != nil {
		r.others = []*storepb.Record{m.mark}
	}
	t := &tale{}
	t.body.Received, t.event.Body = &t.received, &t.body
	e := &t.received
	e.From, e.Name, e.Message, e.Timestamp = m.address, m.name, m.entry.GetMessage(), m.entry.GetTimestamp()
	e.Extra, e.Serial, e.Again = m.extra, serial, m.again
	e.Run, e.Number, _ = splitID(m.entry.GetId())
	t.follows[0] = consequence{from, m, &t.event, vital}
	r.follows = t.follows[:]
	return r
}

// enter makes a row of a new entry.
func (c *chronicle) enter(r *row, e *enclavepb.Entry) {
	c.lasts[r.address]++
	r.entry = &enclavepb.Entry{
		Serial: c.lasts[r.address], Own: e.GetOwn(), Message: shorten(e.GetMessage()), Timestamp: e.GetTimestamp(), Id: e.GetId(),
		Delivery: e.GetDelivery(),
	}
	r.fresh, r.expires = true, c.o.expiry()
	if e.GetOwn() {
		r.id, r.delivery = e.GetId(), e.GetDelivery()
	}
}

// follow does what follows from rows that are stored, or that never will be: then
// what comes again is refused, and the rest is told.
func (c *chronicle) follow(ctx actor.Context, rows []*row, stored bool) {
	var events []*enclavepb.Event
	var notes []noting
	for _, r := range rows {
		for _, f := range r.follows {
			if !stored && f.vital {
				c.refuse(ctx, f.from, f.m)
				continue
			}
			if !stored {
				f.event.GetReceived().Serial = 0
			}
			events = append(events, f.event)
			if f.m.note != 0 && f.from != nil {
				n := &noted{note: f.m.note, epoch: f.m.epoch}
				if stored {
					n.mark = f.m.mark
				}
				notes = append(notes, noting{f.from, n})
			}
		}
	}
	if len(events) > 0 {
		ctx.Send(c.met.frontends, &toldAll{&enclavepb.Events{Events: events}, notes})
	}
	if !stored {
		c.withdraw(ctx)
	}
}

// refuse says that a message was not stored, once an epoch, and takes no more of it.
func (c *chronicle) refuse(ctx actor.Context, from *actor.PID, m *said) {
	if epoch, ok := c.refusing[m.address]; ok && epoch == m.epoch {
		return
	}
	c.refusing[m.address] = m.epoch
	if from != nil {
		ctx.Send(from, &noted{note: m.note, epoch: m.epoch, lost: true})
	}
}

// deaf reports that a message stands behind one that was refused.
func (c *chronicle) deaf(m *said) bool {
	epoch, ok := c.refusing[m.address]
	if ok && epoch != m.epoch {
		delete(c.refusing, m.address)
		return false
	}
	return ok && m.entry.GetId() != ""
}

// withdraw takes rows off the queue that stand behind what was refused.
func (c *chronicle) withdraw(ctx actor.Context) {
	w := &c.writing
	var gone []*row
	behind := func(r *row) bool {
		return r.vital() && slices.ContainsFunc(r.follows, func(f consequence) bool { return f.vital && c.deaf(f.m) })
	}
	w.queue = slices.DeleteFunc(w.queue, func(r *row) bool {
		if !behind(r) {
			return false
		}
		gone = append(gone, r)
		return true
	})
	for _, r := range gone {
		w.bytes -= r.size()
		w.over++
	}
	if len(gone) > 0 {
		w.whole()
		c.follow(ctx, gone, false)
	}
}
