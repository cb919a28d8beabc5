package mesh

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"parley/actors/tree"
	"parley/messages"
	"parley/messages/linkpb"
	"parley/messages/relaypb"
)

const (
	reasonLost  = "channel lost"
	closePolicy = 1008
)

// Client is one client of a node's relay.
type Client struct {
	Node *Node
	// Subs are its subscriptions and those under way, by channel.
	Subs map[string]*Sub
	// Said is the reason of each failed answer and each error, by channel: the last one.
	Said map[string]string
	// Heard counts the messages it got.
	Heard int

	id      int
	member  uint64
	link    *actor.PID // set by Started
	server  *actor.PID // set by Accepted
	pending []proto.Message
	held    int64
	forgave bool // all credit was given back once
	gone    bool
	nonce   int
	open    map[string]question // by nonce: not answered
	sent    map[string]int      // messages, by channel
}

// Sub is one subscription.
type Sub struct {
	Channel, Password string
	On                bool      // answered
	Leaving           bool      // given up, and not answered
	Since             time.Time // of On

	heard map[*Client]*sentMessage // the last of each sender
}

// question is a command that was not answered.
type question struct {
	what    proto.Message
	channel string
	at      time.Time
}

// Connect opens a client's connection to the node.
func (n *Node) Connect() *Client {
	n.sim.Watch.clients++
	c := &Client{
		Node: n, Subs: map[string]*Sub{}, Said: map[string]string{}, id: n.sim.Watch.clients,
		open: map[string]question{}, sent: map[string]int{},
	}
	c.member = uint64(c.id)
	n.clients[c.member] = c
	n.do(func(ctx actor.Context) { tree.Spawn(ctx, "", tree.Spec{New: func() actor.Actor { return &line{c} }}) })
	return c
}

// line stands in for the link of a client.
//
//	parent    top
//	receives  linkpb.Accepted, linkpb.Close, linkpb.Settled, over; any message for the client
//	sends     linkpb.Opened to relay.clients; what the client says and linkpb.Closed to the server
//	stops     when the client hangs up, on linkpb.Close
type line struct{ c *Client }

func (l *line) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.c.link = ctx.Self()
		ctx.Request(l.c.Node.Clients, &linkpb.Opened{Protocol: "relay", Remote: "client:1", Member: l.c.member})
	case *linkpb.Accepted:
		l.c.server = ctx.Sender()
		for _, m := range l.c.pending {
			l.c.hand(m)
		}
		l.c.pending = nil
		if l.c.gone {
			ctx.Stop(ctx.Self())
		}
	case over:
		if l.c.server != nil {
			ctx.Stop(ctx.Self())
		}
	case *linkpb.Close:
		if m.GetCode() != closePolicy { // it guessed at passwords
			l.c.Node.sim.T.Errorf("client %d of %s was closed: %d %s", l.c.id, l.c.Node.Name, m.GetCode(), m.GetReason())
		}
		l.c.gone = true
		ctx.Stop(ctx.Self())
	case *linkpb.Settled:
		l.c.settled(m)
	case *actor.Stopped:
		l.c.gone = true
		l.c.Node.sim.Watch.changed("client over")
		if l.c.server != nil {
			ctx.Send(l.c.server, &linkpb.Closed{})
		}
		delete(l.c.Node.clients, l.c.member)
	case actor.SystemMessage, actor.AutoReceiveMessage:
	case proto.Message:
		l.c.hear(m)
	}
}

// HangUp ends the connection.
func (c *Client) HangUp() {
	c.Node.sim.Watch.changed("client over")
	c.Node.sim.logf("%s/%d hangs up", c.Node.Name, c.id)
	c.gone = true
	c.Subs = map[string]*Sub{}
	if c.link != nil {
		c.Node.sys.Root.Send(c.link, over{})
	}
}

// Gone reports whether the connection is over.
func (c *Client) Gone() bool { return c.gone || !c.Node.up }

// say sends a command.
func (c *Client) say(channel string, make func(nonce []byte) proto.Message) {
	if c.Gone() {
		return
	}
	c.nonce++
	nonce := strconv.Itoa(c.nonce)
	m := make([]byte(nonce))
	c.open[nonce] = question{m, channel, time.Now()}
	if c.server == nil {
		c.pending = append(c.pending, m)
		return
	}
	c.hand(m)
}

func (c *Client) hand(m proto.Message) {
	charge := int64(1)
	if s, ok := m.(*relaypb.Send); ok {
		charge = int64(s.GetCharge())
	}
	c.held += charge
	c.Node.sys.Root.RequestWithCustomSender(c.server, m, c.link)
}

// Subscribe asks for a channel; without a password if that is empty. Nothing
// happens while something about that channel is under way.
func (c *Client) Subscribe(channel, password string) *Sub {
	if s := c.Subs[channel]; s != nil || c.Gone() {
		return s
	}
	s := &Sub{Channel: channel, Password: password, heard: map[*Client]*sentMessage{}}
	c.Subs[channel] = s
	c.Node.sim.logf("%s/%d subscribes to %s %q", c.Node.Name, c.id, channel, password)
	delete(c.Said, channel)
	c.say(channel, func(nonce []byte) proto.Message {
		return &relaypb.Subscribe{Channel: channel, Password: password, HasPassword: password != "", Nonce: nonce}
	})
	return s
}

// Unsubscribe gives up a channel that it is subscribed to.
func (c *Client) Unsubscribe(channel string) {
	s := c.Subs[channel]
	if s == nil || !s.On || s.Leaving {
		return
	}
	s.Leaving = true
	c.Node.sim.logf("%s/%d unsubscribes from %s", c.Node.Name, c.id, channel)
	c.Node.sim.Watch.moved(channel)
	c.say(channel, func(nonce []byte) proto.Message { return &relaypb.Unsubscribe{Channel: channel, Nonce: nonce} })
}

// Send publishes one message to a channel that it is subscribed to. It returns
// the number of the message; 0: it is not subscribed.
func (c *Client) Send(channel string) int {
	s := c.Subs[channel]
	if s == nil || !s.On || s.Leaving || c.Gone() {
		return 0
	}
	m := c.Node.sim.Watch.send(c, channel)
	c.say(channel, func(nonce []byte) proto.Message {
		return &relaypb.Send{Channel: channel, Message: m.payload(), Nonce: nonce, Charge: messages.Charge(len(m.payload()))}
	})
	return m.id
}

// Is reports whether the client is subscribed to a channel.
func (c *Client) Is(channel string) bool {
	s := c.Subs[channel]
	return s != nil && s.On && !s.Leaving && !c.Gone()
}

// hear takes what is written to the client.
func (c *Client) hear(m proto.Message) {
	if c.gone {
		return
	}
	switch m := m.(type) {
	case *relaypb.Message:
		c.Node.sim.Watch.heard(c, m)
	case *relaypb.Answer:
		c.settled(&linkpb.Settled{Charge: m.GetCharge()})
		c.answered(m)
	case *relaypb.Error:
		c.settled(&linkpb.Settled{Charge: m.GetCharge()})
		c.Said[m.GetChannel()] = m.GetReason()
		c.Node.sim.logf("%s/%d is told %q of %s", c.Node.Name, c.id, m.GetReason(), m.GetChannel())
		if m.GetReason() != reasonLost {
			c.Node.sim.T.Errorf("client %d of %s was told %q", c.id, c.Node.Name, m.GetReason())
		}
		c.Node.sim.Watch.Lost++
		c.Node.sim.Watch.moved(m.GetChannel())
		delete(c.Subs, m.GetChannel())
	}
}

func (c *Client) answered(m *relaypb.Answer) {
	q, ok := c.open[string(m.GetNonce())]
	if !ok {
		c.Node.sim.T.Errorf("client %d of %s was answered twice, or what it did not ask: %v", c.id, c.Node.Name, m)
		return
	}
	delete(c.open, string(m.GetNonce()))
	if !m.GetOk() {
		c.Said[q.channel] = m.GetReason()
	}
	if _, ok := q.what.(*relaypb.Send); !ok {
		c.Node.sim.logf("%s/%d is answered %v %q of %s", c.Node.Name, c.id, m.GetOk(), m.GetReason(), q.channel)
	}
	s := c.Subs[q.channel]
	switch q.what.(type) {
	case *relaypb.Subscribe:
		c.Node.sim.Watch.moved(q.channel)
		if m.GetOk() && s != nil {
			s.On, s.Since = true, time.Now()
		} else {
			c.Node.sim.Watch.Refused++
			delete(c.Subs, q.channel)
		}
	case *relaypb.Unsubscribe:
		c.Node.sim.Watch.moved(q.channel)
		delete(c.Subs, q.channel)
	}
}

func (c *Client) settled(m *linkpb.Settled) {
	if c.held -= int64(m.GetCharge()); m.GetAll() {
		c.held, c.forgave = 0, true
	}
	if c.held < 0 && !c.forgave {
		c.Node.sim.T.Errorf("%s gave back more credit of client %d than was taken", c.Node.Name, c.id)
	}
	c.held = max(c.held, 0) // what was forgiven may still come back
}
