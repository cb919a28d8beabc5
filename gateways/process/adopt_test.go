package process

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/processpb"
)

// orphan starts a Node with one gateway and ends that, as if the Daemon died.
func orphan(t *testing.T, do ...string) *processpb.Ready {
	t.Helper()
	r := newRig(t, nil)
	r.launch(append([]string{"ready", "R", "keep", "", "alone", ""}, do...)...)
	m, from := r.ready()
	r.send(from, &processpb.Keep{Pid: m.GetPid()})
	r.line(m.GetPid(), "kept")
	r.stopActors()
	return m
}

func TestAdopt(t *testing.T) {
	for name, stop := range map[string]*processpb.Stop{"killed by others": nil, "stopped in order": {GraceMs: 60_000}, "stopped by force": {}} {
		t.Run(name, func(t *testing.T) {
			node := orphan(t, "term", "5", "serve", "", "hang", "")
			r := newRig(t, nil)
			eventually(t, "it serves", func() bool { return whoServes(t, node.GetPort()) != "" })
			before := openFiles(t)
			r.send(r.processes, &processpb.Adopt{Pid: node.GetPid(), StartTime: node.GetStartTime(), Port: node.GetPort()})
			m, from := r.ready()
			if !proto.Equal(m, node) {
				t.Errorf("got %v, want %v", m, node)
			}
			r.send(from, &processpb.Keep{Pid: node.GetPid()}) // nothing to say
			if stop == nil {
				kill(t, node.GetPid())
			} else {
				r.send(r.processes, stop)
			}
			// Its parent is this process here, which may have waited for it already.
			got := r.ended()
			if got.GetPid() != node.GetPid() || !got.GetReady() || got.GetFailure() != "" {
				t.Errorf("got %v", got)
			}
			eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before })
			r.stopActors()
			r.silent()
		})
	}
}

// A Node that nobody may disturb is left alone when its second Daemon dies too.
func TestAdoptedOutlives(t *testing.T) {
	node := orphan(t, "hang", "")
	m := &processpb.Adopt{Pid: node.GetPid(), StartTime: node.GetStartTime()}
	for range 2 {
		r := newRig(t, nil)
		before := openFiles(t)
		r.send(r.processes, m)
		r.ready()
		r.stopActors()
		eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before })
		r.silent()
	}
	kill(t, node.GetPid())
}

func TestNotAdopted(t *testing.T) {
	node := orphan(t, "hang", "")
	defer kill(t, node.GetPid())
	other := exec.Command("/bin/sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	sleeps, err := readStat(uint32(other.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("/bin/true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	before := openFiles(t)
	for name, c := range map[string]struct {
		m    *processpb.Adopt
		want string
	}{
		"none":                 {&processpb.Adopt{}, "no process can have the pid 0"},
		"too large":            {&processpb.Adopt{Pid: 1 << 31}, "no process can have the pid 2147483648"},
		"gone":                 {&processpb.Adopt{Pid: uint32(gone.Process.Pid), StartTime: 1}, "cannot watch over process"},
		"a later one":          {&processpb.Adopt{Pid: node.GetPid(), StartTime: node.GetStartTime() - 1}, "is not the node that was started"},
		"of before a reboot":   {&processpb.Adopt{Pid: uint32(other.Process.Pid), StartTime: sleeps.started}, "is not the node that was started"},
		"the Daemon's own pid": {&processpb.Adopt{Pid: uint32(os.Getpid()), StartTime: 1}, "is not the node that was started"},
	} {
		r.send(r.processes, c.m)
		got := r.ended()
		if got.GetPid() != c.m.GetPid() || got.GetReady() || !strings.Contains(got.GetFailure(), c.want) {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
	}
	eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before })
}

// An asker that was restarted asks for the Node that is watched over already.
func TestAdoptWhatIsWatchedOver(t *testing.T) {
	r := newRig(t, nil)
	r.launch("ready", "R", "hang", "")
	m, from := r.ready()
	r.send(r.processes, &processpb.Adopt{Pid: m.GetPid(), StartTime: m.GetStartTime() + 1})
	if got := r.ended(); !strings.Contains(got.GetFailure(), "is not the node") {
		t.Errorf("got %v", got)
	}
	r.send(r.processes, &processpb.Adopt{Pid: m.GetPid(), StartTime: m.GetStartTime(), Port: m.GetPort()})
	again, same := r.ready()
	if !proto.Equal(m, again) || !from.Equal(same) {
		t.Errorf("got %v from %v, want %v from %v", again, same, m, from)
	}
	kill(t, m.GetPid())
	if got := r.ended(); got.GetSignal() != "SIGKILL" {
		t.Errorf("got %v", got)
	}
	r.stopActors()
	r.silent()
}

// Whoever asks for a Node in the moment of its end is answered too.
func TestAdoptWhatIsEnding(t *testing.T) {
	r := newRig(t, nil)
	for range 30 {
		r.launch("ready", "R", "hang", "")
		m, _ := r.ready()
		kill(t, m.GetPid())
		r.ended()
		r.send(r.processes, &processpb.Adopt{Pid: m.GetPid(), StartTime: m.GetStartTime()})
		if got := r.ended(); got.GetPid() != m.GetPid() || got.GetReady() || got.GetFailure() == "" {
			t.Errorf("got %v", got)
		}
	}
	r.stopActors()
	r.silent()
}

// A process that has ended and waits to be reaped is not taken over.
func TestNotAdoptedZombie(t *testing.T) {
	c := exec.Command("/bin/true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pid := uint32(c.Process.Pid)
	eventually(t, "it has ended", func() bool { s, err := readStat(pid); return err == nil && s.ended() })
	s, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	r.send(r.processes, &processpb.Adopt{Pid: pid, StartTime: s.started})
	if got := r.ended(); !strings.Contains(got.GetFailure(), fmt.Sprintf("process %d has ended", pid)) {
		t.Errorf("got %v", got)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func TestParseStat(t *testing.T) {
	tail := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for line, want := range map[string]stat{
		"7 (parley)" + tail:                {"S", 4711},
		"7 (a) Z 1 (b) c)" + tail:          {"S", 4711},
		"":                                 {},
		"7 (parley":                        {},
		"7 (parley) S 1 2":                 {},
		"7 (p)" + tail[:len(tail)-7]:       {},
		"7 (p)" + tail[:len(tail)-4]:       {"S", 471},
		"7 (p)" + tail[:len(tail)-8] + "x": {},
	} {
		got, err := parseStat(line)
		if (err == nil) != (want != stat{}) || err == nil && got != want {
			t.Errorf("%q: got %v, %v", line, got, err)
		}
	}
}

// All that is said carries the number of who asked last: what is late is not taken
// for news of another launch.
func TestAnswersCarryTheNumber(t *testing.T) {
	r := newRig(t, nil)
	m := &processpb.Launch{Settings: settings("ready", "R", "hang", ""), Number: 7}
	if asRoot {
		m.RealUser = someone
	}
	r.send(r.processes, m)
	node, _ := r.ready()
	a := &processpb.Adopt{Pid: node.GetPid(), StartTime: node.GetStartTime() + 1, Number: 8}
	r.send(r.processes, a)
	other := r.ended()
	a = &processpb.Adopt{Pid: node.GetPid(), StartTime: node.GetStartTime(), Number: 9}
	r.send(r.processes, a)
	again, _ := r.ready()
	kill(t, node.GetPid())
	end := r.ended()
	r.send(r.processes, &processpb.Adopt{Pid: 1 << 31, Number: 10})
	nobody := r.ended()
	r.send(r.processes, &processpb.Launch{RealUser: "nonsense", Number: 11})
	never := r.ended()
	got := []uint64{node.GetLaunch(), other.GetLaunch(), again.GetLaunch(), end.GetLaunch(), nobody.GetLaunch(), never.GetLaunch()}
	if want := []uint64{7, 8, 9, 9, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
