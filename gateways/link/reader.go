package link

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"

	"parley/actors/tree"
)

const (
	startBuffer = 4 << 10  // bytes of a fresh read buffer
	keepBuffer  = 64 << 10 // largest buffer that is kept for the next message
)

// readBuffers are used from the first byte of a message to its end: an idle
// link holds none.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, 0, startBuffer); return &b }}

// reader takes frames from a socket to the server actor. It runs outside the
// actors, shares nothing with the link but the outbound, and is the one that
// closes the socket.
type reader struct {
	kind   *Kind
	socket Socket
	ready  interface{ Ready() bool } // socket, if it can tell what it has read ahead; nil: it cannot
	out    *Outbound
	root   *actor.RootContext
	link   *actor.PID
	server *actor.PID

	limiter *rate.Limiter // nil: any rate
	shed    int64         // second of the clock in which it moved to a new stack
}

// start reads on a goroutine of its own.
func (r *reader) start() {
	if m := r.kind.MessageRate; m > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(m), max(1, int(m)))
	}
	r.shed = -1 // the first message is often the last for long
	go r.run()
}

// shedding reports that it is time to wait on another goroutine, if waiting it
// is: what handled a message may have made the stack several times as large as
// an idle link needs, and the collector takes minutes to make it small again.
func (r *reader) shedding() bool {
	now := r.kind.clock.Load()
	if now == r.shed || r.ready != nil && r.ready.Ready() {
		return false
	}
	r.shed = now
	return true
}

func (r *reader) run() {
	defer r.rescue()
	for {
		if err := r.one(); err != nil {
			r.root.Send(r.link, &readDone{err})
			discard(r.socket)
			return
		}
		if r.limiter != nil {
			_ = r.limiter.Wait(context.Background()) // at most a second, see MessageRate
		}
		if r.shedding() {
			go r.run()
			return
		}
	}
}

// rescue keeps a frame that makes a decoder panic from ending all others: its
// own link fails, as an actor would.
func (r *reader) rescue() {
	reason := recover()
	if reason == nil {
		return
	}
	r.kind.metrics.Panicked()
	tree.Log(r.root.ActorSystem()).Error("actor panicked in its reader", slog.String("actor", r.link.GetId()),
		slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
	r.root.Send(r.link, &readDone{&Violation{Code: closeInternal, Reason: "internal error"}})
	discard(r.socket)
}

// one reads a message and hands it on, when there is credit for the next.
func (r *reader) one() error {
	if err := r.socket.Next(); err != nil {
		return err
	}
	buf := readBuffers.Get().(*[]byte)
	frame, binary, err := r.socket.Read((*buf)[:0])
	if err != nil {
		readBuffers.Put(buf)
		return err
	}
	m, charge := r.kind.Codec.Decode(frame, binary)
	if cap(frame) <= keepBuffer {
		*buf = frame[:0]
	}
	readBuffers.Put(buf)
	r.kind.frames.Add(1)
	if r.out.credit.closed.Load() {
		return nil // closing: the peer may finish its sentence, nobody listens
	}
	r.out.credit.take(charge)
	r.root.RequestWithCustomSender(r.server, m, r.link)
	r.out.credit.wait()
	return nil
}

// discard reads what a peer still sends while it is told goodbye: closing with
// unread bytes would reset the connection, and the goodbye be lost. It ends
// when the peer hangs up or the deadline that hangUp set is over.
func discard(s Socket) {
	_ = s.Conn().SetReadDeadline(time.Time{}) // a message's own, which may have ended the reading
	_, _ = io.Copy(io.Discard, s.Conn())
	_ = s.Conn().Close()
}
