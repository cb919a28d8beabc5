package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// demoSecond is what parley demo --json prints once a second.
type demoSecond struct {
	Event  string
	Heard  map[string]int
	Others map[string]int `json:"sent_by_others"`
	Twice  int
	Up     [][2]int
	Nodes  []struct {
		Name, Relay, UI, Log string
		PID                  int
	}
}

// demo is a running one.
type demoRun struct {
	*process
	stdin io.Writer
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	d := &demoRun{launch(t, in, nil, append([]string{"demo", "--json"}, args...)...), out}
	_ = in.Close() // the process has its own
	return d
}

func (d *demoRun) seconds() (all []demoSecond) {
	for _, line := range d.out.lines() {
		var s demoSecond
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			d.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, s)
	}
	return all
}

// await waits until the last second, or event, is as it should be.
func (d *demoRun) await(what string, is func(s demoSecond) bool) demoSecond {
	d.t.Helper()
	var last demoSecond
	eventually(d.t, what, func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("it ended: %s", d.err.String())
		default:
		}
		if all := d.seconds(); len(all) > 0 {
			last = all[len(all)-1]
		}
		return is(last)
	})
	return last
}

func (d *demoRun) say(line string) {
	d.t.Helper()
	if _, err := fmt.Fprintln(d.stdin, line); err != nil {
		d.t.Fatal(err)
	}
}

// whole tells whether each of so many nodes hears something of all others.
func whole(s demoSecond, nodes int) bool {
	if len(s.Heard) != nodes {
		return false
	}
	for name, n := range s.Heard {
		if n == 0 || n < s.Others[name]*3/4 {
			return false
		}
	}
	return true
}

func TestDemo(t *testing.T) {
	d := startDemo(t, "--nodes", "3", "--shape", "line", "--rate", "20")
	d.await("all hear all", func(s demoSecond) bool { return whole(s, 3) })
	nodes := d.seconds()[0].Nodes
	if len(nodes) != 3 || nodes[0].Name != "node1" || nodes[0].UI == "" {
		t.Fatalf("nodes are %+v", nodes)
	}
	port := nodes[1].UI[strings.LastIndexByte(nodes[1].UI, ':')+1:]
	if o := cli("peers", "--ui-port", port); o.code != 0 || !strings.Contains(o.out, "node1") || !strings.Contains(o.out, "node3") {
		t.Errorf("node2 says %v", o)
	}
	if res, err := http.Get("http://" + nodes[2].Relay + "/health"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("health of node3: %v", err)
	} else {
		_ = res.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}

	d.say("cut 2 3")
	s := d.await("node3 is alone", func(s demoSecond) bool { return len(s.Heard) == 3 && s.Heard["node3"] == 0 && s.Heard["node1"] > 0 })
	if len(s.Up) != 1 || s.Up[0] != [2]int{1, 2} {
		t.Errorf("links are %v", s.Up)
	}
	d.say("heal 2 3")
	d.await("all hear all again", func(s demoSecond) bool { return whole(s, 3) })
	d.say("kill 1")
	d.await("node1 is gone", func(s demoSecond) bool { return len(s.Heard) == 2 && whole(s, 2) })
	d.say("start 1")
	d.await("node1 is back", func(s demoSecond) bool { return whole(s, 3) })
	d.say("nonsense")
	d.await("it helps", func(s demoSecond) bool { return strings.Contains(s.Event, "unknown command") })
	d.await("it goes on", func(s demoSecond) bool { return whole(s, 3) && s.Twice == 0 })

	d.signal(syscall.SIGINT)
	if code := d.wait(); code != 0 || d.err.String() != "" {
		t.Errorf("it ended with %d: %s", code, d.err.String())
	}
	for _, n := range nodes[1:] { // node1 is another process by now
		if err := syscall.Kill(n.PID, 0); err == nil {
			t.Errorf("%s, process %d, is still there", n.Name, n.PID)
		}
	}
	if _, err := os.Stat(filepath.Dir(nodes[0].Log)); err == nil {
		t.Errorf("%s is still there", filepath.Dir(nodes[0].Log))
	}
}

func TestDemoIsRefused(t *testing.T) {
	for _, args := range []string{"--nodes 0", "--shape star", "--rate -1", "--rate NaN"} {
		if o := cli(append([]string{"demo"}, strings.Fields(args)...)...); o.code != 2 || !strings.Contains(o.err, strings.Fields(args)[0]) {
			t.Errorf("demo %s: %v", args, o)
		}
	}
}

// TestBenchMesh loads three nodes for a moment: everything arrives, over as many
// links as there are.
func TestBenchMesh(t *testing.T) {
	p := launch(t, nil, nil, "bench", "mesh", "--subscribers", "4", "--duration", "300ms", "--warmup", "50ms", "--settle", "2500ms", "--json",
		"--against-limit=false", "--goal-hop", "0.001")
	if code := p.wait(); code != 1 || !strings.Contains(p.err.String(), "CPU per hop") || strings.Contains(p.err.String(), "lost") {
		t.Errorf("it ended with %d: %s", code, p.err.String())
	}
	var rep struct {
		Runs []struct {
			Deliveries    int       `json:"deliveries"`
			Messages      int       `json:"messages"`
			Transmissions float64   `json:"transmissions_per_message"`
			Nodes         []float64 `json:"nodes_cpu_seconds"`
		} `json:"runs"`
		Violations []string `json:"violations"`
	}
	if err := json.Unmarshal([]byte(p.out.String()), &rep); err != nil || len(rep.Runs) != 1 {
		t.Fatalf("%v: %s", err, p.out.String())
	}
	r := rep.Runs[0]
	if r.Messages == 0 || r.Deliveries != 4*r.Messages || r.Transmissions < 2 || len(r.Nodes) != 3 || len(rep.Violations) != 1 {
		t.Errorf("got %+v", rep)
	}
}
