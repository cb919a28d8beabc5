package life_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
)

// stays has somebody read all the time, over all lives of the node.
func (p *person) stays() {
	p.t.Helper()
	f, err := os.OpenFile(p.pipe("out"), os.O_RDWR, 0) // no writer's end is the end of it
	if err != nil {
		p.t.Fatal(err)
	}
	over := make(chan struct{})
	p.t.Cleanup(func() {
		_ = f.Close()
		<-over
	})
	go func() {
		defer close(over)
		for r := bufio.NewReader(f); ; {
			text, err := r.ReadString('\n')
			if err != nil {
				return
			}
			var l line
			if json.Unmarshal([]byte(text), &l) == nil {
				p.mu.Lock()
				p.lines = append(p.lines, l)
				p.mu.Unlock()
			}
		}
	}()
}

// TestEnclaveToldOnce kills a node again and again while a friend talks to somebody
// who sits before it all the time: whoever that is hears each message once, in
// order, and all that were acknowledged, also what comes in the very moment of the
// kill.
func TestEnclaveToldOnce(t *testing.T) {
	anna := &talker{person: joinEnclave(t, "anna", "127.0.9.70"), to: "Ben"}
	ben := &person{t: t, name: "ben", ip: "127.0.9.71", dir: directory(t), at: "127.0.9.71:0", deaf: true}
	ben.start()
	ben.stays()
	anna.does("add", "address", ben.at, "name", "Ben")
	ben.does("add", "address", anna.at, "name", "Anna")
	anna.sees(ben.ip, 1, "")
	rng := seeded(t)
	for range cycles(t, 8) {
		enough := len(ben.told(anna.ip)) + rng.IntN(batch)
		anna.says(batch)
		eventually(t, "some messages", func() bool { return len(ben.told(anna.ip)) >= enough }, anna.last, ben.log)
		ben.end(syscall.SIGKILL)
		ben.start()
	}
	anna.says(1)
	anna.taken()
	eventually(t, "the last message", func() bool { return slices.Contains(ben.told(anna.ip), fmt.Sprint(anna.next-1)) }, anna.last, ben.log)
	got := numbers(t, ben.told(anna.ip))
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("told twice, or out of order: %v", got)
	}
	for _, n := range acknowledged(anna.person) {
		if !slices.Contains(got, n) {
			t.Errorf("message %d was acknowledged, and nobody was told", n)
		}
	}
}

// TestEnclaveNobodyReads: what nobody had read when the node was killed is in the
// history, which the pipes bring, too.
func TestEnclaveNobodyReads(t *testing.T) {
	anna := joinEnclave(t, "anna", "127.0.9.72")
	ben := &person{t: t, name: "ben", ip: "127.0.9.73", dir: directory(t), at: "127.0.9.73:0", deaf: true}
	ben.start()
	ben.echo(fmt.Sprintf(`{"cmd":"add","address":%q,"name":"Anna"}`, anna.at))
	anna.does("add", "address", ben.at, "name", "Ben")
	anna.sees(ben.ip, 1, "")
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint("m", i))
		anna.echo(fmt.Sprintf(`{"cmd":"send","to":"Ben","message":"m%d","id":"m%[1]d"}`, i))
	}
	anna.reads("that all were delivered", func(l line) bool { return l.Event == "delivered" && l.ID == "m9" })
	ben.end(syscall.SIGKILL)
	ben.deaf = false
	ben.start()
	ben.echo(`{"cmd":"history","with":"Anna","id":"h"}`)
	if r := ben.reads("the end of the history", func(l line) bool { return l.Event == "result" && l.ID == "h" }); !r.OK {
		t.Fatal(r.Reason)
	}
	var got []string
	for _, l := range ben.all() {
		if l.Event == "said" && l.ID == "h" {
			got = append(got, l.Message)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the history is %q", got)
	}
}
