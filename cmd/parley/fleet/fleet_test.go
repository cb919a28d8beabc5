package fleet

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestEdges(t *testing.T) {
	for _, c := range []struct {
		shape string
		n     int
		want  string
	}{
		{Line, 1, "[]"},
		{Line, 3, "[1-2 2-3]"},
		{Ring, 1, "[]"},
		{Ring, 2, "[1-2]"},
		{Ring, 3, "[1-2 1-3 2-3]"},
		{Ring, 5, "[1-2 1-5 2-3 3-4 4-5]"},
		{Full, 1, "[]"},
		{Full, 4, "[1-2 1-3 1-4 2-3 2-4 3-4]"},
	} {
		got, err := Edges(c.shape, c.n)
		if err != nil || fmt.Sprint(got) != c.want || !slices.IsSortedFunc(got, func(a, b Edge) int { return slices.Compare(a[:], b[:]) }) {
			t.Errorf("%s of %d: %v, %v; want %s", c.shape, c.n, got, err, c.want)
		}
	}
	if _, err := Edges("star", 3); err == nil || !strings.Contains(err.Error(), `"star"`) {
		t.Errorf("a star: %v", err)
	}
	if NewEdge(3, 2) != (Edge{2, 3}) {
		t.Error("an edge has two names")
	}
}

// behind is a fleet whose second node is a server of this test, which says what
// it was sent.
func behind(t *testing.T) (f *Fleet, hear func() string) {
	t.Helper()
	f, err := New(Options{Nodes: 3, Shape: Line, Doors: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 16)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 256)
			n, _ := c.Read(b)
			said <- string(b[:n])
			_, _ = c.Write([]byte("hello"))
			go func() {
				_, _ = io.Copy(io.Discard, c) // until it is cut
				said <- "cut"
				_ = c.Close()
			}()
		}
	}()
	f.Nodes[1].process = &process{place: Place{Relay: l.Addr().String()}, exited: make(chan struct{})}
	t.Cleanup(func() {
		f.Nodes[1].process = nil
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		_ = l.Close()
		<-over
	})
	return f, func() string { return <-said }
}

// knock comes to the door of the second node and returns what is answered.
func knock(t *testing.T, f *Fleet, head string) (c net.Conn, answer string) {
	t.Helper()
	c, err := net.Dial("tcp", f.Nodes[1].address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	n, _ := c.Read(b)
	return c, string(b[:n])
}

func head(name string) string {
	return "GET /node HTTP/1.1\r\nHost: x\r\nNode-Name: " + name + "\r\n\r\n"
}

func TestDoors(t *testing.T) {
	f, hear := behind(t)
	for _, stranger := range []string{head("node9"), head(""), "GET /connect HTTP/1.1\r\nHost: x\r\nNode-Name: node1\r\n\r\n", "what?\r\n\r\n"} {
		if _, answer := knock(t, f, stranger); answer != "" {
			t.Errorf("%q was let in", stranger)
		}
	}
	c, answer := knock(t, f, head("node1"))
	if got := hear(); answer != "hello" || got != head("node1") {
		t.Errorf("answered %q, and the node heard %q", answer, got)
	}
	if open, cut := f.Links(); fmt.Sprint(open, cut) != "[1-2] []" {
		t.Errorf("links are %v, cut %v", open, cut)
	}
	f.Cut(Edge{1, 2})
	if got := hear(); got != "cut" {
		t.Errorf("the node heard %q", got)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("after the cut came %d bytes", n)
	}
	if _, answer := knock(t, f, head("node1")); answer != "" {
		t.Error("a link that is cut came up")
	}
	if _, cut := f.Links(); fmt.Sprint(cut) != "[1-2]" {
		t.Errorf("cut is %v", cut)
	}
	f.Heal(Edge{1, 2})
	if _, answer := knock(t, f, head("node1")); answer != "hello" {
		t.Error("a link that was healed did not come up")
	}
	hear()
}

func TestShapeIsKept(t *testing.T) {
	f, err := New(Options{Nodes: 3, Shape: Line, Doors: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(want string) {
		t.Helper()
		f.mu.Lock()
		got := fmt.Sprint(f.allowed(Edge{1, 2}), f.allowed(Edge{1, 3}))
		f.mu.Unlock()
		if got != want {
			t.Errorf("1-2 and 1-3 may be: %s, want %s", got, want)
		}
	}
	ask("true false")
	f.Heal(Edge{1, 3})
	f.Cut(Edge{1, 2})
	ask("false true")
	f.HealAll()
	ask("true true")
	f.Cut(Edge{1, 3})
	f.o.Free = true
	f.HealAll()
	ask("true true")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
