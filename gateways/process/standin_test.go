package process

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"parley/testkit/leaks"
)

// standInName is the name that this test binary plays a Node under.
const standInName = "stand-in"

// standIn are the arguments of a stand-in.
var standIn = []string{standInName, "node"}

func TestMain(m *testing.M) {
	if os.Args[0] == standInName {
		unix.Exit(actOut()) // with the race detector, os.Exit takes a second
	}
	leaks.Main(m)
}

// actOut does what the settings say, one after the other. It returns the exit code.
func actOut() int {
	lifeline := os.NewFile(LifelineFD, "lifeline")
	s, err := ReadSettings(lifeline)
	if err != nil {
		say("no settings: %v", err)
		return 99
	}
	for _, do := range s.GetValues() {
		if code, ends := act(lifeline, do.GetName(), do.GetValue()); ends {
			return code
		}
	}
	return 0
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// act does one thing, and reports whether that was the last.
func act(lifeline io.Reader, name, value string) (code int, ends bool) {
	switch name {
	case "say":
		say("%s", value)
	case "part": // of a line
		fmt.Fprint(os.Stderr, value)
	case "flood":
		n, _ := strconv.Atoi(value)
		line := bytes.Repeat([]byte(strings.Repeat("flood ", 15)+"\n"), 512)
		for w := bufio.NewWriterSize(os.Stderr, len(line)); n > 0; n -= len(line) {
			_, _ = w.Write(line)
		}
	case "report":
		report()
	case "ready":
		_, _ = os.NewFile(ReadyFD, "ready").Write([]byte(value))
	case "serve": // says on each connection who it is
		l, err := net.FileListener(os.NewFile(ListenerFD, "ui"))
		if err != nil {
			say("no listener: %v", err)
			return 98, true
		}
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				fmt.Fprintf(c, "%d", os.Getpid())
				_ = c.Close()
			}
		}()
	case "term": // ends with this code when asked; none: deaf
		if value == "" {
			signal.Ignore(syscall.SIGTERM)
			return 0, false
		}
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		go func() {
			<-asked
			code, _ := strconv.Atoi(value)
			unix.Exit(code)
		}()
	case "keep": // ends unless it is kept
		var b [1]byte
		if n, _ := lifeline.Read(b[:]); n == 0 || b[0] != KeepByte {
			return 7, true
		}
		say("kept")
	case "alone": // goes on when the Daemon has died
		var b [1]byte
		if n, err := lifeline.Read(b[:]); n != 0 || err == nil {
			return 8, true
		}
	case "mark": // a file
		if err := os.WriteFile(value, nil, 0o644); err != nil {
			say("%v", err)
		}
	case "grandchild":
		c := exec.Command("/bin/sleep", value)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			say("%v", err)
		}
		say("grandchild %d", c.Process.Pid)
	case "hang":
		hang()
	case "exit":
		n, _ := strconv.Atoi(value)
		return n, true
	case "die":
		n, _ := strconv.Atoi(value)
		_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
		hang()
	}
	return 0, false
}

// hang stays. Go would take a program in which nothing moves for a dead one.
func hang() {
	for {
		_ = unix.Pause()
	}
}

// report tells all that a Node may have been given.
func report() {
	say("cwd %s", try(os.Getwd()))
	say("umask %03o", unix.Umask(0o077))
	sid, _ := unix.Getsid(0)
	pgid, _ := unix.Getpgid(0)
	say("session %t group %t", sid == os.Getpid(), pgid == os.Getpid())
	say("args %q", os.Args)
	env := os.Environ()
	slices.Sort(env)
	say("environ %q", env)
	var open []string
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(to, "anon_inode:") || strings.HasPrefix(to, "/sys/fs/cgroup/") {
			continue // this reading of the folder; what Go's runtime opened itself
		}
		kind, _, _ := strings.Cut(to, ":[")
		open = append(open, e.Name()+"="+kind)
	}
	say("open %s", strings.Join(open, " "))
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	var all []string
	for _, path := range threads {
		b, _ := os.ReadFile(path)
		all = append(all, rights(string(b)))
	}
	slices.Sort(all)
	say("rights of %t threads: %s", len(all) > 1, strings.Join(slices.Compact(all), " | "))
}

// rights are the lines of a thread's status that tell what it may.
func rights(status string) string {
	var out []string
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapAmb":
			out = append(out, name+"="+strings.Join(strings.Fields(value), ","))
		}
	}
	return strings.Join(out, " ")
}

func try(s string, err error) string {
	if err != nil {
		return err.Error()
	}
	return s
}
