package talk

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// answerTimeout is longer than a server takes to give up by itself (30 s,
	// and as long again behind a password that was wrong too often).
	answerTimeout = 65 * time.Second
	// moment is how long the Daemon may take to tell how a Node ended.
	moment = time.Second
	// tries is how often a question is asked again because the Node that the
	// Daemon named was gone.
	tries = 6
	// firstPause is between the first two of them; it doubles.
	firstPause = 20 * time.Millisecond
)

// Options say how a Session talks.
type Options struct {
	Port uint16 // the Daemon's
	// Trust lists users whose servers get secrets, besides root and UID.
	Trust []uint32
	UID   uint32 // who asks
	// LocalUser asks the kernel who is at the other end of a connection.
	LocalUser func(remote, local netip.AddrPort) (uid uint32, err error)
	// Broadcast gets each broadcast, in order; nil: nobody does. It must not
	// wait, and not call the Session.
	Broadcast func(Broadcast)
	// Subscribe names broadcasts that each new connection asks for, and no others;
	// empty: what the servers send to those who do not ask.
	Subscribe []string
	// Lost is told why the connection ended, when there cannot be another one at
	// once; nil: nobody is told, and nothing is dialled before the next question.
	Lost func(error)
	// Back is told that there is a connection again, after Lost.
	Back func()

	answer, moment time.Duration // for tests; 0: answerTimeout, moment
}

// Broadcast is an isolated message.
type Broadcast struct {
	Opcode  string
	Payload jsontext.Value
}

// Place says who is to answer.
type Place int

// The places.
const (
	Anywhere Place = iota // the server that there is a connection to; the Daemon sends on to the Node what it does not know
	Daemon                // the Daemon alone knows
	Node                  // the Node, though the Daemon would have an answer, too
)

// Question is one request.
type Question struct {
	Opcode  string
	Payload any // becomes a JSON object; nil: {}
	Place   Place
	Secret  bool // Payload holds one: it is sent to trusted users' servers only

	tells bool // who answers by itself is a Node: a Daemon never does
}

func (q *Question) payload() (jsontext.Value, error) {
	if q.Payload == nil {
		return jsontext.Value("{}"), nil
	}
	b, err := json.Marshal(q.Payload)
	if err != nil {
		return nil, fmt.Errorf("%s: not UTF-8: %w", q.Opcode, err)
	}
	return b, nil
}

// Session is a conversation partner: it is connected to the Daemon or to the
// Node, whoever has the answers. One goroutine asks, and others aside of it, see
// Aside; Close may come from any.
type Session struct {
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	kept   sync.WaitGroup

	moving sync.Mutex // held while at is replaced; guards past
	past   []uint32   // pids of Nodes that had ended before the Daemon named the last one
	mu     sync.Mutex // guards what follows
	at     *wire      // nil: none yet
	next   uint64
}

// Open connects to the Daemon. Its errors: *Nobody, ctx's, or what the server
// said when it turned this side away.
func Open(ctx context.Context, o Options) (*Session, error) {
	if o.answer == 0 {
		o.answer = answerTimeout
	}
	if o.moment == 0 {
		o.moment = moment
	}
	s := &Session{o: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if _, err := s.place(ctx, Anywhere); err != nil {
		s.cancel()
		return nil, err
	}
	if o.Lost != nil {
		s.kept.Go(s.keep)
	}
	return s, nil
}

// Close ends the connection.
func (s *Session) Close() {
	s.cancel()
	s.kept.Wait()
	s.Leave()
}

func (s *Session) wire() *wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *Session) set(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = w
}

// AtNode tells whether the connection is one to the Node, and its port.
func (s *Session) AtNode() (port uint16, ok bool) {
	w := s.wire()
	if w == nil || w.role() != roleNode || w.over() {
		return 0, false
	}
	return w.port, true
}

// Ends gives the addresses of the connection: the server's, and the one here.
func (s *Session) Ends() (remote, local netip.AddrPort) {
	if w := s.wire(); w != nil {
		remote, local = w.c.Ends()
	}
	return remote, local
}

// Leave ends the connection, and all that was subscribed to on it: the next
// question opens another one.
func (s *Session) Leave() {
	s.moving.Lock()
	defer s.moving.Unlock()
	if w := s.wire(); w != nil {
		w.leave()
	}
}

// Gone is closed when the connection that there is now has ended.
func (s *Session) Gone() <-chan struct{} {
	if w := s.wire(); w != nil {
		return w.ended
	}
	none := make(chan struct{})
	close(none)
	return none
}

// place gives a connection that can answer: the one there is, or a new one to
// the Daemon.
func (s *Session) place(ctx context.Context, p Place) (*wire, error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	if s.ctx.Err() != nil {
		return nil, errors.New("the session is closed")
	}
	w := s.wire()
	if w != nil && !w.over() {
		if p != Daemon || w.role() == roleDaemon {
			return w, nil
		}
		w.leave()
	}
	w, err := dialWire(ctx, roleDaemon, s.o.Port, s.past, s.o.Broadcast)
	switch {
	case err == nil:
		s.subscribe(w)
		s.set(w)
		return w, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case nobody(err):
		return nil, &Nobody{Role: roleDaemon, Port: s.o.Port, err: err}
	}
	return nil, fmt.Errorf("the Daemon on port %d: %w", s.o.Port, turnedAway(err))
}

// follow goes on to the Node that a Daemon named.
func (s *Session) follow(ctx context.Context, from *wire, port uint16) (*wire, error) {
	s.moving.Lock()
	defer s.moving.Unlock()
	from.leave()
	s.past = from.ends()
	w, err := dialWire(ctx, roleNode, port, nil, s.o.Broadcast)
	switch {
	case err == nil:
		s.subscribe(w)
		s.set(w)
		return w, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case nobody(err):
		return nil, &Nobody{Role: roleNode, Port: port, err: err}
	}
	return nil, fmt.Errorf("the Node on port %d: %w", port, turnedAway(err))
}

// subscribe does not wait: a server that knows no subscriptions says so to
// nobody, and goes on as it was.
func (s *Session) subscribe(w *wire) {
	if len(s.o.Subscribe) == 0 {
		return
	}
	id := s.number()
	payload, err := json.Marshal(struct {
		Opcodes []string `json:"opcodes"`
	}{s.o.Subscribe})
	if err != nil {
		return
	}
	if b, err := json.Marshal(outward{Opcode: "subscribe", Context: &id, Payload: payload}); err == nil {
		w.say(b)
	}
}

// Ask sends a question and returns the payload of its answer. An error that was
// answered is a *Refused.
func (s *Session) Ask(ctx context.Context, q Question) (jsontext.Value, error) {
	payload, err := q.payload()
	if err != nil {
		return nil, err
	}
	pause := firstPause
	for try := 1; ; try++ {
		if q.Place == Node {
			if err := s.ToNode(ctx); err != nil {
				return nil, err
			}
		}
		w, err := s.place(ctx, q.Place)
		if err != nil {
			return nil, err
		}
		r, again := reply{err: errors.New("the Node comes and goes")}, true
		if q.Place != Node || w.role() == roleNode {
			r, again = s.askAt(ctx, w, &q, payload)
		}
		if !again || try == tries {
			return r.payload, r.err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// askAt asks one server, and the Node behind it. again: the Node that it named
// was gone.
func (s *Session) askAt(ctx context.Context, w *wire, q *Question, payload jsontext.Value) (r reply, again bool) {
	if r.err = s.mayHear(ctx, w, q); r.err != nil {
		return r, false
	}
	r = w.ask(ctx, s.number(), q, payload, s.o.answer)
	if r.err == nil && r.node == 0 && q.tells {
		w.lone.Store(w.dialled == roleDaemon)
	}
	if r.err == nil && r.node != 0 {
		if w, r.err = s.follow(ctx, w, r.node); r.err != nil {
			var gone *Nobody
			return r, errors.As(r.err, &gone)
		}
		if r.err = s.mayHear(ctx, w, q); r.err != nil {
			return r, false
		}
		r = w.ask(ctx, s.number(), q, payload, s.o.answer)
	}
	if r.lost {
		<-w.ended
		r.err = s.why(ctx, w, q, r.err)
	}
	return r, false
}

func (s *Session) number() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next
}

// ToNode sees to it that the connection is one to the Node, be it that a Daemon
// names one, or that it listens where a Daemon would. No Node is a *Refused with
// CodeNoNode.
func (s *Session) ToNode(ctx context.Context) error {
	if _, at := s.AtNode(); at {
		return nil
	}
	_, err := s.Ask(ctx, Question{Opcode: "descriptor", tells: true})
	return err
}

// Tell sends an isolated message to the Node.
func (s *Session) Tell(ctx context.Context, opcode string, payload any) error {
	b, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("%s: not UTF-8: %w", opcode, err)
	}
	if b, err = json.Marshal(outward{Opcode: opcode, Payload: b}); err != nil {
		return err
	}
	if err := s.ToNode(ctx); err != nil {
		return err
	}
	w, err := s.place(ctx, Anywhere)
	if err != nil {
		return err
	}
	w.say(b)
	return nil
}

// why explains the end of a connection that a question was with: the Daemon
// tells how the Node ended.
func (s *Session) why(ctx context.Context, w *wire, q *Question, err error) error {
	err = farewell(err)
	if w.role() == roleDaemon {
		return &Lost{Opcode: q.Opcode, Why: err}
	}
	crash, _ := s.Fate(ctx, s.o.moment) // without it the farewell must do
	return &Ended{Opcode: q.Opcode, Crash: crash, Why: err}
}

// Fate waits until the Daemon tells how a Node ended, at most for a time. nil:
// it did not.
func (s *Session) Fate(ctx context.Context, limit time.Duration) (*Crashed, error) {
	w, err := s.place(ctx, Daemon)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.crashed:
	case <-w.ended:
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crash, nil
}
