package main

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// logFileMost is where a log file is put aside, in bytes; one older file is kept.
const logFileMost = 16 << 20

// logFile writes to a file that never grows beyond logFileMost. Lines that
// cannot be written are lost: a full disk must not stop a node.
type logFile struct {
	name string // fixed

	mu   sync.Mutex
	file *os.File // nil: it could not be opened again
	size int64
}

// openLogFile appends to a file that its owner alone may read.
func openLogFile(name string) (*logFile, error) {
	l := &logFile{name: name}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("log-file: %w; name another file, or none", err)
	}
	return l, nil
}

func (l *logFile) open() error {
	f, err := l.openNow()
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// openNow opens what the name stands for now. Who may write to its folder can
// have put something else there: a link to a file that is ours alone to write to,
// or a pipe, which would make us wait. Only links of root and our own are followed.
func (l *logFile) openNow() (*os.File, error) {
	const flags, mode = os.O_CREATE | os.O_APPEND | os.O_WRONLY, 0o600
	f, err := os.OpenFile(l.name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, mode)
	if errors.Is(err, unix.ELOOP) {
		var st unix.Stat_t
		if unix.Lstat(l.name, &st) != nil || st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
			return nil, fmt.Errorf("%q is a symbolic link that another user has made", l.name)
		}
		return os.OpenFile(l.name, flags, mode)
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() && info.Mode()&os.ModeCharDevice == 0 {
		_ = f.Close()
		return nil, fmt.Errorf("%q is no file", l.name)
	}
	return f, nil
}

// Write implements io.Writer; it takes whole lines.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size > 0 && l.size+int64(len(line)) > logFileMost {
		if os.Rename(l.name, l.name+".1") == nil {
			l.reopen()
		}
	}
	if l.file == nil {
		return len(line), nil
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

// Reopen starts over with what the name stands for now: somebody else may have
// put the file aside.
func (l *logFile) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reopen()
}

func (l *logFile) reopen() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	_ = l.open() // Write tries no more until the next Reopen
}

// Close ends it.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
