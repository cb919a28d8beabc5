package ws

import (
	"io"
	"os"
	"sync"
	"syscall"
)

// burstSize is how much is read in one call, in bytes.
const burstSize = 16 << 10

// bursts are borrowed from a read that found something until it is handed on:
// few system calls for a busy peer, no memory for an idle one.
var bursts = sync.Pool{New: func() any { b := make([]byte, burstSize); return &b }}

// await reads what comes next, before the library is asked to parse it. An idle
// connection waits here, not twelve calls deeper: its goroutine keeps 2 KiB of
// stack instead of 4. It does nothing when a message is under way, and for
// connections that are no plain sockets.
func (v *view) await() {
	if v.raw == nil || v.ended != nil || len(v.left) > 0 || v.meter.within() {
		return
	}
	var (
		n   int
		bad error
	)
	err := v.raw.Read(func(fd uintptr) bool {
		if v.burst == nil {
			v.burst = bursts.Get().(*[]byte)
		}
		for {
			if n, bad = syscall.Read(int(fd), *v.burst); bad != syscall.EINTR {
				break
			}
		}
		if bad == syscall.EAGAIN { // wait, without the buffer
			bursts.Put(v.burst)
			v.burst = nil
			return false
		}
		return true
	})
	switch {
	case err != nil:
		v.ended = err
	case bad != nil:
		v.ended = os.NewSyscallError("read", bad)
	case n <= 0:
		v.ended = io.EOF
	}
	if v.ended == nil {
		v.left = (*v.burst)[:v.came((*v.burst)[:n])]
	}
	if len(v.left) == 0 && v.burst != nil {
		bursts.Put(v.burst)
		v.burst = nil
	}
}
