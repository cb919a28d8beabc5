package main

import (
	"os"
	"syscall"
	"time"
)

// signalPause is how soon after the first a second signal is the same wish told
// twice: coreutils' timeout and init systems tell a process and all its group.
const signalPause = time.Second

// impatience decides which signal during an orderly end asks for a sudden one.
type impatience struct {
	led   bool      // a Daemon sees to the end, and passes on what it is told
	asked time.Time // zero: no signal has asked for the end
}

// impatientSince begins with the end that a signal asked for, or somebody else.
func impatientSince(signalled, led bool) *impatience {
	i := &impatience{led: led}
	if signalled {
		i.asked = time.Now()
	}
	return i
}

// sudden reports that s asks for the end at once.
func (i *impatience) sudden(s os.Signal) bool {
	switch {
	case s == syscall.SIGHUP || i.led:
		return false
	case i.asked.IsZero():
		i.asked = time.Now()
		return false
	default:
		return time.Since(i.asked) >= signalPause
	}
}

// watch ends the process when a signal is sudden.
func (i *impatience) watch(signals <-chan os.Signal, out *logOutput) {
	for s := range signals {
		if i.sudden(s) {
			out.abort()
		}
	}
}
