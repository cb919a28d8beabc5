package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"parley/messages/processpb"
)

// found is a process that somebody else started.
type found struct {
	proc *os.Process // by pidfd: whoever gets its pid later is not meant
	end  *os.File    // a pidfd of its own, readable when the process has ended
}

// find looks for the Node that an earlier Daemon started. The handles are
// opened first and the pid is looked at then: if that is the process that the
// earlier Daemon saw, so is the one behind the handles.
func find(o *Options, m *processpb.Adopt) (f *found, err error) {
	if m.GetPid() == 0 || m.GetPid() > math.MaxInt32 {
		return nil, fmt.Errorf("process: no process can have the pid %d", m.GetPid())
	}
	pid := int(m.GetPid())
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("process: cannot watch over process %d: %w", pid, err)
	}
	f = &found{end: os.NewFile(uintptr(fd), "pidfd")}
	defer func() {
		if err != nil {
			_ = f.end.Close()
		}
	}()
	if f.proc, err = os.FindProcess(pid); err != nil {
		return nil, fmt.Errorf("process: cannot watch over process %d: %w", pid, err)
	}
	defer func() {
		if err != nil {
			_ = f.proc.Release()
		}
	}()
	return f, f.check(o, m)
}

// check says why that is not the Node. The start time tells it from all
// processes since the machine started, the arguments from those before.
func (f *found) check(o *Options, m *processpb.Adopt) error {
	s, err := readStat(m.GetPid())
	if err != nil {
		return err
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.GetPid()))
	if err != nil {
		return fmt.Errorf("process: looking at process %d: %w", m.GetPid(), err)
	}
	switch {
	case s.ended():
		return errors.New(hasEnded(m.GetPid()))
	case s.started != m.GetStartTime() || string(args) != strings.Join(o.Args, "\x00")+"\x00":
		return errors.New(notThatOne(m.GetPid()))
	}
	return nil
}

func notThatOne(pid uint32) string {
	return fmt.Sprintf("process: process %d is not the node that was started", pid)
}

func hasEnded(pid uint32) string { return fmt.Sprintf("process: process %d has ended", pid) }

// await returns when the process has ended, or with an error when f.end is closed.
func (f *found) await() error {
	conn, err := f.end.SyscallConn()
	if err != nil {
		return fmt.Errorf("process: watching over the node: %w", err)
	}
	err = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 && err == nil
	})
	if err != nil {
		return fmt.Errorf("process: watching over the node: %w", err)
	}
	return nil
}
