package enclave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"parley/cmd/parley/conform/suite"
	"parley/cmd/parley/enclavewire"
)

// Options say what is tried, and how.
type Options struct {
	Address  string        // of the peer, host:port
	Friend   string        // IP that is a friend's there; "": none is known
	Stranger string        // IP that it does not know
	Ignored  string        // IP that it ignores
	Port     int           // at Friend, where it dials its friend; 0: not known
	Limit    int           // bytes of the longest packet that it takes
	Answer   time.Duration // the longest wait for what must come
	Quiet    time.Duration // how long nothing may come that must not
}

// play is one case while it runs.
type play struct {
	suite.Play

	ctx   context.Context
	o     *Options
	peers []*peer
}

// messages tell messages of this process apart.
var messages atomic.Uint64

// fresh is the id of a message that nobody has had. Source: gateways/enclave/PROTOCOL.md, Acknowledgements.
func fresh() string { return fmt.Sprintf("conform%d-%d", os.Getpid(), messages.Add(1)) }

// scene makes a case of its steps.
func scene(o *Options, name string, steps func(p *play)) suite.Case {
	return suite.Case{Name: name, Run: func(ctx context.Context) error {
		p := &play{ctx: ctx, o: o}
		defer func() {
			for _, a := range p.peers {
				_ = a.w.Close()
			}
		}()
		steps(p)
		return p.Err
	}}
}

func slow(c suite.Case) suite.Case {
	c.Slow = true
	return c
}

// call connects from an address.
func (p *play) call(from string) *peer {
	a := &peer{p: p}
	if p.Err != nil {
		return a
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.o.Answer)
	defer cancel()
	w, err := enclavewire.Open(ctx, p.o.Address, from)
	if err != nil {
		p.Fail("%w: %w", suite.ErrUnreachable, err)
		return a
	}
	return p.has(w)
}

func (p *play) has(w *enclavewire.Wire) *peer {
	a := &peer{p: p, w: w}
	p.peers = append(p.peers, a)
	return a
}

// friend has called, and both have shaken hands.
func (p *play) friend() *peer {
	a := p.call(p.o.Friend)
	a.says(handshake)
	a.greeted()
	return a
}

// peer is one connection of a case.
type peer struct {
	p *play
	w *enclavewire.Wire // nil: the play has failed
}

// Packets that say who and how we are, as the notes have them.
const (
	handshake = `{"alias":"conform","status":1,"status-message":"","timestamp":1795219316}`
	farewell  = `{"status":0,"timestamp":1795219316}`
)

// done says whether nothing is to be done any more.
func (a *peer) done() bool { return a.w == nil || a.p.Err != nil }

func (a *peer) says(contents ...string) {
	if !a.done() {
		a.check(a.w.Say(contents...))
	}
}

// writes writes bytes that may be no packet.
func (a *peer) writes(b []byte) {
	if !a.done() {
		_, err := a.w.Write(b)
		a.check(err)
	}
}

func (a *peer) check(err error) {
	if err != nil {
		a.p.Fail("the connection was ended: %w", err)
	}
}

// hears is the next packet; nil: none came, and the case has failed.
func (a *peer) hears(what string) []byte {
	if a.done() {
		return nil
	}
	b, err := a.w.Hear(time.Now().Add(a.p.o.Answer), nil)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.p.Fail("nothing came for %v, where %s was due", a.p.o.Answer, what)
	case err != nil:
		a.p.Fail("the connection was ended where %s was due: %w", what, err)
	}
	return b
}

// object is the next packet, which must be a JSON object.
func (a *peer) object(what string) (o object, text []byte) {
	text = a.hears(what)
	if text != nil && (json.Unmarshal(text, &o) != nil || o == nil) {
		a.p.Fail("%.200q came, which is no JSON object", text)
	}
	return o, text
}

// object is a packet's attributes, not looked at.
type object map[string]json.RawMessage

// text says whether an attribute is a string, and which.
func (o object) text(key string) (s string, ok bool) {
	ok = json.Unmarshal(o[key], &s) == nil && o[key] != nil && string(o[key]) != "null"
	return s, ok
}

func (o object) number(key string) (n int64, ok bool) {
	ok = json.Unmarshal(o[key], &n) == nil && o[key] != nil && string(o[key]) != "null"
	return n, ok
}

// greeted hears a handshake.
func (a *peer) greeted() (o object, text []byte) {
	if o, text = a.object("the handshake"); a.done() {
		return o, text
	}
	_, ok := o.text("alias")
	a.p.Demand(ok, "the handshake %.300s is without an alias", text)
	status, ok := o.number("status")
	a.p.Demand(ok && status >= 1 && status <= 3, "the handshake %.300s is without a status from 1 to 3", text)
	_, ok = o.text("status-message")
	a.p.Demand(ok, "the handshake %.300s is without a status-message", text)
	return o, text
}

// acked hears the acknowledgement of a message. Packets that say something else are passed over.
func (a *peer) acked(id string) {
	for !a.done() {
		o, _ := a.object("the ack of " + id)
		if got, ok := o.text("ack"); ok {
			a.p.Demand(got == id, "%q was acknowledged, not %q", got, id)
			return
		}
	}
}

// stays says that the connection is not ended for a while. What comes meanwhile is handed to see; nil: nobody cares.
func (a *peer) stays(see func(o object, text []byte)) {
	for end := time.Now().Add(a.p.o.Quiet); !a.done(); {
		b, err := a.w.Hear(end, nil)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			a.p.Fail("the connection was ended: %w", err)
		case see != nil:
			var o object
			_ = json.Unmarshal(b, &o) // what is none has no attributes
			see(o, b)
		}
	}
}

// silent says that nothing is said to us for a while, and the connection stays.
func (a *peer) silent() {
	a.stays(func(_ object, text []byte) { a.p.Fail("%.200q came, where nothing may be said", text) })
}

// closed waits for the peer to end the connection. What it says before that is passed over.
func (a *peer) closed(why string) { a.closedIn(a.p.o.Answer, why) }

func (a *peer) closedIn(most time.Duration, why string) {
	for end := time.Now().Add(most); !a.done(); {
		switch _, err := a.w.Hear(end, nil); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.p.Fail("the connection was not ended in %v, after %s", most, why)
		case err != nil:
			a.p.Demand(ended(err), "%w", err)
			return
		}
	}
}

// mute waits for the peer to end the connection without having said anything.
func (a *peer) mute() {
	if a.done() {
		return
	}
	b, err := a.w.Hear(time.Now().Add(a.p.o.Answer), nil)
	switch {
	case err == nil:
		a.p.Fail("%.200q came, where the connection was to be ended without a word", b)
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.p.Fail("the connection was not ended in %v", a.p.o.Answer)
	}
}

// ended says whether an error of a read is that the peer has ended the connection.
func ended(err error) bool {
	var bad *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &bad) && !bad.Timeout()
}

// leaves says goodbye, which must end the connection: so all before that was taken.
func (a *peer) leaves() {
	a.says(farewell)
	a.closed("status 0")
}

// message is a packet with a message and an id.
func message(text, id string, more ...string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return fmt.Sprintf(`{"message":%s,"timestamp":1795219316,"id":%q%s}`, b, id, strings.Join(more, ""))
}
