package mesh

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/meshpb"
)

func (x *islander) Receive(ctx actor.Context) {
	if x.dead {
		return
	}
	switch m := ctx.Message().(type) {
	case *meshpb.AskRequest:
		x.onAsk(ctx, m)
	case *post:
		x.onPost(m)
	case *version:
		if m.ver < x.ver {
			x.net.t.Errorf("%s: version %d after %d", x.name, m.ver, x.ver)
		}
		x.ver = m.ver
	case *holds:
		x.onHolds(m)
	case *synced:
		x.synced++
	case *islandParcel:
		x.onParcel(ctx, m)
	case islandAskOver:
		x.finish(ctx, m.nonce)
	case islandHello:
		x.onHello(ctx, m)
	case *meshpb.OpenResponse:
		x.onOpened(m)
	case *meshpb.Evict:
		x.onEvict(ctx, m)
	}
}

func (x *islander) onAsk(ctx actor.Context, m *meshpb.AskRequest) {
	p := x.packet(m.GetDestination())
	p.Command = m.GetCommand()
	a := &islanderAsk{asker: ctx.Sender(), m: m, wait: map[string]bool{}}
	within := 5 * time.Second
	if m.GetDestination() == everyone {
		within = 2 * time.Second
		for _, name := range x.island() {
			a.wait[name] = true
		}
	} else if x.next(m.GetDestination()) >= 0 {
		a.wait[m.GetDestination()] = true
	}
	if m.GetTimeoutMs() > 0 {
		within = time.Duration(m.GetTimeoutMs()) * time.Millisecond
	}
	x.asks[nonceOf(p)] = a
	x.emit(p, -1)
	if len(a.wait) == 0 {
		x.finish(ctx, nonceOf(p))
		return
	}
	tree.After(ctx, within, islandAskOver{nonceOf(p)})
}

func nonceOf(p *meshpb.Packet) string {
	return fmt.Sprintf("%s %x-%x", p.GetSource(), p.GetBoot(), p.GetSeq())
}

func (x *islander) finish(ctx actor.Context, nonce string) {
	a := x.asks[nonce]
	if a == nil {
		return
	}
	delete(x.asks, nonce)
	ctx.Send(a.asker, &meshpb.AskResponse{Answers: a.got, Silent: slices.Sorted(maps.Keys(a.wait)), Ticket: a.m.GetTicket()})
}

func (x *islander) packet(to string) *meshpb.Packet {
	x.seq++
	p := &meshpb.Packet{Source: x.name, Destination: to, Boot: x.boot, Seq: x.seq}
	x.seen[nonceOf(p)] = true
	return p
}

func (x *islander) onPost(m *post) {
	if m.response != nil {
		p := &meshpb.Packet{Source: x.name, Destination: m.destination, Boot: m.to.GetBoot(), Seq: m.to.GetSeq(), Response: m.response}
		x.emit(p, -1)
		return
	}
	p := x.packet(m.destination)
	p.Command = m.command
	if m.only != "" {
		x.net.send(x.index, x.net.byName[m.only].index, p)
		return
	}
	x.emit(p, -1)
}

// emit sends a packet on its way: over all links but one, or over the next.
func (x *islander) emit(p *meshpb.Packet, but int) {
	if p.GetDestination() != everyone {
		if j := x.next(p.GetDestination()); j >= 0 {
			x.net.send(x.index, j, p)
		}
		return
	}
	for _, j := range x.peers() {
		if j != but {
			x.net.send(x.index, j, p)
		}
	}
}

func (x *islander) onParcel(ctx actor.Context, m *islandParcel) {
	if x.net.up[pair(m.from, x.index)] != m.epoch {
		return // the link broke
	}
	p := m.packet
	if p.GetDestination() == everyone {
		if x.seen[nonceOf(p)] {
			return
		}
		x.seen[nonceOf(p)] = true
		x.emit(p, m.from)
	} else if p.GetDestination() != x.name {
		x.emit(p, -1)
		return
	}
	switch {
	case p.GetResponse() != nil:
		nonce := fmt.Sprintf("%s %x-%x", x.name, p.GetBoot(), p.GetSeq())
		if a := x.asks[nonce]; a != nil && a.wait[p.GetSource()] {
			delete(a.wait, p.GetSource())
			a.got = append(a.got, &meshpb.Answer{Node: p.GetSource(), Response: p.GetResponse()})
			if len(a.wait) == 0 {
				x.finish(ctx, nonce)
			}
		}
	case p.GetCommand().GetName() == cmdHello:
		x.heard[p.GetSource()] = time.Now()
		ctx.Send(x.pid, &heard{node: p.GetSource(), boot: p.GetCommand().GetHello().GetBoot(), ver: p.GetCommand().GetHello().GetVer()})
	default:
		ctx.Send(x.pid, &inquiry{packet: p, from: x.net.nodes[m.from].name})
	}
}

// onHello tells all that this node lives, and finds out who does not.
func (x *islander) onHello(ctx actor.Context, m islandHello) {
	if m.born != x.born {
		return
	}
	p := x.packet(everyone)
	p.Command = &meshpb.Command{Name: cmdHello, Hello: &meshpb.Hello{Boot: x.boot, Ver: x.ver}}
	x.emit(p, -1)
	for _, node := range slices.Sorted(maps.Keys(x.heard)) {
		if time.Since(x.heard[node]) >= time.Minute {
			delete(x.heard, node)
			ctx.Send(x.pid, &gone{node})
		}
	}
	tree.After(ctx, 8*time.Second+time.Duration(x.net.rnd.Int64N(int64(4*time.Second))), m)
}

func (x *islander) onHolds(m *holds) {
	if x.holds[m.node] == nil {
		x.holds[m.node] = map[string]bool{}
	}
	if x.holds[m.node][m.channel] == m.now || m.node == x.name {
		x.net.t.Errorf("%s is told %+v twice", x.name, *m)
	}
	x.holds[m.node][m.channel] = m.now
	if !m.now {
		delete(x.holds[m.node], m.channel)
	}
}

// subscribe has a client want a channel, as the relay's channels would.
func (x *islander) subscribe(name, hash string) {
	if _, is := x.open[name]; is || x.dead {
		return
	}
	x.wanted[name]++
	m := &meshpb.OpenRequest{Channel: name, HasPassword: hash != ""}
	if hash != "" {
		m.Hash = []byte(hash)
	}
	x.net.sys.Root.RequestWithCustomSender(x.pid, m, x.paper)
}

// leave closes a channel here.
func (x *islander) leave(name string) {
	if _, is := x.open[name]; is {
		delete(x.open, name)
		x.net.sys.Root.Send(x.pid, &meshpb.Drop{Channel: name})
	}
}

func (x *islander) onOpened(m *meshpb.OpenResponse) {
	x.told = append(x.told, m)
	if x.wanted[m.GetChannel()]--; x.wanted[m.GetChannel()] < 0 {
		x.net.t.Errorf("%s: %s was answered twice", x.name, m.GetChannel())
	}
	if m.GetOutcome() != meshpb.Outcome_OUTCOME_OPEN {
		return
	}
	if hash, is := x.open[m.GetChannel()]; is && hash != string(m.GetHash()) {
		x.net.t.Errorf("%s: %s is open with another hash", x.name, m.GetChannel())
	}
	x.open[m.GetChannel()] = string(m.GetHash())
}

func (x *islander) onEvict(ctx actor.Context, m *meshpb.Evict) {
	if _, is := x.open[m.GetChannel()]; is {
		x.net.losers++
		delete(x.open, m.GetChannel())
	}
	ctx.Send(x.pid, &meshpb.Drop{Channel: m.GetChannel()}) // as a channel that is closed does
}
