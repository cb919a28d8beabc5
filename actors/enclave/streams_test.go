package enclave

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/messages/enclavepb"
	"parley/testkit"
)

// TestManyIDs remembers the newest ids that others made up, and of runs those that
// were heard of last.
func TestManyIDs(t *testing.T) {
	var h hearing
	for i := range resendMost + 10 {
		if id := fmt.Sprint("x", i); !h.fresh(id, true) || h.fresh(id, true) {
			t.Fatalf("id %d", i)
		}
	}
	if len(h.known) != resendMost || len(h.ids) != resendMost || h.fresh("x10", true) || !h.fresh("x9", true) {
		t.Errorf("%d ids are known", len(h.known))
	}
	for i := range streamsMost {
		if !h.fresh(makeID(fmt.Sprint("run", i), 5), true) || h.fresh(makeID(fmt.Sprint("run", i), 4), true) {
			t.Fatalf("run %d", i)
		}
	}
	for i := range streamsMost { // as many again, from another one on
		if n := (i + 20) % streamsMost; h.fresh(makeID(fmt.Sprint("run", n), 5), true) {
			t.Errorf("run %d is not known", n)
		}
	}
	if !h.fresh("new-1", true) || !h.fresh("newer-1", true) || len(h.streams) != streamsMost {
		t.Errorf("%d runs are known", len(h.streams))
	}
	if h.fresh("run22-5", true) || h.fresh("run0-5", true) || !h.fresh("run20-5", true) || !h.fresh("run21-5", true) {
		t.Error("not the runs that were heard of longest ago were forgotten")
	}
}

// TestSplitID tells ids as a node of our own makes them from all others.
func TestSplitID(t *testing.T) {
	for _, id := range []string{
		"", "x", "-1", "a-", "a-é", "a-" + strings.Repeat("z", 20), "a-b-1", "A-1", "a-A", "a-01", "a-+1", "a/b-1", "aaaaaaaaaaaaaa-1",
		"550e8400-e29b-41d4-a716-446655440000",
	} {
		if _, _, ok := splitID(id); ok {
			t.Errorf("%q is an id of ours", id)
		}
	}
	for _, name := range []string{"a", "0", "3w5e11264sgsf"} {
		if got, n, ok := splitID(makeID(name, 1<<63)); got != name || n != 1<<63 || !ok {
			t.Errorf("%q %d %v", got, n, ok)
		}
	}
}

// TestIDsOfOthers take ids for numbers only of who has said that it numbers.
func TestIDsOfOthers(t *testing.T) {
	testkit.Seeds(t, 3, func(t *testing.T, d *testkit.Driver) {
		w, n := quiet(t, d, func(n *node) { n.store = &paperStore{chron: &n.talk} })
		heard := func(e *end, ids ...string) (fresh int) {
			before := len(n.talk.said)
			for _, id := range ids {
				p := words(id)
				p.Id = id
				e.say(p)
			}
			return len(n.talk.said) - before
		}
		e := n.call("10.0.0.2:5").say(shake("x", 1))
		if got := heard(e, "msg-9", "msg-3", "msg-9"); got != 2 {
			t.Errorf("heard %d of 2", got)
		}
		uuids := func(from, to int) (all []string) {
			for i := from; i < to; i++ {
				all = append(all, fmt.Sprintf("550e8400-e29b-41d4-a716-4466554%05x", i))
			}
			return all
		}
		e = n.call("10.0.0.2:6").say(kinShake("run"))
		if got := heard(e, append(uuids(0, 100), uuids(0, 100)...)...); got != 100 {
			t.Errorf("heard %d of 100", got)
		}
		if len(n.talk.marks) != 0 {
			t.Errorf("kept %q", n.talk.marks)
		}
		if got := heard(e, "run-9", "run-3", "older-2", "run-9"); got != 2 {
			t.Errorf("heard %d of 2", got)
		}
		var mark enclavepb.Heard
		if err := proto.Unmarshal([]byte(n.talk.marks[heardPrefix+"10.0.0.2"]), &mark); err != nil || len(mark.GetStreams()) != 2 {
			t.Errorf("kept %v, %v", &mark, err)
		}
		w.stop()
	})
}
