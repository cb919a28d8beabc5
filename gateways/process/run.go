package process

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"parley/messages/processpb"
)

const (
	// lastWords is how long the pipes of a process that has ended may still be
	// open: what it has started may hold them.
	lastWords = 100 * time.Millisecond
	// pipeLimit is how long a Node may take to read what it is sent; what it has
	// not read by then it can do without, for it is ended or has been ready long ago.
	pipeLimit = 10 * time.Second
)

// run is one process, with the pipes to it. It outlives its actor as long as
// the process does, so that there is no zombie.
type run struct {
	mu        sync.Mutex // guards what follows
	proc      *os.Process
	pipes     []*os.File // of this side: to be closed
	lifeline  *os.File   // one of pipes; nil: adopted
	abandoned bool

	writing sync.Mutex // held by who writes to lifeline
}

// hold takes what was started. After abandon it only closes the pipes.
func (r *run) hold(p *os.Process, lifeline *os.File, others ...*os.File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proc, r.lifeline, r.pipes = p, lifeline, others
	if lifeline != nil {
		r.pipes = append(r.pipes, lifeline)
	}
	if r.abandoned {
		r.close()
	}
}

// abandon closes the pipes. The process is left alone.
func (r *run) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandoned = true
	r.close()
}

// close closes the pipes. It is called with mu held.
func (r *run) close() {
	for _, p := range r.pipes {
		_ = p.Close()
	}
	r.pipes = nil
}

// signal sends s to this very process, whoever has its pid by now.
func (r *run) signal(s syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return os.ErrProcessDone
	}
	return r.proc.Signal(s)
}

// release forgets a process that was not waited for.
func (r *run) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.proc.Release()
	r.proc = nil
}

// keep tells the Node that it may outlive its Daemon.
func (r *run) keep() { r.say([]byte{KeepByte}) }

// say writes to the lifeline. If the Node does not read it, its end or its being
// late tells.
func (r *run) say(b []byte) {
	r.mu.Lock()
	lifeline := r.lifeline
	r.mu.Unlock()
	r.writing.Lock() // never two at once: half of the settings with a 'K' among them
	defer r.writing.Unlock()
	_ = lifeline.SetWriteDeadline(time.Now().Add(pipeLimit))
	_, _ = lifeline.Write(b)
}

// launch starts a Node and stays until it has ended. It tells begun, ready and
// exited, in this order, the first two if it comes to that.
func (r *run) launch(o *Options, m *processpb.Launch, tell func(any)) {
	s, err := start(o, m)
	if err != nil {
		tell(&exited{failure: err.Error()})
		return
	}
	r.hold(s.proc, s.lifeline, s.ready, s.stderr)
	tell(s.begun)
	go func() {
		r.say(s.settings)
		clear(s.settings)
	}()
	serves, silent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(serves)
		var b [1]byte
		if n, _ := (&lasting{s.ready, 1}).Read(b[:]); n == 1 && b[0] == ReadyByte {
			tell(ready{})
		}
	}()
	last := newTail(o.hand(s.begun.pid))
	go func() {
		defer close(silent)
		last.readFrom(&lasting{s.stderr, ringSize})
	}()
	state, err := s.proc.Wait()
	soon := time.Now().Add(lastWords)
	_ = s.ready.SetReadDeadline(soon)
	_ = s.stderr.SetReadDeadline(soon)
	<-serves
	<-silent
	r.abandon() // closes what is open, also what somebody may still write to
	tell(ending(state, err, last.lines()))
}

// lasting reads a pipe also when its deadline is over, up to so many bytes that
// are there already: who reads may get its turn late.
type lasting struct {
	pipe *os.File
	late int
}

func (l *lasting) Read(b []byte) (n int, err error) {
	n, err = l.pipe.Read(b)
	if n > 0 || l.late == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	raw, failed := l.pipe.SyscallConn()
	if failed != nil {
		return 0, err
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), b[:min(len(b), l.late)]) }) // it never blocks
	if n <= 0 {
		return 0, err
	}
	l.late -= n
	return n, nil
}

// ending says how a process ended.
func ending(state *os.ProcessState, err error, lines []string) *exited {
	e := &exited{lines: lines}
	if err != nil {
		e.failure = fmt.Sprintf("process: waiting for the Node: %v", err)
		return e
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		e.signal = signalName(status.Signal())
	case ok && status.Exited():
		code := int32(status.ExitStatus())
		e.code = &code
	}
	return e
}

// signalName is how people call s, as in SIGKILL.
func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return s.String() // real-time signals have numbers only
}

// adopt watches over a Node that somebody else started, and stays until it has
// ended. It tells begun, ready and exited, in this order.
func (r *run) adopt(o *Options, m *processpb.Adopt, tell func(any)) {
	f, err := find(o, m)
	if err != nil {
		tell(&exited{failure: err.Error()})
		return
	}
	r.hold(f.proc, nil, f.end)
	tell(begun{m.GetPid(), m.GetStartTime(), m.GetPort()})
	tell(ready{})
	if err := f.await(); err != nil {
		r.release() // the actor has stopped, and nobody listens any more
		tell(&exited{failure: err.Error()})
		return
	}
	state, err := f.proc.Wait() // it has ended: this does not wait
	r.abandon()
	if errors.Is(err, syscall.ECHILD) { // as it should be: its parent is somebody else
		r.release()
		tell(&exited{})
		return
	}
	tell(ending(state, err, nil))
}
