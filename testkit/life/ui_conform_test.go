package life_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/cmd/parley/conform/suite"
	conform "parley/cmd/parley/conform/ui"
)

// messageMost is the longest message that a server of user interfaces takes, bytes.
const messageMost = 1 << 20

// TestUIConforms has a Daemon pass all cases, without a Node and with one, and the Node too: the program that is shipped, run
// against itself. Nothing is changed by that.
func TestUIConforms(t *testing.T) {
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	before := u.values()
	tried := map[string]bool{}
	passes(t, d.port, tried)
	if after := u.values(); after != before {
		t.Errorf("the Setup space was\n%s\nand is\n%s", before, after)
	}
	now := u.launch()
	passes(t, d.port, tried)
	passes(t, now.Port, tried)
	if !alive(now.PID) {
		t.Error("the Node has ended")
	}
	u.unheard("crashed")
	for _, c := range suite.Select(conform.Cases(conform.Options{}), nil, false) {
		if !tried[c.Name] {
			t.Errorf("nobody has tried %q", c.Name)
		}
	}
}

// passes runs the program, which must find no fault with a server.
func passes(t *testing.T, port uint16, tried map[string]bool) {
	t.Helper()
	var r suite.Report
	if err := json.Unmarshal([]byte(program(t, "conform", "ui", fmt.Sprintf("127.0.0.1:%d", port), "--json", "--answer", "30s")), &r); err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Results {
		if one.Outcome == suite.Fail {
			t.Errorf("port %d: %s: %s", port, one.Name, one.Reason)
		}
		tried[one.Name] = tried[one.Name] || one.Outcome == suite.Pass
	}
	if r.Passed == 0 {
		t.Errorf("port %d: nothing was tried", port)
	}
}

// Where a server stands between which and the cases a liar is put.
const (
	alone   = iota // a Daemon without a Node
	leading        // a Daemon with one
	led            // the Node
)

// TestUIFaultsAreFound puts liars between a right server and the cases: each group must find what is wrong, and say so.
func TestUIFaultsAreFound(t *testing.T) {
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	find := func(t *testing.T, where int, port uint16) {
		for _, f := range faults {
			if f.where == where {
				t.Run(f.name, func(t *testing.T) { f.isFound(t, port) })
				if where == alone { // a case that was lied to may not know what it has left behind
					u.ask("setup", `{"values":[{"name":"gas-price"},{"name":"consuming-private-key"},{"name":"chain"}]}`).want(t, `"errors":[]`)
				}
			}
		}
	}
	find(t, alone, d.port)
	now := u.launch()
	find(t, leading, d.port)
	find(t, led, now.Port)
	names := conform.Cases(conform.Options{})
	for _, c := range suite.Select(names, nil, false) {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.hits(c.Name) }) {
			t.Errorf("nothing shows that %q can fail", c.Name)
		}
	}
}

// hits says whether a case must find the fault.
func (f *fault) hits(name string) bool {
	return slices.ContainsFunc(f.cases, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// isFound runs the cases that must fail, for the reason that the fault has.
func (f *fault) isFound(t *testing.T, port uint16) {
	o := conform.Options{
		Address: lies(t, port, f.liar), Role: conform.Daemon, Running: f.where == leading, Limit: messageMost, Answer: patience,
	}
	if f.where == led {
		o.Role = conform.Node
	}
	if f.silent {
		o.Answer = 2 * time.Second // also for the handshake; nothing comes, however long it is
	}
	some := suite.Select(conform.Cases(o), f.cases, false)
	if len(some) == 0 {
		t.Fatalf("no case begins with %q", f.cases)
	}
	var r suite.Report
	if err := r.Run(context.Background(), some, func(*suite.Result) {}); err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Results {
		if one.Outcome == suite.NotTried {
			continue // of another server's
		}
		if one.Outcome != suite.Fail || !strings.Contains(one.Reason, f.why) {
			t.Errorf("%s: %s %q, want %q", one.Name, one.Outcome, one.Reason, f.why)
		}
	}
	if r.Failed == 0 {
		t.Error("nobody has found it")
	}
}
