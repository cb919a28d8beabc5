package relay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"parley/messages/relaypb"
)

// model says what peers may hear. It follows what channels send to shards, in
// that order, and what each peer asked for.
type model struct {
	w        *world
	commands map[string]*command       // by nonce
	asked    map[*peer][]*command      // in order
	channels map[string]*modelChannel  // those that ever were open
	spread   map[*relaypb.Message]*out // every message a channel took
	order    []*out
	inside   map[*peer]map[string]bool // between the answers to subscribe and to unsubscribe
	last     map[string]int            // by receiver, sender and channel: number of the last message
	failures bool                      // channels may be lost, and sends with them
	restarts int                       // of channels
	passed   int                       // messages that other nodes were sent
	come     int                       // messages from other nodes
}

// command is one that a peer said, and what it was answered.
type command struct {
	p        *peer
	kind     string // subscribe, unsubscribe, list, send, bad
	channel  string
	password string // "": none
	silent   bool
	answers  int
	ok       bool
	reason   string
	list     *relaypb.Channels
	placed   bool
}

type modelChannel struct {
	incarnation string // id of its actor
	hash        []byte // of its password; nil: none
	members     map[uint64]bool
}

// out is one message that a channel took, and whom it sent it to.
type out struct {
	origin   uint64
	channel  string
	must     []uint64 // members then, but for those whose link had ended
	may      map[uint64]bool
	sent     map[uint64]int
	received map[uint64]int
	at       int64 // Unix second
}

func newModel(w *world, failures bool) *model {
	m := &model{
		w: w, commands: map[string]*command{}, asked: map[*peer][]*command{}, channels: map[string]*modelChannel{},
		spread: map[*relaypb.Message]*out{}, inside: map[*peer]map[string]bool{}, last: map[string]int{}, failures: failures,
	}
	w.onCast, w.onStats = m.onCast, m.onStats
	return m
}

// note takes down a command before it is said, and gives it a nonce.
func (m *model) note(c *command) []byte {
	nonce := fmt.Sprintf(`"%s-%d"`, c.kind, len(m.commands))
	m.commands[nonce] = c
	m.asked[c.p] = append(m.asked[c.p], c)
	return []byte(nonce)
}

func (m *model) errorf(format string, args ...any) {
	m.w.t.Helper()
	m.w.t.Errorf(format, args...)
}

// onCast follows the members of channels.
func (m *model) onCast(c cast) {
	shards := uint64(len(m.w.taps))
	for _, id := range slices.Concat(c.m.Members, c.m.Lossy) {
		if id%shards != uint64(c.shard) {
			m.errorf("member %d was sent to shard %d of %d", id, c.shard, shards)
		}
	}
	if c.m.Frame != nil {
		m.onMessage(c)
	} else if a, ok := c.m.Answer.(*relaypb.Answer); ok && c.m.Charge > 0 { // else it is from channels: a last word
		m.onMembership(c.m.Origin, m.commands[string(a.GetNonce())])
	}
}

func (m *model) onMembership(member uint64, cmd *command) {
	if cmd.p.member != member {
		m.errorf("answer to %d was sent to %d", cmd.p.member, member)
	}
	ch := m.channels[cmd.channel]
	if ch == nil {
		ch = &modelChannel{}
		m.channels[cmd.channel] = ch
	}
	if cmd.kind == "unsubscribe" {
		if !ch.members[member] {
			m.errorf("%d left %q and was no member", member, cmd.channel)
		}
		delete(ch.members, member)
		return
	}
	o := m.w.core.open[cmd.channel]
	if o.pid.GetId() != ch.incarnation {
		if !m.failures && len(m.living(ch)) > 0 {
			m.errorf("%q was opened anew and had members %v", cmd.channel, m.living(ch))
		}
		*ch = modelChannel{o.pid.GetId(), m.opens(cmd), map[uint64]bool{}}
		if string(o.hash) != string(ch.hash) {
			m.errorf("%q was opened with password %q, and has another", cmd.channel, cmd.password)
		}
		if m.w.mesh != nil && !o.pid.Equal(m.w.mesh.carried[cmd.channel]) {
			m.errorf("%q is not carried, and was joined", cmd.channel)
		}
	}
	if ch.members[member] {
		m.errorf("%d joined %q twice", member, cmd.channel)
	}
	if len(ch.hash) > 0 && string(ch.hash) != string(sumOf(cmd.channel, cmd.password, len(ch.hash) == longHash)) {
		m.errorf("%d joined %q with password %q, it has %x", member, cmd.channel, cmd.password, ch.hash)
	}
	ch.members[member] = true
}

// opens is the hash that a channel must have, whose first member joins with a
// command.
func (m *model) opens(cmd *command) (hash []byte) {
	if cmd.password != "" {
		hash = paperSum(cmd.channel, cmd.password)
	}
	if m.w.mesh == nil {
		return hash
	}
	held, theirs := m.w.mesh.foreign[cmd.channel]
	own := m.w.mesh.own[cmd.channel]
	switch {
	case m.failures: // who asked may be gone
	case theirs:
		hash = held
	}
	if string(own) != string(hash) && !m.failures {
		m.errorf("%q is reserved with %x, should be %x", cmd.channel, own, hash)
	}
	if m.failures {
		return m.w.core.open[cmd.channel].hash // what is reserved is compared when all has settled
	}
	return hash
}

// living are the members whose link and server are up.
func (m *model) living(ch *modelChannel) (ids []uint64) {
	for _, id := range slices.Sorted(maps.Keys(ch.members)) {
		if p := m.w.peer(id); !p.gone && !p.doomed {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *model) onMessage(c cast) {
	msg := c.m.Frame.Message.(*relaypb.Message)
	if c.m.Origin == 0 && (m.w.mesh == nil || c.m.Answer != nil || c.m.Charge > 0) {
		m.errorf("%s is nobody's: %v", msg.GetMessage(), c.m)
	}
	o := m.spread[msg]
	if o == nil {
		ch := m.channels[c.m.Source]
		o = &out{
			at: time.Now().Unix(), origin: c.m.Origin, channel: c.m.Source, may: maps.Clone(ch.members), sent: map[uint64]int{}, received: map[uint64]int{},
			must: slices.DeleteFunc(m.living(ch), func(id uint64) bool { return id == c.m.Origin }),
		}
		m.spread[msg] = o
		m.order = append(m.order, o)
		if c.m.Origin != 0 && m.w.mesh != nil {
			m.onPassed(msg)
		}
		if msg.GetChannel() != c.m.Source || c.m.Origin != 0 && !ch.members[c.m.Origin] {
			m.errorf("%q took a message for %q from %d, members %v", c.m.Source, msg.GetChannel(), c.m.Origin, ch.members)
		}
	}
	for _, id := range slices.Concat(c.m.Members, c.m.Lossy) {
		if o.sent[id]++; o.sent[id] > 1 || !o.may[id] {
			m.errorf("a message of %q went to %d %d times, members %v", o.channel, id, o.sent[id], o.may)
		}
	}
}

// onPassed checks that other nodes were sent a message before anybody here.
func (m *model) onPassed(msg *relaypb.Message) {
	last := m.w.mesh.passed[len(m.w.mesh.passed)-1]
	if m.passed++; m.passed != len(m.w.mesh.passed) || last.GetChannel() != msg.GetChannel() ||
		string(last.GetPayload()) != string(msg.GetMessage()) || string(last.GetNonce()) != string(msg.GetNonce()) {
		m.errorf("%d messages were passed on, %d should be; the last is %v", len(m.w.mesh.passed), m.passed, last)
	}
}

// follow checks what a peer hears.
func (m *model) follow(p *peer) {
	m.inside[p] = map[string]bool{}
	p.onHear = func(h heard) {
		switch {
		case h.message != nil:
			m.onHeard(p, h.message)
		case h.answer != nil:
			m.onAnswer(p, h.answer, h.placed)
		case h.err.GetReason() == reasonLost:
			if !m.failures || !m.inside[p][h.err.GetChannel()] {
				m.errorf("%d lost %q", p.member, h.err.GetChannel())
			}
			m.inside[p][h.err.GetChannel()] = false
		default:
			c := m.commands[string(h.err.GetNonce())]
			c.answers++
			if c.kind != "bad" || c.p != p || c.answers > 1 {
				m.errorf("%d heard error %q for %+v", p.member, h.err.GetReason(), c)
			}
		}
	}
}

func (m *model) onHeard(p *peer, msg *relaypb.Message) {
	if !m.inside[p][msg.GetChannel()] {
		m.errorf("%d heard %s of %q and is not subscribed", p.member, msg.GetMessage(), msg.GetChannel())
	}
	o := m.spread[msg]
	o.received[p.member]++
	if o.origin == p.member {
		m.errorf("%d heard its own message", p.member)
	}
	var number int
	if _, err := fmt.Sscanf(string(msg.GetMessage()), `"%d"`, &number); err != nil {
		m.errorf("heard %s", msg.GetMessage())
	}
	key := fmt.Sprint(p.member, " ", o.origin, " ", o.channel)
	if last := m.last[key]; number <= last {
		m.errorf("%d heard %d of %d in %q after %d", p.member, number, o.origin, o.channel, last)
	}
	m.last[key] = number
}

func (m *model) onAnswer(p *peer, a *relaypb.Answer, placed bool) {
	c := m.commands[string(a.GetNonce())]
	if c == nil || c.p != p {
		m.errorf("%d heard an answer to %s", p.member, a.GetNonce())
		return
	}
	if c.answers++; c.answers > 1 || c.silent && a.GetOk() || c.kind == "bad" {
		m.errorf("answer %d to %+v: %v", c.answers, c, a)
	}
	c.ok, c.reason, c.list, c.placed = a.GetOk(), a.GetReason(), a.GetList(), placed
	if c.ok && placed && c.kind != "send" && !m.overtaken(c) {
		m.inside[p][c.channel] = c.kind == "subscribe"
	}
}

// overtaken reports whether a later subscribe was answered before an
// unsubscribe. That happens only when a channel failed.
func (m *model) overtaken(c *command) bool {
	if !m.failures || c.kind != "unsubscribe" {
		return false
	}
	all := m.asked[c.p]
	return slices.ContainsFunc(all[slices.Index(all, c):], func(o *command) bool {
		return o.kind == "subscribe" && o.channel == c.channel && o.ok && o.placed
	})
}

// settled checks what must hold when nothing is under way.
func (m *model) settled() {
	for _, o := range m.order {
		for _, id := range o.must {
			if o.sent[id] != 1 || o.received[id] != 1 && !m.w.peer(id).gone {
				m.errorf("a message of %q was sent to member %d %d times, and heard %d times", o.channel, id, o.sent[id], o.received[id])
			}
		}
	}
	sizes := m.w.sizes()
	for name, ch := range m.channels {
		o := m.w.core.open[name]
		if o != nil && o.pid.GetId() != ch.incarnation {
			m.errorf("%q is open, and nobody joined it", name)
		}
		if o == nil && m.failures {
			ch.members = nil // it was lost
		}
		if n := len(m.living(ch)); n != sizes[name] || (n > 0) != (o != nil) {
			m.errorf("%q has %d members and should have %v; open %v", name, sizes[name], m.living(ch), o != nil)
		}
		delete(sizes, name)
	}
	if len(sizes) > 0 {
		m.errorf("open are also %v", sizes)
	}
	for p, cmds := range m.asked {
		if !p.gone {
			m.settledPeer(p, cmds)
		}
	}
	m.settledStats()
	if m.w.mesh != nil {
		m.w.mesh.settled()
	}
}

// onStats checks an answer that was made while messages went on: it may miss
// some, and counts none twice.
func (m *model) onStats(s *relaypb.NodeStats) {
	now, most := time.Now().Unix(), uint64(0)
	for _, o := range m.order {
		if o.at < now && now-o.at <= ringSeconds {
			most++
		}
	}
	if got := s.GetTotal().GetPackets()[2]; got > most {
		m.errorf("%d packets counted, and %d were sent", got, most)
	}
}

// settledStats compares the last minute with what channels took. What a failed
// channel had counted is gone with it.
func (m *model) settledStats() {
	answers := m.w.ask(m.w.stats, &relaypb.NodeStatsRequest{})
	if len(answers) != 1 {
		m.errorf("%d answers from stats", len(answers))
		return
	}
	s := answers[0].(*relaypb.NodeStats)
	least, most := 0, 0
	for _, o := range m.order {
		least, most = least+len(o.must), most+len(o.may)
	}
	packets, deliveries := s.GetTotal().GetPackets()[2], int(s.GetTotal().GetDeliveries()[2])
	if packets != uint64(len(m.order)) && !m.failures || deliveries < least && !m.failures || deliveries > most {
		m.errorf("%d packets and %d deliveries counted, should be %d and %d to %d", packets, deliveries, len(m.order), least, most)
	}
	if living := len(m.w.alive(m.w.clients)); int(s.GetClients()) != living {
		m.errorf("%d clients counted, %d are alive", s.GetClients(), living)
	}
}

// settledPeer checks a living peer's commands: each had the answer that it must
// have when they take effect in order.
func (m *model) settledPeer(p *peer, cmds []*command) {
	if p.held != 0 || p.excess {
		m.errorf("%d still holds %d charges, more than taken: %v", p.member, p.held, p.excess)
	}
	in, tried := map[string]bool{}, map[string]bool{}
	for _, c := range cmds {
		if want := !c.silent || c.answers == 1; (c.answers == 1) != want && !(m.failures && c.kind == "send") {
			m.errorf("%d answers to %+v", c.answers, c)
		}
		if m.failures {
			continue // what is lost when is up to the driver
		}
		switch c.kind {
		case "subscribe":
			// A limit counts what is being left, too.
			full := c.reason == reasonLimit && (len(tried) >= m.w.limits.ChannelsPerClient || m.w.limits.Channels <= names)
			wrong := c.reason == reasonPassword
			if !c.ok && (in[c.channel] || !full && !wrong && c.reason != reasonBusy) {
				m.errorf("%+v was refused", c)
			}
			tried[c.channel] = true
			if c.ok {
				in[c.channel] = true
			}
		case "unsubscribe", "send":
			if c.answers > 0 && c.ok != in[c.channel] || !c.ok && c.answers > 0 && c.reason != reasonUnknown {
				m.errorf("%+v, and subscribed are %v", c, in)
			}
			if c.kind == "unsubscribe" {
				delete(in, c.channel)
			}
		case "list":
			if own := slices.Sorted(maps.Keys(in)); !slices.Equal(own, c.list.GetSubscribed()) {
				m.errorf("list says %v are subscribed, should be %v", c.list.GetSubscribed(), own)
			}
			if !slices.IsSorted(c.list.GetOpen()) {
				m.errorf("list is not sorted: %v", c.list.GetOpen())
			}
		}
	}
	for name, ch := range m.channels {
		if is := m.inside[p][name]; is != ch.members[p.member] || !m.failures && is != in[name] {
			m.errorf("%d thinks that it is subscribed to %q: %v; is a member: %v", p.member, name, is, ch.members[p.member])
		}
	}
}

// story is what all peers heard, for a failure.
func (m *model) story() string {
	var b strings.Builder
	for _, p := range m.w.peers {
		fmt.Fprintf(&b, "\n%d (gone %v): %s", p.member, p.gone, strings.Join(p.heard, " | "))
	}
	return b.String()
}
