package node

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/uipb"
	"parley/testkit"
)

func TestCrash(t *testing.T) {
	for _, c := range []struct {
		name    string
		off     bool
		actor   string
		message string
		opcode  string
		killed  string // text; empty: it goes on
		logged  string
	}{
		{name: "a supervisor", actor: "broadcasts", message: "boom", killed: "broadcasts: boom", logged: "crashes this node"},
		{name: "itself", actor: "crash", killed: "crash: ", logged: "crashes this node"},
		{name: "many lines", actor: "broadcasts", message: "a\nb\x1b[2J\u202e", killed: `broadcasts: a\nb\x1b[2J\u202e`, logged: "crashes this node"},
		{name: "long", actor: "broadcasts", message: strings.Repeat("x", 5000), killed: "broadcasts: " + strings.Repeat("x", maxLogValue) + "…", logged: "crashes this node"},
		{name: "not allowed", off: true, actor: "broadcasts", message: "boom", logged: "option crash-point"},
		{name: "nobody", actor: "nobody", message: "boom", logged: "no such supervisor"},
		{name: "no name", message: "boom", logged: "no such supervisor"},
		{name: "a worker", actor: "broadcasts/worker", message: "boom", logged: "no such supervisor"},
		{name: "above", actor: "../node", message: "boom", logged: "no such supervisor"},
		{name: "another opcode", opcode: "setup", actor: "broadcasts", logged: "is no crash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.Seeds(t, 1, func(t *testing.T, d *testkit.Driver) {
				var killed []string
				var crash *actor.PID
				w := newWorld(t, d, func(_ *world, ctx actor.Context) {
					crash = SpawnCrash(ctx, !c.off, func(text string) { killed = append(killed, text) })
				})
				if c.opcode == "" {
					c.opcode = "crash"
				}
				a := w.ask(crash, owner, c.opcode, &uipb.CrashRequest{Actor: c.actor, PanicMessage: c.message})
				a.silent() // nothing waits for an answer
				a.leave()
				var want []string
				if c.killed != "" {
					want = []string{c.killed}
				}
				if !slices.Equal(killed, want) {
					t.Errorf("killed by %q, want %q", killed, want)
				}
				if w.logged(c.logged) != 1 {
					t.Errorf("the log does not say %q", c.logged)
				}
				w.ask(crash, owner, "crash", nil).leave() // without a body
				d.Settle()
				w.stop()
			})
		})
	}
}

// crashEnv makes the test's own program the one that crashes.
const crashEnv = "NODE_TEST_CRASH"

// TestCrashEndsTheProcess runs this program again, which then crashes: nothing
// of a real one is made of paper.
func TestCrashEndsTheProcess(t *testing.T) {
	if os.Getenv(crashEnv) != "" {
		crashForReal()
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestCrashEndsTheProcess$")
	cmd.Env = append(os.Environ(), crashEnv+"=1")
	out, err := cmd.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 2 {
		t.Fatalf("it ended with %v:\n%s", err, out)
	}
	const want = "panic: broadcasts: as a test wants"
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	const last = 20 // lines that a Daemon tells of
	if i := slices.Index(lines, want); i < 0 || i < len(lines)-last {
		t.Errorf("%q is not among the last %d lines:\n%s", want, last, out)
	}
}

func crashForReal() {
	sys := tree.New(tree.Options{})
	ready := make(chan *actor.PID, 1)
	Spawn(sys, "node", func(ctx actor.Context) {
		tree.Spawn(ctx, "broadcasts", tree.Spec{New: func() actor.Actor { return &paper{func(actor.Context) {}} }})
		ready <- SpawnCrash(ctx, true, nil)
	})
	sys.Root.Send(<-ready, &uipb.Ask{Asker: owner, Request: &uipb.Request{
		Opcode: "crash", Body: &uipb.Request_Crash{Crash: &uipb.CrashRequest{Actor: "broadcasts", PanicMessage: "as a test wants"}},
	}})
	select {}
}
