package life_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writer changes two parameters at a time, again and again, to ever higher
// numbers.
type writer struct {
	names          [2]string
	sent, answered int // numbers
}

// payload is the next change.
func (w *writer) payload() string {
	w.sent++
	return fmt.Sprintf(`{"values":[{"name":%q,"value":"%d"},{"name":%q,"value":"%d"}]}`, w.names[0], w.sent, w.names[1], w.sent)
}

// check finds what was answered, or what was sent after it, and never the half of
// a change.
func (w *writer) check(t *testing.T, u *ui) {
	t.Helper()
	var d struct {
		Values []struct{ Name, Value, Status string } `json:"values"`
	}
	u.ask("setup", `{"values":[]}`).want(t).into(t, &d)
	found := map[string]string{}
	for _, v := range d.Values {
		found[v.Name] = v.Value
	}
	n, _ := strconv.Atoi(found[w.names[0]]) // blank: 0
	if found[w.names[0]] != found[w.names[1]] || n < w.answered || n > w.sent {
		t.Errorf("%v are %q and %q, %d was answered and %d sent", w.names, found[w.names[0]], found[w.names[1]], w.answered, w.sent)
	}
	w.sent, w.answered = n, n
}

// TestDaemonKilledAmidChanges kills the Daemon while it stores changes of the
// Setup space: what it had answered is there after it.
func TestDaemonKilledAmidChanges(t *testing.T) {
	const burst = 300
	random, dir := seeded(t), directory(t)
	writers := []*writer{{names: [2]string{"gas-price", "min-hops"}}, {names: [2]string{"scans", "rate-pack"}}}
	answers, rounds := 0, cycles(t, 6)
	for range rounds {
		d := start(t, dir, nil)
		enough := random.IntN(burst)
		var uis []*ui
		for _, w := range writers {
			u := connect(t, d.port)
			w.check(t, u)
			uis = append(uis, u)
		}
		for range burst {
			for i, w := range writers {
				// It may be killed by then, in any round but the first.
				_ = uis[i].client.Say([]byte(`{"opcode":"setup","contextId":7000,"payload":` + w.payload() + `}`))
			}
		}
		for i, w := range writers {
			for f := uis[i].hear(); f.end == nil; f = uis[i].hear() {
				if f.ContextID == nil {
					continue
				}
				f.want(t, `"errors":[]`)
				w.answered++
				if answers++; w.answered >= w.sent-burst+enough && !d.dead() {
					d.kill()
				}
			}
			uis[i].leave()
		}
	}
	d := start(t, dir, nil)
	u := connect(t, d.port)
	for _, w := range writers {
		w.check(t, u)
	}
	t.Logf("%d changes answered, the Daemon killed %d times", answers, rounds)
}

// TestNodeKilledAmidPasswords kills the Node while it changes its password: the
// old one or the new one is right then, and the secrets are there.
func TestNodeKilledAmidPasswords(t *testing.T) {
	random := seeded(t)
	d := start(t, directory(t), nil)
	u := connect(t, d.port)
	u.settle()
	u.change("neighbors", neighbor).want(t, `"errors":[]`)
	password := func(n int) string { return quoted(fmt.Sprintf("password %d", n)) }
	change := func(old, to int) string {
		if old == 0 {
			return `{"newPassword":` + password(to) + `}`
		}
		return `{"oldPasswordOpt":` + password(old) + `,"newPassword":` + password(to) + `}`
	}
	is, early, rounds := 0, 0, cycles(t, 4)
	for range rounds {
		node := u.launch()
		c := connect(t, node.Port)
		if is > 0 {
			c.secrets(password(is), true)
		}
		for range random.IntN(3) {
			c.ask("changePassword", change(is, is+1)).want(t)
			is++
		}
		context := c.send("changePassword", change(is, is+1))
		lateKill(random, node.PID)
		answered := c.answer(context).end == nil
		_ = c.ended()
		u.crashed(node.PID)

		node = u.launch()
		c = connect(t, node.Port)
		var m struct {
			Matches bool `json:"matches"`
		}
		c.ask("checkPassword", `{"dbPasswordOpt":`+password(is+1)+`}`).want(t).into(t, &m)
		switch {
		case m.Matches:
			is++
		case answered:
			t.Fatalf("password %d was set, and is not right", is+1)
		case is == 0:
			c.check("null", true)
			early++
		default:
			early++
		}
		if is > 0 {
			c.secrets(password(is), true)
		}
		kill(t, node.PID, syscall.SIGKILL)
		_ = c.ended()
		u.crashed(node.PID)
	}
	t.Logf("killed in %d changes: %d had not come to be", rounds, early)
}

// lateKill kills a process after a while that no change of a password takes.
func lateKill(random *rand.Rand, pid int) {
	<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// TestDamagedSecret flips one bit in a secret on the disk: the Node names the
// record in its log, and runs on.
func TestDamagedSecret(t *testing.T) {
	for name, end := range map[string]syscall.Signal{"in the log": syscall.SIGKILL, "in a table": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			d := start(t, directory(t), nil)
			u := connect(t, d.port)
			u.settle()
			u.change("neighbors", neighbor).want(t, `"errors":[]`)
			node := u.launch()
			c := connect(t, node.Port)
			c.ask("changePassword", `{"newPassword":"one"}`).want(t)
			c.secrets(`"one"`, true)
			c.ask("setConfiguration", `{"name":"gas-price","value":"7"}`).want(t)
			kill(t, node.PID, end)
			u.crashed(node.PID)

			flip(t, filepath.Join(d.dir, "node"), "secret/past-neighbors")
			node = u.launch()
			c = connect(t, node.Port)
			c.check(`"one"`, true)
			c.secrets(`"one"`, false)
			eventually(t, "the damaged record is named", func() bool {
				return strings.Contains(d.stderr(), "database damaged") && strings.Contains(d.stderr(), "secret/past-neighbors")
			})
			c.ask("changePassword", `{"oldPasswordOpt":"one","newPassword":"two"}`).want(t)
			c.check(`"two"`, true)
		})
	}
}

// sealed is how far a bit is behind the end of a record's key, in bytes: behind
// all that comes before its value, in a log as in a table, and within it.
const sealed = 60

// flip flips a bit of a record wherever it is in a database's files.
func flip(t *testing.T, dir, key string) {
	t.Helper()
	flipped := 0
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		from := 0
		for at := bytes.Index(b, []byte(key)); at >= 0; at = bytes.Index(b[from:], []byte(key)) {
			from += at + len(key)
			if strings.HasSuffix(path, ".mem") || strings.HasSuffix(path, ".sst") && flipped == 0 {
				b[from+sealed] ^= 1
				flipped++
			}
		}
		return os.WriteFile(path, b, e.Type().Perm())
	})
	if err != nil || flipped == 0 {
		t.Fatalf("%d bits flipped: %v", flipped, err)
	}
}
