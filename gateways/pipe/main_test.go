package pipe

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"parley/actors/tree"
	"parley/messages/enclavepb"
	"parley/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience is how long tests wait for anything. They never wait for it to pass.
const patience = time.Minute

// until waits for a condition that others bring about.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("no " + what)
		}
	}
}

// back is a back end: it notes commands, and answers them unless it is busy.
type back struct {
	sys  *actor.ActorSystem
	root *actor.PID
	pipe *actor.PID
	dir  string

	mu       sync.Mutex
	busy     bool
	commands []*enclavepb.Command
	listener *actor.PID
}

// newBack has the pipes of a folder of its own.
func newBack(t *testing.T) *back {
	t.Helper()
	b := &back{sys: tree.New(tree.Options{}), dir: filepath.Join(t.TempDir(), "enclave")}
	pipes, err := Open(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	b.root = tree.Spawn(b.sys.Root, "root", tree.Spec{Children: tree.Restart, New: func() actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				frontends := tree.Spawn(ctx, "frontends", tree.Spec{New: func() actor.Actor { return actor.ReceiveFunc(b.serve) }})
				Spawn(ctx, "pipe", pipes, frontends)
			}
		})
	}})
	until(t, "listener", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pipe = b.listener
		return b.pipe != nil
	})
	t.Cleanup(func() {
		_ = b.sys.Root.StopFuture(b.root).Wait()
		b.sys.Shutdown()
	})
	return b
}

func (b *back) serve(ctx actor.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m := ctx.Message().(type) {
	case *enclavepb.Listen:
		b.listener = ctx.Sender()
	case *enclavepb.Command:
		b.commands = append(b.commands, m)
		if !b.busy {
			ctx.Respond(&enclavepb.Result{Id: m.GetId(), Cmd: "x", Ok: true})
		}
	}
}

// heard is how many commands have come.
func (b *back) heard() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.commands)
}

func (b *back) at(name string) string { return filepath.Join(b.dir, name) }

// say writes to the pipe as a program would that opens it for that.
func (b *back) say(t testing.TB, text string) {
	t.Helper()
	f, err := os.OpenFile(b.at(nameIn), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// listen opens the other pipe.
func (b *back) listen(t testing.TB) *reader {
	t.Helper()
	f, err := os.OpenFile(b.at(nameOut), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &reader{f, bufio.NewReaderSize(f, 16)}
}

// reader is a program that reads lines.
type reader struct {
	*os.File

	lines *bufio.Reader
}

func (r *reader) line(t testing.TB) string {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = r.Close() })
	defer late.Stop()
	for {
		s, err := r.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v", s, err)
		}
		if s != "\n" { // see PROTOCOL.md, Front ends
			return strings.TrimSuffix(s, "\n")
		}
	}
}

// progress is an event with a number, of size bytes or so.
func progress(n, size int) *enclavepb.Event {
	return &enclavepb.Event{Body: &enclavepb.Event_Progress{Progress: &enclavepb.Progress{
		To: fmt.Sprintf("%08d", n), Name: strings.Repeat("x", 1+size), Delivery: enclavepb.Delivery_DELIVERY_SENT,
	}}}
}

func progressLine(n, size int) []byte { return appendEvent(nil, progress(n, size))[0] }

// tell has the node tell of a number, in a line of size bytes or so.
func (b *back) tell(n, size int) { b.sys.Root.Send(b.pipe, progress(n, size)) }

// fence waits until the actor has done all that it was told.
func (b *back) fence(t testing.TB) {
	t.Helper()
	n := b.heard()
	b.sys.Root.Send(b.pipe, &spoken{[]byte(`{"cmd":"list","id":"fence"}`)})
	until(t, "command", func() bool { return b.heard() == n+1 })
}

// numberOf is the number that a line of tell has; -1: it is none, or not whole.
func numberOf(line string) int {
	var n int
	if _, err := fmt.Sscanf(line, `{"event":"sent","to":"%d","name":"x`, &n); err != nil || !strings.HasSuffix(line, `","id":""}`) {
		return -1
	}
	return n
}
