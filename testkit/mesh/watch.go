package mesh

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/meshpb"
	"parley/messages/relaypb"
)

const (
	// calm is how long nothing may have changed before every message must arrive,
	// and in order.
	calm = 5 * time.Second
	// brief is the same for what is only counted: news needs less to cross the
	// widest and slowest network.
	brief = 1500 * time.Millisecond
	// arriveMost is how long a message is given then.
	arriveMost = 2 * time.Second
	keyDigits  = 16 // of a channel's key, in hex
)

// Watch checks what clients hear: every message once, only who knows its
// password, in order while the network stands, and everybody while nothing
// changes.
type Watch struct {
	sim      *Sim
	begun    time.Time
	clients  int // that ever were
	messages []*sentMessage
	last     time.Time            // change of links or nodes
	why      string               // of last
	channels map[string]time.Time // last change of who is subscribed
	carries  map[[2]string][]carry

	// Delivered counts what clients heard, Promised what they had to.
	Delivered, Promised int
	// Probes counts messages sent by Check, ProbeFrames how often they crossed a link.
	Probes, ProbeFrames int
	// Lost counts subscriptions that were ended because a name belonged to others,
	// Refused those that were refused.
	Lost, Refused int
	// Overtaken counts messages that came behind a younger one of the same sender
	// before the network was calm, or by another way; OvertakenBrief those of them that came when
	// nothing had changed for a brief while, MissedBrief what did not come then.
	Overtaken, OvertakenBrief, MissedBrief int
}

// carry is a channel of a node, as its router was told.
type carry struct {
	key      string
	from, to time.Time // to zero: still
}

// sentMessage is one that a client sent.
type sentMessage struct {
	id      int
	from    *Client
	channel string
	seq     int // of that client's in that channel
	at      time.Time
	key     string // of the channel, when the router got it
	passed  bool   // to the router
	treed   bool   // it crossed a link along a tree
	flooded bool   // it crossed one without
	heard   map[*Client]bool
}

func (m *sentMessage) payload() []byte { return strconv.AppendQuote(nil, "m"+strconv.Itoa(m.id)) }

func newWatch(s *Sim) *Watch {
	now := time.Now()
	return &Watch{sim: s, begun: now, last: now, channels: map[string]time.Time{}, carries: map[[2]string][]carry{}}
}

// changed notes that the network is not what it was.
func (w *Watch) changed(why string) { w.last, w.why = time.Now(), why }

// moved notes that who is subscribed to a channel is not who was.
func (w *Watch) moved(channel string) { w.channels[channel] = time.Now() }

// since is when anything changed last that matters to a channel: now, while a
// link is neither whole nor given up by both ends.
func (w *Watch) since(channel string) time.Time {
	for _, l := range w.sim.wires {
		if !l.serves() {
			return time.Now()
		}
	}
	if at := w.channels[channel]; at.After(w.last) {
		return at
	}
	return w.last
}

// stood is for how long nothing has changed, of whatever channel.
func (w *Watch) stood() time.Duration {
	last := w.since("")
	for _, at := range w.channels {
		if at.After(last) {
			last = at
		}
	}
	return time.Since(last)
}

func keyOf(hash []byte) string {
	h := hex.EncodeToString(hash)
	return h[:min(len(h), keyDigits)]
}

func (w *Watch) carried(n *Node, m *meshpb.Carry) {
	w.moved(m.GetChannel())
	w.ended(n.Name, m.GetChannel())
	at := [2]string{n.Name, m.GetChannel()}
	w.carries[at] = append(w.carries[at], carry{key: keyOf(m.GetHash()), from: time.Now()})
}

func (w *Watch) dropped(n *Node, m *meshpb.Drop) {
	w.moved(m.GetChannel())
	w.ended(n.Name, m.GetChannel())
}

func (w *Watch) ended(node, channel string) {
	all := w.carries[[2]string{node, channel}]
	if i := len(all) - 1; i >= 0 && all[i].to.IsZero() {
		all[i].to = time.Now()
	}
}

// send makes a message of a client.
func (w *Watch) send(c *Client, channel string) *sentMessage {
	c.sent[channel]++
	m := &sentMessage{
		id: len(w.messages) + 1, from: c, channel: channel, seq: c.sent[channel], at: time.Now(), heard: map[*Client]bool{},
	}
	w.messages = append(w.messages, m)
	return m
}

// find returns the message with a payload.
func (w *Watch) find(payload []byte) *sentMessage {
	m := w.known(payload)
	if m == nil {
		w.sim.T.Errorf("nobody sent %s", payload)
	}
	return m
}

// known is find for what may not be a client's.
func (w *Watch) known(payload []byte) *sentMessage {
	id, err := strconv.Atoi(strings.TrimPrefix(strings.Trim(string(payload), `"`), "m"))
	if err != nil || id < 1 || id > len(w.messages) {
		return nil
	}
	return w.messages[id-1]
}

// published notes what key a message has, and sees to it that everybody gets it.
func (w *Watch) published(n *Node, p *meshpb.Message) {
	m := w.find(p.GetPayload())
	if m == nil {
		return
	}
	m.passed = true
	if p.Key == nil {
		w.sim.T.Errorf("%s published a message without a key", n.Name)
	}
	if m.key = p.GetKey(); m.key != w.keyAt(n, m.channel) {
		w.sim.T.Errorf("%s published a message with the key %q, and told its router %q", n.Name, m.key, w.keyAt(n, m.channel))
	}
	now := time.Now()
	stood := now.Sub(w.since(m.channel))
	// Always: what is checked must not change what happens.
	w.sim.D.After(arriveMost, func() { w.arrived(m, now, stood) })
}

// keyAt is the key of a node's channel now.
func (w *Watch) keyAt(n *Node, channel string) string {
	all := w.carries[[2]string{n.Name, channel}]
	if len(all) == 0 {
		return "none"
	}
	return all[len(all)-1].key
}

// arrived checks that everybody has got a message, if nothing has changed.
func (w *Watch) arrived(m *sentMessage, at time.Time, stood time.Duration) {
	if stood < brief || !w.since(m.channel).Before(at) { // also what changed in the same instant
		return
	}
	for _, part := range w.sim.Components() {
		if !slices.Contains(part, m.from.Node) {
			continue
		}
		for _, n := range part {
			for _, c := range n.clients {
				if c == m.from || !c.Is(m.channel) {
					continue
				}
				if stood < calm {
					if !m.heard[c] {
						w.MissedBrief++
					}
					continue
				}
				w.Promised++
				if !m.heard[c] {
					w.sim.T.Errorf("%v: client %d of %s did not get m%d of client %d of %s in %s, sent %v ago; the last change was %s, %v before that",
						w.now(), c.id, n.Name, m.id, m.from.id, m.from.Node.Name, m.channel, time.Since(at), w.why, stood)
				}
			}
		}
	}
}

// Span is how long the network has existed.
func (w *Watch) Span() time.Duration { return w.now() }

func (w *Watch) now() time.Duration { return time.Since(w.begun) }

// heard checks one message that a client got.
func (w *Watch) heard(c *Client, r *relaypb.Message) {
	m := w.find(r.GetMessage())
	if m == nil {
		return
	}
	w.Delivered++
	c.Heard++
	bad := func(why string) {
		w.sim.T.Errorf("%v: client %d of %s got m%d of client %d of %s in %q: %s", w.now(), c.id, c.Node.Name, m.id, m.from.id, m.from.Node.Name, r.GetChannel(), why)
	}
	s := c.Subs[r.GetChannel()]
	switch {
	case r.GetChannel() != m.channel:
		bad("it was sent to another channel")
	case m.from == c:
		bad("it is its own")
	case m.heard[c]:
		bad("again")
	case s == nil || !s.On:
		bad("it is not subscribed")
	case c.Node != m.from.Node && !m.passed:
		bad("it did not go through the mesh")
	}
	m.heard[c] = true
	if s == nil {
		return
	}
	if c.Node != m.from.Node {
		w.checkKey(c, s, m, bad)
	}
	w.checkOrder(s, m, bad)
}

// checkKey finds messages for those who know another password, or none.
func (w *Watch) checkKey(c *Client, s *Sub, m *sentMessage, bad func(string)) {
	switch {
	case m.key == "":
		if s.Password == "" || w.carriedSince(c.Node, s, "") {
			return
		}
		bad("it has no password, and the channel has one here")
	case s.Password == "":
		bad("the subscriber gave no password")
	case m.key != keyOf(hashOf(s.Channel, s.Password, false)) && m.key != keyOf(hashOf(s.Channel, s.Password, true)):
		bad("it was sent under another password")
	}
}

// carriedSince reports whether a node's channel had a key at any time since a
// subscription began.
func (w *Watch) carriedSince(n *Node, s *Sub, key string) bool {
	return slices.ContainsFunc(w.carries[[2]string{n.Name, s.Channel}], func(c carry) bool {
		return c.key == key && (c.to.IsZero() || !c.to.Before(s.Since))
	})
}

// crosses notes how the messages of a frame go on.
func (w *Watch) crosses(m proto.Message) {
	switch m := m.(type) {
	case *meshpb.Frame:
		for _, p := range m.GetPackets() {
			w.crosses(p)
		}
	case *meshpb.Packet:
		if s := w.known(m.GetMessage().GetPayload()); s != nil {
			s.treed = s.treed || m.GetTree() != 0
			s.flooded = s.flooded || m.GetTree() == 0
		}
	}
}

// sameWay reports whether two messages of one sender went the same way, if the
// network was the same: all along a tree, or all by flooding where frames take
// always as long. Nodes also flood when nothing has happened but that latencies
// were measured, or that a record was too old.
func (w *Watch) sameWay(a, b *sentMessage) bool {
	switch {
	case a.flooded != b.flooded || a.treed != b.treed:
		return false
	case a.flooded:
		return !a.treed && w.sim.o.Jitter <= 0
	}
	return true
}

// checkOrder finds messages that overtook others while the network stood.
func (w *Watch) checkOrder(s *Sub, m *sentMessage, bad func(string)) {
	before := s.heard[m.from]
	if before == nil || before.seq < m.seq {
		s.heard[m.from] = m
		return
	}
	stood := m.at.Sub(w.since(m.channel))
	if stood >= calm && w.sameWay(m, before) {
		bad(fmt.Sprintf("after a younger one, m%d; the last change was %s, %v before it", before.id, w.why, stood))
		return
	}
	w.Overtaken++
	if stood >= brief {
		w.OvertakenBrief++
	}
}
