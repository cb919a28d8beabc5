// Package child is the Node's side of its Daemon: what `parley node
// --under-daemon` finds on the descriptors that gateways/process opened for it.
//
// The order of things: Open, Settings, Ready. From Settings on, Kept and Gone
// tell of the Daemon.
package child

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"parley/gateways/process"
	"parley/messages/processpb"
)

// settingsLimit is how long the Daemon may take to send the settings; it sends
// them at once.
const settingsLimit = 10 * time.Second

// Child is a Node that was started by a Daemon. Its methods may be called from
// any goroutine.
type Child struct {
	Listener net.Listener // for user interfaces, on loopback

	ready    *os.File // fixed at Open, as all of this block
	lifeline *os.File
	kept     chan struct{}
	gone     chan struct{}

	settings sync.Once
	values   *processpb.Settings // set by settings
	err      error               // set by settings
	told     sync.Once
	readyErr error // set by told
}

// Open takes the descriptors that a Daemon has opened for this process. From
// then on no process started from here inherits them, and a log that nobody
// reads any more does not end this process. The error, for people, says that it
// was not started by a Daemon.
func Open() (*Child, error) { return open(process.ListenerFD, process.ReadyFD, process.LifelineFD) }

func open(listener, ready, lifeline int) (*Child, error) {
	// All are looked at before any is taken: what is there may belong to somebody
	// else in this process.
	if err := errors.Join(checkListener(listener), checkPipe(ready, unix.O_WRONLY), checkPipe(lifeline, unix.O_RDONLY)); err != nil {
		return nil, fmt.Errorf("child: --under-daemon is for Nodes that a Daemon starts (%w); run \"parley up\", or \"parley node\" for a Node by itself", err)
	}
	for _, fd := range []int{listener, ready, lifeline} {
		unix.CloseOnExec(fd)
	}
	signal.Ignore(syscall.SIGPIPE)
	name()
	c := &Child{kept: make(chan struct{}), gone: make(chan struct{})}
	f := os.NewFile(uintptr(listener), "user interfaces")
	l, err := net.FileListener(f)
	_ = f.Close() // the listener has its own
	if err != nil {
		return nil, fmt.Errorf("child: the listener for user interfaces: %w", err)
	}
	c.Listener = l
	for _, fd := range []int{ready, lifeline} { // for deadlines
		if err := unix.SetNonblock(fd, true); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("child: %w", err)
		}
	}
	c.ready, c.lifeline = os.NewFile(uintptr(ready), "ready"), os.NewFile(uintptr(lifeline), "lifeline")
	return c, nil
}

// programName is what ps and top show for this process, in bytes at most 15.
const programName = "parley"

// name gives this process its name back: it was started as /proc/self/exe, and
// would be shown as that.
func name() { _ = os.WriteFile("/proc/self/comm", []byte(programName), 0) }

// checkListener says why a descriptor is no TCP socket that listens on loopback.
func checkListener(fd int) error {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return fmt.Errorf("descriptor %d is no socket that listens", fd)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("descriptor %d is no socket that listens", fd)
	}
	var ip net.IP
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		ip = at.Addr[:]
	case *unix.SockaddrInet6:
		ip = at.Addr[:]
	}
	if !ip.IsLoopback() {
		return fmt.Errorf("descriptor %d does not listen on loopback", fd)
	}
	return nil
}

// checkPipe says why a descriptor is not the end of a pipe that is open for mode.
func checkPipe(fd, mode int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return fmt.Errorf("descriptor %d is no pipe", fd)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != mode {
		return fmt.Errorf("descriptor %d is the wrong end of a pipe", fd)
	}
	return nil
}

// Settings reads what the Daemon wants, at most 1 MiB, and waits for that 10 s
// at most. Later calls return the same. An error is the end: the Daemon has
// died, or is none.
func (c *Child) Settings() (*processpb.Settings, error) {
	c.settings.Do(func() {
		_ = c.lifeline.SetReadDeadline(time.Now().Add(settingsLimit))
		c.values, c.err = process.ReadSettings(c.lifeline)
		if c.err != nil {
			c.err = fmt.Errorf("child: the Daemon sent no settings: %w", c.err)
			close(c.gone)
			return
		}
		_ = c.lifeline.SetReadDeadline(time.Time{})
		go c.watch()
	})
	return c.values, c.err
}

// watch reads the lifeline to its end.
func (c *Child) watch() {
	defer close(c.gone)
	var b [1]byte
	if n, _ := c.lifeline.Read(b[:]); n == 0 || b[0] != process.KeepByte {
		return
	}
	close(c.kept)
	for {
		if _, err := c.lifeline.Read(b[:]); err != nil {
			return
		}
	}
}

// Ready tells the Daemon that this Node serves. Later calls return the same.
func (c *Child) Ready() error {
	c.told.Do(func() {
		if _, err := c.ready.Write([]byte{process.ReadyByte}); err != nil {
			c.readyErr = fmt.Errorf("child: the Daemon does not listen: %w", err)
		}
		_ = c.ready.Close()
	})
	return c.readyErr
}

// Kept is closed when the Daemon knows this Node for good: from then on the Node
// outlives it.
func (c *Child) Kept() <-chan struct{} { return c.kept }

// Gone is closed when the Daemon has died. A Node that was not Kept by then ends
// at once: no Daemon will ever know of it.
func (c *Child) Gone() <-chan struct{} { return c.gone }

// WasKept tells after Gone what to do: true, go on; false, end at once.
func (c *Child) WasKept() bool {
	select {
	case <-c.kept:
		return true
	default:
		return false
	}
}

// Close gives the descriptors back. The listener stays with who uses it.
func (c *Child) Close() error {
	_ = c.ready.Close() // it may be closed already
	return c.lifeline.Close()
}
