package starclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/cmd/parley/show"
)

// Events of the protocol.
const (
	EventJoin     = "ss-join"
	EventLeave    = "ss-leave"
	EventDial     = "ss-dial"
	EventIncoming = "ss-incomming" // so the wire spells it
	EventPeer     = "ws-peer"
)

// Options are what a Client does when it is told something. All of them may be
// nil: then it is not listening. They are called by the goroutine that reads, so
// they must not wait.
type Options struct {
	Version  int                                                                  // of Engine.IO; 0: Three
	Connect  func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer's
	Peer     func(address string)                                                 // somebody is online
	Incoming func(from string, s *Stream) (refusal string)                        // somebody dials; "": taken
	Other    func(name string, arguments []jsontext.Value, attachments [][]byte)  // any other event
}

// Client is a connected client.
type Client struct {
	o    Options
	wire *Wire
	done chan struct{} // closed when the reader has ended

	sid   string        // set by open
	every time.Duration // between pings, set by open

	heard   atomic.Int64 // frames
	waiting atomic.Bool  // the reader waits for who reads a stream

	mu      sync.Mutex // guards what follows
	asks    map[int64]func(answer, error)
	asked   int64
	streams map[string]*Stream // by the id of what comes in
	sinks   map[string]*Stream // by the id of what goes out
	ping    *time.Timer        // version 3: this side pings; nil: it does not
	err     error              // why it ended
}

// answer is what an ack brought.
type answer []jsontext.Value

// Refused is a server's or a client's error text.
type Refused struct {
	Event string
	Text  string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("starclient: %s: %s", r.Event, show.Line(r.Text))
}

// ErrClosed says that Close was called.
var ErrClosed = errors.New("starclient: closed")

// ErrSilent says that a server did not answer a ping.
var ErrSilent = errors.New("starclient: the server has fallen silent")

// Dial connects, and waits for the welcome.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	if o.Version == 0 {
		o.Version = Three
	}
	w, err := open(ctx, address, o.Version, o.Connect)
	if err != nil {
		return nil, err
	}
	c := &Client{
		o: o, wire: w, done: make(chan struct{}),
		asks: map[int64]func(answer, error){}, streams: map[string]*Stream{}, sinks: map[string]*Stream{},
	}
	cut := context.AfterFunc(ctx, w.Cut)
	err = c.open()
	if !cut() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	if o.Version == Three {
		c.mu.Lock()
		c.ping = time.AfterFunc(c.every, c.sayPing(0))
		c.mu.Unlock()
	}
	go c.read()
	return c, nil
}

// open hears the handshake and the connection of the namespace "/".
func (c *Client) open() error {
	f, err := c.wire.Hear(nil)
	if err != nil {
		return err
	}
	var hello struct {
		SID  string `json:"sid"`
		Ping int64  `json:"pingInterval"` // ms
	}
	if f.Binary || f.Data[0] != engineOpen || json.Unmarshal(f.Data[1:], &hello) != nil || hello.SID == "" || hello.Ping <= 0 {
		return fmt.Errorf("starclient: no handshake: %.128q", f.Data)
	}
	c.sid, c.every = hello.SID, time.Duration(hello.Ping)*time.Millisecond
	if c.o.Version == Four {
		if err := c.wire.Packet(string(Connect)); err != nil {
			return err
		}
	}
	if f, err = c.wire.Hear(nil); err != nil {
		return err
	}
	if f.Binary || f.Data[0] != engineMessage {
		return fmt.Errorf("starclient: not connected: %.128q", f.Data)
	}
	p, err := ParsePacket(f.Data[1:])
	if err == nil && (p.Type != Connect || p.Namespace != "/") {
		err = fmt.Errorf("starclient: not connected: %.128q", f.Data)
	}
	return err
}

// sayPing returns what the timer does: a ping, unless nothing was heard since
// the one before.
func (c *Client) sayPing(before int64) func() {
	return func() {
		now := c.heard.Load()
		if now == before && before > 0 && !c.waiting.Load() {
			c.end(ErrSilent)
			return
		}
		if c.wire.Say(string(enginePing)) != nil {
			return // the reader finds out why
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.ping = time.AfterFunc(c.every, c.sayPing(now))
		}
	}
}

// Sid is the id that the server has given to this connection.
func (c *Client) Sid() string { return c.sid }

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the connection is over; nil: it is not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and waits for its reader.
func (c *Client) Close() {
	c.end(ErrClosed)
	c.wire.Close()
	<-c.done
}

// Cut ends the connection without a word, and waits for its reader.
func (c *Client) Cut() {
	c.end(ErrClosed)
	c.wire.Cut()
	<-c.done
}

// Wire is the connection below, for those who say what a client would not.
func (c *Client) Wire() *Wire { return c.wire }

// end notes why the connection is over, once, and tells all who wait.
func (c *Client) end(why error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = why
	asks, streams := c.asks, c.streams
	c.asks, c.streams, c.sinks = map[int64]func(answer, error){}, nil, nil
	if c.ping != nil {
		c.ping.Stop()
	}
	c.mu.Unlock()
	for _, tell := range asks {
		tell(nil, why)
	}
	for _, s := range streams {
		s.finish(why)
	}
	if !errors.Is(why, ErrClosed) {
		c.wire.Cut()
	}
}

// Emit sends an event that is not answered. Arguments are marshalled to JSON.
func (c *Client) Emit(event string, arguments ...any) error {
	text, err := arrayOf(append([]any{event}, arguments...)...)
	if err != nil {
		return err
	}
	return c.wire.Packet(string(Event) + text)
}

// Ask sends an event and waits for what its ack brings.
func (c *Client) Ask(ctx context.Context, event string, arguments ...any) ([]jsontext.Value, error) {
	type result struct {
		a   answer
		err error
	}
	came := make(chan result, 1)
	id, err := c.ask(func(a answer, err error) { came <- result{a, err} }, event, arguments...)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-came:
		return r.a, r.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.asks, id)
		c.mu.Unlock()
		return nil, fmt.Errorf("starclient: %s: %w", event, ctx.Err())
	}
}

// ask sends an event; tell is called once, by the reader.
func (c *Client) ask(tell func(answer, error), event string, arguments ...any) (id int64, err error) {
	text, err := arrayOf(append([]any{event}, arguments...)...)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	if err := c.err; err != nil {
		c.mu.Unlock()
		return 0, err
	}
	id = c.asked
	c.asked++
	c.asks[id] = tell
	c.mu.Unlock()
	err = c.wire.Packet(fmt.Sprintf("%c%d%s", Event, id, text))
	if err != nil {
		c.mu.Lock()
		delete(c.asks, id)
		c.mu.Unlock()
	}
	return id, err
}

// Join registers an address, and returns who else is online. Without an
// identity there is nothing to answer a challenge with.
func (c *Client) Join(ctx context.Context, address string, id *Identity) ([]string, error) {
	nonce, others, err := c.Begin(ctx, address, id)
	if err != nil || nonce == "" {
		return others, err
	}
	if id == nil {
		return nil, errors.New("starclient: the server wants proof, and there is no identity")
	}
	signature, err := id.Sign(nonce)
	if err != nil {
		return nil, err
	}
	return c.Prove(ctx, address, signature)
}

// Begin is the first half of Join: it brings a nonce to be signed, or, from a
// server that does not challenge, who is online.
func (c *Client) Begin(ctx context.Context, address string, id *Identity) (nonce string, others []string, err error) {
	data := ""
	if id != nil {
		data = id.PublicKey()
	}
	got, err := c.Ask(ctx, EventJoin, address, data)
	if err != nil {
		return "", nil, err
	}
	return joined(got)
}

// Prove is the second half of Join.
func (c *Client) Prove(ctx context.Context, address, signature string) ([]string, error) {
	got, err := c.Ask(ctx, EventJoin, address, signature)
	if err != nil {
		return nil, err
	}
	nonce, others, err := joined(got)
	if err == nil && nonce != "" {
		err = errors.New("starclient: the server asks for proof twice")
	}
	return others, err
}

// joined reads the answer to a join: an error, a nonce, or who is online.
func joined(a answer) (nonce string, others []string, err error) {
	if err := refusal(EventJoin, a); err != nil {
		return "", nil, err
	}
	if len(a) > 1 && a[1].Kind() == '"' {
		err = json.Unmarshal(a[1], &nonce)
		return nonce, nil, err
	}
	if len(a) < 3 || a[2].Kind() != '[' {
		return "", nil, fmt.Errorf("starclient: %s was answered %s", EventJoin, a)
	}
	err = json.Unmarshal(a[2], &others)
	return "", others, err
}

// refusal is the error that an ack begins with: text, or what it is in JSON.
func refusal(event string, a answer) error {
	if len(a) == 0 || a[0].Kind() == 'n' || a[0].Kind() == 'f' {
		return nil
	}
	r := &Refused{Event: event, Text: string(a[0])}
	if a[0].Kind() == '"' {
		_ = json.Unmarshal(a[0], &r.Text)
	}
	return r
}

// Leave gives an address up.
func (c *Client) Leave(address string) error { return c.Emit(EventLeave, address) }
