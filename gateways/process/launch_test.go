package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"parley/messages/processpb"
)

// What a Node is given is what it needs, and nothing else of its Daemon.
func TestWhatANodeIsGiven(t *testing.T) {
	const marker = "m4rk3r-s3cr3t"
	t.Setenv("PARLEY_DB_PASSWORD", marker)
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("LANG", "C")
	t.Setenv("TZ", "UTC")
	t.Setenv("HOME", "/root/of/the/daemon")
	// A descriptor that this process was started with, as far as anybody can tell.
	leak, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leak.Close() }()
	const high = 777
	if err := unix.Dup2(int(leak.Fd()), high); err != nil { // not close-on-exec
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(high) }()

	r := newRig(t, nil)
	r.launch("db-password", marker, "report", "", "ready", "R", "hang", "")
	m, _ := r.ready()
	open := "0=/dev/null 1=/dev/null 2=pipe 3=socket 4=pipe 5=pipe"
	if six, err := net.Listen("tcp6", "[::1]:0"); err == nil { // there the port is held, too
		_ = six.Close()
		open += " 6=socket"
	}
	home := "/root/of/the/daemon"
	if asRoot {
		home = "/nonexistent"
	}
	for start, want := range map[string]string{
		"cwd":     "/",
		"umask":   "077",
		"session": "true group true",
		"args":    fmt.Sprintf("%q", standIn),
		"environ": fmt.Sprintf("%q", []string{"HOME=" + home, "LANG=C", "LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH"), "TZ=UTC"}),
		"open":    open,
	} {
		if got := r.line(m.GetPid(), start+" "); got != want {
			t.Errorf("%s is %s, want %s", start, got, want)
		}
	}
	if asRoot {
		const none = "0000000000000000"
		want := fmt.Sprintf("Uid=%[1]d,%[1]d,%[1]d,%[1]d Gid=%[2]d,%[2]d,%[2]d,%[2]d Groups= CapInh=%[3]s CapPrm=%[3]s CapEff=%[3]s CapAmb=%[3]s", someoneUID, someoneGroup, none)
		if got := r.line(m.GetPid(), "rights of true threads:"); got != want {
			t.Errorf("rights are %s, want %s", got, want)
		}
	} else {
		b, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.line(m.GetPid(), "rights of true threads:"); got != rights(string(b)) {
			t.Errorf("rights are %s, want %s", got, rights(string(b)))
		}
	}
	for _, name := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.GetPid(), name))
		if err != nil || len(b) == 0 || strings.Contains(string(b), marker) {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
	kill(t, m.GetPid())
	if got := r.ended(); strings.Contains(got.String(), marker) {
		t.Errorf("got %v", got)
	}
}

// The settings of a Node go through a pipe that holds 64 KiB, and may be more.
func TestLargeSettings(t *testing.T) {
	r := newRig(t, nil)
	r.launch("unknown", strings.Repeat("x", 900<<10), "ready", "R", "exit", "0")
	r.ready()
	if got := r.ended(); got.GetExitCode() != 0 {
		t.Errorf("got %v", got)
	}
	r.launch("unknown", strings.Repeat("x", maxSettings), "ready", "R")
	if got := r.ended(); got.GetPid() != 0 || !strings.Contains(got.GetFailure(), "the settings take") {
		t.Errorf("got %v", got)
	}
}

// A Node that never reads its settings is no burden.
func TestSettingsThatNobodyReads(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Executable, o.Args = "/bin/sleep", []string{"sleep", "600"} })
	r.launch("unknown", strings.Repeat("x", 900<<10))
	r.send(r.processes, &processpb.Stop{})
	r.ended()
}

func TestNotStarted(t *testing.T) {
	plainFile := filepath.Join(folder(t), "program")
	if err := os.WriteFile(plainFile, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type refused struct {
		change func(*Options)
		launch *processpb.Launch
		want   string
	}
	cases := map[string]refused{
		"no such program": {func(o *Options) { o.Executable = "/nonexistent/program" }, &processpb.Launch{}, "could not be started: fork/exec /nonexistent/program: no such file"},
		"not a program":   {func(o *Options) { o.Executable = plainFile }, &processpb.Launch{}, "permission denied"},
	}
	if asRoot {
		for _, user := range []string{"", "0:54321:/root", "54321:0:/", "54321:54321", "54321", "x:y:/", "-1:5:/", "4294967295:5:/", "1:4294967295:/", "5:5:home"} {
			cases["real-user "+user] = refused{nil, &processpb.Launch{RealUser: user}, "set real-user to"}
		}
		cases["not a program"] = refused{cases["not a program"].change, &processpb.Launch{RealUser: someone}, "uid 54321 must be allowed to run the program: chmod"}
		cases["no such program"] = refused{cases["no such program"].change, &processpb.Launch{RealUser: someone}, cases["no such program"].want}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.change)
			before := openFiles(t)
			r.send(r.processes, c.launch)
			got := r.ended()
			if got.GetPid() != 0 || got.GetReady() || got.ExitCode != nil || !strings.Contains(got.GetFailure(), c.want) {
				t.Errorf("got %v, want %q", got, c.want)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors became %d", before, after)
			}
		})
	}
}

// A hostile Node floods its stderr: it costs the Daemon a fixed amount of memory.
func TestFlood(t *testing.T) {
	const size, most = 64 << 20, 1 << 20
	r := newRig(t, nil)
	r.launch("ready", "R", "keep", "", "flood", fmt.Sprint(size), "say", "enough", "exit", "0")
	m, from := r.ready()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r.send(from, &processpb.Keep{Pid: m.GetPid()})
	r.line(m.GetPid(), "kept")
	got := r.ended()
	runtime.ReadMemStats(&after)
	if n := len(got.GetLastLines()); got.GetExitCode() != 0 || n != linesMost || got.GetLastLines()[n-1] != "enough" {
		t.Errorf("got %v", got)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > most {
		t.Errorf("%d bytes were allocated for a flood of %d", grown, size)
	}
	r.line(m.GetPid(), "(") // how many were left out
}

// Nobody can take the port of a Node between its choice and its use, and nothing
// is left of 200 Nodes.
func TestSquatter(t *testing.T) {
	const launches, atOnce = 200, 4
	r := newRig(t, nil)
	r.launch("exit", "0") // what is opened once is open then
	r.ended()
	before := openFiles(t)
	stop := make(chan struct{})
	var squatter sync.WaitGroup
	squatter.Go(func() { squat(t, stop) })
	started := 0
	for ; started < atOnce; started++ {
		r.launch("serve", "", "ready", "R", "hang", "")
	}
	for done := 0; done < launches; {
		switch a := r.next(); m := a.m.(type) {
		case *processpb.Ready:
			if got := whoServes(t, m.GetPort()); got != fmt.Sprint(m.GetPid()) {
				t.Errorf("port %d is served by %q, not %d", m.GetPort(), got, m.GetPid())
			}
			kill(t, m.GetPid())
		case *processpb.Ended:
			done++
			if !m.GetReady() || m.GetSignal() != "SIGKILL" {
				t.Errorf("got %v", m)
			}
			if started < launches {
				started++
				r.launch("serve", "", "ready", "R", "hang", "")
			}
		}
	}
	close(stop)
	squatter.Wait()
	if left := children(t); len(left) > 0 {
		t.Errorf("children are left: %q", left)
	}
	eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before })
}

// squat takes ports and lets them go.
func squat(t *testing.T, stop <-chan struct{}) {
	const held = 500
	var taken []net.Listener
	for {
		select {
		case <-stop:
			for _, l := range taken {
				_ = l.Close()
			}
			return
		default:
		}
		l, err := net.Listen("tcp4", uiAddress)
		if err != nil {
			t.Error(err)
			return
		}
		if taken = append(taken, l); len(taken) > held {
			_ = taken[0].Close()
			taken = taken[1:]
		}
	}
}
