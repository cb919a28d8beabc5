package child

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"parley/gateways/process"
	"parley/messages/processpb"
)

// daemon is the other side of the descriptors of a Child.
type daemon struct {
	listener, readyFD, lifelineFD int // of the Child
	addr                          net.Addr
	ready, lifeline               *os.File
}

// descriptors makes what a Daemon opens for a Node.
func descriptors(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	f, err := l.(*net.TCPListener).File()
	must(t, err)
	d.addr = l.Addr()
	must(t, l.Close())
	readyR, readyW, err := os.Pipe()
	must(t, err)
	lifeR, lifeW, err := os.Pipe()
	must(t, err)
	d.ready, d.lifeline = readyR, lifeW
	for fd, f := range map[*int]*os.File{&d.listener: f, &d.readyFD: readyW, &d.lifelineFD: lifeR} {
		*fd, err = unix.Dup(int(f.Fd())) // inheritable, as an exec leaves them
		must(t, err)
		must(t, f.Close())
	}
	t.Cleanup(func() { _, _ = d.ready.Close(), d.lifeline.Close() })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) open(t *testing.T) *Child {
	t.Helper()
	c, err := open(d.listener, d.readyFD, d.lifelineFD)
	must(t, err)
	t.Cleanup(func() { _, _ = c.Listener.Close(), c.Close() })
	return c
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain until %s", what)
	}
}

func isOpen(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func TestLifeOfAChild(t *testing.T) {
	d := descriptors(t)
	c := d.open(t)
	for _, fd := range []int{d.readyFD, d.lifelineFD} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would be inherited: %v", fd, err)
		}
	}
	if c.Listener.Addr().String() != d.addr.String() {
		t.Errorf("listens on %v, not %v", c.Listener.Addr(), d.addr)
	}
	want := &processpb.Settings{Values: []*processpb.Setting{{Name: "db-password", Value: "secret"}}, User: &processpb.User{Uid: 5, Gid: 6}}
	frame, err := process.AppendSettings(nil, want)
	must(t, err)
	_, err = d.lifeline.Write(frame)
	must(t, err)
	for range 2 {
		got, err := c.Settings()
		if err != nil || !proto.Equal(got, want) {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	for range 2 {
		must(t, c.Ready())
	}
	if b, err := io.ReadAll(d.ready); err != nil || string(b) != string(process.ReadyByte) {
		t.Errorf("got %q, %v", b, err)
	}
	if !isOpen(c.Kept()) || !isOpen(c.Gone()) || c.WasKept() {
		t.Error("too early")
	}
	_, err = d.lifeline.Write([]byte{process.KeepByte})
	must(t, err)
	wait(t, "it is kept", c.Kept())
	if !isOpen(c.Gone()) {
		t.Error("the Daemon is there")
	}
	must(t, d.lifeline.Close())
	wait(t, "the Daemon is gone", c.Gone())
	if !c.WasKept() {
		t.Error("it was kept")
	}
}

// A Node that no Daemon knows of is told so.
func TestDaemonDiesEarly(t *testing.T) {
	frame, err := process.AppendSettings(nil, &processpb.Settings{Values: []*processpb.Setting{{Name: "ip", Value: "1.2.3.4"}}})
	must(t, err)
	for name, c := range map[string]struct {
		sent     []byte
		settings bool
	}{
		"before the settings":   {nil, false},
		"in the settings":       {frame[:len(frame)-1], false},
		"before it is kept":     {frame, true},
		"with something else":   {append(append([]byte{}, frame...), 'x'), true},
		"malformed":             {[]byte{0, 0, 0, 1, 0xff}, false},
		"more than one can say": {[]byte{0xff, 0xff, 0xff, 0xff}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := descriptors(t)
			child := d.open(t)
			_, err := d.lifeline.Write(c.sent)
			must(t, err)
			must(t, d.lifeline.Close())
			if _, err := child.Settings(); (err == nil) != c.settings {
				t.Errorf("settings: %v", err)
			}
			wait(t, "the Daemon is gone", child.Gone())
			if child.WasKept() {
				t.Error("kept")
			}
		})
	}
}

func TestDaemonDoesNotListen(t *testing.T) {
	d := descriptors(t)
	c := d.open(t)
	must(t, d.ready.Close())
	if err := c.Ready(); !errors.Is(err, unix.EPIPE) {
		t.Errorf("got %v", err)
	}
}

// Whoever types the hidden option is told what to do instead, and nothing that
// belongs to somebody else is taken.
func TestTypedByHand(t *testing.T) {
	d, other := descriptors(t), descriptors(t)
	anywhere, err := net.Listen("tcp4", "0.0.0.0:0")
	must(t, err)
	f, err := anywhere.(*net.TCPListener).File()
	must(t, err)
	must(t, anywhere.Close())
	defer func() { _ = f.Close() }()
	nothing := 1000
	for name, c := range map[string]struct {
		fds  [3]int
		want string
	}{
		"nothing there":   {[3]int{nothing, nothing + 1, nothing + 2}, fmt.Sprintf("descriptor %d is no socket that listens", nothing)},
		"no listener":     {[3]int{d.readyFD, d.readyFD, d.lifelineFD}, "is no socket that listens"},
		"not on loopback": {[3]int{int(f.Fd()), d.readyFD, d.lifelineFD}, "does not listen on loopback"},
		"no pipe":         {[3]int{d.listener, d.listener, d.lifelineFD}, "is no pipe"},
		"wrong way round": {[3]int{d.listener, d.lifelineFD, d.readyFD}, "is the wrong end of a pipe"},
	} {
		child, err := open(c.fds[0], c.fds[1], c.fds[2])
		if err == nil {
			t.Fatalf("%s: got %v", name, child)
		}
		for _, part := range []string{c.want, "--under-daemon is for Nodes that a Daemon starts", "parley up"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q", name, err, part)
			}
		}
	}
	for _, fds := range []*daemon{d, other} { // all are still there
		fds.open(t)
	}
}
