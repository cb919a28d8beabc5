package pipe

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is how many bytes a pipe holds at most, unless somebody has made it
// larger.
const pipeSize = 64 << 10

// roomLeast is how full a pipe may be with lines that go into it at once for sure.
// They are noted first: a reader that gets them runs before this process does, and
// may have it killed before it notes anything.
const roomLeast = pipeSize / 2

// give joins a line to what is written next, and lets go of lines that have been
// read for sure: with what was given since, they would not fit into the pipe.
func (o *outlet) give(join []byte, l line) []byte {
	o.given = append(o.given, l)
	o.size += len(l.text)
	n := 0
	for o.size-len(o.given[n].text) >= pipeSize+joinMost+lineMost {
		o.size -= len(o.given[n].text)
		o.given[n] = line{}
		n++
	}
	o.given = o.given[n:]
	return append(join, l.text...)
}

// giveBack puts the lines of which n bytes at the end were not read before those
// that wait.
func (o *outlet) giveBack(n int) {
	i := len(o.given)
	for i > 0 && n > 0 {
		i--
		n -= len(o.given[i].text)
	}
	back := append([]line(nil), o.given[i:]...)
	o.given, o.size = nil, 0
	if len(back) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 { // between these and those
		back = append(back, o.lostLine())
	}
	for _, l := range back { // none of them is about anybody: they are text
		o.bytes += l.size()
	}
	o.queue = append(back, o.queue...)
	o.limit()
}

// unread is how many bytes are in a pipe that nobody reads.
func unread(file *os.File) (n int) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
