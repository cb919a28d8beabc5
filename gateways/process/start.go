package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"parley/messages/processpb"
)

// uiAddress is where a Node's user interfaces reach it: this machine only, any
// free port.
const uiAddress = "127.0.0.1:0"

// started is a process that runs, with this side of its pipes.
type started struct {
	begun                   begun
	proc                    *os.Process
	lifeline, ready, stderr *os.File
	settings                []byte // for the lifeline
}

// start starts a Node. It may take its time: directories, sockets, a fork.
func start(o *Options, m *processpb.Launch) (*started, error) {
	who, err := whose(m.GetRealUser())
	if err != nil {
		return nil, err
	}
	if dir := m.GetDataDirectory(); dir != "" {
		if err := give(dir, who); err != nil {
			return nil, err
		}
	}
	s := &started{}
	if s.settings, err = AppendSettings(nil, &processpb.Settings{Values: m.GetSettings(), User: who.user()}); err != nil {
		return nil, err
	}
	var theirs, ours files
	defer theirs.close() // they are the child's by then, if there is one
	if err := s.open(&theirs, &ours); err != nil {
		ours.close()
		return nil, err
	}
	s.proc, err = os.StartProcess(o.Executable, o.Args, &os.ProcAttr{
		Dir: "/", Env: who.environ(os.Environ()), Files: theirs, Sys: who.attributes(),
	})
	if err != nil {
		ours.close()
		return nil, notStarted(err, who)
	}
	s.begun.pid = uint32(s.proc.Pid)
	st, err := readStat(s.begun.pid)
	if err != nil { // it is a child that nobody has waited for, so it must be there
		ours.close()
		_ = s.proc.Kill()
		_, _ = s.proc.Wait()
		return nil, err
	}
	s.begun.started = st.started
	return s, nil
}

// open opens all that connects a Node with its Daemon: theirs in the order of
// the Node's descriptors, from 0 on.
func (s *started) open(theirs, ours *files) error {
	var last error
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			last = fmt.Errorf("process: %w", err)
		}
		return r, w
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("process: %w", err)
	}
	theirs.add(null, null)
	r, w := pipe()
	s.stderr = r
	theirs.add(w)
	l, held, port, err := listen()
	if err != nil {
		last = err
	}
	s.begun.port = port
	theirs.add(l)
	r, w = pipe()
	s.ready = r
	theirs.add(w)
	r, w = pipe()
	s.lifeline = w
	theirs.add(r, held) // held: the Node need not know of it
	ours.add(s.stderr, s.ready, s.lifeline)
	return last
}

// portTries is how many ports are tried until one is free on 127.0.0.1 and on ::1.
const portTries = 16

// listen binds a port for user interfaces, and holds it on ::1: whoever had it
// there would be who answers those that connect to localhost. held is nil
// without IPv6.
func listen() (l, held *os.File, port uint32, err error) {
	for range portTries {
		if l, port, err = listenOnce(); err != nil {
			return nil, nil, 0, err
		}
		if held, err = hold(port); err == nil {
			return l, held, port, nil
		}
		_ = l.Close()
	}
	return nil, nil, 0, err
}

func listenOnce() (*os.File, uint32, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // of no use on loopback
	l, err := lc.Listen(context.Background(), "tcp4", uiAddress)
	if err != nil {
		return nil, 0, fmt.Errorf("process: no port for user interfaces: %w", err)
	}
	defer func() { _ = l.Close() }()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, 0, fmt.Errorf("process: no port for user interfaces: %w", err)
	}
	return f, uint32(l.Addr().(*net.TCPAddr).Port), nil
}

// hold binds a port on ::1 and does not listen there: connections are refused.
func hold(port uint32) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil // there is no IPv6
	}
	f := os.NewFile(uintptr(fd), "::1")
	err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}})
	}
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("process: port %d for user interfaces is taken on ::1: %w", port, err)
	}
	return nil, nil // there is no ::1
}

// notStarted says why a process was not started, and what to do.
func notStarted(err error, who account) error {
	next := ""
	switch {
	case who.drop && errors.Is(err, unix.EACCES):
		next = fmt.Sprintf("; uid %d must be allowed to run the program: chmod o+rx", who.uid)
	case who.drop && errors.Is(err, unix.EPERM):
		next = fmt.Sprintf("; the Daemon needs the capabilities setuid and setgid to become uid %d", who.uid)
	}
	return fmt.Errorf("process: the Node could not be started: %w%s", err, next)
}

// files are open; nil ones could not be opened.
type files []*os.File

func (fs *files) add(f ...*os.File) { *fs = append(*fs, f...) }

func (fs *files) close() {
	for _, f := range *fs {
		_ = f.Close() // nil or closed twice is an error and no harm
	}
}
