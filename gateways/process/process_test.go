package process

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/messages/processpb"
)

func TestReadyThenEnded(t *testing.T) {
	r := newRig(t, nil)
	r.launch("serve", "", "say", "here I am", "ready", "R", "hang", "")
	m, from := r.ready()
	if st, err := readStat(m.GetPid()); err != nil || st.started != m.GetStartTime() {
		t.Errorf("start time %d, the kernel says %d, %v", m.GetStartTime(), st.started, err)
	}
	if got := whoServes(t, m.GetPort()); got != fmt.Sprint(m.GetPid()) {
		t.Errorf("port %d is served by %q, not %d", m.GetPort(), got, m.GetPid())
	}
	r.line(m.GetPid(), "here I am")
	kill(t, m.GetPid())
	want := &processpb.Ended{Pid: m.GetPid(), Ready: true, Signal: "SIGKILL", LastLines: []string{"here I am"}}
	if got := r.ended(); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.GetPort())); err == nil {
		t.Error("somebody still holds the listener")
	}
	r.send(from, &processpb.Stop{}) // it is gone, and says nothing more
	r.stopActors()
	r.silent()
}

// whoServes asks a stand-in who it is.
func whoServes(t *testing.T, port uint32) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func kill(t *testing.T, pid uint32) {
	t.Helper()
	if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestEndings(t *testing.T) {
	code := func(n int32) *int32 { return &n }
	for name, c := range map[string]struct {
		do   []string
		want *processpb.Ended
	}{
		"before ready, last words":   {[]string{"say", "port 8912 is taken", "say", "bye", "exit", "1"}, &processpb.Ended{ExitCode: code(1), LastLines: []string{"port 8912 is taken", "bye"}}},
		"before ready, without one":  {[]string{"exit", "0"}, &processpb.Ended{ExitCode: code(0)}},
		"a line without an end":      {[]string{"part", "no more", "exit", "2"}, &processpb.Ended{ExitCode: code(2), LastLines: []string{"no more"}}},
		"before ready, by a signal":  {[]string{"die", "9"}, &processpb.Ended{Signal: "SIGKILL"}},
		"after ready, code":          {[]string{"ready", "R", "exit", "42"}, &processpb.Ended{Ready: true, ExitCode: code(42)}},
		"after ready, no code":       {[]string{"ready", "R", "exit", "0"}, &processpb.Ended{Ready: true, ExitCode: code(0)}},
		"after ready, killed":        {[]string{"ready", "R", "die", "9"}, &processpb.Ended{Ready: true, Signal: "SIGKILL"}},
		"wrong byte is not ready":    {[]string{"ready", "x", "exit", "3"}, &processpb.Ended{ExitCode: code(3)}},
		"harmless on a terminal":     {[]string{"say", "\x1b[2Jred\u202e", "exit", "0"}, &processpb.Ended{ExitCode: code(0), LastLines: []string{"\ufffd[2Jred\ufffd"}}},
		"a panic is told from where": {append(append([]string{"say", "fine", "say", "panic: oh"}, many("say", 40)...), "exit", "2"), &processpb.Ended{ExitCode: code(2), LastLines: append([]string{"panic: oh"}, values(many("say", 19))...)}},
		"twenty lines":               {append(many("say", 50), "exit", "2"), &processpb.Ended{ExitCode: code(2), LastLines: values(many("say", 50))[30:]}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.launch(c.do...)
			if c.want.GetReady() {
				m, _ := r.ready()
				c.want.Pid = m.GetPid()
			}
			got := r.ended()
			if got.GetPid() == 0 {
				t.Error("no pid")
			}
			if c.want.GetPid() == 0 {
				c.want.Pid = got.GetPid()
			}
			if !proto.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
			r.stopActors()
			r.silent()
		})
	}
}

// many is n settings of one name.
func many(name string, n int) (do []string) {
	for i := range n {
		do = append(do, name, fmt.Sprintf("line %d", i))
	}
	return do
}

func values(do []string) (all []string) {
	for i := 1; i < len(do); i += 2 {
		all = append(all, do[i])
	}
	return all
}

// Whoever is not ready in time is asked to end, and made to.
func TestNotReadyInTime(t *testing.T) {
	for name, c := range map[string]struct {
		term  string
		after time.Duration // until it is made to
		want  string
	}{"asked": {"5", time.Minute, ""}, "made to": {"", 300 * time.Millisecond, "SIGKILL"}} {
		t.Run(name, func(t *testing.T) {
			const limit = 5 * time.Second // long enough for it to say that it is slow
			r := newRig(t, func(o *Options) { o.ReadyLimit, o.KillAfter = limit, c.after })
			began := time.Now()
			r.launch("term", c.term, "say", "slow", "hang", "")
			got := r.ended()
			if took := time.Since(began); took < limit {
				t.Errorf("ended after %v", took)
			}
			if got.GetReady() || got.GetSignal() != c.want || !strings.Contains(got.GetFailure(), "not ready within 5s") || !slices.Equal(got.GetLastLines(), []string{"slow"}) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		do     []string
		grace  uint32 // ms
		code   int32  // -1: none
		signal string
	}{
		"in order":         {[]string{"term", "6", "ready", "R", "hang", ""}, 60_000, 6, ""},
		"by force":         {[]string{"term", "", "ready", "R", "hang", ""}, 50, -1, "SIGKILL"},
		"by force at once": {[]string{"term", "6", "ready", "R", "hang", ""}, 0, -1, "SIGKILL"},
	} {
		for _, to := range []string{"process", "processes"} {
			t.Run(name+", told to "+to, func(t *testing.T) {
				r := newRig(t, nil)
				r.launch(c.do...)
				_, from := r.ready()
				if to == "processes" {
					from = r.processes
				}
				r.send(from, &processpb.Stop{GraceMs: c.grace})
				got := r.ended()
				if c.code >= 0 && got.GetExitCode() != c.code || c.code < 0 && got.ExitCode != nil || got.GetSignal() != c.signal || got.GetFailure() != "" {
					t.Errorf("got %v", got)
				}
				r.stopActors()
				r.silent()
			})
		}
	}
}

// A Node that is told to end before it runs, or before it is ready, is never ready.
func TestStopBeforeReady(t *testing.T) {
	r := newRig(t, nil)
	r.launch("hang", "")
	r.send(r.processes, &processpb.Stop{GraceMs: 60_000})
	if got := r.ended(); got.GetReady() || got.GetSignal() != "SIGTERM" && got.GetFailure() == "" {
		t.Errorf("got %v", got)
	}
	r.send(r.processes, &processpb.Stop{GraceMs: 60_000}) // nothing runs
	r.stopActors()
	r.silent()
}

// What a Node started may hold its stderr: the Node has ended all the same.
func TestGrandchildHoldsStderr(t *testing.T) {
	r := newRig(t, nil)
	r.launch("grandchild", "600", "ready", "R", "exit", "3")
	m, _ := r.ready()
	if got := r.ended(); got.GetExitCode() != 3 || len(got.GetLastLines()) != 1 {
		t.Errorf("got %v", got)
	}
	var pid uint32
	if _, err := fmt.Sscan(r.line(m.GetPid(), "grandchild"), &pid); err != nil {
		t.Fatal(err)
	}
	kill(t, pid)
}

// A Node whose Daemon dies ends, unless it was kept. The actors' end stands in
// for that of the Daemon: the pipes close.
func TestDaemonDies(t *testing.T) {
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %t", kept), func(t *testing.T) {
			mark := filepath.Join(folder(t), "mark")
			if asRoot {
				if err := os.Chmod(filepath.Dir(mark), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			r := newRig(t, nil)
			r.launch("ready", "R", "keep", "", "alone", "", "mark", mark, "hang", "")
			m, from := r.ready()
			if kept {
				r.send(from, &processpb.Keep{Pid: m.GetPid() + 1}) // somebody else
				r.send(r.processes, &processpb.Keep{Pid: m.GetPid()})
				r.line(m.GetPid(), "kept")
			}
			r.stopActors()
			if !kept {
				eventually(t, "it ends", func() bool { return len(children(t)) == 0 })
				if _, err := os.Stat(mark); err == nil {
					t.Error("it went on")
				}
				return
			}
			eventually(t, "it goes on", func() bool { _, err := os.Stat(mark); return err == nil })
			kill(t, m.GetPid())
		})
	}
}
