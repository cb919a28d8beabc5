package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/uipb"
)

// broadcasts knows who is connected and what each wants to be told. A user
// interface that never subscribed is told what it always was; one that did,
// exactly what it named. Source: gateways/uiv2/PROTOCOL.md, Broadcasts.
//
//	parent    node, daemon
//	receives  uipb.Announce, uipb.Ask, Follow, joined, left
//	sends     messages.Multicast to shards; uipb.Done, uipb.Announced to askers; Followed to who follows
//	stops     with the process
type broadcasts struct {
	fanout Fanout                    // fixed at spawn
	demand func(level uipb.LogLevel) // told the least serious level that anybody wants

	members  []listener // owned, as all that follows; sorted by member
	retained []retained
	level    uipb.LogLevel // last told to demand
	follows  []follower
}

// listener is one connected user interface.
type listener struct {
	member  uint64
	chosen  bool            // it subscribed
	opcodes map[string]bool // that it subscribed to; nil: none
	muted   map[string]bool // that it unsubscribed from without ever subscribing; nil: none
	level   uipb.LogLevel   // of log lines; unspecified: as ever
	changes func() bool     // it may change things now; returns at once
}

// retained is an announcement that those who come now are told, too.
type retained struct {
	announce *uipb.Announce
	until    time.Time
}

type (
	joined struct {
		member  uint64
		changes func() bool // as in listener
	}
	left struct{ member uint64 }
)

// IgnoreDeadLetterLogging marks messages that may find broadcasts stopped.
func (*joined) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging marks messages that may find broadcasts stopped.
func (*left) IgnoreDeadLetterLogging() {}

// opcodeLog is the one broadcast that has levels.
const opcodeLog = "logBroadcast"

// levelAsEver is the least serious log line that is broadcast to who did not
// subscribe to more.
const levelAsEver = uipb.LogLevel_LOG_LEVEL_INFO

// SpawnBroadcasts starts the actor that all announcements go to. demand must
// return at once; nil: nobody asks.
func SpawnBroadcasts(ctx actor.SpawnerContext, fanout Fanout, demand func(least uipb.LogLevel)) *actor.PID {
	if demand == nil {
		demand = func(uipb.LogLevel) {}
	}
	b := &broadcasts{fanout: fanout, demand: demand, level: levelAsEver}
	// The members outlive a restart: their clients joined once.
	return tree.Spawn(ctx, "broadcasts", tree.Spec{Asked: true, New: func() actor.Actor { return b }})
}

func (b *broadcasts) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *uipb.Announce:
		b.onAnnounce(ctx, m)
	case *uipb.Ask:
		b.onAsk(ctx, m)
	case *Follow:
		b.onFollow(ctx, m)
	case *actor.Terminated:
		b.onGone(m)
	case *joined:
		b.onJoined(ctx, m)
	case *left:
		b.onLeft(ctx, m)
	}
}

func (b *broadcasts) find(member uint64) (int, bool) {
	return slices.BinarySearchFunc(b.members, member, func(l listener, m uint64) int {
		switch {
		case l.member < m:
			return -1
		case l.member > m:
			return 1
		}
		return 0
	})
}

// onJoined tells a newcomer what it has just missed.
func (b *broadcasts) onJoined(ctx actor.Context, m *joined) {
	i, known := b.find(m.member)
	if known {
		return
	}
	l := listener{member: m.member, changes: m.changes}
	b.members = slices.Insert(b.members, i, l)
	b.forget()
	for _, r := range b.retained {
		if l.wants(r.announce) {
			b.tell(ctx, []uint64{m.member}, &messages.Shared{Message: r.announce.GetResponse()}, r.announce)
		}
	}
}

func (b *broadcasts) onLeft(ctx actor.Context, m *left) {
	if i, known := b.find(m.member); known {
		b.members = slices.Delete(b.members, i, i+1)
		b.measure()
		b.tellFollowers(ctx)
	}
}

// forget drops what is not told to newcomers any more.
func (b *broadcasts) forget() {
	now := time.Now()
	b.retained = slices.DeleteFunc(b.retained, func(r retained) bool { return now.After(r.until) })
}

func (b *broadcasts) onAnnounce(ctx actor.Context, m *uipb.Announce) {
	if ms := m.GetRetainMs(); ms > 0 {
		b.forget()
		b.retained = append(b.retained, retained{m, time.Now().Add(time.Duration(ms) * time.Millisecond)})
	}
	shared := &messages.Shared{Message: m.GetResponse()}
	parts := make([][]uint64, len(b.fanout))
	for _, l := range b.members {
		if l.member != m.GetExcept() && l.wants(m) {
			at := l.member % uint64(len(parts))
			parts[at] = append(parts[at], l.member)
		}
	}
	for _, members := range parts {
		if len(members) > 0 {
			b.tell(ctx, members, shared, m)
		}
	}
	if m.GetConfirm() {
		ctx.Respond(&uipb.Announced{})
	}
}

// tell sends an announcement to members of one shard.
func (b *broadcasts) tell(ctx actor.Context, members []uint64, shared *messages.Shared, m *uipb.Announce) {
	out := &messages.Multicast{Frame: shared, Source: m.GetResponse().GetOpcode(), Count: int(m.GetResponse().GetMissed().GetCount())}
	if m.GetLossy() {
		out.Lossy = members
		out.Size = len(m.GetResponse().GetLog().GetText()) + proto.Size(m.GetResponse().GetEvent())
	} else {
		out.Members = members
	}
	ctx.Send(b.fanout.shardOf(members[0]), out)
}

// wants says whether a listener is told. What is private is not for who may only
// look, whatever it subscribed to.
func (l *listener) wants(m *uipb.Announce) bool {
	opcode := m.GetResponse().GetOpcode()
	if m.GetPrivate() && !l.changes() {
		return false
	}
	if opcode == opcodeLog && m.GetResponse().GetLog().GetLevel() > l.least() {
		return false
	}
	if l.chosen {
		return l.opcodes[opcode]
	}
	return !m.GetOptIn() && !l.muted[opcode]
}

// least is the least serious log line that a listener is told.
func (l *listener) least() uipb.LogLevel {
	if l.level == uipb.LogLevel_LOG_LEVEL_UNSPECIFIED {
		return levelAsEver
	}
	return l.level
}

// onAsk changes what the asker is told.
func (b *broadcasts) onAsk(ctx actor.Context, m *uipb.Ask) {
	i, known := b.find(m.GetAsker().GetMember())
	if !known {
		ctx.Respond(Fault(CodeUnknown, "The connection is closing"))
		return
	}
	l, s := &b.members[i], m.GetRequest().GetSubscribe()
	switch m.GetRequest().GetOpcode() {
	case "subscribe":
		l.subscribe(s)
	case "unsubscribe":
		l.unsubscribe(s)
	default:
		ctx.Respond(Fault(CodeUnmarshal, "Only subscribe and unsubscribe are answered here"))
		return
	}
	b.measure()
	b.tellFollowers(ctx) // who is answered now does not miss what happens because of that
	ctx.Respond(&uipb.Done{})
}

// maxOpcodes is how many broadcasts a user interface may name, and maxOpcode how
// many bytes such a name has: far more than there are. Names beyond that are
// ignored, as all are that no broadcast has.
const (
	maxOpcodes = 256
	maxOpcode  = 64
)

// name adds opcodes to a set.
func name(set map[string]bool, opcodes []string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	for _, o := range opcodes {
		if len(set) < maxOpcodes && len(o) <= maxOpcode {
			set[strings.Clone(o)] = true // it may be a part of something long
		}
	}
	return set
}

func (l *listener) subscribe(s *uipb.SubscribeRequest) {
	l.chosen, l.opcodes, l.muted = true, name(l.opcodes, s.GetOpcodes()), nil
	if level := levels[s.GetMinLogLevel()]; level != uipb.LogLevel_LOG_LEVEL_UNSPECIFIED {
		l.level = level
	}
}

// unsubscribe takes names away; without any it returns to what is told to who
// never subscribed.
func (l *listener) unsubscribe(s *uipb.SubscribeRequest) {
	if len(s.GetOpcodes()) == 0 {
		*l = listener{member: l.member, changes: l.changes}
		return
	}
	if !l.chosen {
		l.muted = name(l.muted, s.GetOpcodes())
		return
	}
	for _, o := range s.GetOpcodes() {
		delete(l.opcodes, o)
	}
}

// levels are the names of log levels on the wire.
var levels = map[string]uipb.LogLevel{
	"Error": uipb.LogLevel_LOG_LEVEL_ERROR, "Warn": uipb.LogLevel_LOG_LEVEL_WARN, "Info": uipb.LogLevel_LOG_LEVEL_INFO,
	"Debug": uipb.LogLevel_LOG_LEVEL_DEBUG, "Trace": uipb.LogLevel_LOG_LEVEL_TRACE,
}

// measure tells who makes log lines which ones are of use.
func (b *broadcasts) measure() {
	least := levelAsEver
	for i := range b.members {
		if l := &b.members[i]; l.opcodes[opcodeLog] {
			least = max(least, l.least())
		}
	}
	if least != b.level {
		b.level = least
		b.demand(least)
	}
}
