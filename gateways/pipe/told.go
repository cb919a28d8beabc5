package pipe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"parley/messages/enclavepb"
)

// toldFile notes which messages were handed to readers, so that the same are not
// told again by the next process. It has a slot for each run of a friend's node:
//
//	number | checksum of what follows | length and text of address | of run
//
// The number is written over in place, right behind the lines of its message. That
// survives the end of this process, whatever ends it; over the loss of power it may
// be older, and a message is told twice then.
const (
	toldFile  = "told"
	slotBytes = 192
	slotNames = slotBytes - 12 // bytes of address and run with their lengths
	slotsMost = 4096           // beyond that the one is used again that was not for the longest time
)

// told is which messages were handed to readers.
type told struct {
	mu    sync.Mutex
	file  *os.File // nil: it cannot be used, and is only remembered
	slots map[speaker]*slot
	used  uint64  // grows
	end   int64   // behind the last slot in file
	free  []int64 // slots in file that are damaged
}

// speaker is one run of a friend's node.
type speaker struct{ address, run string }

type slot struct {
	at     int64  // in file
	number uint64 // of the last message that was handed to a reader
	used   uint64
}

// openTold reads what earlier processes have noted. What is damaged counts as not
// there.
func openTold(f *folder) (*told, error) {
	t := &told{slots: map[speaker]*slot{}}
	file, err := f.openFile(toldFile)
	if err != nil {
		return t, err
	}
	t.file = file
	b := make([]byte, slotBytes)
	for at := int64(0); at < slotsMost*slotBytes; at += slotBytes {
		if n, _ := file.ReadAt(b, at); n < slotBytes {
			break
		}
		t.end = at + slotBytes
		who, number, ok := parseSlot(b)
		if !ok || t.slots[who] != nil {
			t.free = append(t.free, at)
			continue
		}
		t.used++
		t.slots[who] = &slot{at, number, t.used}
	}
	return t, nil
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
	b := appendSlot(who, number)
	switch {
	case b == nil, t.file == nil:
		return
	case !fresh:
		b = b[:8]
	}
	if _, err := t.file.WriteAt(b, s.at); err != nil { // the disk is full: it is remembered, and that is all
		_ = t.file.Close()
		t.file = nil
	}
}

// room is where a new slot goes.
func (t *told) room() int64 {
	if n := len(t.free); n > 0 {
		at := t.free[n-1]
		t.free = t.free[:n-1]
		return at
	}
	if t.end < slotsMost*slotBytes {
		t.end += slotBytes
		return t.end - slotBytes
	}
	return t.oldest()
}

// oldest frees the slot that was not used for the longest time, and tells where it is.
func (t *told) oldest() int64 {
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
func (f *folder) openFile(name string) (*os.File, error) {
	fd, err := unix.Openat(f.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, pipeMode)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("pipe: %q is a symbolic link: remove it", f.at(name))
	case err != nil:
		return nil, fmt.Errorf("pipe: %q: %w", f.at(name), err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = f.own(f.at(name), &st, unix.S_IFREG)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.at(name)), nil
}
