package life_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// seeded is the randomness of a test. TESTKIT_SEED repeats what happened before.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("TESTKIT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TESTKIT_SEED is %q, want a number", text)
		}
	}
	t.Logf("seed %d; again: TESTKIT_SEED=%d", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// house is a Daemon whose Nodes come and go.
type house struct {
	*testing.T
	rand      *rand.Rand
	d         *daemon
	residents []*ui         // at the Daemon, from the first to the last; the second is told of starts
	ends      map[*ui][]int // pids of Nodes that they were told the end of
	node      started
	guests    []*ui // at the Node that runs
	begun     []int // pids of all Nodes, in order
	visitors  []*ui // at the Daemon, with nothing to say
	did       map[string]int
}

// TestCycles starts and ends Nodes in all ways and orders, with user interfaces
// at the Daemon and at the Node. Nobody waits in vain, each end is told once, and
// nothing is left behind.
func TestCycles(t *testing.T) {
	h := &house{T: t, rand: seeded(t), d: start(t, directory(t), nil), did: map[string]int{}, ends: map[*ui][]int{}}
	for range 3 {
		h.residents = append(h.residents, connect(t, h.d.port))
	}
	h.residents[0].settle()
	h.residents[1].ask("subscribe", `{"opcodes":["crashed","setup","nodeStarted"]}`).want(t)
	h.begin()
	h.die(syscall.SIGKILL)
	h.settled()
	before, room := h.own(), slots(t, h.d.cmd.Process.Pid)
	for range cycles(t, 20) {
		h.cycle()
	}
	h.settled()
	for _, u := range h.visitors {
		u.leave()
	}
	eventually(t, "the Daemon has as many descriptors as before", func() bool { return len(h.own()) <= len(before) },
		func() string { return fmt.Sprintf("before: %q\nnow: %q", before, h.own()) })
	if n := slots(t, h.d.cmd.Process.Pid); n > room {
		t.Errorf("the Daemon has had room for %d descriptors, and had for %d before", n, room)
	}
	h.last()
	t.Logf("%d Nodes, %v; descriptors %d before, %d after; %d KiB", len(h.begun), h.did, len(before), len(h.own()), resident(t, h.d.cmd.Process.Pid))
}

// cycle is one Node's life.
func (h *house) cycle() {
	h.pick(map[string]func(){
		"start": h.begin, "rush": h.rush, "leave": h.leave,
	})
	for range h.rand.IntN(3) {
		h.pick(map[string]func(){
			"refuse": h.refuse, "redirect": h.redirect, "visit": h.visit, "call": h.call,
		})
	}
	h.pick(map[string]func(){
		"kill":      func() { h.die(syscall.SIGKILL) },
		"terminate": func() { h.die(syscall.SIGTERM) },
		"abort":     func() { h.die(syscall.SIGABRT) },
		"shutdown":  h.shutdown, "amid": h.amid, "both": h.both,
	})
	if h.rand.IntN(3) > 0 { // else the next start comes as early as it can
		h.settled()
	}
}

// pick does one of the deeds.
func (h *house) pick(deeds map[string]func()) {
	h.Helper()
	names := make([]string, 0, len(deeds))
	for name := range deeds {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[h.rand.IntN(len(names))]
	h.did[name]++
	deeds[name]()
}

func (h *house) resident() *ui { return h.residents[h.rand.IntN(len(h.residents))] }

// note takes down a Node that somebody has started.
func (h *house) note(by *ui, f frame) {
	h.Helper()
	var s started
	f.want(h).into(h, &s)
	if second := h.residents[1]; by != second {
		second.await("nodeStarted").want(h, fmt.Sprintf(`"newProcessId":%d`, s.PID))
	}
	h.node = s
	h.begun = append(h.begun, s.PID)
	if _, parent, err := stat(s.PID); err != nil || parent != h.d.cmd.Process.Pid {
		h.Fatalf("the Daemon says its Node is process %d: parent %d, %v", s.PID, parent, err)
	}
	h.guests = h.guests[:0]
	h.guests = append(h.guests, h.guest(), h.guest())
}

// guest connects to the Node.
func (h *house) guest() *ui {
	h.Helper()
	u, err := dial(h, h.node.Port, 64)
	if err != nil {
		h.Fatal(err)
	}
	u.ask("configuration", "{}").want(h, `"nodeName"`)
	return u
}

// begin starts a Node. As long as the Daemon has not seen the end of the last
// one, it says that one is running.
func (h *house) begin() {
	h.Helper()
	u := h.resident()
	for {
		f := u.ask("start", "{}")
		if f.Error == nil {
			h.note(u, f)
			return
		}
		f.refused(h, codeRunning, "already running")
	}
}

// rush has all start one at once: one does.
func (h *house) rush() {
	h.settled()
	var asked []uint64
	for _, u := range h.residents {
		asked = append(asked, u.send("start", "{}"))
	}
	won := 0
	for i, u := range h.residents {
		f := u.answer(asked[i])
		if f.Error != nil {
			f.refused(h, codeRunning, "already running")
			continue
		}
		won++
		h.note(u, f)
	}
	if won != 1 {
		h.Fatalf("%d of those who said start at once have started a Node", won)
	}
}

// leave has somebody start a Node who does not wait for it.
func (h *house) leave() {
	h.settled()
	u, err := dial(h, h.d.port, 64)
	if err != nil {
		h.Fatal(err)
	}
	u.send("start", "{}")
	u.leave()
	// It started one if it was heard; if not, there is still one to be started.
	third := h.residents[2]
	f := third.ask("start", "{}")
	if f.Error == nil {
		h.note(third, f)
		return
	}
	f.refused(h, codeRunning, "already running")
	second := h.residents[1]
	f = second.await("nodeStarted")
	second.others = append(second.others, f)
	h.note(u, f)
}

func (h *house) refuse() { h.resident().ask("start", "{}").refused(h, codeRunning, "already running") }

func (h *house) redirect() {
	h.Helper()
	f := h.resident().ask("nodeStats", "{}").want(h, fmt.Sprintf(`"port":%d`, h.node.Port))
	if f.Opcode != "redirect" {
		h.Fatalf("want a redirect, got %s", f.Opcode)
	}
}

// visit connects to the Daemon, and leaves with questions open or stays for a while.
func (h *house) visit() {
	u, err := dial(h, h.d.port, 64)
	if err != nil {
		h.Fatal(err)
	}
	u.send("setup", `{"values":[]}`)
	if h.rand.IntN(2) == 0 {
		u.send("hostStats", "{}")
		u.leave()
		return
	}
	h.visitors = append(h.visitors, u)
	if len(h.visitors) > 5 {
		h.visitors[0].leave()
		h.visitors = h.visitors[1:]
	}
}

// call asks the Node.
func (h *house) call() { h.guests[h.rand.IntN(len(h.guests))].ask("hostStats", "{}").want(h) }

// gone finds the Node's connections ended.
func (h *house) gone() {
	for _, u := range h.guests {
		_ = u.ended()
		u.leave()
	}
}

// die ends the Node by a signal.
func (h *house) die(s syscall.Signal) {
	h.Helper()
	kill(h, h.node.PID, s)
	h.gone()
}

// shutdown ends the Node in order.
func (h *house) shutdown() {
	u := h.guests[0]
	if f := u.answer(u.send("shutdown", "{}")); f.end != nil {
		h.Fatalf("shutdown: %v", f.end)
	}
	h.gone()
}

// amid kills the Node while it has much to answer: each question is answered, or
// the connection has ended.
func (h *house) amid() {
	h.Helper()
	u := h.guests[0]
	want := map[uint64]bool{}
	for range 1 + h.rand.IntN(60) {
		want[u.send([]string{"configuration", "hostStats", "checkPassword", "nodeStats"}[h.rand.IntN(4)], "{}")] = true
	}
	kill(h, h.node.PID, syscall.SIGKILL)
	for len(want) > 0 {
		f := u.hear()
		if f.end != nil {
			break
		}
		if f.ContextID != nil {
			delete(want, *f.ContextID)
		}
	}
	h.gone()
}

// both shuts the Node down and kills it at once.
func (h *house) both() {
	u := h.guests[1]
	context := u.send("shutdown", "{}")
	_ = syscall.Kill(h.node.PID, syscall.SIGKILL) // it may be gone
	_ = u.answer(context)                         // or the end
	h.gone()
}

// settled waits until all know that no Node runs. By then none is left, not even
// as a zombie.
func (h *house) settled() {
	h.Helper()
	for _, u := range h.residents {
		for len(h.ends[u]) < len(h.begun) {
			h.ends[u] = append(h.ends[u], u.crashed(h.begun[len(h.ends[u])]).PID)
		}
	}
	if all := children(h, h.d.cmd.Process.Pid); len(all) > 0 {
		h.Fatalf("all Nodes have ended, and the Daemon has children: %v", all)
	}
}

// own lists the Daemon's descriptors but those of its database.
func (h *house) own() (open []string) {
	for _, d := range descriptors(h, h.d.cmd.Process.Pid) {
		if !strings.Contains(d, h.d.dir) {
			open = append(open, d)
		}
	}
	return open
}

// last finds that nobody was told of an end that there was not.
func (h *house) last() {
	first, second, third := h.residents[0], h.residents[1], h.residents[2]
	first.change("gas-price", "last").want(h)
	second.await("setup")
	third.await("setup")
	third.change("gas-price", "very last").want(h)
	first.await("setup")
	for _, u := range h.residents {
		u.unheard("crashed")
		u.unheard("nodeStarted")
	}
}
