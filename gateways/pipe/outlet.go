package pipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"parley/messages/enclavepb"
)

const (
	keepMost  = 1000                   // lines and events that wait for a reader
	keepBytes = 8 << 20                // of them, roughly
	keepRead  = 16 << 10               // lines and events that wait where somebody reads
	joinMost  = 32 << 10               // bytes of lines that are written at once
	tryEvery  = 250 * time.Millisecond // whether a reader has come
	bearing   = 250 * time.Millisecond // with a reader that does not read, until nobody waits for it any more
	lastWords = 500 * time.Millisecond // that a reader gets when all is over
)

// line is one for a reader, its end included. It is frozen.
type line struct {
	text  []byte
	lost  uint64           // lines that this one says were lost
	event *enclavepb.Event // written when its turn comes: most events nobody reads; nil: text is
	batch uint64           // that is complete with this line; 0: none
}

// size is what it holds of memory, roughly.
func (l *line) size() int {
	if l.event != nil {
		return l.event.Bytes()
	}
	return len(l.text)
}

// outlet writes lines to a pipe. What nobody reads is kept: the newest. A reader
// that goes leaves what it has not read whole to the next.
type outlet struct {
	folder  *folder                         // fixed, as all of this block
	trouble func(name string, reason error) // told why a pipe cannot be used; nil: it can
	dropped func(n uint64) []byte           // the line that says so, made when somebody reads it
	every   time.Duration                   // a reader is looked for
	failed  func(reason any)                // told of a panic over an event, which is left out; nil: it is not caught
	told    *told                           // which messages readers were told of
	shown   func(batch uint64)              // told how far events are with a reader, or have none; nil: nobody wants to know

	wake chan struct{} // something to do for run

	mu      sync.Mutex
	queue   []line // oldest first
	bytes   int    // of queue
	lost    uint64 // lines, before those in queue
	read    bool   // somebody has the pipe open
	stuck   bool   // and does not read
	newest  uint64 // batch in queue, or before it
	passing int    // events in queue that a newer one makes worthless

	given []line                // owned by run: what a reader may not have read, oldest first
	size  int                   // bytes of given; owned by run
	parts [][]byte              // scratch of run, empty
	marks []*enclavepb.Received // what run is about to write whole; scratch
	batch uint64                // that is whole in what run is about to write
}

func newOutlet(f *folder, told *told, trouble func(string, error), dropped func(uint64) []byte) *outlet {
	return &outlet{folder: f, told: told, trouble: trouble, dropped: dropped, every: tryEvery, wake: make(chan struct{}, 1)}
}

// put has a line written when its turn comes. It does not wait.
func (o *outlet) put(text []byte) {
	o.mu.Lock()
	o.add(line{text: text})
	o.limit()
	o.mu.Unlock()
	o.rouse()
}

// tell has events written when their turn comes. It does not wait. shown is told
// when they are: of the batch, if that has a number.
func (o *outlet) tell(batch uint64, events ...*enclavepb.Event) {
	o.mu.Lock()
	for i, e := range events {
		l := line{event: e}
		if i == len(events)-1 {
			l.batch = batch
		}
		o.add(l)
	}
	o.newest = max(o.newest, batch)
	o.limit()
	nobody := batch != 0 && (!o.read || o.stuck || len(events) == 0)
	o.mu.Unlock()
	if nobody {
		o.confirm(batch)
	}
	o.rouse()
}

// confirm says that nobody need wait for events any more.
func (o *outlet) confirm(batch uint64) {
	if o.shown != nil && batch != 0 {
		o.shown(batch)
	}
}

// lose counts what there was no room for.
func (o *outlet) lose(n int) {
	o.mu.Lock()
	o.lost += uint64(n)
	o.mu.Unlock()
	o.rouse()
}

func (o *outlet) add(l line) {
	o.queue = append(o.queue, l)
	o.bytes += l.size()
	if l.about() != "" {
		o.passing++
	}
}

func (o *outlet) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run writes until the end of ctx.
func (o *outlet) run(ctx context.Context) {
	stale := false // the pipe was not empty, and has had somebody at one end ever since
	for ctx.Err() == nil {
		file, err := o.folder.open(nameOut, os.O_WRONLY)
		if errors.Is(err, fs.ErrNotExist) {
			if err = o.folder.make(nameOut); err == nil {
				continue
			}
		}
		if err != nil {
			stale = false
			if errors.Is(err, errNobody) {
				err = nil
			}
			o.trouble(nameOut, err)
			pause(ctx, o.every)
			continue
		}
		o.trouble(nameOut, nil)
		o.serve(ctx, file, stale)
		stale = true
	}
}

// serve writes until nobody reads. If the pipe is stale, there is half a line in it,
// or its reader has had that: it is ended.
func (o *outlet) serve(ctx context.Context, file *os.File, stale bool) {
	gone := make(chan struct{})
	go await(file, gone)
	stop := context.AfterFunc(ctx, func() { _ = file.SetWriteDeadline(time.Now().Add(lastWords)) })
	if stale {
		_, _ = file.Write(newline) // or the next write will fail as well
	}
	o.reading(true)
	left := o.write(ctx, file, gone)
	o.reading(false)
	stop()
	o.giveBack(left + unread(file))
	_ = file.Close()
	<-gone
}

// reading notes whether somebody has the pipe open.
func (o *outlet) reading(is bool) {
	o.mu.Lock()
	o.read, o.stuck = is, false
	newest := o.newest
	o.limit()
	o.mu.Unlock()
	if !is {
		o.confirm(newest)
	}
}

// stall notes that somebody has the pipe open, and does not read.
func (o *outlet) stall() {
	o.mu.Lock()
	before := o.stuck
	o.stuck = true
	newest := o.newest
	o.mu.Unlock()
	if !before {
		o.confirm(newest)
	}
}

// await closes gone when nobody reads what is written to file, or it is closed.
func await(file *os.File, gone chan struct{}) {
	defer close(gone)
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { // nothing is read: a pipe tells its writer so that its readers are gone
		poll := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(poll, 0)
		return err == nil && poll[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0
	})
}

// write writes what is there to file, until nobody reads or ctx ends; left is how
// many bytes of what was taken are not in the pipe.
func (o *outlet) write(ctx context.Context, file *os.File, gone <-chan struct{}) (left int) {
	var join []byte
	for {
		select {
		case <-gone:
			return 0
		default:
		}
		if join = o.next(join[:0]); len(join) == 0 {
			select {
			case <-o.wake:
				continue
			case <-gone:
			case <-ctx.Done():
			}
			return 0
		}
		n, err := 0, error(nil)
		noted := len(o.marks) > 0 && unread(file)+len(join) <= roomLeast
		if noted {
			n, err = o.noteAndWrite(ctx, file, join)
		}
		for err == nil && n < len(join) {
			var m int
			m, err = o.push(ctx, file, join[n:])
			n += m
		}
		if err != nil {
			return len(join) - n
		}
		if !noted {
			o.told.note(o.marks)
		}
		o.confirm(o.batch)
	}
}

// noteAndWrite writes what goes into the pipe at once, with as little time as can be
// between the note and the write.
func (o *outlet) noteAndWrite(ctx context.Context, file *os.File, b []byte) (n int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	bear(ctx, file)
	var bad error
	err = raw.Write(func(fd uintptr) bool {
		o.told.note(o.marks)
		n, bad = unix.Write(int(fd), b)
		return true
	})
	if bad != nil {
		n = 0
	}
	if err == nil && bad != unix.EAGAIN && bad != unix.EINTR {
		err = bad
	}
	return n, err
}

// bear limits how long a write may take.
func bear(ctx context.Context, file *os.File) {
	wait := bearing
	if ctx.Err() != nil {
		wait = lastWords
	}
	_ = file.SetWriteDeadline(time.Now().Add(wait))
}

// push writes to file, however long that takes.
func (o *outlet) push(ctx context.Context, file *os.File, b []byte) (n int, err error) {
	for {
		bear(ctx, file)
		m, err := file.Write(b[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return n, err
		}
		o.stall()
	}
}

// next takes lines off the queue, and joins them.
func (o *outlet) next(join []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		join = o.give(join, o.lostLine())
	}
	o.stuck = false
	clear(o.marks)
	o.marks, o.batch = o.marks[:0], 0
	n := 0
	for ; n < len(o.queue) && (len(join) == 0 || len(join)+o.queue[n].size() <= joinMost); n++ {
		l := o.queue[n]
		o.queue[n] = line{}
		o.forget(l)
		o.batch = max(o.batch, l.batch)
		if l.event == nil {
			join = o.give(join, l)
			continue
		}
		m := l.event.GetReceived()
		if m.GetAgain() && o.told.has(m) {
			continue
		}
		o.encode(l.event)
		for _, text := range o.parts {
			join = o.give(join, line{text: text})
		}
		if m != nil {
			o.marks = append(o.marks, m)
		}
		clear(o.parts)
	}
	if o.queue = o.queue[n:]; len(o.queue) == 0 {
		o.queue = nil
	}
	return join
}

// encode makes lines of an event in parts. One that makes it panic costs the node no
// more than that event, as it would in an actor.
func (o *outlet) encode(e *enclavepb.Event) {
	if o.failed != nil {
		defer func() {
			if reason := recover(); reason != nil {
				o.parts = o.parts[:0]
				o.failed(reason)
			}
		}()
	}
	o.parts = appendEvent(o.parts[:0], e)
}

// lostLine says that lines were lost, once.
func (o *outlet) lostLine() line {
	l := line{text: o.dropped(o.lost), lost: o.lost}
	o.lost = 0
	return l
}
