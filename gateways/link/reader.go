package link

import (
	"context"
	"io"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"golang.org/x/time/rate"
)

const (
	startBuffer = 4 << 10  // bytes of a fresh read buffer
	keepBuffer  = 64 << 10 // largest buffer that is kept for the next message
)

// readBuffers are used from the first byte of a message to its end: an idle
// link holds none.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, 0, startBuffer); return &b }}

// read runs outside the actor. It touches nothing of l that changes after
// Accepted. It is the one that closes the socket.
func (l *link) read(root *actor.RootContext, self, server *actor.PID) {
	var limiter *rate.Limiter
	if r := l.kind.MessageRate; r > 0 {
		limiter = rate.NewLimiter(rate.Limit(r), max(1, int(r)))
	}
	for {
		err := l.readOne(root, self, server, limiter)
		if err == nil {
			continue
		}
		root.Send(self, &readDone{err})
		l.discard()
		return
	}
}

func (l *link) readOne(root *actor.RootContext, self, server *actor.PID, limiter *rate.Limiter) error {
	buf := readBuffers.Get().(*[]byte)
	frame, binary, err := l.socket.Read((*buf)[:0])
	if err != nil {
		readBuffers.Put(buf)
		return err
	}
	m, charge := l.kind.Codec.Decode(frame, binary)
	if cap(frame) <= keepBuffer {
		*buf = frame[:0]
	}
	readBuffers.Put(buf)
	l.kind.frames.Add(1)
	if limiter != nil {
		_ = limiter.Wait(context.Background()) // at most a second, see MessageRate
	}
	if l.out.credit.closed.Load() {
		return nil // closing: the peer may finish its sentence, nobody listens
	}
	l.out.credit.take(charge)
	root.RequestWithCustomSender(server, m, self)
	l.out.credit.wait()
	return nil
}

// discard reads what a peer still sends while it is told goodbye: closing with
// unread bytes would reset the connection, and the goodbye be lost. It ends
// when the peer hangs up or the deadline that hangUp set is over.
func (l *link) discard() {
	_, _ = io.Copy(io.Discard, l.socket.Conn())
	_ = l.socket.Conn().Close()
}
