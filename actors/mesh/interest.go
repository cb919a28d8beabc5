package mesh

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
)

// plansMost bounds the plans that are kept, over all channels and sources.
const plansMost = 1 << 16

// keyBytes is how much of a channel's hash tells two of them apart.
const keyBytes = 8

// interest knows who wants the messages of which channel.
type interest struct {
	audiences map[string]*audience
	nobody    *audience // of all channels that are not in audiences
	plans     int       // kept, in all
}

// audience is who has one channel open: other nodes, and this one.
type audience struct {
	holders []string  // nodes but this one, sorted
	sum     uint64    // of them, whatever their order
	changes uint64    // of holders
	changed time.Time // last

	local *actor.PID // the channel, if it is open here
	key   string     // of its password, as messages carry it; "": it has none

	plans map[*vertex]*plan // by source; see plan.valid
}

func newInterest() *interest {
	return &interest{audiences: map[string]*audience{}, nobody: &audience{}}
}

// of returns a channel's audience, which may be nobody.
func (i *interest) of(channel string) *audience {
	if a := i.audiences[channel]; a != nil {
		return a
	}
	return i.nobody
}

func (i *interest) make(channel string) *audience {
	a := i.audiences[channel]
	if a == nil {
		a = &audience{}
		i.audiences[channel] = a
	}
	return a
}

// tidy forgets a channel that nobody has open.
func (i *interest) tidy(channel string, a *audience) {
	if len(a.holders) == 0 && a.local == nil {
		i.plans -= len(a.plans)
		delete(i.audiences, channel)
	}
}

// carry lets a channel have the messages of its name.
func (i *interest) carry(m *meshpb.Carry, channel *actor.PID) {
	a := i.make(m.GetChannel())
	a.local, a.key = channel, keyOf(m.GetHash())
}

// keyOf is what messages say of a channel's hash.
func keyOf(hash []byte) string { return hex.EncodeToString(hash[:min(len(hash), keyBytes)]) }

// drop ends carry.
func (i *interest) drop(channel string) {
	if a := i.audiences[channel]; a != nil {
		a.local, a.key = nil, ""
		i.tidy(channel, a)
	}
}

// hold notes that another node has a channel open, or no longer has.
func (i *interest) hold(m *holds, now time.Time) {
	if !m.now && i.audiences[m.channel] == nil {
		return
	}
	a := i.make(m.channel)
	at, held := slices.BinarySearch(a.holders, m.node)
	if held == m.now {
		return
	}
	if m.now {
		a.holders = slices.Insert(a.holders, at, m.node)
	} else {
		a.holders = slices.Delete(a.holders, at, at+1)
	}
	a.sum ^= nameHash(m.node)
	a.changes++
	a.changed = now
	i.tidy(m.channel, a)
}

// forget drops what is kept for a source that is gone.
func (i *interest) forget(v *vertex) {
	for _, a := range i.audiences {
		i.unplan(a, v)
	}
	i.unplan(i.nobody, v)
}

func (i *interest) unplan(a *audience, v *vertex) {
	if _, ok := a.plans[v]; ok {
		delete(a.plans, v)
		i.plans--
	}
}

// keep remembers a plan. Of too many all are dropped: those in use come back.
func (i *interest) keep(a *audience, source *vertex, p *plan) {
	if _, ok := a.plans[source]; !ok {
		if i.plans >= plansMost {
			for _, a := range i.audiences {
				a.plans = nil
			}
			i.nobody.plans, i.plans = nil, 0
		}
		i.plans++
	}
	if a.plans == nil {
		a.plans = map[*vertex]*plan{}
	}
	a.plans[source] = p
}

// deliver hands a message of another node to its channel here, if that has the
// same password. Who says nothing of it is believed to mean ours.
func (a *audience) deliver(ctx actor.SenderContext, m *meshpb.Message) {
	if a.local != nil && (m.Key == nil || m.GetKey() == a.key) {
		ctx.Send(a.local, &meshpb.Delivery{Message: m})
	}
}
