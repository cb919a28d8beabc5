//go:build linux

package crowd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"parley/cmd/parley/bench/wire"
)

// ErrUnreachable is wrapped by Dial's errors when no connection could be made at all.
var ErrUnreachable = errors.New("crowd: no server there")

// pollStep bounds one wait in the kernel, milliseconds, so that a cancelled context is seen.
const pollStep = 100

// smallBuffer is what a handshake and one answer are read into, bytes.
const smallBuffer = 4 << 10

// Dial connects and upgrades, within timeout. The member returned blocks in Ask until it is joined to a crowd.
func Dial(ctx context.Context, d Door, timeout time.Duration) (*Member, error) {
	to, family := sockaddr(d.Address.Addr(), d.Address.Port())
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("crowd: open socket: %w", err)
	}
	m := &Member{fd: fd, ctx: ctx, deadline: time.Now().Add(timeout)}
	if err := m.open(d, to); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return m, nil
}

func (m *Member) open(d Door, to unix.Sockaddr) error {
	// Frames of a publisher must leave at once, as a real client's do.
	if err := unix.SetsockoptInt(m.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("crowd: set TCP_NODELAY: %w", err)
	}
	if d.Source.IsValid() {
		// Without this option the kernel reserves a port for the source alone, and all sources together have as few
		// ports as one.
		if err := unix.SetsockoptInt(m.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("crowd: set IP_BIND_ADDRESS_NO_PORT: %w", err)
		}
		from, _ := sockaddr(d.Source, 0)
		if err := unix.Bind(m.fd, from); err != nil {
			return fmt.Errorf("crowd: bind %q: %w", d.Source, err)
		}
	}
	if err := m.connect(to); errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("crowd: no local port left towards %q, dial from more source addresses: %w", d.Address, err)
	} else if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrUnreachable, d.Address, err)
	}
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails
	copy(m.mask[:], random[16:])
	if err := m.upgrade(d, base64.StdEncoding.EncodeToString(random[:16])); err != nil {
		return fmt.Errorf("crowd: handshake with %q: %w", d.Address, err)
	}
	return nil
}

func (m *Member) connect(to unix.Sockaddr) error {
	err := unix.Connect(m.fd, to)
	if !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		return err
	}
	if err := m.wait(unix.POLLOUT); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// subprotocol is the header of RFC 6455, section 11.3.4.
const subprotocol = "Sec-WebSocket-Protocol"

func (m *Member) upgrade(d Door, key string) error {
	var more []string
	if d.Subprotocol != "" {
		more = append(more, subprotocol+": "+d.Subprotocol)
	}
	if err := m.put(wire.AppendRequest(nil, d.Host, d.Path, d.Origin, key, more...)); err != nil {
		return err
	}
	var head []byte
	buffer := make([]byte, smallBuffer)
	for {
		n, err := m.get(buffer)
		if err != nil {
			return err
		}
		head = append(head, buffer[:n]...)
		first, lines, after, ok, err := wire.Head(head)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := wire.CheckResponse(first, lines, key); err != nil {
			return err
		}
		if got := wire.Header(lines, subprotocol); got != d.Subprotocol {
			return fmt.Errorf("crowd: subprotocol is %q, want %q", got, d.Subprotocol)
		}
		m.scan.Filled(copy(m.scan.Begin(buffer), after))
		m.scan.Keep()
		return nil
	}
}

// Ask sends one command and waits for its answer; deliveries in between are thrown away. Only before Join. A connection
// that the server closes is a *ClosedError.
func (m *Member) Ask(json []byte, timeout time.Duration) (ok bool, reason string, err error) {
	if err := m.Say(json, timeout); err != nil {
		return false, "", err
	}
	err = m.Hear(timeout, func(json []byte) bool {
		a, found := wire.ParseAnswer(json)
		ok, reason = a.OK, string(a.Reason)
		return found
	})
	return ok, reason, err
}

// Say sends one text message. Only before Join.
func (m *Member) Say(json []byte, timeout time.Duration) error {
	m.deadline = time.Now().Add(timeout)
	if err := m.put(wire.AppendClient(nil, wire.OpText, m.mask, json)); err != nil {
		return fmt.Errorf("crowd: send command: %w", err)
	}
	return nil
}

// Hear waits for the text message that take is true for, and hands it every one before that. Only before Join. The
// message is valid until take returns. A connection that the server closes is a *ClosedError.
func (m *Member) Hear(timeout time.Duration, take func(json []byte) bool) error {
	m.deadline = time.Now().Add(timeout)
	buffer := make([]byte, smallBuffer)
	old := m.scan.Pending() // what was left over may be all that comes
	for {
		room := m.scan.Begin(buffer)
		if len(room) == 0 {
			buffer = make([]byte, m.scan.Need()+smallBuffer)
			continue
		}
		n := 0
		if !old {
			var err error
			if n, err = m.get(room); err != nil {
				m.scan.Filled(0)
				m.scan.Keep()
				return fmt.Errorf("crowd: wait for answer: %w", err)
			}
		}
		old = false
		m.scan.Filled(n)
		found, err := m.find(take)
		m.scan.Keep()
		if found || err != nil {
			return err
		}
	}
}

func (m *Member) find(take func(json []byte) bool) (bool, error) {
	for {
		f, ok, err := m.scan.Next()
		if err != nil || !ok {
			return false, err
		}
		switch f.Op {
		case wire.OpText:
			if take(f.Payload) {
				return true, nil
			}
		case wire.OpPing:
			m.Write(wire.AppendClient(nil, wire.OpPong, m.mask, f.Payload))
		case wire.OpClose:
			return false, &ClosedError{wire.CloseCode(f.Payload)}
		}
	}
}

// ClosedError says that the server closed the connection, and with which code.
type ClosedError struct{ Code int }

func (e *ClosedError) Error() string { return fmt.Sprintf("crowd: server closed with %d", e.Code) }

// put writes all of b, get reads some; both wait in the kernel, up to the deadline.
func (m *Member) put(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(m.fd, b)
		if err = m.retry(err, unix.POLLOUT); err != nil {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

func (m *Member) get(b []byte) (int, error) {
	for {
		n, err := unix.Read(m.fd, b)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			return 0, &ClosedError{wire.CloseAbnormal}
		}
		if err = m.retry(err, unix.POLLIN); err != nil {
			return 0, err
		}
	}
}

// retry is nil when the call that returned err may be made again.
func (m *Member) retry(err error, events int16) error {
	switch {
	case err == nil, errors.Is(err, unix.EINTR):
		return nil
	case errors.Is(err, unix.EAGAIN):
		return m.wait(events)
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return &ClosedError{wire.CloseAbnormal}
	}
	return err
}

func (m *Member) wait(events int16) error {
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		if !time.Now().Before(m.deadline) {
			return os.ErrDeadlineExceeded
		}
		p := []unix.PollFd{{Fd: int32(m.fd), Events: events}}
		n, err := unix.Poll(p, pollStep)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}
