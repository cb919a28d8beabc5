package enclave

import (
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
)

// setStatus changes how all friends see this node.
func (f *friends) setStatus(ctx actor.Context, m *asked, c *enclavepb.SetStatus) {
	problem := wrongText("a status message", c.GetStatusMessage(), statusMost)
	if c.GetStatus() < Available || c.GetStatus() > Busy {
		problem = "a status is 1 (available), 2 (away) or 3 (busy)"
	}
	if problem != "" {
		answer(ctx, m, refused(m, problem))
		return
	}
	own := proto.CloneOf(f.own)
	own.Status = c.GetStatus()
	if c.StatusMessage != nil {
		own.StatusMessage = c.GetStatusMessage()
	}
	f.show(ctx, own)
	answer(ctx, m, done(m))
}

func (f *friends) setAlias(ctx actor.Context, m *asked, alias string) {
	if problem := wrongText("an alias", alias, nameMost); problem != "" {
		answer(ctx, m, refused(m, problem))
		return
	}
	own := proto.CloneOf(f.own)
	own.Alias = alias
	f.show(ctx, own)
	answer(ctx, m, done(m))
}

// show has all friends see this node in another way.
func (f *friends) show(ctx actor.Context, own *enclavepb.Presence) {
	if proto.Equal(own, f.own) {
		return
	}
	f.own = own
	m := &showing{own}
	for _, address := range slices.Sorted(maps.Keys(f.people)) {
		if p := f.people[address]; p.pid != nil {
			ctx.Send(p.pid, m)
		}
	}
}

func (f *friends) onStanding(m *standing) {
	if p := f.people[m.address]; p != nil {
		f.met.gauges.online.Add(-p.counts())
		p.presence = m.presence
		f.met.gauges.online.Add(p.counts())
	}
}

// counts is 1 for who is online.
func (p *person) counts() int64 {
	if p.online() {
		return 1
	}
	return 0
}

// onListing adds how friends are, and this node.
func (f *friends) onListing(ctx actor.Context, m *listing) {
	m.result.Own = f.own
	for _, c := range m.result.GetContacts() {
		if p := f.people[c.GetAddress()]; p != nil {
			if p.presence != nil {
				c.Presence = p.presence
			}
			c.Held = p.held()
		}
	}
	ctx.Send(f.met.strangers, m)
}

// held is how many messages wait for a friend.
func (p *person) held() uint32 {
	if p.friend == nil {
		return 0
	}
	return uint32(p.friend.queued.Load())
}

func (f *friends) onStatusRequest(ctx actor.Context) {
	r := &enclavepb.Status{Friends: uint32(len(f.people)), Waiting: uint32(f.strange)}
	for _, p := range f.people {
		if p.online() {
			r.Online++
		}
		r.Queued += p.held()
	}
	ctx.Respond(r)
}
