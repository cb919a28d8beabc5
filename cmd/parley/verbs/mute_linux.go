package verbs

import "golang.org/x/sys/unix"

// Requests for a terminal's settings. Source: ioctl_tty(2).
const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS
)
