package verbs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// mute stops a terminal from showing what is typed, until restore.
func mute(c syscall.RawConn) (restore func(), err error) {
	var before unix.Termios
	set := func(t *unix.Termios) (failed error) {
		err := c.Control(func(fd uintptr) { failed = unix.IoctlSetTermios(int(fd), setTermios, t) })
		if err != nil {
			return err
		}
		return failed
	}
	var failed error
	if err := c.Control(func(fd uintptr) {
		var now *unix.Termios
		if now, failed = unix.IoctlGetTermios(int(fd), getTermios); failed == nil {
			before = *now
		}
	}); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	silent := before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	silent.Iflag |= unix.ICRNL
	if err := set(&silent); err != nil {
		return nil, err
	}
	return func() { _ = set(&before) }, nil
}
