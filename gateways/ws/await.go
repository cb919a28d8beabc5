package ws

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

// What is read in one call, in bytes: more from a peer that has just filled a
// burst. A reader that waits for credit holds its burst, so those are not many.
const (
	burstSize = 16 << 10
	wideSize  = 64 << 10
	widesMost = 256 // in the process
)

// burst is memory for one read. It is borrowed from a read that found something
// until that is handed on: few system calls for a busy peer, no memory for an
// idle one.
type burst struct{ b []byte }

var (
	bursts = sync.Pool{New: func() any { return &burst{make([]byte, burstSize)} }}
	wides  sync.Pool    // of bursts, too
	wide   atomic.Int32 // of wides, borrowed or not
)

// borrow takes a burst. It is dropped when nothing of it is left.
func (v *view) borrow() {
	if v.busy {
		if v.burst, _ = wides.Get().(*burst); v.burst == nil {
			v.burst = newWide()
		}
	}
	if v.burst == nil {
		v.burst = bursts.Get().(*burst)
	}
}

// newWide is nil when there are as many as may be. A link that fails keeps its
// burst, so those are counted that have not been collected.
func newWide() *burst {
	if wide.Add(1) > widesMost {
		wide.Add(-1)
		return nil
	}
	b := &burst{make([]byte, wideSize)}
	runtime.AddCleanup(b, func(n int32) { wide.Add(-n) }, 1)
	return b
}

func (v *view) drop() {
	if len(v.burst.b) == wideSize {
		wides.Put(v.burst)
	} else {
		bursts.Put(v.burst)
	}
	v.burst = nil
}

// await reads what comes next, before the library is asked to parse it. An idle
// connection waits here, not twelve calls deeper: its goroutine keeps 2 KiB of
// stack instead of 4. It does nothing when a message is under way, and for
// connections that are no plain sockets.
func (v *view) await() {
	if v.raw == nil || v.ended != nil || len(v.left) > 0 || v.meter.within() {
		return
	}
	v.ahead()
}

// ahead reads a burst. Nothing may be left of the last.
func (v *view) ahead() {
	var (
		n   int
		bad error
	)
	err := v.raw.Read(func(fd uintptr) bool {
		if v.burst == nil {
			v.borrow()
		}
		for {
			if n, bad = syscall.Read(int(fd), v.burst.b); bad != syscall.EINTR {
				break
			}
		}
		if bad == syscall.EAGAIN { // wait, without the buffer
			v.drop()
			return false
		}
		return true
	})
	switch {
	case err != nil:
		v.ended = err
	case bad != nil:
		v.ended = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", bad)}
	case n <= 0:
		v.ended = io.EOF
	default:
		v.busy = n == len(v.burst.b) || v.busy && n > burstSize
		v.left = v.burst.b[:v.came(v.burst.b[:n])]
	}
	if len(v.left) == 0 && v.burst != nil {
		v.drop()
	}
}
