package talk

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/gateways/ws"
)

// dialTimeout ends a handshake that leads nowhere: the server is on this machine.
const dialTimeout = 5 * time.Second

// Names of the two servers, for people.
const (
	roleDaemon = "Daemon"
	roleNode   = "Node"
)

// wire is one connection. Its reader ends with it.
type wire struct {
	c         *ws.Client
	dialled   string      // as which of the two
	lone      atomic.Bool // it turned out to be a Node where a Daemon would listen
	port      uint16
	broadcast func(Broadcast)
	past      []uint32      // pids of Nodes whose end is no news: a Daemon tells newcomers of it again
	ended     chan struct{} // closed by the reader
	saying    sync.Mutex    // held while a frame is written: one at a time

	mu      sync.Mutex // guards what follows
	asks    map[uint64]*asking
	why     error         // it ended
	told    []uint32      // pids of Nodes whose end was told
	crash   *Crashed      // the last one told that is news
	crashed chan struct{} // closed at the first
}

// asking is a question that waits for its answer.
type asking struct {
	opcode string
	to     chan reply // has room for one
}

// reply is what came of a question: one of the three.
type reply struct {
	payload jsontext.Value
	node    uint16 // ask there
	err     error
	lost    bool // err is how the connection ended
}

// dialWire connects to a server of this machine. past is as in wire.
func dialWire(ctx context.Context, role string, port uint16, past []uint32, broadcast func(Broadcast)) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	c, err := ws.DialProtocol(ctx, "ws://"+at.String()+"/", frameLimit, Subprotocol)
	if err != nil {
		return nil, err
	}
	w := &wire{
		c: c, dialled: role, port: port, broadcast: broadcast, past: past, ended: make(chan struct{}),
		asks: map[uint64]*asking{}, crashed: make(chan struct{}),
	}
	go w.read()
	return w, nil
}

// role is which of the two servers this is, as far as is known.
func (w *wire) role() string {
	if w.lone.Load() {
		return roleNode
	}
	return w.dialled
}

// leave ends the connection from here.
func (w *wire) leave() {
	_ = w.c.Close()
	<-w.ended
}

// over tells whether the connection has ended.
func (w *wire) over() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

func (w *wire) read() {
	defer close(w.ended)
	for {
		b, err := w.c.Hear()
		if err != nil {
			w.end(err)
			return
		}
		if err := w.take(b); err != nil {
			w.end(&Malformed{Role: w.role(), Port: w.port, err: err})
			_ = w.c.Close()
			return
		}
	}
}

// end tells those who wait for answers.
func (w *wire) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.why = err
	for id, a := range w.asks {
		delete(w.asks, id)
		a.to <- reply{err: err, lost: true}
	}
}

// take handles one message.
func (w *wire) take(b []byte) error {
	f, err := parse(b)
	switch {
	case err != nil:
		return err
	case f.context != 0:
		r := reply{payload: f.payload}
		if f.fault != nil {
			r.err = f.fault
		}
		return w.settle(f.context, f.opcode, r)
	case f.fault != nil: // of no conversation: nobody to tell
		return nil
	case f.opcode == "redirect":
		if w.role() == roleNode {
			return errors.New("a Node does not redirect")
		}
		r, err := parseRedirect(f.payload)
		if err != nil {
			return fmt.Errorf("redirect: %w", err)
		}
		return w.settle(r.context, "", reply{node: r.port})
	case f.opcode == "unmarshalError":
		w.misunderstood(f.payload)
		return nil
	case f.opcode == "crashed":
		c, err := ParseCrashed(f.payload)
		if err != nil {
			return fmt.Errorf("crashed: %w", err)
		}
		w.onCrashed(c)
	}
	if w.broadcast != nil {
		w.broadcast(Broadcast{Opcode: f.opcode, Payload: f.payload})
	}
	return nil
}

func (w *wire) onCrashed(c *Crashed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, c.PID)
	if slices.Contains(w.past, c.PID) {
		return
	}
	if w.crash == nil {
		close(w.crashed)
	}
	w.crash = c
}

// ends gives the pids of the Nodes whose end was told so far.
func (w *wire) ends() []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// settle hands an answer to who waits for it; nobody: it came too late. opcode
// is that of an answer, which is the question's; "": it is none.
func (w *wire) settle(id uint64, opcode string, r reply) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.asks[id]
	if !ok {
		return nil
	}
	if opcode != "" && opcode != a.opcode {
		return fmt.Errorf("the answer to %q is one to %q", a.opcode, opcode)
	}
	delete(w.asks, id)
	a.to <- r
	return nil
}

// misunderstood fails what is asked: the server does not tell which it means.
func (w *wire) misunderstood(payload jsontext.Value) {
	var in struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(payload, &in)
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, a := range w.asks {
		delete(w.asks, id)
		a.to <- reply{err: &Refused{Code: 1<<63 | 4, Message: "the " + w.role() + " did not understand: " + in.Message}}
	}
}

// ask sends a question and waits for what comes of it.
func (w *wire) ask(ctx context.Context, id uint64, q *Question, payload jsontext.Value, limit time.Duration) reply {
	b, err := json.Marshal(outward{Opcode: q.Opcode, Context: &id, Payload: payload})
	if err != nil {
		return reply{err: err}
	}
	to := make(chan reply, 1)
	w.mu.Lock()
	if w.why != nil {
		w.mu.Unlock()
		return reply{err: w.why, lost: true}
	}
	w.asks[id] = &asking{opcode: q.Opcode, to: to}
	w.mu.Unlock()
	w.say(b)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-to:
		return r
	case <-ctx.Done():
		w.forget(id)
		return reply{err: ctx.Err()}
	case <-timer.C:
		w.forget(id)
		return reply{err: &Silent{Opcode: q.Opcode, Role: w.role(), After: limit}}
	}
}

func (w *wire) forget(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.asks, id)
}

// say sends a frame. A connection that takes nothing any more is ended: why, its
// reader learns.
func (w *wire) say(b []byte) {
	w.saying.Lock()
	defer w.saying.Unlock()
	if w.c.Say(b) != nil {
		_ = w.c.Close()
	}
}

// nobody tells whether a dial failed because nothing listens.
func nobody(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.DeadlineExceeded)
}
