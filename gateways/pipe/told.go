package pipe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"parley/messages/enclavepb"
)

// toldFile notes which messages were handed to readers, so that the same are not
// told again by the next process. It has a slot for each run of a friend's node:
//
//	number | checksum of what follows | length and text of address | of run
//
// It is written over in place, right before the lines of its message are written,
// where they go into the pipe at once, or right behind. That survives the end of this
// process, whatever ends it; over the loss of power it may be older, and a message is
// told twice then. The file is not mapped: whoever shortened it would end this process.
const (
	toldFile  = "told"
	slotBytes = 192
	slotNames = slotBytes - 12 // bytes of address and run with their lengths
	slotsMost = 1024           // beyond that the one is used again that was not for the longest time
	toldSize  = slotsMost * slotBytes
	spanMost  = 4 << 10 // bytes between two slots that are written with them: cheaper than a system call
)

// told is which messages were handed to readers.
type told struct {
	trouble func(error) // told why the file cannot be written, once; nil: it can again. Nobody may want to know; fixed

	mu    sync.Mutex
	file  *os.File // nil: closed
	image []byte   // what file is to be
	bad   bool     // the last write failed
	slots map[speaker]*slot
	used  uint64  // grows
	free  []int   // offsets of slots in file that nobody has
	due   []*slot // that image has newer than file; scratch, empty
}

// speaker is one run of a friend's node.
type speaker struct{ address, run string }

type slot struct {
	at     int    // in file
	number uint64 // of the last message that was handed to a reader
	used   uint64
	due    bool
}

// openTold reads what earlier processes have noted. What is damaged counts as not
// there.
func openTold(f *folder) (*told, error) {
	t := &told{image: make([]byte, toldSize), slots: map[speaker]*slot{}}
	fd, err := f.openFile(toldFile)
	if err != nil {
		return t, err
	}
	t.file = os.NewFile(uintptr(fd), f.at(toldFile))
	_ = unix.Fallocate(fd, 0, 0, toldSize) // so that the disk being full later does not matter
	if err := t.read(); err != nil {
		t.close()
		return t, fmt.Errorf("pipe: %w", err)
	}
	return t, nil
}

func (t *told) read() error {
	if _, err := t.file.ReadAt(t.image, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for at := toldSize - slotBytes; at >= 0; at -= slotBytes {
		who, number, ok := parseSlot(t.image[at : at+slotBytes])
		if !ok || t.slots[who] != nil {
			t.free = append(t.free, at)
			continue
		}
		t.used++
		t.slots[who] = &slot{at: at, number: number, used: t.used}
	}
	return nil
}

// parseSlot reads a slot.
func parseSlot(b []byte) (who speaker, number uint64, ok bool) {
	if crc32.ChecksumIEEE(b[12:slotBytes]) != binary.BigEndian.Uint32(b[8:]) {
		return who, 0, false
	}
	rest := b[12:slotBytes]
	for _, text := range []*string{&who.address, &who.run} {
		n := 1 + int(rest[0])
		if n > len(rest)-1 {
			return who, 0, false
		}
		*text, rest = string(rest[1:n]), rest[n:]
	}
	return who, binary.BigEndian.Uint64(b), who.address != ""
}

// appendSlot is the opposite of parseSlot; nil: the names are too long.
func appendSlot(who speaker, number uint64) []byte {
	if len(who.address)+len(who.run)+3 > slotNames || len(who.address) > 255 || len(who.run) > 255 {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, number)
	b = append(b, 0, 0, 0, 0)
	for _, text := range []string{who.address, who.run} {
		b = append(append(b, byte(len(text))), text...)
	}
	b = append(b, make([]byte, slotBytes-len(b))...)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:]))
	return b
}

func speakerOf(m *enclavepb.Received) speaker { return speaker{m.GetFrom(), m.GetRun()} }

// has reports that a message was handed to a reader.
func (t *told) has(m *enclavepb.Received) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.slots[speakerOf(m)]
	return s != nil && m.GetNumber() <= s.number
}

// note notes the last of the messages of each speaker that were handed to a reader.
func (t *told) note(all []*enclavepb.Received) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, m := range all {
		if m.GetRun() == "" || i+1 < len(all) && speakerOf(m) == speakerOf(all[i+1]) {
			continue
		}
		t.put(speakerOf(m), m.GetNumber())
	}
	t.write()
}

func (t *told) put(who speaker, number uint64) {
	t.used++
	s := t.slots[who]
	fresh := s == nil
	if fresh {
		s = &slot{at: t.room()}
		t.slots[who] = s
		here := t.image[s.at : s.at+slotBytes]
		clear(here) // if its names are too long it is remembered, and that is all
		copy(here, appendSlot(who, number))
	}
	s.used = t.used
	if !fresh && number <= s.number {
		return
	}
	s.number = number
	binary.BigEndian.PutUint64(t.image[s.at:], number)
	if !s.due {
		s.due = true
		t.due = append(t.due, s)
	}
}

// write writes what is due, whole slots: somebody may have shortened the file. What
// cannot be written is remembered, and goes with the next note of the same speaker.
func (t *told) write() {
	slices.SortFunc(t.due, func(a, b *slot) int { return a.at - b.at })
	for i := 0; i < len(t.due); {
		from := t.due[i].at
		to := from
		for ; i < len(t.due) && t.due[i].at-to <= spanMost; i++ {
			to = t.due[i].at + slotBytes
			t.due[i].due = false
		}
		t.writeSpan(from, to)
	}
	clear(t.due)
	t.due = t.due[:0]
}

func (t *told) writeSpan(from, to int) {
	if t.file == nil {
		return
	}
	_, err := t.file.WriteAt(t.image[from:to], int64(from))
	if bad := err != nil; bad != t.bad {
		t.bad = bad
		if t.trouble != nil {
			t.trouble(err)
		}
	}
}

// room is where a new slot goes.
func (t *told) room() int {
	n := len(t.free)
	if n == 0 {
		return t.oldest()
	}
	at := t.free[n-1]
	t.free = t.free[:n-1]
	return at
}

// oldest frees the slot that was not used for the longest time, and tells where it is.
func (t *told) oldest() int {
	var who speaker
	var found *slot
	for o, s := range t.slots {
		if found == nil || s.used < found.used {
			who, found = o, s
		}
	}
	delete(t.slots, who)
	return found.at
}

func (t *told) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
}

// openFile opens a file of the folder, which it makes if it is not there. One that
// is none of ours is refused.
func (f *folder) openFile(name string) (fd int, err error) {
	fd, err = unix.Openat(f.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, pipeMode)
	switch {
	case errors.Is(err, unix.ELOOP):
		return 0, fmt.Errorf("pipe: %q is a symbolic link: remove it", f.at(name))
	case err != nil:
		return 0, fmt.Errorf("pipe: %q: %w", f.at(name), err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = f.own(f.at(name), &st, unix.S_IFREG)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}
