package link

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"parley/actors/tree"
	"parley/messages"
)

// noteConn is a connection that takes everything and notes what, or only counts.
type noteConn struct {
	net.Conn
	count  bool
	writes []string
	first  []*byte // of each write
	n      int     // writes
}

func (c *noteConn) TryWrite(b []byte) (int, error) {
	c.n++
	if !c.count {
		c.writes = append(c.writes, string(b))
		c.first = append(c.first, &b[0])
	}
	return len(b), nil
}
func (c *noteConn) SetReadDeadline(time.Time) error { return nil }
func (c *noteConn) CloseWrite() error               { return nil }

// all is what was written, frame by frame.
func (c *noteConn) all() []string {
	lines := strings.Split(strings.Join(c.writes, ""), "\n")
	return lines[:len(lines)-1]
}

// table is a shard without its actor, with members 1 to n on noteConns.
type table struct {
	*shard
	conns []*noteConn // by member; 0 is unused
}

func newTable(k *Kind, n int, count bool) *table {
	t := &table{shard: &shard{kind: k, links: map[uint64]*Outbound{}}, conns: make([]*noteConn, n+1)}
	for i := 1; i <= n; i++ {
		c := &noteConn{count: count}
		base, err := NewConn(c)
		if err != nil {
			panic(err)
		}
		base.Release()
		t.conns[i] = c
		t.links[uint64(i)] = &Outbound{member: uint64(i), kind: k, conn: base, w: base, tell: func(any) {}}
	}
	return t
}

// batch handles multicasts as if they had been queued together.
func (t *table) batch(ms ...*messages.Multicast) {
	b := &tree.Batch{}
	for _, m := range ms {
		b.Messages = append(b.Messages, m)
	}
	t.onBatch(b)
}

// post is a message of a member to a list.
func post(text string, origin uint64, members []uint64) *messages.Multicast {
	return &messages.Multicast{
		Members: members, Origin: origin, Source: "news", Size: len(text),
		Frame: &messages.Shared{Message: wrapperspb.String(text)},
	}
}

// ack is the same with an answer to its sender.
func ack(m *messages.Multicast, text string) *messages.Multicast {
	m.Answer = wrapperspb.String(text)
	return m
}

// only is an answer and nothing else.
func only(text string, origin uint64) *messages.Multicast {
	return &messages.Multicast{Origin: origin, Answer: wrapperspb.String(text)}
}

func TestBatches(t *testing.T) {
	three, two := []uint64{1, 2, 3}, []uint64{4, 2}
	for _, c := range []struct {
		name  string
		batch []*messages.Multicast
		want  map[int][]string // writes by member; those left out hear nothing
	}{
		{"one message", []*messages.Multicast{post("a", 9, three)}, map[int][]string{1: {"a\n"}, 2: {"a\n"}, 3: {"a\n"}}},
		{"a burst is one write", []*messages.Multicast{post("a", 9, three), post("b", 8, three), post("c", 9, three)}, map[int][]string{
			1: {"a\nb\nc\n"}, 2: {"a\nb\nc\n"}, 3: {"a\nb\nc\n"},
		}},
		{"the sender hears nothing of its own", []*messages.Multicast{post("a", 2, three), post("b", 2, three)}, map[int][]string{1: {"a\nb\n"}, 3: {"a\nb\n"}}},
		{"a sender among senders hears the others", []*messages.Multicast{post("a", 2, three), post("b", 9, three), post("c", 2, three), post("d", 1, three)}, map[int][]string{
			1: {"a\nb\nc\n"}, 2: {"b\nd\n"}, 3: {"a\nb\nc\nd\n"},
		}},
		{"senders that hear nobody but themselves", []*messages.Multicast{post("a", 1, []uint64{1}), post("b", 1, []uint64{1})}, nil},
		{"an answer comes behind what was delivered", []*messages.Multicast{ack(post("a", 2, three), "ok a"), ack(post("b", 1, three), "ok b")}, map[int][]string{
			1: {"a\n", "ok b\n"}, 2: {"b\n", "ok a\n"}, 3: {"a\nb\n"},
		}},
		{"several groups and answers, one write a link", []*messages.Multicast{post("a", 9, three), post("b", 9, two), ack(post("c", 2, three), "ok c"), post("d", 9, two)}, map[int][]string{
			1: {"a\nc\n"}, 2: {"a\nb\nd\nok c\n"}, 3: {"a\nc\n"}, 4: {"b\nd\n"},
		}},
		{"who joins is told before the first message", []*messages.Multicast{only("joined", 3), post("a", 9, three)}, map[int][]string{1: {"a\n"}, 2: {"a\n"}, 3: {"joined\n", "a\n"}}},
		{"who joins another list, too", []*messages.Multicast{post("a", 9, two), only("joined", 3), post("b", 9, three)}, map[int][]string{
			1: {"b\n"}, 2: {"a\nb\n"}, 3: {"joined\nb\n"}, 4: {"a\n"},
		}},
		{"who leaves is told after the last message", []*messages.Multicast{post("a", 9, three), only("left", 3), post("b", 9, []uint64{1, 2})}, map[int][]string{
			1: {"a\nb\n"}, 2: {"a\nb\n"}, 3: {"a\nleft\n"},
		}},
		{"a sender that is no member", []*messages.Multicast{ack(post("a", 4, three), "ok")}, map[int][]string{1: {"a\n"}, 2: {"a\n"}, 3: {"a\n"}, 4: {"ok\n"}}},
		{"nobody is there", []*messages.Multicast{ack(post("a", 4, nil), "ok"), {Origin: 4}}, map[int][]string{4: {"ok\n"}}},
		{"links that are gone", []*messages.Multicast{ack(post("a", 77, []uint64{99, 1, 98}), "ok")}, map[int][]string{1: {"a\n"}}},
		{"many answers do not share memory", []*messages.Multicast{only("one", 1), only("two", 2), only("three", 1), only("four", 2)}, map[int][]string{
			1: {"one\nthree\n"}, 2: {"two\nfour\n"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sys := tree.New(tree.Options{})
			defer sys.Shutdown()
			s := newTable(newKind(sys, nil), 4, false)
			s.batch(c.batch...)
			for i := 1; i <= 4; i++ {
				if !slices.Equal(s.conns[i].writes, c.want[i]) {
					t.Errorf("member %d: writes %q, want %q", i, s.conns[i].writes, c.want[i])
				}
			}
		})
	}
}

// TestBurstIsJoinedOnce compares addresses: all members are written the same memory.
func TestBurstIsJoinedOnce(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	s := newTable(newKind(sys, nil), 3, false)
	members := []uint64{1, 2, 3}
	s.batch(post("a", 9, members))
	s.batch(post("a", 9, members), post("b", 9, members))
	for i := 2; i <= 3; i++ {
		if !slices.Equal(s.conns[i].first, s.conns[1].first) {
			t.Errorf("member %d is written another copy", i)
		}
	}
}

// TestLongBursts are joined to pieces of joinMost, and come whole.
func TestLongBursts(t *testing.T) {
	sys := tree.New(tree.Options{})
	defer sys.Shutdown()
	s := newTable(newKind(sys, nil), 2, false)
	var batch []*messages.Multicast
	var want []string
	for i := range 10 {
		text := fmt.Sprintf("%d%s", i, strings.Repeat("x", joinMost/4))
		batch, want = append(batch, post(text, 9, []uint64{1, 2})), append(want, text)
	}
	s.batch(batch...)
	for i := 1; i <= 2; i++ {
		if !slices.Equal(s.conns[i].all(), want) {
			t.Errorf("member %d: %s", i, brief(s.conns[i].all()))
		}
		for _, w := range s.conns[i].writes {
			if len(w) > joinMost {
				t.Errorf("a write of %d bytes", len(w))
			}
		}
	}
}
