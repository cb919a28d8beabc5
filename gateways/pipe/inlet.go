package pipe

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	lineMost  = 64 << 10        // bytes of a line, without its end
	readSize  = 16 << 10        // bytes that are read at once
	lookEvery = 2 * time.Second // at a pipe where nothing happens: it may have been replaced
)

// inlet reads lines from a pipe. Writers come and go.
type inlet struct {
	folder  *folder                         // fixed, as all of this block
	hand    func(line []byte)               // gets each line that is not blank, in memory of its own, nil for one that is too long; it may wait
	trouble func(name string, reason error) // told why a pipe cannot be used; nil: it can

	line []byte // begun and not ended
	long bool   // the line under way is too long, and its rest of no interest
}

// run reads until the end of ctx.
func (i *inlet) run(ctx context.Context) {
	for ctx.Err() == nil {
		file, err := i.folder.open(nameIn, os.O_RDONLY)
		if errors.Is(err, fs.ErrNotExist) {
			if err = i.folder.make(nameIn); err == nil {
				continue
			}
		}
		i.trouble(nameIn, err)
		if err != nil {
			pause(ctx, lookEvery)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = file.Close() })
		i.read(file)
		stop()
		_ = file.Close()
		i.end()
	}
}

// read reads until the pipe is closed, or is not where it was.
func (i *inlet) read(file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	var (
		n   int
		bad error
		b   = make([]byte, readSize)
	)
	attempt := func(fd uintptr) bool {
		n, bad = syscall.Read(int(fd), b)
		if n == 0 && bad == nil { // there is no writer: the last one has ended its line
			i.end()
			return false
		}
		return bad != syscall.EAGAIN
	}
	for {
		_ = file.SetReadDeadline(time.Now().Add(lookEvery))
		switch err := raw.Read(attempt); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !i.folder.is(nameIn, file) {
				return
			}
		case err != nil:
			return
		case bad == nil:
			i.take(b[:n])
		case bad != syscall.EINTR:
			return
		}
	}
}

// take takes what came apart into lines.
func (i *inlet) take(b []byte) {
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, newline)
		i.add(part)
		if whole {
			i.end()
		}
		b = rest
	}
}

var newline = []byte{'\n'}

// add makes the line longer, unless it is too long.
func (i *inlet) add(part []byte) {
	if i.long {
		return
	}
	if len(i.line)+len(part) > lineMost {
		i.long, i.line = true, nil
		i.hand(nil)
		return
	}
	i.line = append(i.line, part...)
}

// end ends a line.
func (i *inlet) end() {
	line := bytes.TrimSpace(i.line)
	i.line, i.long = nil, false
	if len(line) > 0 {
		i.hand(line)
	}
}

// pause waits, until the end of ctx at most.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
