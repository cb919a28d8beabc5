//go:build linux

package crowd

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/wire"
)

const (
	// batch is how many ready sockets one wait returns.
	batch = 512
	// readBuffer is what one read takes at most, bytes: a burst of 32 messages of 2 kB fits several times.
	readBuffer = 256 << 10
)

// loop reads all its members in one goroutine. Sockets are watched edge-triggered: a read that does not fill the buffer
// has emptied the socket, so one system call a wake-up and member is enough.
type loop struct {
	// fixed
	epoll, wake int
	pause       time.Duration

	// guarded by mu, which is held while events are handled: who takes it sees all sinks at rest
	mu      sync.Mutex
	members map[int]*Member
	buffer  []byte
	limit   int // most bytes of the read being done, 0 for no limit
	closed  bool
}

func newLoop(pause time.Duration) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("crowd: create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("crowd: create eventfd: %w", err)
	}
	l := &loop{epoll: epoll, wake: wake, pause: pause, members: map[int]*Member{}, buffer: make([]byte, readBuffer)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Fd: int32(wake), Events: unix.EPOLLIN}); err != nil {
		_, _ = unix.Close(epoll), unix.Close(wake)
		return nil, fmt.Errorf("crowd: watch eventfd: %w", err)
	}
	return l, nil
}

func (l *loop) run() {
	events := make([]unix.EpollEvent, batch)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("crowd: wait for events: %v", err)) // only a bug of ours makes it fail
		}
		l.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			l.handle(e)
		}
		closed := l.closed
		l.mu.Unlock()
		if closed {
			_, _ = unix.Close(l.epoll), unix.Close(l.wake)
			return
		}
		if l.pause > 0 {
			ts := unix.NsecToTimespec(int64(l.pause))
			_ = unix.Nanosleep(&ts, nil)
		}
	}
}

func (l *loop) handle(e unix.EpollEvent) {
	m := l.members[int(e.Fd)]
	if m == nil || m.stopped {
		return // the eventfd, or closed earlier in this batch
	}
	if e.Events&unix.EPOLLOUT != 0 {
		m.flush()
	}
	const ended = unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLRDHUP
	if e.Events&(unix.EPOLLIN|ended) != 0 {
		l.receive(m, e.Events&ended != 0)
	}
}

// receive reads until the socket is empty, or ended.
func (l *loop) receive(m *Member, ended bool) {
	for {
		room := l.room(m)
		if l.limit > 0 {
			room = room[:min(len(room), l.limit)]
		}
		n, err := unix.Read(m.fd, room)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n == 0:
			l.drop(m, 0, wire.CloseAbnormal, nil)
			return
		}
		m.scan.Filled(n)
		if !l.deliver(m) || l.limit > 0 || (n < len(room) && !ended) {
			return
		}
	}
}

// room is where to read to: behind what the member has left over.
func (l *loop) room(m *Member) []byte {
	room := m.scan.Begin(l.buffer)
	if len(room) == 0 {
		l.buffer = make([]byte, m.scan.Need()+readBuffer)
		room = m.scan.Begin(l.buffer)
	}
	return room
}

// deliver hands over what was read. It is false when the connection has ended.
func (l *loop) deliver(m *Member) bool {
	now := Now()
	for {
		f, ok, err := m.scan.Next()
		if err != nil {
			l.drop(m, wire.CloseNormal, wire.CloseAbnormal, err)
			return false
		}
		if !ok {
			m.scan.Keep()
			return true
		}
		switch f.Op {
		case wire.OpText:
			m.sink.Text(f.Payload, now)
		case wire.OpPing:
			m.Write(wire.AppendClient(nil, wire.OpPong, m.mask, f.Payload))
		case wire.OpClose:
			code := wire.CloseCode(f.Payload)
			l.drop(m, wire.CloseNormal, code, nil)
			return false
		}
	}
}

func (l *loop) drop(m *Member, say, code int, err error) {
	delete(l.members, m.fd)
	m.shut(say)
	m.sink.Closed(code, err)
}

func (l *loop) watch(m *Member) error {
	e := unix.EpollEvent{Fd: int32(m.fd), Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, m.fd, &e); err != nil {
		return fmt.Errorf("crowd: watch socket: %w", err)
	}
	return nil
}

var epoch = time.Now()

// Now is the time in nanoseconds since 1970, by a clock that never jumps.
func Now() int64 { return epoch.UnixNano() + int64(time.Since(epoch)) }
