package life_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// talker is a node that is killed now and then, and somebody who talks to a friend.
type talker struct {
	*person

	to   string // the friend's name
	next int    // number to say
}

// TestEnclaveKilled kills two nodes again and again while each sends to the other:
// what was acknowledged to people arrives once, in order.
func TestEnclaveKilled(t *testing.T) {
	anna := &talker{person: joinEnclave(t, "anna", "127.0.9.30"), to: "Ben"}
	ben := &talker{person: joinEnclave(t, "ben", "127.0.9.31"), to: "Anna"}
	anna.does("add", "address", ben.at, "name", "Ben")
	ben.does("add", "address", anna.at, "name", "Anna")
	anna.sees(ben.ip, 1, "")
	rng := seeded(t)
	both := []*talker{anna, ben}
	for round := range cycles(t, 8) {
		some := both[rng.IntN(len(both))]
		enough := len(acknowledged(some.person)) + rng.IntN(batch)
		for _, p := range both {
			p.says(batch)
		}
		eventually(t, "some results", func() bool { return len(acknowledged(some.person)) >= enough }, some.last, some.log)
		victims := [][]*talker{{anna}, {ben}, both}[round%3]
		for _, p := range victims {
			p.end(syscall.SIGKILL)
		}
		if round%2 == 0 && len(victims) == 1 { // more for who is gone
			left := both[(slices.Index(both, victims[0])+1)%2]
			left.says(batch)
			left.taken()
		}
		for _, p := range victims {
			p.start()
		}
	}
	for _, p := range both {
		p.says(1)
		p.taken()
	}
	ben.hasAll(anna)
	anna.hasAll(ben)
}

// batch is how many messages are said at once.
const batch = 40

// says types numbers to the friend, without waiting for results.
func (p *talker) says(n int) {
	p.t.Helper()
	f, err := os.OpenFile(p.pipe("in"), os.O_WRONLY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	for range n {
		if _, err := fmt.Fprintf(f, `{"cmd":"send","to":%q,"message":"%d","id":"n%[2]d"}`+"\n", p.to, p.next); err != nil {
			p.t.Fatal(err)
		}
		p.next++
	}
}

// taken waits until the last number was acknowledged.
func (p *talker) taken() {
	p.t.Helper()
	eventually(p.t, p.name+" reads all results", func() bool { return slices.Contains(acknowledged(p.person), p.next-1) }, p.last, p.log)
}

// hasAll waits until the last number of a friend has come, and looks at the rest.
// What is told as it comes may be told again after a kill, or be missing; the
// history is what counts.
func (p *talker) hasAll(from *talker) {
	p.t.Helper()
	var got []int
	eventually(p.t, "the last message arrives at "+p.name, func() bool {
		got = numbers(p.t, p.remembers(from.ip))
		return len(got) > 0 && got[len(got)-1] == from.next-1
	}, from.log, p.log)
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		p.t.Errorf("messages of %s came twice, or out of order: %v", from.name, got)
	}
	taken := acknowledged(from.person)
	for _, n := range taken {
		if !slices.Contains(got, n) {
			p.t.Errorf("message %d of %s was acknowledged, and has not come", n, from.name)
		}
	}
	told := numbers(p.t, p.told(from.ip))
	slices.Sort(told)
	p.t.Logf("%s has sent %d, %d were acknowledged, %d have come; %d were told, %d of them again", from.name, from.next, len(taken), len(got), len(told), len(told)-len(slices.Compact(told)))
}

// acknowledged are the numbers that were taken, as people were told.
func acknowledged(p *person) (all []int) {
	for _, l := range p.all() {
		if text, ok := strings.CutPrefix(l.ID, "n"); ok && l.Event == "result" && l.OK {
			if n, err := strconv.Atoi(text); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

func numbers(t testing.TB, texts []string) (all []int) {
	t.Helper()
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("nobody said %q", text)
		}
		all = append(all, n)
	}
	return all
}
