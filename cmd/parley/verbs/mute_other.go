//go:build !linux

package verbs

import "golang.org/x/sys/unix"

// Requests for a terminal's settings. Source: termios(4).
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)
