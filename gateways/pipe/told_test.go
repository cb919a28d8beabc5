package pipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/messages/enclavepb"
)

// numbered is a message with a number.
func numbered(from, run string, n uint64, again bool) *enclavepb.Event {
	return &enclavepb.Event{Body: &enclavepb.Event_Received{Received: &enclavepb.Received{From: from, Message: fmt.Sprint(n), Run: run, Number: n, Again: again}}}
}

// process is one life of a node's outlet.
type process struct {
	*outlet

	t     testing.TB
	pipes *Pipes
	mu    sync.Mutex
	shown uint64
	stop  context.CancelFunc
	over  chan struct{}
}

func begin(t testing.TB, dir string) *process {
	t.Helper()
	pipes, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, pipes: pipes, over: make(chan struct{})}
	p.outlet = newOutlet(pipes.folder, pipes.told, func(string, error) {}, droppedLine)
	p.outlet.shown = func(n uint64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shown = max(p.shown, n)
	}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	go func() {
		defer close(p.over)
		p.run(ctx)
	}()
	return p
}

// kill ends it; what it has noted is in the file, as it would be after kill -9.
func (p *process) kill() {
	p.stop()
	<-p.over
	p.pipes.Close()
}

func (p *process) confirmed() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

func (p *process) waitConfirmed(n uint64) {
	p.t.Helper()
	until(p.t, fmt.Sprint("confirmation of ", n), func() bool { return p.confirmed() == n })
}

// reads tells whether somebody has the pipe open, as far as is known.
func (p *process) reads() bool {
	p.outlet.mu.Lock()
	defer p.outlet.mu.Unlock()
	return p.read
}

func (p *process) meets() {
	p.t.Helper()
	until(p.t, "reader", p.reads)
}

// openOut opens the pipe for reading.
func openOut(t testing.TB, dir string) *reader {
	t.Helper()
	return (&back{dir: dir}).listen(t)
}

// TestToldOnce: what was handed to a reader is not told again by the next process,
// and what was not is; each friend and run by itself.
func TestToldOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	p := begin(t, dir)
	out := openOut(t, dir)
	p.meets()
	p.tell(1, numbered("10.0.0.2", "run", 7, false), numbered("10.0.0.2", "run", 8, false), numbered("10.0.0.3", "run", 2, false), numbered("10.0.0.3", "", 0, false))
	p.waitConfirmed(1)
	p.kill()
	p = begin(t, dir)
	p.meets()
	p.tell(1,
		numbered("10.0.0.2", "run", 8, true), numbered("10.0.0.2", "run", 9, true), numbered("10.0.0.2", "old", 3, true),
		numbered("10.0.0.3", "run", 2, true), numbered("10.0.0.3", "run", 3, false))
	p.waitConfirmed(1)
	p.kill()
	p = begin(t, dir)
	p.meets()
	p.tell(1, numbered("10.0.0.2", "run", 9, true), numbered("10.0.0.3", "run", 3, true), numbered("end", "run", 1, true))
	p.waitConfirmed(1)
	var got []string
	for len(got) < 7 {
		line := out.line(t)
		from, message := "", ""
		_, _ = fmt.Sscanf(strings.NewReplacer(`"`, " ", ",", " ").Replace(line), "{ event : message   from :  %s   name :      message :  %s", &from, &message)
		if from == "" {
			t.Fatalf("no message: %s", line)
		}
		got = append(got, from+" "+message)
	}
	want := []string{"10.0.0.2 7", "10.0.0.2 8", "10.0.0.3 2", "10.0.0.3 0", "10.0.0.2 9", "10.0.0.2 3", "10.0.0.3 3"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if line := out.line(t); !strings.Contains(line, `"from":"end"`) {
		t.Error(line)
	}
	p.kill()
}

// TestConfirmed: who waits for a line to be handed on waits for a reader that is
// there and reads, and for nobody else.
func TestConfirmed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	p := begin(t, dir)
	defer p.kill()
	big := func(n uint64) *enclavepb.Event {
		e := numbered("10.0.0.2", "run", n, false)
		e.GetReceived().Message = strings.Repeat("x", 30<<10)
		return e
	}
	p.tell(1, big(1)) // nobody reads
	if p.confirmed() != 1 {
		t.Error("nobody reads, and it is waited for")
	}
	out := openOut(t, dir)
	out.line(t)
	for n := uint64(2); n < 20; n++ { // more than the pipe holds, and nobody reads
		p.tell(n, big(n))
	}
	p.waitConfirmed(19)
	p.tell(20, big(20))
	if p.confirmed() != 20 {
		t.Error("a reader that does not read is waited for")
	}
	if p.pipes.told.has(big(20).GetReceived()) {
		t.Error("noted as read before it was")
	}
	for range 19 {
		out.line(t)
	}
	p.tell(21, big(21))
	out.line(t)
	p.waitConfirmed(21)
	until(t, "note", func() bool { return p.pipes.told.has(big(21).GetReceived()) })
	_ = out.Close()
	until(t, "end of the reader", func() bool { return !p.reads() })
	p.tell(22, big(22))
	if p.confirmed() != 22 {
		t.Error("a reader that is gone is waited for")
	}
}

// TestToldFile: damaged slots count as not there and are used again, there is a
// limit, and what is none of ours is refused.
func TestToldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	open := func() *Pipes {
		t.Helper()
		p, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	for i := range 10 {
		p.told.note([]*enclavepb.Received{numbered(fmt.Sprint(i), "run", uint64(100+i), false).GetReceived()})
	}
	p.told.note([]*enclavepb.Received{numbered(strings.Repeat("x", slotNames), "run", 1, false).GetReceived()}) // remembered, and that is all
	p.told.note([]*enclavepb.Received{numbered("3", "run", 50, false).GetReceived()})                           // it never goes back
	p.Close()
	path := filepath.Join(dir, toldFile)
	b, err := os.ReadFile(path)
	if err != nil || len(b) != toldSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	b[5*slotBytes+20] ^= 1
	copy(b[6*slotBytes+8:], make([]byte, 30))
	if err := os.WriteFile(path, b[:11*slotBytes+7], 0o600); err != nil {
		t.Fatal(err)
	}
	p = open()
	for i := range 10 {
		for n, want := range map[int]bool{100 + i: i != 5 && i != 6, 101 + i: false} {
			if got := p.told.has(numbered(fmt.Sprint(i), "run", uint64(n), true).GetReceived()); got != want {
				t.Errorf("%d of %d: %v", n, i, got)
			}
		}
	}
	for i := range slotsMost + 100 {
		p.told.note([]*enclavepb.Received{numbered(fmt.Sprint("more", i), "run", 1, false).GetReceived()})
	}
	var batch []*enclavepb.Received // near each other and far
	for _, i := range []int{1100, 200, 500, 501, 200, 1123} {
		batch = append(batch, numbered(fmt.Sprint("more", i), "run", uint64(2+len(batch)), false).GetReceived())
	}
	p.told.note(batch)
	p.Close()
	if st, err := os.Stat(path); err != nil || st.Size() != toldSize {
		t.Errorf("%v, %v", st.Size(), err)
	}
	p = open()
	if len(p.told.slots) != slotsMost || !p.told.has(numbered(fmt.Sprint("more", slotsMost+99), "run", 1, true).GetReceived()) || p.told.has(numbered("0", "run", 1, true).GetReceived()) {
		t.Errorf("%d slots", len(p.told.slots))
	}
	for i, n := range map[int]uint64{200: 6, 499: 1, 500: 4, 501: 5, 502: 1, 1100: 2, 1123: 7} {
		if got := p.told.slots[speaker{fmt.Sprint("more", i), "run"}]; got == nil || got.number != n {
			t.Errorf("of more%d %+v is noted, not %d", i, got, n)
		}
	}
	p.Close()
	for _, bad := range []func() error{
		func() error { return os.Symlink("/dev/null", path) },
		func() error { return os.Mkdir(path, 0o700) },
		func() error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o644)
		},
	} {
		_ = os.RemoveAll(path)
		if err := bad(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), toldFile) {
			t.Errorf("opened, %v", err)
		}
	}
}

// TestToldCutShort: somebody shortens the file while the node runs. It goes on, and
// the file has the newest again, once there is something to note.
func TestToldCutShort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "enclave")
	p := begin(t, dir)
	out := openOut(t, dir)
	p.meets()
	p.tell(1, numbered("10.0.0.2", "run", 7, false), numbered("10.0.0.3", "run", 2, false))
	p.waitConfirmed(1)
	path := filepath.Join(dir, toldFile)
	for n := range uint64(3) {
		if err := os.Truncate(path, int64(n)*slotBytes/2); err != nil {
			t.Fatal(err)
		}
		p.tell(2+n, numbered("10.0.0.2", "run", 8+n, false))
		p.waitConfirmed(2 + n)
	}
	for range 5 {
		out.line(t)
	}
	p.kill()
	p = begin(t, dir)
	defer p.kill()
	for _, c := range []struct {
		from string
		n    uint64
		want bool
	}{{"10.0.0.2", 10, true}, {"10.0.0.2", 11, false}, {"10.0.0.3", 2, false}} {
		if got := p.pipes.told.has(numbered(c.from, "run", c.n, true).GetReceived()); got != c.want {
			t.Errorf("%d of %s: %v", c.n, c.from, got)
		}
	}
}

// TestToldNoRoom: what cannot be written is remembered, which is said once, as is that
// it can be again; then the file has it all.
func TestToldNoRoom(t *testing.T) {
	p, err := Open(filepath.Join(t.TempDir(), "enclave"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var said []bool
	p.told.trouble = func(err error) { said = append(said, err == nil) }
	good, err := os.Open(filepath.Join(p.folder.path, toldFile)) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = good.Close() }()
	good, p.told.file = p.told.file, good
	note := func(from string, n uint64) {
		t.Helper()
		m := numbered(from, "run", n, false).GetReceived()
		p.told.note([]*enclavepb.Received{m})
		if !p.told.has(m) {
			t.Errorf("%d of %s is forgotten", n, from)
		}
	}
	note("10.0.0.2", 1)
	note("10.0.0.2", 2)
	note("10.0.0.3", 1)
	if !slices.Equal(said, []bool{false}) {
		t.Errorf("said %v", said)
	}
	good, p.told.file = p.told.file, good
	note("10.0.0.2", 3)
	note("10.0.0.3", 2)
	if !slices.Equal(said, []bool{false, true}) {
		t.Errorf("said %v", said)
	}
	again, err := Open(p.folder.path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for from, n := range map[string]uint64{"10.0.0.2": 3, "10.0.0.3": 2} {
		if !again.told.has(numbered(from, "run", n, true).GetReceived()) {
			t.Errorf("%d of %s is not noted", n, from)
		}
	}
}

// BenchmarkNote is a burst of messages: of one friend, or of two who take turns.
func BenchmarkNote(b *testing.B) {
	for _, friends := range []int{1, 2, 100} {
		b.Run(fmt.Sprint(friends), func(b *testing.B) {
			p, err := Open(filepath.Join(b.TempDir(), "enclave"))
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			burst := make([]*enclavepb.Received, 256) // of 128 bytes, as many as are written at once
			for i := range burst {
				burst[i] = numbered(fmt.Sprint("10.0.0.", i%friends), "run", 0, false).GetReceived()
			}
			n := uint64(0)
			for b.Loop() {
				for _, m := range burst {
					n++
					m.Number = n
				}
				p.told.note(burst)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(burst)), "ns/message")
		})
	}
}

// TestWhatPasses: messages and results stay when there are too many events about
// who is there, of which the newest of each address stays as long as it can.
func TestWhatPasses(t *testing.T) {
	contact := func(address string, alias int) *enclavepb.Contact {
		return &enclavepb.Contact{Address: address, Presence: &enclavepb.Presence{Alias: fmt.Sprint(alias)}}
	}
	o := newOutlet(nil, &told{}, nil, droppedLine)
	o.tell(0, numbered("10.0.0.2", "run", 1, false))
	o.put([]byte("result\n"))
	for i := range 2 * keepMost {
		o.tell(0, &enclavepb.Event{Body: &enclavepb.Event_Status{Status: contact("10.0.0.2", i)}})
		o.tell(0, &enclavepb.Event{Body: &enclavepb.Event_Request{Request: contact("10.0.0.9", i)}})
		o.tell(0, &enclavepb.Event{Body: &enclavepb.Event_Gone{Gone: &enclavepb.Gone{Address: "10.0.0.9"}}})
	}
	if len(o.queue) > keepMost || o.lost != 0 || o.queue[0].event.GetReceived() == nil || o.queue[1].text == nil {
		t.Errorf("%d lines, %d lost", len(o.queue), o.lost)
	}
	for i := range 2 * keepMost { // of as many addresses
		o.tell(0, &enclavepb.Event{Body: &enclavepb.Event_Request{Request: contact(fmt.Sprint(i), i)}})
	}
	if len(o.queue) != keepMost || o.lost != keepMost+4 || o.passing != keepMost-2 || o.queue[0].event.GetReceived() == nil || o.queue[1].text == nil {
		t.Errorf("%d lines, %d pass, %d lost", len(o.queue), o.passing, o.lost)
	}
	for i := range keepMost {
		o.tell(0, numbered("10.0.0.2", "run", uint64(2+i), false))
	}
	if o.passing != 0 || o.lost != 3*keepMost+2-keepMost+2 || o.queue[0].event.GetReceived().GetNumber() != 2 {
		t.Errorf("%d pass, %d lost, first %v", o.passing, o.lost, o.queue[0].event)
	}
	bytes := 0
	for _, l := range o.queue {
		bytes += l.size()
	}
	if bytes != o.bytes {
		t.Errorf("%d bytes, %d counted", bytes, o.bytes)
	}
}
