package pipe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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
// The number is written over in place, right before the lines of its message are
// written, where they go into the pipe at once, or right behind. That survives the
// end of this process, whatever ends it; over the loss of power it may be older, and
// a message is told twice then.
const (
	toldFile  = "told"
	slotBytes = 192
	slotNames = slotBytes - 12 // bytes of address and run with their lengths
	slotsMost = 1024           // beyond that the one is used again that was not for the longest time
	toldSize  = slotsMost * slotBytes
)

// told is which messages were handed to readers.
type told struct {
	mu    sync.Mutex
	file  []byte // mapped; nil: it cannot be used, and is only remembered
	slots map[speaker]*slot
	used  uint64 // grows
	free  []int  // offsets of slots in file that nobody has
}

// speaker is one run of a friend's node.
type speaker struct{ address, run string }

type slot struct {
	at     int    // in file
	number uint64 // of the last message that was handed to a reader
	used   uint64
}

// openTold reads what earlier processes have noted. What is damaged counts as not
// there.
func openTold(f *folder) (*told, error) {
	t := &told{slots: map[speaker]*slot{}}
	fd, err := f.openFile(toldFile)
	if err != nil {
		return t, err
	}
	defer unix.Close(fd)
	t.read(fd)
	return t, nil
}

// read maps the file. Where there is no room for it, it is done without.
func (t *told) read(fd int) {
	for at := toldSize - slotBytes; at >= 0; at -= slotBytes {
		t.free = append(t.free, at)
	}
	if unix.Fallocate(fd, 0, 0, toldSize) != nil {
		return
	}
	file, err := unix.Mmap(fd, 0, toldSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return
	}
	t.file = file
	t.free = slices.DeleteFunc(t.free, func(at int) bool {
		who, number, ok := parseSlot(file[at : at+slotBytes])
		if !ok || t.slots[who] != nil {
			return false
		}
		t.used++
		t.slots[who] = &slot{at, number, t.used}
		return true
	})
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
}

func (t *told) put(who speaker, number uint64) {
	t.used++
	s := t.slots[who]
	fresh := s == nil
	if fresh {
		s = &slot{at: t.room()}
		t.slots[who] = s
	}
	if !fresh && number <= s.number {
		s.used = t.used
		return
	}
	s.number, s.used = number, t.used
	switch {
	case t.file == nil:
	case fresh:
		b := appendSlot(who, number)
		if b == nil { // it is remembered, and that is all
			b = make([]byte, slotBytes)
		}
		copy(t.file[s.at:], b)
	default:
		binary.BigEndian.PutUint64(t.file[s.at:], number)
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
		_ = unix.Munmap(t.file)
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
