package enclave

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/enclavepb"
	"parley/messages/storepb"
)

func pacedOf(m any) *messages.Paced { return m.(*messages.Paced) }

// later carries something to be done to the actor that will do it.
type later struct{ f func(ctx actor.Context) }

func (later) IgnoreDeadLetterLogging() {}

// paperOutbox keeps messages as the real one does, and outlives its node.
type paperOutbox struct {
	all    map[string]map[uint64]*enclavepb.Kept // by address
	takes  func() time.Duration                  // nil: no time
	refuse string
	blind  string // its answer to recall
	mute   bool
	fail   int // keeps that make it panic
}

func (p *paperOutbox) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *keep:
		p.onKeep(ctx, m)
	case *release:
		for _, serial := range m.serials {
			delete(p.all[m.address], serial)
		}
	case *discard:
		delete(p.all, m.address)
	case *recall:
		if p.mute {
			return
		}
		r := &recalled{address: m.address, error: p.blind}
		if p.blind == "" {
			for _, serial := range slices.Sorted(maps.Keys(p.all[m.address])) {
				r.serials, r.messages = append(r.serials, serial), append(r.messages, p.all[m.address][serial])
			}
		}
		ctx.Respond(r)
	case later:
		m.f(ctx)
	}
}

func (p *paperOutbox) onKeep(ctx actor.Context, m *keep) {
	if p.fail > 0 {
		p.fail--
		panic("the outbox was told to fail")
	}
	from := ctx.Sender()
	store := func(ctx actor.Context) {
		if p.all == nil {
			p.all = map[string]map[uint64]*enclavepb.Kept{}
		}
		if p.all[m.address] == nil {
			p.all[m.address] = map[uint64]*enclavepb.Kept{}
		}
		if p.refuse == "" {
			p.all[m.address][m.serial] = m.message
		}
		ctx.Send(from, &kept{serial: m.serial, error: p.refuse})
	}
	if p.takes == nil {
		store(ctx)
		return
	}
	tree.After(ctx, p.takes(), later{store})
}

// paperChronicle notes what was said, and tells people of what peers say. What it
// has outlives its node.
type paperChronicle struct {
	frontends *actor.PID
	said      []string // by peers: their address and words, in order
	entries   []*enclavepb.Entry
	state     map[string][]enclavepb.Delivery // of our own, by id
	takes     func() time.Duration            // nil: no time
	mute      bool                            // noted does not come
	fail      int                             // messages that make it panic
	last      time.Time                       // when the last of queue is stored
	queue     []func(ctx actor.Context)
	joined    []func(ctx actor.Context) // at its end: what the next goes with
	marks     map[string]string
	full      bool   // what comes again is not stored
	refused   uint32 // 1 + epoch of the last that was not
	again     []string
}

func (p *paperChronicle) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *said:
		p.onSaid(ctx, m)
	case *saidAll:
		p.joined = nil
		for _, s := range m.all {
			p.onSaid(ctx, s)
		}
	case *ours:
		p.onSaid(ctx, &m.said)
	case *progressed:
		if p.state == nil {
			p.state = map[string][]enclavepb.Delivery{}
		}
		p.state[m.id] = append(p.state[m.id], m.delivery)
	case later:
		m.f(ctx)
	}
}

// onSaid stores what was said, one after the other, and answers then.
func (p *paperChronicle) onSaid(ctx actor.Context, m *said) {
	if p.fail > 0 {
		p.fail--
		panic("the chronicle was told to fail")
	}
	from := ctx.Sender()
	if m.again {
		p.again = append(p.again, m.entry.GetMessage())
	}
	if vital := m.entry.GetId() != ""; vital && (p.full || p.refused == m.epoch+1) {
		if p.refused != m.epoch+1 {
			p.refused = m.epoch + 1
			ctx.Send(from, &noted{note: m.note, epoch: m.epoch, lost: true})
		}
		return
	}
	store := func(ctx actor.Context) {
		if !m.again { // people are told of what it stores
			p.entries = append(p.entries, m.entry)
		}
		if !m.entry.GetOwn() && !m.again {
			p.said = append(p.said, m.address+" "+m.entry.GetMessage())
			ctx.Send(p.frontends, &told{&enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{
				From: m.address, Name: m.name, Message: m.entry.GetMessage(), Timestamp: m.entry.GetTimestamp(), Extra: m.extra,
			}}}})
		}
		if m.mark != nil {
			if p.marks == nil {
				p.marks = map[string]string{}
			}
			p.marks[m.mark.GetKey()] = string(m.mark.GetValue())
		}
		if m.note != 0 && !p.mute {
			ctx.Send(from, &noted{note: m.note, epoch: m.epoch, mark: m.mark})
		}
	}
	if p.takes == nil {
		store(ctx)
		return
	}
	if p.joined = append(p.joined, store); m.joined { // one write, with the mark that they share
		return
	}
	all := p.joined
	p.joined = nil
	at := time.Now().Add(p.takes())
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	p.queue = append(p.queue, func(ctx actor.Context) {
		for _, store := range all {
			store(ctx)
		}
	})
	tree.After(ctx, time.Until(at), later{func(ctx actor.Context) {
		next := p.queue[0]
		p.queue = p.queue[1:]
		next(ctx)
	}})
}

// paperStore keeps records, and answers as the test wants.
type paperStore struct {
	records map[string]string
	chron   *paperChronicle // its marks are records, too; nil: there are none
	corrupt []string
	refuse  string // its answer to writes
	blind   string // its answer to reads
	mute    bool
	fail    bool
	writes  []*storepb.Write
}

func (p *paperStore) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *storepb.Write:
		p.onWrite(ctx, m)
	case *storepb.ReadRequest:
		if p.mute {
			return
		}
		r := &storepb.ReadResponse{Serial: m.GetSerial(), Error: p.blind, Corrupt: p.corrupt}
		all := maps.Clone(p.records)
		if all == nil {
			all = map[string]string{}
		}
		if p.chron != nil {
			maps.Copy(all, p.chron.marks)
		}
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if p.blind == "" && strings.HasPrefix(key, m.GetPrefix()) {
				r.Records = append(r.Records, &storepb.Record{Key: key, Value: []byte(all[key])})
			}
		}
		ctx.Respond(r)
	}
}

func (p *paperStore) onWrite(ctx actor.Context, m *storepb.Write) {
	if p.fail {
		panic("the store was told to fail")
	}
	p.writes = append(p.writes, m)
	if p.mute {
		return
	}
	if p.refuse == "" {
		if p.records == nil {
			p.records = map[string]string{}
		}
		for _, r := range m.GetPuts() {
			p.records[r.GetKey()] = string(r.GetValue())
		}
		for _, key := range m.GetDeletes() {
			delete(p.records, key)
			if p.chron != nil {
				delete(p.chron.marks, key)
			}
		}
	}
	if ctx.Sender() != nil {
		ctx.Respond(&storepb.Written{Serial: m.GetSerial(), Error: p.refuse})
	}
}
